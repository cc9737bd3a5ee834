//! Citations like `server.md 3.7` find their heading, and nothing cites a file that the repository does not hold.

use crate::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The headings of each file of the protocol's description: `server` to `3.7`, `A.1` and so on.
pub type Sections = BTreeMap<String, BTreeSet<String>>;

/// Reads the numbers of headings out of the files of `folder`.
pub fn sections(sources: &[Source], folder: &str) -> Sections {
    let files = sources.iter().filter_map(|source| {
        let name = source.path.strip_prefix(folder)?.strip_suffix(".md")?;
        Some((name.to_owned(), headings(&source.text)))
    });
    files.filter(|(_, headings)| !headings.is_empty()).collect()
}

fn headings(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let lines = text.lines().filter(move |line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let titles = lines.map(|line| line.trim_start_matches('#').trim_start());
    let numbers = titles.filter_map(|title| match title.strip_prefix("Appendix ") {
        Some(appendix) => section(appendix),
        // "A title" is no appendix.
        None => section(title).filter(|(number, _)| number.bytes().any(|byte| byte.is_ascii_digit())),
    });
    numbers.map(|(number, _)| number).collect()
}

/// A section's number at the start of `text` (`3`, `3.7`, `A`, `E.4`), and what follows it.
fn section(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    let lettered = bytes.first().is_some_and(u8::is_ascii_uppercase);
    let mut end = if lettered { 1 } else { bytes.iter().take_while(|byte| byte.is_ascii_digit()).count() };
    if end == 0 || bytes.get(end).is_some_and(|&byte| crate::is_name(byte)) {
        return None;
    }
    loop {
        let digits = bytes[end..].iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        if bytes.get(end) != Some(&b'.') || digits == 0 {
            return Some((text[..end].to_owned(), &text[end..]));
        }
        end += 1 + digits;
    }
}

/// Every citation in `source` that finds no heading, and every one of its lines that names what is not here.
pub fn findings(source: &Source, known: &Sections) -> Vec<String> {
    let mut found = Vec::new();
    let text = unwrapped(&source.text);
    for (name, headings) in known {
        let cited = format!("{name}.md");
        for (at, _) in text.match_indices(&cited) {
            let before = text[..at].bytes().next_back();
            if before.is_some_and(|byte| crate::is_name(byte) || byte == b'/') {
                continue;
            }
            for number in numbers(&text[at + cited.len()..]) {
                if !headings.contains(&number) {
                    found.push(format!("{}: {cited} has no section {number}", source.path));
                }
            }
        }
    }
    found.extend(strangers(source));
    found
}

/// The text without line ends and the marks of comments, so that a citation may go on in the next line.
fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        let line = ["//!", "///", "//"].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        line.trim()
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// The section numbers of one citation, whose file's name stands before `rest`: `3.7, 3.9 to 3.11 and A.1`.
fn numbers(rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = rest.trim_start_matches('`').trim_start();
    while let Some((number, after)) = section(rest.trim_start_matches('§')) {
        // A single capital letter is a section only where it stands alone: "wire.md A peer ..." cites nothing.
        if number.len() == 1
            && number.as_bytes()[0].is_ascii_uppercase()
            && !after.starts_with([',', ')', ';', '.', ':'])
        {
            break;
        }
        found.push(number);
        let after = past_steps(after);
        let Some(next) = [", ", " to ", " and ", " or "].iter().find_map(|link| after.strip_prefix(link)) else {
            break;
        };
        rest = next;
    }
    found
}

/// What follows ` steps 3 to 6` or ` step 2`, which may stand behind a number.
fn past_steps(text: &str) -> &str {
    let Some(steps) = [" steps ", " step "].iter().find_map(|word| text.strip_prefix(word)) else { return text };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let after = &steps[digits(steps)..];
    after.strip_prefix(" to ").map_or(after, |last| &last[digits(last)..])
}

/// Words that name a text or a folder that readers of the repository do not have.
fn strangers(source: &Source) -> Vec<String> {
    // In halves, so that this file does not name them.
    let words = [
        ["(des", "ign "].concat(),
        ["(rese", "arch"].concat(),
        ["rese", "arch E."].concat(),
        ["/wo", "rk/"].concat(),
        ["sha", "red/spec"].concat(),
    ];
    let mut found = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(word.as_str())) {
            found.push(format!("{}:{}: `{word}` names what is not in the repository", source.path, at + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests;
