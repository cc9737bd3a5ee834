//! What stands in the files, key by key, for telling later which keys have changed. Not the values: there are passwords
//! among them.

use super::{own, raw};
use crate::reader::{Description, Section, join};
use std::collections::BTreeMap;
use std::fmt::Write;
use toml::de::{DeTable, DeValue};

/// So many tables and lists stand in each other at most.
const DEEP: usize = 16;

/// Each known key that is written, by its path in the spelling of the manual, with a hash of its value. A list of tables
/// is one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, [u8; 32]>);

impl Written {
    /// What stands in the main file and in our own, which can be read.
    pub fn of(main: &str, own: Option<&str>) -> Self {
        let mut written = Self::default();
        let mut note = |text: &str, description: Description| {
            if let Ok(tree) = DeTable::parse(text) {
                written.note(tree.get_ref(), "", &description);
            }
        };
        note(main, raw::Root::describe());
        if let Some(text) = own {
            note(text, own::Root::describe());
        }
        written
    }

    fn note(&mut self, table: &DeTable<'_>, path: &str, description: &Description) {
        for (name, value) in table {
            let name = name.get_ref();
            let known = description.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name));
            let Some(key) = known else { continue };
            let path = join(path, key.name);
            match (value.get_ref(), key.section) {
                (DeValue::Table(inner), Some(section)) => self.note(inner, &path, &section()),
                (value, _) => {
                    let mut text = String::new();
                    write_value(value, DEEP, &mut text);
                    // Of a key in two spellings the last counts as written; both stand there.
                    self.0.insert(path, pki::hash(text.as_bytes()));
                }
            }
        }
    }

    /// The keys that are written in one and not in the other, or with another value.
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let paths = self.0.keys().chain(other.0.keys()).filter(|path| self.0.get(*path) != other.0.get(*path));
        let mut paths: Vec<String> = paths.cloned().collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// The value without its spelling: comments, line ends and ways to write a number make no difference.
fn write_value(value: &DeValue<'_>, depth: usize, text: &mut String) {
    // Writing to a string cannot fail.
    let _written = match value {
        DeValue::Array(list) => {
            text.push('[');
            for inner in list.iter().filter(|_| depth > 0) {
                write_value(inner.get_ref(), depth - 1, text);
                text.push(',');
            }
            write!(text, "]")
        }
        DeValue::Table(table) => {
            let mut entries: Vec<_> = table.iter().filter(|_| depth > 0).collect();
            entries.sort_by(|(one, _), (other, _)| one.get_ref().cmp(other.get_ref()));
            text.push('{');
            for (name, inner) in entries {
                let _written = write!(text, "{:?}=", name.get_ref());
                write_value(inner.get_ref(), depth - 1, text);
                text.push(',');
            }
            write!(text, "}}")
        }
        DeValue::String(string) => write!(text, "{string:?}"),
        DeValue::Integer(integer) => write!(text, "{integer:?}"),
        DeValue::Float(float) => write!(text, "{float:?}"),
        DeValue::Boolean(boolean) => write!(text, "{boolean}"),
        DeValue::Datetime(time) => write!(text, "{time}"),
    };
}
