//! Records (the reference's structs) as maps, and the typed reading of their fields (pki.md 2.5).

use super::decode::Content;
use super::{CborError, Item, Items, Value};
use std::collections::BTreeMap;

/// A map with the field names as keys, for writing.
pub fn record<const N: usize>(names: &[&'static str; N], values: [Value; N]) -> Value {
    Value::Map(names.iter().map(|name| Value::from(*name)).zip(values).collect())
}

/// The values of a record's fields, null where absent. Unknown and integer keys are ignored, names match without
/// regard to case, and of two entries for one field the first counts. A null record has only null fields.
pub fn record_fields<'a, const N: usize>(
    item: Item<'a>,
    what: &'static str,
    names: &[&'static str; N],
) -> Result<[Item<'a>; N], CborError> {
    let mut fields: [Option<Item<'a>>; N] = [None; N];
    let mut entries = match item.content()? {
        Content::Map(entries) => entries,
        Content::Null => return Ok([Item::NULL; N]),
        _ => return Err(CborError::Type { field: what, expected: "a map" }),
    };
    while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
        let name = match key.content()? {
            Content::Text(name) => name,
            Content::Uint(_) | Content::Negative(_) => continue,
            _ => return Err(CborError::RecordKey),
        };
        let exact = names.iter().position(|known| **known == name);
        let found = exact.or_else(|| names.iter().position(|known| known.eq_ignore_ascii_case(&name)));
        if let Some(field) = found.and_then(|index| fields.get_mut(index)) {
            field.get_or_insert(value);
        }
    }
    Ok(fields.map(|field| field.unwrap_or(Item::NULL)))
}

/// Typed reading, through tags. Null leaves a number, text, boolean or array at its zero value, and makes a nullable
/// field `None`.
impl<'a> Item<'a> {
    /// An unsigned number.
    pub fn into_u64(self, field: &'static str) -> Result<u64, CborError> {
        match self.content()? {
            Content::Uint(number) => Ok(number),
            Content::Null => Ok(0),
            Content::Negative(_) => Err(CborError::Range { field }),
            _ => Err(CborError::Type { field, expected: "an unsigned integer" }),
        }
    }

    /// An unsigned number of 8 bits.
    pub fn into_u8(self, field: &'static str) -> Result<u8, CborError> {
        u8::try_from(self.into_u64(field)?).map_err(|_| CborError::Range { field })
    }

    /// A floating-point number; integers are converted.
    pub fn into_f64(self, field: &'static str) -> Result<f64, CborError> {
        match self.content()? {
            Content::Float(number) => Ok(number),
            Content::Uint(number) => Ok(number as f64),
            Content::Negative(number) => Ok(-1.0 - number as f64),
            Content::Null => Ok(0.0),
            _ => Err(CborError::Type { field, expected: "a number" }),
        }
    }

    /// A boolean.
    pub fn into_bool(self, field: &'static str) -> Result<bool, CborError> {
        match self.content()? {
            Content::Bool(flag) => Ok(flag),
            Content::Null => Ok(false),
            _ => Err(CborError::Type { field, expected: "a boolean" }),
        }
    }

    /// Text.
    pub fn into_text(self, field: &'static str) -> Result<String, CborError> {
        match self.content()? {
            Content::Text(text) => Ok(text.into_owned()),
            Content::Null => Ok(String::new()),
            _ => Err(CborError::Type { field, expected: "text" }),
        }
    }

    /// A nullable byte string; an array of small integers is one too.
    pub fn into_bytes(self, field: &'static str) -> Result<Option<Vec<u8>>, CborError> {
        match self.content()? {
            Content::Bytes(bytes) => Ok(Some(bytes.into_owned())),
            Content::Null => Ok(None),
            Content::Array(elements) => {
                elements.map(|element| element.into_u8(field)).collect::<Result<_, _>>().map(Some)
            }
            _ => Err(CborError::Type { field, expected: "a byte string" }),
        }
    }

    /// A byte string of a fixed length. Stricter than the reference, which pads and truncates: no honest party
    /// writes another length.
    pub fn into_fixed<const N: usize>(self, field: &'static str) -> Result<[u8; N], CborError> {
        let bytes = match self.content()? {
            Content::Bytes(bytes) => bytes,
            Content::Null => return Ok([0; N]),
            _ => return Err(CborError::Type { field, expected: "a byte string" }),
        };
        <[u8; N]>::try_from(&*bytes).map_err(|_| CborError::Length { field, expected: N, found: bytes.len() })
    }

    /// A nullable array.
    pub fn into_array(self, field: &'static str) -> Result<Option<Items<'a>>, CborError> {
        match self.content()? {
            Content::Array(elements) => Ok(Some(elements)),
            Content::Null => Ok(None),
            _ => Err(CborError::Type { field, expected: "an array" }),
        }
    }

    /// A nullable map with typed keys and values; of equal keys the last counts.
    pub fn into_map<K: Ord, V>(
        self,
        field: &'static str,
        key: impl Fn(Item<'a>) -> Result<K, CborError>,
        value: impl Fn(Item<'a>) -> Result<V, CborError>,
    ) -> Result<Option<BTreeMap<K, V>>, CborError> {
        let mut entries = match self.content()? {
            Content::Map(entries) => entries,
            Content::Null => return Ok(None),
            _ => return Err(CborError::Type { field, expected: "a map" }),
        };
        let mut map = BTreeMap::new();
        while let (Some(name), Some(item)) = (entries.next(), entries.next()) {
            map.insert(key(name)?, value(item)?);
        }
        Ok(Some(map))
    }
}
