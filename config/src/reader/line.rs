//! The line of a key, for what is found out about a file after it was read.

use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a key stands in the file, given by its path with dots and indices (`Server.Addresses[1]`) and in any letter
/// case; none when it is not there.
pub fn line_of(file: &Path, key: &str) -> Option<usize> {
    line_in(&std::fs::read_to_string(file).ok()?, key)
}

/// The same for the text of a file.
pub fn line_in(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut names = key.split(['.', '[', ']']).filter(|name| !name.is_empty());
    let first = names.next()?;
    let (mut start, mut value) = entry(root.get_ref(), first)?;
    for name in names {
        (start, value) = match value.get_ref() {
            DeValue::Table(table) => entry(table, name)?,
            DeValue::Array(array) => {
                let value = array.get(name.parse::<usize>().ok()?)?;
                (value.span().start, value)
            }
            _ => return None,
        };
    }
    Some(1 + text.as_bytes().get(..start)?.iter().filter(|byte| **byte == b'\n').count())
}

fn entry<'a, 'b>(table: &'a DeTable<'b>, name: &str) -> Option<(usize, &'a Spanned<DeValue<'b>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().eq_ignore_ascii_case(name))?;
    Some((key.span().start, value))
}
