//! The messages between a service node and its plugins (server.md 6.4): CBOR items one after the other, without anything
//! between them. Requests and answers have the same fields. The older form, over HTTP, is in [`http`].

pub mod http;
mod scan;
#[cfg(test)]
mod tests;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};
use scan::Scan;
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

const REQUEST_AT: &str = "RequestAt";
const DELAY: &str = "Delay";
const ID: &str = "ID";
const PAYLOAD: &str = "Payload";
const SURB: &str = "SURB";
const IS_PARAMETERS_REQUEST: &str = "IsParametersRequest";
const IS_PARAMETERS_RESPONSE: &str = "IsParametersResponse";
const PARAMS: &str = "Params";

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
    /// What it says of parameters, if anything.
    pub parameters: Option<Parameters<'a>>,
}

/// What a message says of what a plugin wants to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters<'a> {
    /// That the plugin is to tell.
    Asked,
    /// These: one CBOR item, or nothing.
    Told(&'a [u8]),
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
        let more = match self.parameters {
            None => 0,
            Some(Parameters::Asked | Parameters::Told([])) => 1,
            Some(Parameters::Told(_)) => 2,
        };
        to.map(5 + more)?.str(REQUEST_AT)?;
        match self.request_at {
            Some(seconds) => to.i64(seconds)?,
            None => to.null()?,
        };
        let delay_ns = u64::try_from(self.delay.as_nanos()).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs());
        to.str(DELAY)?.u64(delay_ns)?.str(ID)?.u64(self.id)?.str(PAYLOAD)?;
        match self.payload {
            [] if self.parameters.is_some() => to.null()?,
            payload => to.bytes(payload)?,
        };
        to.str(SURB)?;
        match self.surb {
            Some(surb) => to.bytes(surb)?,
            None => to.null()?,
        };
        match self.parameters {
            None => {}
            Some(Parameters::Asked) => {
                to.str(IS_PARAMETERS_REQUEST)?.bool(true)?;
            }
            Some(Parameters::Told(item)) => {
                to.str(IS_PARAMETERS_RESPONSE)?.bool(true)?;
                if !item.is_empty() {
                    to.str(PARAMS)?.writer_mut().extend_from_slice(item);
                }
            }
        }
        Ok(())
    }

    /// Reads one item: any order of fields, names in any letter case, unknown ones left out, missing and null ones zero,
    /// of two with one name the first; tags say nothing. Strings in pieces are put together in `joined`.
    fn decode(bytes: &'a [u8], joined: &'a mut Vec<u8>) -> Result<Self, DecodeError> {
        joined.clear();
        let mut decoder = Decoder::new(bytes);
        let mut fields = Fields::default();
        let mut left = if is_null(&mut decoder)? { Some(0) } else { decoder.map()? };
        while left != Some(0) {
            if left.is_none() && decoder.datatype()? == Type::Break {
                break;
            }
            left = left.map(|left| left - 1);
            if decoder.datatype()? == Type::String {
                let name = decoder.str()?;
                fields.read(name, &mut decoder, joined)?;
            } else {
                decoder.skip()?;
                decoder.skip()?;
            }
        }
        let joined: &'a [u8] = joined;
        Ok(Self {
            request_at: fields.request_at.flatten(),
            delay: Duration::from_nanos(u64::try_from(fields.delay.unwrap_or(0)).unwrap_or(0)),
            id: fields.id.unwrap_or(0),
            payload: fields.payload.flatten().map(|string| string.of(joined)).unwrap_or_default(),
            surb: fields.surb.flatten().map(|string| string.of(joined)),
            parameters: match (fields.is_parameters_response, fields.is_parameters_request) {
                (Some(true), _) => Some(Parameters::Told(fields.params.unwrap_or_default())),
                (_, Some(true)) => Some(Parameters::Asked),
                _ => None,
            },
        })
    }
}

/// A byte string.
enum ByteString<'a> {
    Whole(&'a [u8]),
    /// In pieces, which were put together.
    Joined(Range<usize>),
}

impl<'a> ByteString<'a> {
    fn of(self, joined: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(range) => joined.get(range).unwrap_or_default(),
        }
    }

    /// A byte string or null; an array of small numbers is a byte string too.
    fn read(decoder: &mut Decoder<'a>, joined: &mut Vec<u8>) -> Result<Option<Self>, DecodeError> {
        if is_null(decoder)? {
            return Ok(None);
        }
        let start = joined.len();
        match decoder.datatype()? {
            Type::BytesIndef => decoder.bytes_iter()?.try_for_each(|piece| {
                joined.extend_from_slice(piece?);
                Ok(())
            })?,
            Type::Array | Type::ArrayIndef => decoder.array_iter::<u8>()?.try_for_each(|byte| {
                joined.push(byte?);
                Ok(())
            })?,
            _ => return decoder.bytes().map(|bytes| Some(Self::Whole(bytes))),
        }
        Ok(Some(Self::Joined(start..joined.len())))
    }
}

/// What was read of a message; none where nothing has that name yet.
#[derive(Default)]
struct Fields<'a> {
    request_at: Option<Option<i64>>,
    delay: Option<i64>,
    id: Option<u64>,
    payload: Option<Option<ByteString<'a>>>,
    surb: Option<Option<ByteString<'a>>>,
    is_parameters_request: Option<bool>,
    is_parameters_response: Option<bool>,
    params: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &str, decoder: &mut Decoder<'a>, joined: &mut Vec<u8>) -> Result<(), DecodeError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is(ID) && self.id.is_none() {
            self.id = Some(if is_null(decoder)? { 0 } else { decoder.u64()? });
        } else if is(PAYLOAD) && self.payload.is_none() {
            self.payload = Some(ByteString::read(decoder, joined)?);
        } else if is(SURB) && self.surb.is_none() {
            self.surb = Some(ByteString::read(decoder, joined)?);
        } else if is(DELAY) && self.delay.is_none() {
            self.delay = Some(if is_null(decoder)? { 0 } else { decoder.i64()? });
        } else if is(REQUEST_AT) && self.request_at.is_none() && is_integer(decoder.datatype()?) {
            self.request_at = Some(i64::try_from(decoder.int()?).ok());
        } else if is(IS_PARAMETERS_REQUEST) && self.is_parameters_request.is_none() {
            self.is_parameters_request = Some(flag(decoder)?);
        } else if is(IS_PARAMETERS_RESPONSE) && self.is_parameters_response.is_none() {
            self.is_parameters_response = Some(flag(decoder)?);
        } else if is(PARAMS) && self.params.is_none() {
            let start = decoder.position();
            decoder.skip()?;
            self.params = decoder.input().get(start..decoder.position());
        } else {
            decoder.skip()?;
        }
        Ok(())
    }
}

/// Passes over tags, and over a null behind them, and says whether there was one.
fn is_null(decoder: &mut Decoder<'_>) -> Result<bool, DecodeError> {
    while decoder.datatype()? == Type::Tag {
        decoder.tag()?;
    }
    let is_null = matches!(decoder.datatype()?, Type::Null | Type::Undefined);
    if is_null {
        decoder.skip()?;
    }
    Ok(is_null)
}

fn flag(decoder: &mut Decoder<'_>) -> Result<bool, DecodeError> {
    if is_null(decoder)? { Ok(false) } else { decoder.bool() }
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

/// The messages of one end, cut out of what it writes.
pub struct Messages {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    read: usize,
    /// How far the message behind these is known.
    scan: Scan,
    /// Strings of the last message that came in pieces.
    joined: Vec<u8>,
    message_bytes_max: usize,
}

impl Messages {
    /// For messages with at most so many bytes of payload and reply block.
    pub fn new(content_bytes_max: usize) -> Self {
        let message_bytes_max = content_bytes_max + EXTRA_BYTES_MAX;
        Self { buffer: Vec::new(), read: 0, scan: Scan::default(), joined: Vec::new(), message_bytes_max }
    }

    /// More of what was written. Take all messages out before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.read));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. After an error there are no more.
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, PluginError> {
        let rest = &self.buffer[self.read..];
        let Some(end) = self.scan.find_end(rest)? else {
            let is_too_long = rest.len() > self.message_bytes_max;
            return if is_too_long { Err(PluginError::TooLong(self.message_bytes_max)) } else { Ok(None) };
        };
        self.scan = Scan::default();
        let item = rest.get(..end).unwrap_or_default();
        self.read += end;
        let message = Message::decode(item, &mut self.joined);
        message.map(Some).map_err(|_| PluginError::Malformed("a field has the wrong type"))
    }
}
