//! Which key a file has twice, and where it stood first: the parser tells the place of the second only.

use super::join;
use toml::de::{DeTable, DeValue, Error};

/// A key that is written twice.
pub struct Duplicate {
    /// The key as it is written the second time.
    pub name: String,
    /// Its path from the outermost table, as far as it can be told.
    pub key: String,
    /// The offset of the first one; none inside of inline tables.
    pub first_at: Option<usize>,
    /// Whether it is the name of a table.
    pub is_header: bool,
}

/// A key that no file has: it is put where the duplicate stands, to find the table that is open there.
const MARK: &str = "\u{1}";

/// The duplicate that the error is about, if it is about one.
pub fn of(text: &str, error: &Error) -> Option<Duplicate> {
    let span = error.span().filter(|_| error.message() == "duplicate key")?;
    let name = text.get(span.clone())?.trim_matches(['"', '\'']).to_string();
    let line_at = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[..line_at];
    let line = text[line_at..].lines().next().unwrap_or_default();
    if line.trim_start().starts_with('[') {
        let (tree, _) = DeTable::parse_recoverable(before);
        let path = path_of(line).unwrap_or_else(|| vec![name.clone()]);
        let first_at = place_of(tree.get_ref(), &path);
        return Some(Duplicate { key: joined("", &path), name, first_at, is_header: true });
    }
    let marked = format!("{before}\n\"\\u0001\" = 0\n");
    let (tree, _) = DeTable::parse_recoverable(&marked);
    let table = marked_table(tree.get_ref(), String::new());
    match (table, path_of(&format!("{} = 0", &text[line_at..span.end]))) {
        (Some((table, above)), Some(path)) => {
            Some(Duplicate { key: joined(&above, &path), name, first_at: place_of(table, &path), is_header: false })
        }
        _ => Some(Duplicate { key: name.clone(), name, first_at: None, is_header: false }),
    }
}

fn joined(above: &str, path: &[String]) -> String {
    path.iter().fold(above.to_string(), |key, part| join(&key, part))
}

/// The path that one statement writes to: a header, or a key with a value.
fn path_of(statement: &str) -> Option<Vec<String>> {
    let tree = DeTable::parse(statement).ok()?;
    let mut path = Vec::new();
    let mut table = tree.get_ref();
    while let Some((key, value)) = table.iter().next() {
        path.push(key.get_ref().to_string());
        match inner(value.get_ref()) {
            Some(inner) => table = inner,
            None => break,
        }
    }
    Some(path)
}

/// Where `path` was written below `table`.
fn place_of(table: &DeTable<'_>, path: &[String]) -> Option<usize> {
    let (name, rest) = path.split_first()?;
    let (key, value) = table.get_key_value(name.as_str())?;
    if rest.is_empty() { Some(key.span().start) } else { place_of(inner(value.get_ref())?, rest) }
}

/// The table with the mark and its path.
fn marked_table<'t, 'text>(table: &'t DeTable<'text>, path: String) -> Option<(&'t DeTable<'text>, String)> {
    if table.contains_key(MARK) {
        return Some((table, path));
    }
    table.iter().find_map(|(key, value)| marked_table(inner(value.get_ref())?, join(&path, key.get_ref())))
}

/// The table that a value is, or the one that an array of tables ends with.
fn inner<'t, 'text>(value: &'t DeValue<'text>) -> Option<&'t DeTable<'text>> {
    match value {
        DeValue::Table(table) => Some(table),
        DeValue::Array(array) => array.last().and_then(|last| inner(last.get_ref())),
        _ => None,
    }
}
