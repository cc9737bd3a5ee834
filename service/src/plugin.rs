//! The messages between a service node and its plugins (server.md 6.4): CBOR items one after the other, without anything
//! between them. Requests and answers have the same fields.

#[cfg(test)]
mod tests;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};
use std::convert::Infallible;
use std::time::Duration;

const REQUEST_AT: &str = "RequestAt";
const DELAY: &str = "Delay";
const ID: &str = "ID";
const PAYLOAD: &str = "Payload";
const SURB: &str = "SURB";

/// Bytes of a message besides its payload and its reply block that are taken: names, numbers, and fields that nobody
/// knows yet.
const EXTRA_BYTES_MAX: usize = 64 << 10;

/// Why what a plugin says cannot be understood; nothing after it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// Not CBOR, or not the types that the fields have.
    #[error("it is not a message: {0}")]
    Malformed(&'static str),
    /// Longer than any message can be.
    #[error("its message is longer than {0} bytes")]
    TooLong(usize),
}

/// A request or an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// When the request was handed over, in seconds since the Unix epoch; none where the field is null or no integer.
    pub request_at: Option<i64>,
    /// What is left of the reply's delay.
    pub delay: Duration,
    /// The number of the request.
    pub id: u64,
    /// The user payload of the request, or the answer.
    pub payload: &'a [u8],
    /// What stands for the reply block; none if there is no reply to be sent.
    pub surb: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Appends the message to `out`, with the fields in the reference's order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        if let Err(never) = self.write(&mut encoder) {
            unreachable_write(never);
        }
    }

    fn write(&self, to: &mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        to.map(5)?.str(REQUEST_AT)?;
        match self.request_at {
            Some(seconds) => to.i64(seconds)?,
            None => to.null()?,
        };
        let delay_ns = u64::try_from(self.delay.as_nanos()).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs());
        to.str(DELAY)?.u64(delay_ns)?.str(ID)?.u64(self.id)?.str(PAYLOAD)?.bytes(self.payload)?.str(SURB)?;
        match self.surb {
            Some(surb) => to.bytes(surb)?,
            None => to.null()?,
        };
        Ok(())
    }

    /// Reads one item: any order of fields, names in any letter case, unknown ones left out, missing ones zero.
    fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let mut message = Self::default();
        let mut left = decoder.map()?;
        while left != Some(0) {
            if left.is_none() && decoder.datatype()? == Type::Break {
                break;
            }
            left = left.map(|left| left - 1);
            if decoder.datatype()? == Type::String {
                let name = decoder.str()?;
                message.read(name, &mut decoder)?;
            } else {
                decoder.skip()?;
                decoder.skip()?;
            }
        }
        Ok(message)
    }

    fn read(&mut self, name: &str, decoder: &mut Decoder<'a>) -> Result<(), DecodeError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is(ID) {
            self.id = decoder.u64()?;
        } else if is(PAYLOAD) {
            self.payload = bytes(decoder)?.unwrap_or_default();
        } else if is(SURB) {
            self.surb = bytes(decoder)?;
        } else if is(DELAY) {
            self.delay = Duration::from_nanos(u64::try_from(decoder.i64()?).unwrap_or(0));
        } else if is(REQUEST_AT) && is_integer(decoder.datatype()?) {
            self.request_at = Some(decoder.i64()?);
        } else {
            decoder.skip()?;
        }
        Ok(())
    }
}

/// A vector takes all that is written to it.
fn unreachable_write(error: minicbor::encode::Error<Infallible>) {
    debug_assert!(false, "{error}");
}

fn is_integer(of: Type) -> bool {
    matches!(
        of,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int
    )
}

/// A byte string or null.
fn bytes<'a>(decoder: &mut Decoder<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    if matches!(decoder.datatype()?, Type::Null | Type::Undefined) {
        decoder.skip()?;
        return Ok(None);
    }
    decoder.bytes().map(Some)
}

/// The messages of one end, cut out of what it writes.
pub struct Messages {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    read: usize,
    message_bytes_max: usize,
}

impl Messages {
    /// For messages with at most so many bytes of payload and reply block.
    pub fn new(content_bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), read: 0, message_bytes_max: content_bytes_max + EXTRA_BYTES_MAX }
    }

    /// More of what was written. Take all messages out before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.read));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. After an error there are no more.
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, PluginError> {
        let rest = &self.buffer[self.read..];
        if rest.is_empty() {
            return Ok(None);
        }
        let mut decoder = Decoder::new(rest);
        match decoder.skip() {
            Ok(()) => {}
            Err(error) if error.is_end_of_input() && rest.len() <= self.message_bytes_max => return Ok(None),
            Err(error) if error.is_end_of_input() => return Err(PluginError::TooLong(self.message_bytes_max)),
            Err(_) => return Err(PluginError::Malformed("this is no CBOR")),
        }
        let end = decoder.position();
        let item = rest.get(..end).unwrap_or_default();
        self.read += end;
        Message::decode(item).map(Some).map_err(|_| PluginError::Malformed("a field has the wrong type"))
    }
}
