//! Pages lead somewhere: their links to files of the tree, and the tables of the [`RULES`].

use crate::{Source, is_name};

/// The pages that say where each rule stands, and which test holds it.
pub const RULES: [&str; 2] = ["docs/internals/rules.md", "docs/internals/conformance.md"];

/// What opens and what closes its tables.
pub const MARKERS: [&str; 2] = ["<!-- rules -->", "<!-- end of rules -->"];

/// Links of `page` to what is not in the tree; `exists` is asked about paths from the root.
pub fn broken(page: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let paths = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']));
    let paths = paths.filter_map(|target| target.split('#').next());
    let missing = paths.filter(|path| !exists(format!("{folder}/{path}").trim_start_matches('/')));
    missing.map(|path| format!("{}: a link to {path}, which is not there", page.path)).collect()
}

/// Rows of the tables in `page` that lead nowhere: each names files, what in them is the rule or its test, and the
/// sections of the protocol that it carries out, or that it is ours. `read` gives the text of a file of the tree.
pub fn misplaced(page: &Source, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Source { path, text } = page;
    let inside = text.split(MARKERS[0]).nth(1).and_then(|rest| rest.split(MARKERS[1]).next()).unwrap_or_default();
    let rows = inside.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut found = Vec::new();
    let mut count = 0;
    for row in rows {
        count += 1;
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        for span in row.split('`').skip(1).step_by(2) {
            match span.contains('/') {
                true => match read(span) {
                    Some(text) => texts.push(text),
                    None => found.push(format!("{path}: {span} is not there, in the row: {row}")),
                },
                false => names.push(span),
            }
        }
        let origin = row.split('|').nth(3).unwrap_or_default().trim();
        if origin != "ours" && !origin.contains(".md ") {
            found.push(format!("{path}: neither a section of the protocol nor \"ours\": {row}"));
        }
        let is_there = |name: &&str| texts.iter().any(|text| has_name(text, name));
        let astray = names.into_iter().filter(|name| !is_there(name));
        found.extend(astray.map(|name| format!("{path}: no file of its row has `{name}`: {row}")));
    }
    if count == 0 {
        found.push(format!("{path}: no table between {} and {}", MARKERS[0], MARKERS[1]));
    }
    found
}

/// Whether `name` stands in `text` as a word.
fn has_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].bytes().next_back();
        let after = text[at + name.len()..].bytes().next();
        ![before, after].into_iter().flatten().any(is_name)
    })
}

#[cfg(test)]
mod tests;
