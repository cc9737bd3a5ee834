//! Lenient reading within limits: any order of keys, non-minimal heads, indefinite lengths and tags are accepted,
//! trailing bytes and deep or vast structures are not (pki.md 2.5). What is found well formed is not copied: an
//! [`Item`] is a piece of the input, however many items there are in it.

use super::CborError;
use std::borrow::Cow;

/// The deepest nesting of arrays and maps. A tag is no level; each further one in front of the same item is.
pub const DEPTH_MAX: usize = 32;
/// The most elements of one array, or pairs of one map.
pub const ARRAY_ELEMENTS_MAX: usize = 131_072;

pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
pub(super) const TAG: u8 = 6;
pub(super) const SIMPLE: u8 = 7;

const BREAK: u8 = 0xff;
const NULL: &[u8] = &[0xf6];

/// Finds exactly one well-formed item.
pub fn decode(bytes: &[u8]) -> Result<Item<'_>, CborError> {
    if bytes.is_empty() {
        return Err(CborError::Empty);
    }
    let mut reader = Reader::new(bytes);
    reader.skip(0)?;
    match reader.rest.len() {
        0 => Ok(Item(bytes)),
        trailing => Err(CborError::Trailing(trailing)),
    }
}

/// One well-formed item where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a>(&'a [u8]);

/// What an item is, behind the tags in front of it.
pub(crate) enum Content<'a> {
    Uint(u64),
    /// The integer `-1 - n`.
    Negative(u64),
    Bytes(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Array(Items<'a>),
    /// Keys and values in turn.
    Map(Items<'a>),
    Bool(bool),
    Null,
    Float(f64),
    /// A simple value without a meaning.
    Simple,
}

impl<'a> Item<'a> {
    /// What stands for a field that is not there.
    pub const NULL: Item<'static> = Item(NULL);

    /// The item as it was read.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether it is null or undefined.
    pub fn is_null(self) -> bool {
        matches!(self.content(), Ok(Content::Null))
    }

    pub(crate) fn content(self) -> Result<Content<'a>, CborError> {
        let mut reader = Reader::new(self.0);
        let head = reader.untagged()?;
        Ok(match (head.major, head.argument) {
            (0, Some(number)) => Content::Uint(number),
            (1, Some(number)) => Content::Negative(number),
            (BYTES, length) => Content::Bytes(reader.bytes(length)?),
            (TEXT, length) => Content::Text(reader.text(length)?),
            (ARRAY, length) => Content::Array(Items { reader, left: length }),
            (MAP, pairs) => Content::Map(Items { reader, left: pairs.map(|pairs| pairs.saturating_mul(2)) }),
            _ => head.simple()?,
        })
    }
}

/// The elements of an array, or the keys and values of a map.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    reader: Reader<'a>,
    left: Option<u64>,
}

impl<'a> Items<'a> {
    /// Those that stand one after the other in `bytes`.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), left: Some(u64::MAX) }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if !self.reader.more(&mut self.left) {
            return None;
        }
        let all = self.reader.rest;
        // Well formed already, as a part of what is.
        self.reader.skip(0).ok()?;
        all.get(..all.len() - self.reader.rest.len()).map(Item)
    }
}

/// The beginning of an item.
pub(crate) struct Head {
    first: u8,
    pub(super) major: u8,
    /// None: indefinite.
    pub(super) argument: Option<u64>,
}

impl Head {
    pub(super) fn simple<'a>(&self) -> Result<Content<'a>, CborError> {
        let bits = self.argument.ok_or(CborError::Head(self.first))?;
        Ok(match (self.major, self.first & 0x1f) {
            (SIMPLE, 20) => Content::Bool(false),
            (SIMPLE, 21) => Content::Bool(true),
            (SIMPLE, 22 | 23) => Content::Null,
            (SIMPLE, 25) => Content::Float(half(bits as u16)),
            (SIMPLE, 26) => Content::Float(f64::from(f32::from_bits(bits as u32))),
            (SIMPLE, 27) => Content::Float(f64::from_bits(bits)),
            (SIMPLE, _) => Content::Simple,
            _ => return Err(CborError::Head(self.first)),
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn head(&mut self) -> Result<Head, CborError> {
        let first = u8::from_be_bytes(self.fixed()?);
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = Some(match info {
            0..24 => u64::from(info),
            24 => u64::from(u8::from_be_bytes(self.fixed()?)),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            31 if (BYTES..=MAP).contains(&major) => return Ok(Head { first, major, argument: None }),
            _ => return Err(CborError::Head(first)),
        });
        // Simple values below 32 have one form only.
        if major == SIMPLE && info == 24 && argument < Some(32) {
            return Err(CborError::Head(first));
        }
        Ok(Head { first, major, argument })
    }

    /// The head behind any tags.
    pub(super) fn untagged(&mut self) -> Result<Head, CborError> {
        loop {
            let head = self.head()?;
            if head.major != TAG {
                return Ok(head);
            }
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Whether another element follows where `left` are still to come; consumes the break where nobody knows.
    pub(super) fn more(&mut self, left: &mut Option<u64>) -> bool {
        match left {
            Some(left) => left.checked_sub(1).map(|less| *left = less).is_some(),
            None => match self.rest.split_first() {
                Some((&BREAK, rest)) => {
                    self.rest = rest;
                    false
                }
                _ => true,
            },
        }
    }

    /// Passes over one item at `depth`, if it is well formed.
    fn skip(&mut self, mut depth: usize) -> Result<(), CborError> {
        let mut head = self.head()?;
        let mut is_tagged = false;
        while head.major == TAG {
            if is_tagged {
                depth = deeper(depth)?;
            }
            is_tagged = true;
            head = self.head()?;
        }
        match head.major {
            BYTES | TEXT => self.skip_string(head.major, head.argument),
            ARRAY => self.skip_elements(head.argument, 1, deeper(depth)?),
            MAP => self.skip_elements(head.argument, 2, deeper(depth)?),
            _ => Ok(()),
        }
    }

    fn skip_elements(&mut self, length: Option<u64>, parts: usize, depth: usize) -> Result<(), CborError> {
        if length.is_some_and(|length| length > ARRAY_ELEMENTS_MAX as u64) {
            return Err(CborError::TooMany);
        }
        let mut left = length;
        let mut read = 0;
        while self.more(&mut left) {
            if read == ARRAY_ELEMENTS_MAX {
                return Err(CborError::TooMany);
            }
            (0..parts).try_for_each(|_| self.skip(depth))?;
            read += 1;
        }
        Ok(())
    }

    fn skip_string(&mut self, major: u8, length: Option<u64>) -> Result<(), CborError> {
        match length {
            Some(length) => self.take(length).map(|_| ()),
            None => self.chunks(major, |_| Ok(())),
        }
    }

    /// The definite pieces of an indefinite string.
    fn chunks(&mut self, major: u8, mut each: impl FnMut(&'a [u8]) -> Result<(), CborError>) -> Result<(), CborError> {
        while self.more(&mut None) {
            let head = self.head()?;
            match head.argument {
                Some(length) if head.major == major => each(self.take(length)?)?,
                _ => return Err(CborError::Head(head.first)),
            }
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, length: Option<u64>) -> Result<Cow<'a, [u8]>, CborError> {
        if let Some(length) = length {
            return self.take(length).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        self.chunks(BYTES, |chunk| {
            whole.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(Cow::Owned(whole))
    }

    /// Text, each piece of which has to be UTF-8.
    pub(super) fn text(&mut self, length: Option<u64>) -> Result<Cow<'a, str>, CborError> {
        let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| CborError::Utf8);
        if let Some(length) = length {
            return self.take(length).and_then(utf8).map(Cow::Borrowed);
        }
        let mut whole = String::new();
        self.chunks(TEXT, |chunk| {
            whole.push_str(utf8(chunk)?);
            Ok(())
        })?;
        Ok(Cow::Owned(whole))
    }
}

fn deeper(depth: usize) -> Result<usize, CborError> {
    if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(CborError::TooDeep) }
}

/// The value of binary16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}
