//! Findings about text that is no TOML: one for each line, however many the parser has.

use super::duplicate::{self, Duplicate};
use super::{Reader, schema};
use crate::finding::Place;
use std::collections::BTreeSet;
use toml::de::Error;

/// Duplicates of one file that are told with both their lines; more are told with their own.
const DUPLICATES_MAX: usize = 16;

/// What word processors make of quotes.
const TYPOGRAPHIC: [char; 9] =
    ['\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '\u{2033}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}'];

/// Whether lines end as nowhere any more: the whole file is one line to the parser.
pub fn is_one_line(text: &str) -> bool {
    text.contains('\r') && !text.contains('\n')
}

/// Tells of all `errors` in `text`.
pub fn report(text: &str, errors: &[Error], reader: &mut Reader<'_>) {
    // Once: a file may have an error in each of very many lines.
    let lines: Vec<&str> = text.lines().collect();
    let mut told = Told { duplicates_left: DUPLICATES_MAX, ..Told::default() };
    for error in errors {
        let line = error.span().map(|span| reader.line(span.start));
        // Each takes a parse of what stands before it.
        if told.duplicates_left > 0
            && let Some(duplicate) = duplicate::of(text, error)
        {
            told.duplicates_left -= 1;
            told.duplicate(duplicate, line, reader);
            continue;
        }
        // What follows from a list that is written as a table has been told.
        let follows = !told.lists.is_empty() && error.message() == "duplicate key";
        if follows || line.is_some_and(|line| !told.lines.insert(line)) {
            continue;
        }
        let place = Place { line, key: String::new() };
        let written = line.and_then(|line| lines.get(line - 1)).copied().unwrap_or_default();
        match written.chars().find(|c| TYPOGRAPHIC.contains(c)) {
            Some(quote) => {
                let problem = format!("not TOML: {quote} is a typographic quote");
                reader.findings.error("syntax", &place, problem, "write the straight quote \"");
            }
            None => {
                let problem = format!("not TOML: {}", error.message());
                reader.findings.error("syntax", &place, problem, "correct this line");
            }
        }
    }
}

/// What need not be told again.
#[derive(Default)]
struct Told {
    duplicates_left: usize,
    lines: BTreeSet<usize>,
    /// Beginnings of the paths in tables that stand twice.
    tables: Vec<String>,
    lists: Vec<String>,
}

impl Told {
    fn duplicate(&mut self, duplicate: Duplicate, line: Option<usize>, reader: &mut Reader<'_>) {
        // A table that stands twice has the keys of the first once more.
        if self.tables.iter().any(|above| duplicate.key.starts_with(above)) || self.lists.contains(&duplicate.key) {
            return;
        }
        self.tables.push(format!("{}.", duplicate.key));
        let first = duplicate.first_at.map(|at| reader.line(at));
        if duplicate.is_header && schema::names_list(&reader.schema, &duplicate.key) {
            let place = Place { line: first.or(line), key: duplicate.key.clone() };
            let remedy = format!("write {} above each", schema::header(&duplicate.key, true));
            reader.findings.error("wrong-type", &place, "is a list of tables", remedy);
            self.lists.push(duplicate.key);
            return;
        }
        let place = Place { line, key: duplicate.key };
        let first = first.map(|line| format!(", first in line {line}"));
        let problem = format!("duplicate key {:?}{}", duplicate.name, first.unwrap_or_default());
        reader.findings.error("duplicate-key", &place, problem, "keep one of the two");
    }
}
