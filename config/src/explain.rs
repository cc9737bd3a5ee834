//! What a key means, told from the declarations of the tables: the manual, one key at a time.

#[cfg(test)]
mod tests;

use crate::reader::{Description, Section, join, suggest};
use crate::server::live::is_live;
use crate::server::{own, raw};
use crate::{authority, client};

/// A file with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `katzenpost.toml`.
    Server,
    /// `katzensprung.toml`.
    Own,
    /// `authority.toml`.
    Authority,
    /// `client.toml`.
    Client,
}

impl File {
    const ALL: [Self; 4] = [Self::Server, Self::Own, Self::Authority, Self::Client];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "katzenpost.toml",
            Self::Own => "katzensprung.toml",
            Self::Authority => "authority.toml",
            Self::Client => "client.toml",
        }
    }

    fn describe(self) -> Description {
        match self {
            Self::Server => raw::Root::describe(),
            Self::Own => own::Root::describe(),
            Self::Authority => authority::raw::Root::describe(),
            Self::Client => client::raw::Root::describe(),
        }
    }

    /// What became of a key of an older release.
    fn retired(self, path: &str) -> Option<&'static str> {
        match self {
            Self::Server => crate::server::removed::hint(path),
            Self::Own => None,
            Self::Authority => authority::removed::hint(path),
            Self::Client => client::removed::hint(path),
        }
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs.
    pub file: File,
    /// Its path there.
    pub path: String,
    /// Its type.
    pub kind: &'static str,
    /// What holds where it is absent, with its unit.
    pub default: &'static str,
    /// What it means, and what this implementation does with it where that is not evident.
    pub meaning: String,
    /// Of a table: its keys.
    pub keys: Vec<&'static str>,
}

/// What there is to say about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Keys that are called so.
    Keys(Vec<Entry>),
    /// A key of an older release, and what became of it.
    Retired(File, &'static str),
    /// There is none; this one may be meant.
    Unknown(Option<String>),
}

/// The keys of all files, in the order of the manual.
pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    for file in File::ALL {
        list(file, "", &file.describe(), &mut entries);
    }
    entries
}

/// Explains a key by its path, or by the end of it: `Server.Identifier`, `Identifier`. Letter case does not matter.
pub fn explain(name: &str) -> Answer {
    let name = name.trim_matches(['[', ']', ' ']);
    let entries = all();
    let of = |is_it: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| is_it(entry)).cloned().collect::<Vec<_>>();
    let exact = of(&|entry| entry.path.eq_ignore_ascii_case(name));
    let found = if exact.is_empty() { of(&|entry| ends_with(&entry.path, name)) } else { exact };
    if !found.is_empty() {
        return Answer::Keys(found);
    }
    if let Some((file, hint)) = File::ALL.into_iter().find_map(|file| Some((file, file.retired(name)?))) {
        return Answer::Retired(file, hint);
    }
    let paths = entries.iter().map(|entry| entry.path.as_str());
    let names = paths.clone().map(|path| path.rsplit('.').next().unwrap_or(path));
    let nearest = suggest::nearest(name, paths.clone()).or_else(|| suggest::nearest(name, names));
    Answer::Unknown(nearest.or_else(|| suggest::abbreviated(name, paths)).map(str::to_owned))
}

/// Whether whole names at the end of the path are these.
fn ends_with(path: &str, names: &str) -> bool {
    let Some(before) = path.len().checked_sub(names.len()) else { return false };
    !names.is_empty()
        && path.get(before..).is_some_and(|end| end.eq_ignore_ascii_case(names))
        && (before == 0 || path.as_bytes()[before - 1] == b'.')
}

fn list(file: File, above: &str, table: &Description, entries: &mut Vec<Entry>) {
    for key in table.keys {
        let section = key.section.map(|section| section());
        let path = join(above, key.name);
        let live = match matches!(file, File::Server | File::Own) && is_live(&path) {
            true => "A running node takes it over at RELOAD.",
            false => "",
        };
        let sentences = [key.meaning.trim(), key.effect.trim(), live].into_iter().filter(|text| !text.is_empty());
        let meaning = sentences.collect::<Vec<_>>().join(" ");
        let keys = section.iter().flat_map(|section| section.keys).map(|key| key.name).collect();
        let (kind, default) = (key.kind, key.default);
        entries.push(Entry { file, path: path.clone(), kind, default, meaning, keys });
        if let Some(section) = section {
            list(file, &path, &section, entries);
        }
    }
}
