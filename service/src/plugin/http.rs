//! The form of plugins up to the reference's v0.0.3 (server.md 6.5, D.3): each request is a POST of its own, its body one
//! CBOR item, and so is the answer's.

#[cfg(test)]
mod tests;

use super::{ID, Messages, PAYLOAD, PluginError, unreachable_write};
use minicbor::Encoder;
use std::convert::Infallible;

/// Where requests are posted.
pub const REQUEST_PATH: &str = "/request";
/// Where a plugin is asked for what it wants to be published, with an empty body.
pub const PARAMETERS_PATH: &str = "/parameters";
/// The type of all bodies.
pub const CONTENT_TYPE: &str = "application/octet-stream";

const HAS_SURB: &str = "HasSURB";

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The number of the request.
    pub id: u64,
    /// The user payload.
    pub payload: &'a [u8],
    /// Whether an answer can be sent.
    pub has_surb: bool,
}

impl Call<'_> {
    /// The body of its POST, with the fields in the reference's order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + 64);
        if let Err(never) = self.write(&mut Encoder::new(&mut out)) {
            unreachable_write(never);
        }
        out
    }

    fn write(&self, to: &mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        to.map(3)?.str(ID)?.u64(self.id)?.str(PAYLOAD)?.bytes(self.payload)?.str(HAS_SURB)?.bool(self.has_surb)?;
        Ok(())
    }
}

/// The payload in the body of an answer: the field is found as in messages of the other form, all others are left out,
/// and what follows the item is not looked at. Empty: there is no reply.
pub fn answer(body: &[u8]) -> Result<Vec<u8>, PluginError> {
    let mut messages = Messages::new(body.len());
    messages.push(body);
    match messages.next_message()? {
        Some(message) => Ok(message.payload.to_vec()),
        None => Err(PluginError::Malformed("it ends in the middle")),
    }
}
