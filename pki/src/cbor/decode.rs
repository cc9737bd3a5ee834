//! Lenient reading within limits: any order of keys, non-minimal heads, indefinite lengths and tags are accepted,
//! trailing bytes and deep or vast structures are not (pki.md 2.5).

use super::{CborError, Value};

/// The deepest nesting of arrays, maps and tags.
pub const DEPTH_MAX: usize = 32;
/// The most elements of one array, or pairs of one map.
pub const ARRAY_ELEMENTS_MAX: usize = 131_072;
/// The most items in one input: bounds memory, which is larger than the input by the size of a [`Value`] per item.
pub const ITEMS_MAX: usize = 1 << 20;

/// Reads exactly one item.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    if bytes.is_empty() {
        return Err(CborError::Empty);
    }
    let mut reader = Reader { rest: bytes, items_left: ITEMS_MAX };
    let value = reader.item(0)?;
    match reader.rest.len() {
        0 => Ok(value),
        trailing => Err(CborError::Trailing(trailing)),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    items_left: usize,
}

/// The argument of a head: a number, or "indefinite".
enum Argument {
    Definite(u64),
    Indefinite,
}

const BREAK: u8 = 0xff;

impl<'a> Reader<'a> {
    fn item(&mut self, depth: usize) -> Result<Value, CborError> {
        self.items_left = self.items_left.checked_sub(1).ok_or(CborError::TooMany)?;
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.simple(first, info);
        }
        let argument = self.argument(first, info)?;
        match (major, argument) {
            (0, Argument::Definite(number)) => Ok(Value::Uint(number)),
            (1, Argument::Definite(number)) => Ok(Value::Negative(number)),
            (2, argument) => Ok(Value::Bytes(self.string(2, argument)?)),
            (3, argument) => self.text(argument),
            (4, argument) => self.array(argument, deeper(depth)?),
            (5, argument) => self.map(argument, deeper(depth)?),
            (6, Argument::Definite(tag)) => Ok(Value::Tag(tag, Box::new(self.item(deeper(depth)?)?))),
            _ => Err(CborError::Head(first)),
        }
    }

    fn byte(&mut self) -> Result<u8, CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(first)
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

    fn argument(&mut self, first: u8, info: u8) -> Result<Argument, CborError> {
        Ok(Argument::Definite(match info {
            0..24 => u64::from(info),
            24 => u64::from(self.byte()?),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            31 => return Ok(Argument::Indefinite),
            _ => return Err(CborError::Head(first)),
        }))
    }

    fn simple(&mut self, first: u8, info: u8) -> Result<Value, CborError> {
        Ok(match info {
            20 => Value::Bool(false),
            21 => Value::Bool(true),
            22 | 23 => Value::Null,
            25 => Value::Float(half(u16::from_be_bytes(self.fixed()?))),
            26 => Value::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            27 => Value::Float(f64::from_be_bytes(self.fixed()?)),
            _ => return Err(CborError::Head(first)),
        })
    }

    /// The content of a byte or text string; an indefinite one consists of definite ones of the same major type.
    fn string(&mut self, major: u8, argument: Argument) -> Result<Vec<u8>, CborError> {
        let length = match argument {
            Argument::Definite(length) => return Ok(self.take(length)?.to_vec()),
            Argument::Indefinite => 0,
        };
        let mut whole = Vec::with_capacity(length);
        loop {
            let first = self.byte()?;
            if first == BREAK {
                return Ok(whole);
            }
            self.items_left = self.items_left.checked_sub(1).ok_or(CborError::TooMany)?;
            match (first >> 5 == major, self.argument(first, first & 0x1f)?) {
                (true, Argument::Definite(length)) => whole.extend_from_slice(self.take(length)?),
                _ => return Err(CborError::Head(first)),
            }
        }
    }

    fn text(&mut self, argument: Argument) -> Result<Value, CborError> {
        String::from_utf8(self.string(3, argument)?).map(Value::Text).map_err(|_| CborError::Utf8)
    }

    fn array(&mut self, argument: Argument, depth: usize) -> Result<Value, CborError> {
        let mut elements = Vec::with_capacity(self.capacity(&argument)?);
        while self.more(&argument, elements.len())? {
            elements.push(self.item(depth)?);
        }
        Ok(Value::Array(elements))
    }

    fn map(&mut self, argument: Argument, depth: usize) -> Result<Value, CborError> {
        let mut entries = Vec::with_capacity(self.capacity(&argument)?);
        while self.more(&argument, entries.len())? {
            entries.push((self.item(depth)?, self.item(depth)?));
        }
        Ok(Value::Map(entries))
    }

    /// How much to reserve: never more than the input can hold, and little before anything has been read.
    fn capacity(&self, argument: &Argument) -> Result<usize, CborError> {
        match argument {
            Argument::Definite(length) if *length > ARRAY_ELEMENTS_MAX as u64 => Err(CborError::TooMany),
            Argument::Definite(length) if *length > self.rest.len() as u64 => Err(CborError::Truncated),
            Argument::Definite(length) => Ok((*length as usize).min(64)),
            Argument::Indefinite => Ok(0),
        }
    }

    /// Whether another element follows `read` ones; consumes the break of an indefinite array or map.
    fn more(&mut self, argument: &Argument, read: usize) -> Result<bool, CborError> {
        match argument {
            Argument::Definite(length) => Ok((read as u64) < *length),
            Argument::Indefinite if self.rest.first() == Some(&BREAK) => {
                self.byte()?;
                Ok(false)
            }
            Argument::Indefinite if read >= ARRAY_ELEMENTS_MAX => Err(CborError::TooMany),
            Argument::Indefinite => Ok(true),
        }
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
