//! Public items that nothing but tests reads.
//!
//! Names are compared as text over the whole tree, so that an item with a common name (`new`) is never found: the rule
//! is silent where it is not sure.

use crate::{Source, names};
use std::collections::{BTreeMap, BTreeSet};

/// The public items of `sources` without a reader, as `path: name`.
pub fn unread(sources: &[Source]) -> BTreeSet<String> {
    // What measures is what the benchmarks' own crate is for.
    let reads =
        |source: &&Source| source.path.contains("/src/") && !source.is_test() || source.path.starts_with("bench/");
    let shipped: Vec<_> = sources.iter().filter(reads).collect();
    let mut mentions: BTreeMap<String, usize> = BTreeMap::new();
    let mut items = Vec::new();
    for source in &shipped {
        let text = without_imports(&source.text);
        let mut before = "";
        for line in text.lines() {
            let for_tests = before.contains("cfg(test)");
            before = line;
            if for_tests {
                continue;
            }
            let defined = definition(line);
            if let Some(name) = defined.filter(|_| line.trim_start().starts_with("pub ")) {
                items.push((name.to_owned(), format!("{}: {name}", source.path)));
            }
            if line.trim_start().starts_with("impl") {
                continue;
            }
            for name in names(line).filter(|&name| defined != Some(name)) {
                *mentions.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    items.into_iter().filter(|(name, _)| !mentions.contains_key(name)).map(|(_, shown)| shown).collect()
}

/// The name that the line defines.
fn definition(line: &str) -> Option<&str> {
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static"];
    let words: Vec<_> = line.split("//").next()?.split_whitespace().collect();
    let at = words.iter().position(|word| kinds.contains(word))?;
    let starts = ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "async"];
    if !words[..at].iter().all(|word| starts.contains(word)) {
        return None;
    }
    let name = words[at + 1..].iter().find(|word| !kinds.contains(word) && **word != "unsafe")?;
    names(name).next()
}

/// The text without `use` statements and without comments: to import a name is not to read it.
fn without_imports(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        let code = line.trim_start();
        inside |=
            ["use ", "pub use ", "pub(crate) use ", "pub(super) use "].iter().any(|start| code.starts_with(start));
        if !inside && !code.starts_with("//") {
            kept.push_str(line);
        }
        kept.push('\n');
        inside &= !line.contains(';');
    }
    kept
}

#[cfg(test)]
mod tests;
