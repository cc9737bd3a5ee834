//! Files of a crate that import each other in a loop.
//!
//! A file that declares modules may take from them what it likes, and they from it: that is what a door is for. What
//! a door re-exports is traced to the file that defines it. Every other loop is found.

use crate::{Source, is_name};
use std::collections::{BTreeMap, BTreeSet};

type Module = Vec<String>;

/// The loops among the files of one crate, `sources`, each with its files in order.
pub fn find(sources: &[Source]) -> Vec<Vec<String>> {
    let crates: BTreeMap<Module, &Source> = sources
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(|source| Some((module(&source.path)?, source)))
        .collect();
    let house =
        House { exports: crates.iter().map(|(module, source)| (module.clone(), exports(&source.text))).collect() };
    let mut arrows: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, source) in &crates {
        let targets = imports(&code(&source.text)).into_iter().filter_map(|path| house.resolve(from, &path));
        // From a door into its own rooms is no arrow.
        arrows.insert(from, targets.filter(|to| !to.starts_with(from)).collect());
    }
    let reach: BTreeMap<&Module, BTreeSet<Module>> =
        arrows.keys().map(|from| (*from, reachable(from, &arrows))).collect();
    let mut loops = BTreeSet::new();
    for (from, reached) in &reach {
        let together = reached.iter().filter(|to| reach.get(to).is_some_and(|back| back.contains(*from)));
        let files: BTreeSet<_> = together.map(|module| crates[module].path.clone()).collect();
        if files.len() > 1 {
            loops.insert(files.into_iter().collect::<Vec<_>>());
        }
    }
    loops.into_iter().collect()
}

/// The module that a file is, or nothing for a file outside `src`.
fn module(path: &str) -> Option<Module> {
    let inside = path.split_once("/src/")?.1.strip_suffix(".rs")?;
    let mut parts: Module = inside.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    Some(parts)
}

fn reachable(from: &Module, arrows: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.clone()];
    while let Some(next) = open.pop() {
        for to in arrows.get(&next).into_iter().flatten() {
            if seen.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    seen
}

struct House {
    exports: BTreeMap<Module, Vec<Module>>,
}

impl House {
    /// The module whose file defines what `path`, written in the file of `from`, names.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<Module> {
        let mut at = if path.first()? == "crate" { Module::new() } else { from.clone() };
        let mut rest = path;
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop()?;
                }
                _ => break,
            }
            rest = after;
        }
        self.descend(at, rest, 8)
    }

    fn descend(&self, mut at: Module, mut rest: &[String], turns_left: usize) -> Option<Module> {
        while let [first, after @ ..] = rest {
            let mut below = at.clone();
            below.push(first.clone());
            if !self.exports.contains_key(&below) {
                break;
            }
            (at, rest) = (below, after);
        }
        let Some(name) = rest.first() else { return Some(at) };
        let exported = self.exports.get(&at)?.iter().find(|path| path.last() == Some(name));
        match exported {
            Some(path) if turns_left > 0 => {
                let start = path.iter().position(|part| !matches!(part.as_str(), "self" | "crate")).unwrap_or_default();
                let base = if path.first().is_some_and(|part| part == "crate") { Module::new() } else { at.clone() };
                self.descend(base, &path[start..], turns_left - 1).or(Some(at))
            }
            _ => Some(at),
        }
    }
}

/// The text without comments and without what is compiled for tests only.
fn code(text: &str) -> String {
    let lines = text.lines();
    let before = std::iter::once("").chain(text.lines());
    let kept = lines.zip(before).filter(|(_, before)| !before.contains("cfg(test)"));
    kept.map(|(line, _)| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every path in `code` that starts at the crate or at the file's own place.
fn imports(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].bytes().next_back();
            if !before.is_some_and(|byte| is_name(byte) || byte == b':' || byte == b'$') {
                expand(&code[at..], &Module::new(), &mut found);
            }
        }
    }
    found
}

/// The paths that the door re-exports, as they are written.
fn exports(text: &str) -> Vec<Module> {
    let code = code(text);
    let mut found = Vec::new();
    for statement in code.split(';') {
        let statement = statement.trim_start().lines().last().map_or(statement, |_| statement.trim_start());
        let Some((before, tree)) = statement.split_once("use ") else { continue };
        if before.split_whitespace().last().is_some_and(|word| word.starts_with("pub")) {
            expand(tree, &Module::new(), &mut found);
        }
    }
    found
}

/// Writes out `a::{b, c::{d, e}}` and returns how many bytes of `text` belong to it.
fn expand(text: &str, prefix: &Module, found: &mut Vec<Module>) -> usize {
    let bytes = text.as_bytes();
    let mut path = prefix.clone();
    let mut at = 0;
    loop {
        let name = bytes[at..].iter().take_while(|&&byte| is_name(byte)).count();
        if name > 0 {
            path.push(text[at..at + name].to_owned());
            at += name;
            if bytes[at..].starts_with(b"::") {
                at += 2;
                continue;
            }
        } else if bytes.get(at) == Some(&b'{') {
            at += 1;
            while let Some(&byte) = bytes.get(at) {
                at += match byte {
                    b'}' => return at + 1,
                    byte if is_name(byte) => expand(&text[at..], &path, found),
                    _ => 1,
                };
            }
        }
        found.push(path);
        return at.max(1);
    }
}

#[cfg(test)]
mod tests;
