//! Values of any type in the form in which the reference writes them again after it has read them (pki.md 2.4, 2.5):
//! authorities compare descriptors in that form, so that ours must come to the same bytes. They are not made into a
//! tree of values: one item takes as much memory as its bytes.

use super::decode::{ARRAY, BYTES, Content, Head, Items, MAP, Reader, SIMPLE, TAG, TEXT};
use super::encode::{head, write_float};
use super::{CborError, Item, Value, decode};
use std::borrow::Cow;
use std::collections::BTreeMap;

const TAG_TIME_TEXT: u64 = 0;
const TAG_TIME: u64 = 1;
const TAG_BIG: u64 = 2;
const TAG_BIG_NEGATIVE: u64 = 3;
/// "What follows is CBOR"; means nothing.
const TAG_SELF_DESCRIBED: u64 = 55_799;

/// One canonical item. Made of what was found to be one, or of a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical(Box<[u8]>);

impl Canonical {
    /// A value of any type.
    pub fn any(item: Item<'_>) -> Result<Self, CborError> {
        Self::written(item, |reader, out| any(reader, out, true))
    }

    pub(crate) fn written(
        item: Item<'_>,
        write: impl FnOnce(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
    ) -> Result<Self, CborError> {
        let mut out = Vec::new();
        write(&mut Reader::new(item.as_bytes()), &mut out)?;
        Ok(Self(out.into()))
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The keys and values of a map; nothing of anything else.
    pub fn pairs(&self) -> Pairs<'_> {
        Pairs(decode(&self.0).ok().and_then(entries))
    }
}

impl From<&Value> for Canonical {
    fn from(value: &Value) -> Self {
        Self(value.encode().into())
    }
}

impl From<&Canonical> for Value {
    fn from(canonical: &Canonical) -> Self {
        Self::Canonical(canonical.clone())
    }
}

fn entries(item: Item<'_>) -> Option<Items<'_>> {
    match item.content() {
        Ok(Content::Map(items)) => Some(items),
        _ => None,
    }
}

/// The entries of a canonical map whose keys are text.
pub struct Pairs<'a>(Option<Items<'a>>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let items = self.0.as_mut()?;
        Some((items.next()?.as_text()?, items.next()?))
    }
}

impl<'a> Item<'a> {
    /// The text that a canonical item is.
    pub fn as_text(self) -> Option<&'a str> {
        match self.content() {
            Ok(Content::Text(Cow::Borrowed(text))) => Some(text),
            _ => None,
        }
    }

    /// The entries of a canonical map whose keys are text; nothing of anything else.
    pub fn pairs(self) -> Pairs<'a> {
        Pairs(entries(self))
    }

    /// The elements of an array; nothing of anything else.
    pub fn elements(self) -> impl Iterator<Item = Item<'a>> {
        let items = match self.content() {
            Ok(Content::Array(items)) => Some(items),
            _ => None,
        };
        items.into_iter().flatten()
    }
}

/// Writes a value of any type. In front of elements, keys and values the tag that says nothing is left out.
pub(crate) fn any(reader: &mut Reader<'_>, out: &mut Vec<u8>, is_element: bool) -> Result<(), CborError> {
    let mut first = reader.head()?;
    while is_element && first.major == TAG && first.argument == Some(TAG_SELF_DESCRIBED) {
        first = reader.head()?;
    }
    while first.major == TAG {
        match first.argument {
            Some(TAG_TIME_TEXT | TAG_TIME) => return Err(CborError::Time),
            Some(tag @ (TAG_BIG | TAG_BIG_NEGATIVE)) => return big(reader, out, tag),
            tag => head(out, TAG, tag.unwrap_or_default()),
        }
        first = reader.head()?;
    }
    content(reader, out, first)
}

fn content(reader: &mut Reader<'_>, out: &mut Vec<u8>, first: Head) -> Result<(), CborError> {
    let length = first.argument;
    match (first.major, length) {
        (BYTES, _) => {
            let bytes = reader.bytes(length)?;
            head(out, BYTES, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
        (TEXT, _) => write_text(&reader.text(length)?, out),
        (ARRAY, _) => array(reader, out, length, |reader, out| any(reader, out, true))?,
        (MAP, _) => map(reader, out, length, key, |reader, out| any(reader, out, true))?,
        (SIMPLE, Some(number)) => match first.simple()? {
            Content::Float(number) => write_float(out, number),
            Content::Null => out.push(0xf6),
            _ => head(out, SIMPLE, number),
        },
        (major, number) => head(out, major, number.unwrap_or_default()),
    }
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// An integer of any size: what 64 bits hold is no big one.
fn big(reader: &mut Reader<'_>, out: &mut Vec<u8>, tag: u64) -> Result<(), CborError> {
    let first = reader.head()?;
    if first.major != BYTES {
        return Err(CborError::Type { field: "big integer", expected: "a byte string" });
    }
    let bytes = reader.bytes(first.argument)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    if bytes.len() <= size_of::<u64>() {
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        head(out, u8::from(tag == TAG_BIG_NEGATIVE), number);
    } else {
        head(out, TAG, tag);
        head(out, BYTES, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
    Ok(())
}

/// A key: of the types that can be one in the reference.
fn key(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), CborError> {
    let mut ahead = reader.clone();
    loop {
        let first = ahead.head()?;
        match (first.major, first.argument) {
            (TAG, Some(TAG_BIG | TAG_BIG_NEGATIVE)) | (ARRAY | MAP, _) => return Err(CborError::Key),
            (TAG, _) => {}
            // Below what 64 bits with a sign hold: a big integer there.
            (1, Some(number)) if number > i64::MAX as u64 => return Err(CborError::Key),
            _ => return any(reader, out, true),
        }
    }
}

/// Text, or nothing for null.
pub(crate) fn text(reader: &mut Reader<'_>, out: &mut Vec<u8>, field: &'static str) -> Result<(), CborError> {
    let first = reader.untagged()?;
    match first.major {
        TEXT => write_text(&reader.text(first.argument)?, out),
        SIMPLE if matches!(first.simple()?, Content::Null) => write_text("", out),
        _ => return Err(CborError::Type { field, expected: "text" }),
    }
    Ok(())
}

/// What a nullable array or map holds, by `write`, which is given its length; null stays null.
pub(crate) fn nullable(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    (major, field): (u8, &'static str),
    write: impl FnOnce(&mut Reader<'_>, &mut Vec<u8>, Option<u64>) -> Result<(), CborError>,
) -> Result<(), CborError> {
    let first = reader.untagged()?;
    if first.major == major {
        return write(reader, out, first.argument);
    }
    if first.major == SIMPLE && matches!(first.simple()?, Content::Null) {
        out.push(0xf6);
        return Ok(());
    }
    Err(CborError::Type { field, expected: if major == MAP { "a map" } else { "an array" } })
}

/// A nullable map from text to what `value` writes.
pub(crate) fn text_map(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    field: &'static str,
    value: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
) -> Result<(), CborError> {
    nullable(reader, out, (MAP, field), |reader, out, length| {
        map(reader, out, length, |reader, out| text(reader, out, field), value)
    })
}

/// A nullable array of text.
pub(crate) fn text_list(reader: &mut Reader<'_>, out: &mut Vec<u8>, field: &'static str) -> Result<(), CborError> {
    nullable(reader, out, (ARRAY, field), |reader, out, length| {
        array(reader, out, length, |reader, out| text(reader, out, field))
    })
}

fn array(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    length: Option<u64>,
    element: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
) -> Result<(), CborError> {
    let at = out.len();
    if let Some(length) = length {
        head(out, ARRAY, length);
    }
    let (mut left, mut read) = (length, 0);
    while reader.more(&mut left) {
        element(reader, out)?;
        read += 1;
    }
    if length.is_none() {
        let mut first = Vec::new();
        head(&mut first, ARRAY, read);
        out.splice(at..at, first);
    }
    Ok(())
}

fn map(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    length: Option<u64>,
    key: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
    value: impl Fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
) -> Result<(), CborError> {
    let at = out.len();
    if let Some(length) = length {
        head(out, MAP, length);
    }
    let body = out.len();
    let (mut left, mut is_sorted, mut last) = (length, true, None);
    while reader.more(&mut left) {
        let key_at = out.len();
        key(reader, out)?;
        let this = key_at..out.len();
        // The zeros are one key with two encodings.
        is_sorted &= last.replace(this.clone()).is_none_or(|last| before(&out[last], &out[this.clone()]));
        is_sorted &= !out[this].ends_with(&MINUS_ZERO);
        value(reader, out)?;
    }
    if length.is_none() || !is_sorted {
        let entries = sort(out.get(body..).unwrap_or_default())?;
        out.truncate(at);
        out.extend_from_slice(&entries);
    }
    Ok(())
}

/// The order of keys.
fn before(a: &[u8], b: &[u8]) -> bool {
    (a.len(), a) < (b.len(), b)
}

/// A map of the canonical entries in `body`: sorted, and of equal keys the last.
fn sort(body: &[u8]) -> Result<Vec<u8>, CborError> {
    let mut entries = Vec::new();
    let mut items = Items::of(body);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        entries.push((key.as_bytes(), value.as_bytes()));
    }
    let mut last = BTreeMap::new();
    for (index, (key, _)) in entries.iter().enumerate() {
        last.insert(identity(key, index)?, index);
    }
    let mut kept: Vec<(&[u8], &[u8])> = last.into_values().filter_map(|index| entries.get(index).copied()).collect();
    kept.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    let mut out = Vec::with_capacity(body.len() + 9);
    head(&mut out, MAP, kept.len() as u64);
    for (key, value) in kept {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    Ok(out)
}

const ZERO: [u8; 3] = [0xf9, 0, 0];
const MINUS_ZERO: [u8; 3] = [0xf9, 0x80, 0];

/// What equal keys have in common: both zeros are equal, and a NaN equals nothing.
fn identity(key: &[u8], index: usize) -> Result<(Cow<'_, [u8]>, usize), CborError> {
    let first = Reader::new(key).untagged()?;
    if first.major != SIMPLE {
        return Ok((key.into(), 0));
    }
    match key.strip_suffix(&MINUS_ZERO) {
        Some(tags) => Ok((Cow::Owned([tags, &ZERO].concat()), 0)),
        None if matches!(first.simple()?, Content::Float(number) if number.is_nan()) => Ok((key.into(), index + 1)),
        None => Ok((key.into(), 0)),
    }
}
