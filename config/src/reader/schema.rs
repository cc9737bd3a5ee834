//! Where keys belong: what one that stands in the wrong place was meant to be.

use super::{Description, Key, join};

/// A place that a key may have.
pub struct Home {
    /// The path of its table; empty outside of all tables.
    pub table: String,
    /// Whether that table is one of a list.
    is_list: bool,
    key: Key,
}

impl Home {
    /// The key's path.
    pub fn path(&self) -> String {
        join(&self.table, self.key.name)
    }

    /// What to do with a key that stands elsewhere.
    pub fn remedy(&self) -> String {
        match self.key.section {
            Some(_) => format!("write {}", header(&self.path(), is_list(&self.key))),
            None if self.table.is_empty() => "it belongs above the first table".into(),
            None => format!("it belongs under {}", header(&self.table, self.is_list)),
        }
    }
}

/// The line that begins a table.
pub fn header(path: &str, is_list: bool) -> String {
    if is_list { format!("[[{path}]]") } else { format!("[{path}]") }
}

/// All places of keys with that name, in the order of the manual.
pub fn homes(schema: &Description, name: &str) -> Vec<Home> {
    let mut found = Vec::new();
    search(schema, "", false, name, &mut found);
    found
}

fn search(table: &Description, path: &str, in_list: bool, name: &str, found: &mut Vec<Home>) {
    for key in table.keys {
        if key.name.eq_ignore_ascii_case(name) {
            found.push(Home { table: path.into(), is_list: in_list, key: *key });
        }
    }
    for key in table.keys {
        if let Some(section) = key.section {
            search(&section(), &join(path, key.name), is_list(key), name, found);
        }
    }
}

/// Whether the path is that of a list of tables.
pub fn names_list(schema: &Description, path: &str) -> bool {
    let mut table = *schema;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(key) = table.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name)) else { return false };
        let Some(section) = key.section else { return false };
        if names.peek().is_none() {
            return is_list(key);
        }
        table = section();
    }
    false
}

fn is_list(key: &Key) -> bool {
    key.section.is_some() && key.kind.starts_with("array")
}
