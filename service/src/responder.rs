//! From a request to its reply, in the buffer of the packet that brought it (server.md 6.2).
//!
//! ```text
//! | header | tag 32 | flags 1 | reserved 1 | reply block (SURBLength) | user payload |   a request, unwrapped
//! | header | tag 32 | answer, zeros                                                |   its reply, before it is enciphered
//! ```

#[cfg(test)]
mod tests;

use crate::built_in::Answer;
use sphinx::plaintext::{BlockSphinxPlaintext, PlaintextError};
use sphinx::{CreateError, Geometry, NODE_ID_BYTES, write_reply};
use std::ops::Range;
use zeroize::Zeroize;

/// What an unwrapped packet says besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether there is a reply block.
    pub wants_reply: bool,
}

/// Why a request cannot be read or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The layout of its payload is wrong.
    #[error("the payload of a request: {0}")]
    Layout(#[from] PlaintextError),
    /// The answer has more bytes than a reply holds.
    #[error("an answer of {found} bytes; a reply holds {most}")]
    AnswerLength {
        /// Bytes of the answer.
        found: usize,
        /// The geometry's `ForwardPayloadLength`.
        most: usize,
    },
    /// No reply can be made.
    #[error("the reply to a request: {0}")]
    Reply(#[from] CreateError),
}

/// Reads requests and writes replies of one geometry. Allocates nothing once it is made.
pub struct Responder {
    geometry: Geometry,
    /// Where `ForwardPayloadLength` bytes begin.
    content: usize,
    surb: Range<usize>,
    payload: Range<usize>,
    /// The reply block of the request that is being answered: the reply overwrites its place.
    scratch: Vec<u8>,
}

impl Responder {
    /// For packets of a geometry.
    pub fn new(geometry: &Geometry) -> Self {
        let content = geometry.header_length + geometry.payload_tag_length;
        let surb = content + geometry.sphinx_plaintext_header_length;
        let payload = surb + geometry.surb_length;
        Self {
            content,
            surb: surb..payload,
            payload: payload..content + geometry.forward_payload_length,
            scratch: Vec::with_capacity(geometry.surb_length),
            geometry: geometry.clone(),
        }
    }

    /// Reads the request in a packet that was unwrapped.
    pub fn read(&self, packet: &[u8]) -> Result<Request, PlaintextError> {
        let content = packet.get(self.content..).unwrap_or_default();
        let request = BlockSphinxPlaintext::parse(&self.geometry, content)?;
        Ok(Request { wants_reply: request.surb.is_some() })
    }

    /// The user payload of a packet that was read.
    pub fn payload<'p>(&self, packet: &'p [u8]) -> &'p [u8] {
        packet.get(self.payload.clone()).unwrap_or_default()
    }

    /// The reply block of a packet that was read and wants a reply.
    pub fn reply_block<'p>(&self, packet: &'p [u8]) -> &'p [u8] {
        packet.get(self.surb.clone()).unwrap_or_default()
    }

    /// Turns a request that wants a reply into the packet that goes back. Gives the id of the node that gets it.
    pub fn answer(&mut self, packet: &mut [u8], answer: Answer<'_>) -> Result<[u8; NODE_ID_BYTES], RequestError> {
        let mut surb = std::mem::take(&mut self.scratch);
        surb.extend_from_slice(self.reply_block(packet));
        let first_hop = self.reply(packet, &surb, answer);
        // It holds the key of the reply.
        surb.zeroize();
        self.scratch = surb;
        first_hop
    }

    /// Makes `packet`, a buffer of a packet's length, the reply of a reply block that was kept. Gives the id of the node
    /// that gets it.
    pub fn reply(
        &self,
        packet: &mut [u8],
        surb: &[u8],
        answer: Answer<'_>,
    ) -> Result<[u8; NODE_ID_BYTES], RequestError> {
        let most = self.geometry.forward_payload_length;
        let written = match answer {
            Answer::Echo if packet.len() == self.payload.end => {
                packet.copy_within(self.payload.clone(), self.content);
                self.payload.len()
            }
            Answer::Bytes(bytes) => {
                let to = packet.get_mut(self.content..).and_then(|content| content.get_mut(..bytes.len()));
                to.ok_or(RequestError::AnswerLength { found: bytes.len(), most })?.copy_from_slice(bytes);
                bytes.len()
            }
            Answer::Echo | Answer::Empty => 0,
        };
        packet.get_mut(self.content + written..).unwrap_or_default().fill(0);
        Ok(write_reply(&self.geometry, surb, packet)?)
    }
}
