//! From TOML text to typed tables that know their places: every ill-typed, unknown or doubled key becomes a finding.
//!
//! A table is declared once by [`section!`](crate::section): the declaration is the struct that is filled, the list of
//! known keys and the entry in the manual. Names match as the reference's decoder matches them (server.md 2.1): exact
//! first, else ignoring letter case, except in tables that are exact.

mod duplicate;
mod field;
mod line;
mod schema;
pub(crate) mod suggest;
mod syntax;
#[cfg(test)]
mod tests;

pub use field::{Field, GoDuration, Value};
pub use line::{line_in, line_of};

use crate::finding::{Findings, Place, Severity};
use std::collections::HashSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What to do about keys that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are warnings, as are keys in two spellings: the node runs as the reference would.
    Lenient,
    /// They are errors, as under `--validate-only` (server.md 2.2).
    Strict,
}

impl Strictness {
    fn of_unknown_keys(self) -> Severity {
        match self {
            Self::Lenient => Severity::Warning,
            Self::Strict => Severity::Error,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// How a table treats its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Letter case does not matter; unknown keys are findings.
    AnyCase,
    /// Letter case matters; unknown keys are warnings even under the strict check (`[[PKI.Voting.Authorities]]`).
    ExactCase,
}

/// One key of a table, as the manual shows it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name in the file.
    pub name: &'static str,
    /// Type in the file.
    pub kind: &'static str,
    /// Value of an absent key, with its unit.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What this implementation does with it, where that is not evident.
    pub effect: &'static str,
    /// The table below this key.
    pub section: Option<fn() -> Description>,
}

/// A table, as the manual shows it.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// What the table is for.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A table that [`section!`](crate::section) declared.
pub trait Section: Default {
    /// How keys match.
    const MATCHING: Matching;
    /// Its keys.
    const KEYS: &'static [Key];
    /// What the table is for.
    const ABOUT: &'static str;

    /// Takes every known key out of `table`.
    fn take_from(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Self;

    /// The entry in the manual.
    fn describe() -> Description {
        Description { about: Self::ABOUT, keys: Self::KEYS }
    }
}

/// Declares tables of a configuration file: struct, known keys and manual entry at once. Each key is
/// `field: type = ("Name", "default", "effect");` under a doc comment with its meaning.
#[macro_export]
macro_rules! section {
    ($(
        $(#[doc = $about:literal])+
        $matching:ident $name:ident {
            $( $(#[doc = $meaning:literal])+ $field:ident: $type:ty = ($key:literal, $default:literal, $effect:literal); )*
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            /// Where the table starts.
            pub place: $crate::finding::Place,
            $( $(#[doc = $meaning])+ pub $field: Option<$crate::reader::At<$type>>, )*
        }

        impl $crate::reader::Section for $name {
            const MATCHING: $crate::reader::Matching = $crate::reader::Matching::$matching;
            const ABOUT: &'static str = concat!($($about),+);
            const KEYS: &'static [$crate::reader::Key] = &[$(
                $crate::reader::Key {
                    name: $key,
                    kind: <$type as $crate::reader::Field>::KIND,
                    default: $default,
                    meaning: concat!($($meaning),+),
                    effect: $effect,
                    section: <$type as $crate::reader::Field>::SECTION,
                },
            )*];

            fn take_from(
                table: &mut $crate::reader::Table<'_, '_>,
                reader: &mut $crate::reader::Reader<'_>,
            ) -> Self {
                Self { place: table.place().clone(), $( $field: table.take(reader, $key), )* }
            }
        }
    )+};
}

/// What is known about a key that the schema does not have: a sentence for the remedy.
pub type Hint = fn(&str) -> Option<&'static str>;

/// The parse of one file.
pub struct Reader<'a> {
    /// Where findings go.
    pub findings: &'a mut Findings,
    strictness: Strictness,
    hint: Hint,
    schema: Description,
    line_ends: Vec<usize>,
    /// The paths of all that stands in the file, in lower case.
    written: HashSet<String>,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, whose outermost table is to be an `S`.
    pub fn new<S: Section>(text: &str, strictness: Strictness, hint: Hint, findings: &'a mut Findings) -> Self {
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { findings, strictness, hint, schema: S::describe(), line_ends, written: HashSet::new() }
    }

    /// The tree of `text`, none after findings about its syntax.
    pub fn parse<'t>(&mut self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        if syntax::is_one_line(text) {
            let problem = "its lines end with CR alone, so that all of it is one line";
            self.findings.error(
                "line-ends",
                &Place::default(),
                problem,
                "save it with the line ends of Unix or Windows",
            );
            return None;
        }
        let (tree, errors) = DeTable::parse_recoverable(text);
        syntax::report(text, &errors, self);
        if errors.is_empty() { Some(tree) } else { None }
    }

    /// The file's outermost table.
    pub fn read_root<S: Section>(&mut self, tree: &DeTable<'_>) -> S {
        note_written(tree, "", TABLES_DEEP, &mut self.written);
        self.read_table(tree, Place::default())
    }

    fn read_table<S: Section>(&mut self, tree: &DeTable<'_>, place: Place) -> S {
        let mut table = Table { tree, place, matching: S::MATCHING, taken: Vec::new() };
        let section = S::take_from(&mut table, self);
        table.report_unknown(self, S::KEYS);
        section
    }

    /// The line of a byte offset, counted from 1.
    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    fn is_written(&self, path: &str) -> bool {
        self.written.contains(&path.to_ascii_lowercase())
    }

    fn wrong_type(&mut self, place: &Place, found: &DeValue<'_>, expected: &str) {
        let found = found.type_str();
        self.findings.unreadable(
            "wrong-type",
            place,
            format!("is of type {found}"),
            format!("write a value of type {expected}"),
        );
    }
}

/// A table whose keys are being taken.
pub struct Table<'t, 'text> {
    tree: &'t DeTable<'text>,
    place: Place,
    matching: Matching,
    taken: Vec<&'t str>,
}

impl Table<'_, '_> {
    /// Where the table starts.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The value under `name`; none when it is absent or, after a finding, not of the type.
    pub fn take<T: Field>(&mut self, reader: &mut Reader<'_>, name: &str) -> Option<At<T>> {
        let matches = |written: &str| match self.matching {
            Matching::AnyCase => written.eq_ignore_ascii_case(name),
            Matching::ExactCase => written == name,
        };
        let mut found: Vec<_> = self.tree.iter().filter(|(key, _)| matches(key.get_ref())).collect();
        found.sort_by_key(|(key, _)| (key.get_ref() != name, key.span().start));
        self.taken.extend(found.iter().map(|(key, _)| key.get_ref().as_ref()));
        let place = |key: &Spanned<std::borrow::Cow<'_, str>>, reader: &Reader<'_>| Place {
            line: Some(reader.line(key.span().start)),
            key: join(&self.place.key, name),
        };
        let (key, value) = *found.first()?;
        for (other, _) in found.iter().skip(1) {
            let used = reader.line(key.span().start);
            let problem = format!("written again as {:?}; what line {used} says is used", other.get_ref());
            let (severity, place) = (reader.strictness.of_unknown_keys(), place(other, reader));
            reader.findings.add(severity, "doubled-key", &place, problem, "keep one of the two");
        }
        let place = place(key, reader);
        T::read(value, &place, reader).map(|value| At { value, place })
    }

    fn report_unknown(&self, reader: &mut Reader<'_>, known: &[Key]) {
        let mut unknown: Vec<_> =
            self.tree.keys().filter(|key| !self.taken.contains(&key.get_ref().as_ref())).collect();
        unknown.sort_by_key(|key| key.span().start);
        self.report_missing_header(reader, &mut unknown);
        for key in unknown {
            let name = key.get_ref();
            let place = Place { line: Some(reader.line(key.span().start)), key: join(&self.place.key, name) };
            let severity = self.severity_of_unknown(reader);
            match (reader.hint)(&place.key) {
                Some(hint) => reader.findings.add(severity, "removed-key", &place, "no longer has an effect", hint),
                None => {
                    let (remedy, meant) = self.meant(name, reader, known);
                    reader.findings.add(severity, "unknown-key", &place, "unrecognised configuration key", remedy);
                    if let Some(meant) = meant {
                        reader.findings.last_was_probably(meant);
                    }
                }
            }
        }
    }

    fn severity_of_unknown(&self, reader: &Reader<'_>) -> Severity {
        match self.matching {
            Matching::AnyCase => reader.strictness.of_unknown_keys(),
            Matching::ExactCase => Severity::Warning,
        }
    }

    /// What to do about a key that is not one of this table's, and which absent one it was probably meant to be.
    fn meant(&self, name: &str, reader: &Reader<'_>, known: &[Key]) -> (String, Option<String>) {
        let names = || known.iter().map(|key| key.name);
        let here = |meant: &str| {
            let is_taken = self.taken.iter().any(|taken| taken.eq_ignore_ascii_case(meant));
            (format!("did you mean {meant}?"), (!is_taken).then(|| join(&self.place.key, meant)))
        };
        if let Some(nearest) = suggest::nearest(name, names()) {
            return here(nearest);
        }
        // A table that is missing wants its key more than one that has it.
        let homes = schema::homes(&reader.schema, name);
        let home = homes.iter().find(|home| !reader.is_written(&home.path())).or(homes.first());
        if let Some(home) = home {
            let path = home.path();
            let is_written = reader.is_written(&path);
            return (home.remedy(), (!is_written).then_some(path));
        }
        suggest::abbreviated(name, names()).map_or(("remove it".into(), None), here)
    }

    /// Several keys of a table that is not there: its header was forgotten, and they are in the table above it.
    fn report_missing_header(&self, reader: &mut Reader<'_>, unknown: &mut Vec<&Spanned<std::borrow::Cow<'_, str>>>) {
        let table_of = |name: &str, reader: &Reader<'_>| {
            let homes = schema::homes(&reader.schema, name);
            let is_missing = |table: &String| !table.is_empty() && !table.contains('.') && !reader.is_written(table);
            homes.into_iter().map(|home| home.table).find(is_missing)
        };
        let Some(table) = unknown.iter().find_map(|key| table_of(key.get_ref(), reader)) else { return };
        let (of_it, others): (Vec<_>, Vec<_>) =
            unknown.iter().copied().partition(|key| table_of(key.get_ref(), reader).as_ref() == Some(&table));
        let [first, _, ..] = of_it.as_slice() else { return };
        if reader.findings.is_misspelt(&table) {
            return;
        }
        let place = Place { line: Some(reader.line(first.span().start)), key: table.clone() };
        let header = schema::header(&table, false);
        let problem = format!("the line {header} is missing above {} of its keys", of_it.len());
        let severity = self.severity_of_unknown(reader);
        reader.findings.add(severity, "missing-header", &place, problem, format!("write {header} above this line"));
        reader.findings.last_was_probably(table);
        *unknown = others;
    }
}

/// So many tables stand in each other at most where keys have a meaning.
const TABLES_DEEP: usize = 4;

/// Notes the paths of all that stands in a table and in those below it, but for lists.
fn note_written(table: &DeTable<'_>, path: &str, depth: usize, written: &mut HashSet<String>) {
    for (key, value) in table {
        let path = join(path, &key.get_ref().to_ascii_lowercase());
        if let (DeValue::Table(inner), 1..) = (value.get_ref(), depth) {
            note_written(inner, &path, depth - 1, written);
        }
        written.insert(path);
    }
}

/// The dotted path of `name` below `parent`.
pub(crate) fn join(parent: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let name = if plain { name.to_string() } else { format!("{name:?}") };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}
