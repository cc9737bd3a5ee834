//! The CBOR of the directory: a canonical writer (pki.md 2.4) of a tree of values, and a bounded, lenient reader
//! (pki.md 2.5) of items where they stand.

mod decode;
mod encode;
pub(crate) mod normal;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use decode::Content;
pub use decode::{ARRAY_ELEMENTS_MAX, DEPTH_MAX, Item, Items, decode};
pub use normal::{Canonical, Pairs};
pub use record::{record, record_fields};

/// One data item, for writing.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Major type 0.
    Uint(u64),
    /// Major type 1: the integer `-1 - n`.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map in any order.
    Map(Vec<(Value, Value)>),
    /// A boolean.
    Bool(bool),
    /// Null.
    Null,
    /// A floating-point number of any width.
    Float(f64),
    /// Any item that is canonical already.
    Canonical(Canonical),
}

/// Why bytes are not an acceptable item, or why an item does not fit a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// No bytes at all.
    #[error("empty input")]
    Empty,
    /// The input ends inside an item.
    #[error("input ends inside an item")]
    Truncated,
    /// Bytes follow the item.
    #[error("{0} bytes follow the item")]
    Trailing(usize),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// An array or map with more than [`ARRAY_ELEMENTS_MAX`] elements, or more of something than there can be.
    #[error("too many items")]
    TooMany,
    /// A reserved or misplaced head.
    #[error("reserved or misplaced head 0x{0:02x}")]
    Head(u8),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A key of a record that is neither text nor an integer.
    #[error("a record's key is neither text nor an integer")]
    RecordKey,
    /// A key of a type that the reference cannot have as a key.
    #[error("a map's key is an array, a map, or an integer below -2^63 or with tag 2 or 3")]
    Key,
    /// A time, which the reference makes a number of. It writes none, so that only who means to can have sent it.
    #[error("a time (tag 0 or 1)")]
    Time,
    /// An item of the wrong type.
    #[error("{field}: expected {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What the field holds.
        expected: &'static str,
    },
    /// A number that does not fit.
    #[error("{field}: number out of range")]
    Range {
        /// The field.
        field: &'static str,
    },
    /// A byte string of a fixed length that has another one.
    #[error("{field}: {found} bytes instead of {expected}")]
    Length {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// What was found.
        found: usize,
    },
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
