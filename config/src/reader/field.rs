//! The types that a key may have.

use super::{At, Description, Reader, Section, join, schema};
use crate::finding::Place;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A type that a key may have.
pub trait Field: Sized {
    /// Its name in the manual.
    const KIND: &'static str;
    /// The manual entry of the table below, for tables.
    const SECTION: Option<fn() -> Description> = None;

    /// The value, or none after a finding.
    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A free-form value (`Config` and `PKIAdvertizedData` of services).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A date or time, in its TOML spelling.
    Datetime(String),
    /// An array.
    Array(Vec<Value>),
    /// A table.
    Table(BTreeMap<String, Value>),
}

impl Field for String {
    const KIND: &'static str = "string";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                reader.wrong_type(place, other, Self::KIND);
                None
            }
        }
    }
}

impl Field for bool {
    const KIND: &'static str = "boolean";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                reader.wrong_type(place, other, Self::KIND);
                None
            }
        }
    }
}

impl Field for i64 {
    const KIND: &'static str = "integer";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(integer) = value.get_ref() else {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix());
        if number.is_err() {
            reader.findings.unreadable(
                "integer-range",
                place,
                format!("{} does not fit 64 bits", integer.as_str()),
                "write a smaller number",
            );
        }
        number.ok()
    }
}

/// The largest integer up to which each is a floating-point number.
const FLOAT_INTEGER_MAX: u64 = 1 << 53;

/// A number; an integer will do.
impl Field for f64 {
    const KIND: &'static str = "float";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => {
                let integer = i64::read(value, place, reader)?;
                // The reference refuses what is not this very number any more.
                if integer.unsigned_abs() > FLOAT_INTEGER_MAX {
                    let problem = format!("{integer} is no floating-point number");
                    reader.findings.unreadable("integer-range", place, problem, "write a smaller number");
                    return None;
                }
                Some(integer as f64)
            }
            _ => None,
        };
        if number.is_none() {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
        }
        number
    }
}

/// A length of time as Go's programs write it: text with units, or nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl Field for GoDuration {
    const KIND: &'static str = "duration";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let read = match value.get_ref() {
            DeValue::String(text) => pki::epoch::parse_go_duration(text).map_err(|error| error.to_string()),
            DeValue::Integer(_) => {
                let nanoseconds = i64::read(value, place, reader)?;
                u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| format!("{nanoseconds} is negative"))
            }
            other => {
                reader.wrong_type(place, other, Self::KIND);
                return None;
            }
        };
        read.map(Self)
            .map_err(|problem| {
                reader.findings.unreadable("duration", place, problem, "write for example \"10ms\" or \"3s\"");
            })
            .ok()
    }
}

impl Field for Value {
    const KIND: &'static str = "any";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match value.get_ref() {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(_) => Self::Integer(i64::read(value, place, reader)?),
            DeValue::Float(float) => Self::Float(float.as_str().parse().ok()?),
            DeValue::Boolean(flag) => Self::Boolean(*flag),
            DeValue::Datetime(datetime) => Self::Datetime(datetime.to_string()),
            DeValue::Array(array) => {
                Self::Array(array.iter().map(|element| Self::read(element, place, reader)).collect::<Option<_>>()?)
            }
            DeValue::Table(table) => Self::Table(
                table
                    .iter()
                    .map(|(key, value)| {
                        let place = below(place, key, reader);
                        Some((key.get_ref().to_string(), Self::read(value, &place, reader)?))
                    })
                    .collect::<Option<_>>()?,
            ),
        })
    }
}

/// A map with keys of the writer's choice.
impl<T: Field> Field for BTreeMap<String, At<T>> {
    const KIND: &'static str = "table";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
            return None;
        };
        let mut map = Self::new();
        for (key, value) in table {
            let place = below(place, key, reader);
            if let Some(value) = T::read(value, &place, reader) {
                map.insert(key.get_ref().to_string(), At { value, place });
            }
        }
        Some(map)
    }
}

impl Field for Vec<At<String>> {
    const KIND: &'static str = "array of strings";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
            return None;
        };
        let mut list = Self::new();
        for (index, element) in array.iter().enumerate() {
            let place = element_place(place, index, element, reader);
            list.extend(String::read(element, &place, reader).map(|value| At { value, place }));
        }
        Some(list)
    }
}

/// Integers that are processor numbers.
impl Field for Vec<At<i64>> {
    const KIND: &'static str = "array of integers";

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
            return None;
        };
        let mut list = Self::new();
        for (index, element) in array.iter().enumerate() {
            let place = element_place(place, index, element, reader);
            list.extend(i64::read(element, &place, reader).map(|value| At { value, place }));
        }
        Some(list)
    }
}

impl<S: Section> Field for S {
    const KIND: &'static str = "table";
    const SECTION: Option<fn() -> Description> = Some(S::describe);

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(reader.read_table(table, place.clone())),
            DeValue::Array(_) if !place.key.ends_with(']') => {
                let remedy = format!("it is there once: write {}", schema::header(&place.key, false));
                reader.findings.unreadable("wrong-type", place, "is of type array", remedy);
                None
            }
            other => {
                reader.wrong_type(place, other, Self::KIND);
                None
            }
        }
    }
}

impl<S: Section> Field for Vec<S> {
    const KIND: &'static str = "array of tables";
    const SECTION: Option<fn() -> Description> = Some(S::describe);

    fn read(value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Table(_) = value.get_ref() {
            let remedy = format!("write {} above each", schema::header(&place.key, true));
            reader.findings.unreadable("wrong-type", place, "is a list of tables", remedy);
            return None;
        }
        let DeValue::Array(array) = value.get_ref() else {
            reader.wrong_type(place, value.get_ref(), Self::KIND);
            return None;
        };
        let mut list = Self::new();
        for (index, element) in array.iter().enumerate() {
            let place = element_place(place, index, element, reader);
            list.extend(S::read(element, &place, reader));
        }
        Some(list)
    }
}

fn below(place: &Place, key: &Spanned<std::borrow::Cow<'_, str>>, reader: &Reader<'_>) -> Place {
    Place { line: Some(reader.line(key.span().start)), key: join(&place.key, key.get_ref()) }
}

fn element_place(parent: &Place, index: usize, element: &Spanned<DeValue<'_>>, reader: &Reader<'_>) -> Place {
    Place { line: Some(reader.line(element.span().start)), key: format!("{}[{index}]", parent.key) }
}
