//! Nothing but rules over the text of the tree: a reviewer would have to look for these things by hand.
//!
//! It never builds, runs or changes what it reads, and no crate uses it. `tests/tree.rs` holds each rule against the
//! tree, with the lists of exceptions; the unit tests show each rule a text that must make it ring.
//!
//! | module | what it finds |
//! |---|---|
//! | [`citations`] | sections of the protocol's description that are cited and do not exist, and files of nobody |
//! | [`crates`] | edges between crates that the table in `ARCHITECTURE.md` lacks, has too many of, or draws upwards |
//! | [`doors`] | modules that the door of their crate does not name |
//! | [`links`] | links to files that are not there, and rows of the tables of rules that lead nowhere |
//! | [`sizes`] | files and functions that are too long to read |
//! | [`readers`] | public items that only tests read |
//! | [`circles`] | files of a crate that import each other in a loop |
//! | [`words`] | unfinished work, and `unsafe` outside its rooms or without a reason |
#![forbid(unsafe_code)]

pub mod circles;
pub mod citations;
pub mod crates;
pub mod doors;
pub mod links;
pub mod readers;
pub mod sizes;
pub mod words;

use std::fs;
use std::path::Path;

/// One text file of the tree.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the root, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// A file that is not in the tree, for the tests of the rules.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The crate that the file belongs to: the first folder of its path.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Whether the file is compiled for tests or measurements only.
    pub fn is_test(&self) -> bool {
        let test_folder = |part: &str| matches!(part, "tests" | "benches" | "examples");
        let test_file =
            |part: &str| matches!(part, "tests.rs" | "testing.rs" | "fixture.rs" | "scripted.rs" | "canary.rs");
        self.path.split('/').any(|part| test_folder(part) || test_file(part))
            || matches!(self.room(), "tidy" | "vectors" | "fuzz")
    }
}

/// Reads every file below `root` whose name ends in one of `endings`; build products and hidden folders are left out.
pub fn read_tree(root: &Path, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry of the tree").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let shown = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { path: shown, text: fs::read_to_string(&path).expect("a text file") });
            }
        }
    }
    assert!(!found.is_empty(), "the tree was not read");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Whether `byte` can stand inside a name of the language.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The names of the language that a line of code mentions, comments at its end left out.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|letter: char| !letter.is_ascii() || !is_name(letter as u8)).filter(|name| !name.is_empty())
}
