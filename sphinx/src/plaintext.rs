//! The content of a forward payload: flags, reply block, user payload (sphinx.md 5.4, 9.3, 9.4).

#[cfg(test)]
mod tests;

use crate::geometry::Geometry;

const FLAG_NO_SURB: u8 = 0;
const FLAG_SURB: u8 = 1;
const RESERVED: u8 = 0;

/// Why a forward payload or reply cannot be read or built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaintextError {
    /// The geometry has no room for flags and a reply block.
    #[error("the geometry's forward payloads have no room for a reply block")]
    NoRoom,
    /// The wrong length.
    #[error("{what} of {found} bytes, must be {expected}")]
    Length {
        /// What has that length.
        what: &'static str,
        /// Bytes given.
        found: usize,
        /// Bytes that are possible.
        expected: usize,
    },
    /// Flags other than 0 and 1.
    #[error("invalid flags {0:#04x}")]
    Flags(u8),
    /// A reserved byte that is not 0.
    #[error("reserved byte is {0:#04x}")]
    Reserved(u8),
}

/// A parsed forward payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSphinxPlaintext<'a> {
    /// The reply block, if the sender wants an answer.
    pub surb: Option<&'a [u8]>,
    /// The user payload with its zero padding: always `UserForwardPayloadLength` bytes.
    pub payload: &'a [u8],
}

impl<'a> BlockSphinxPlaintext<'a> {
    /// Parses a payload that a service node was handed.
    pub fn parse(geometry: &Geometry, bytes: &'a [u8]) -> Result<Self, PlaintextError> {
        check_room(geometry)?;
        let expected = geometry.forward_payload_length;
        let wrong_length = PlaintextError::Length { what: "forward payload", found: bytes.len(), expected };
        if bytes.len() != expected {
            return Err(wrong_length);
        }
        let ([flags, reserved], content) = bytes.split_first_chunk().ok_or(wrong_length)?;
        let (surb, payload) = content.split_at_checked(geometry.surb_length).ok_or(wrong_length)?;
        let surb = match *flags {
            FLAG_NO_SURB => None,
            FLAG_SURB => Some(surb),
            other => return Err(PlaintextError::Flags(other)),
        };
        match *reserved {
            RESERVED => Ok(Self { surb, payload }),
            other => Err(PlaintextError::Reserved(other)),
        }
    }

    /// Builds a forward payload; shorter user payloads are padded with zeros.
    pub fn build(geometry: &Geometry, surb: Option<&[u8]>, payload: &[u8]) -> Result<Vec<u8>, PlaintextError> {
        check_room(geometry)?;
        if let Some(surb) = surb {
            check_length("reply block", surb.len(), geometry.surb_length, surb.len() == geometry.surb_length)?;
        }
        let most = geometry.user_forward_payload_length;
        check_length("user payload", payload.len(), most, payload.len() <= most)?;
        let mut bytes = Vec::with_capacity(geometry.forward_payload_length);
        bytes.push(if surb.is_some() { FLAG_SURB } else { FLAG_NO_SURB });
        bytes.push(RESERVED);
        bytes.extend_from_slice(surb.unwrap_or_default());
        bytes.resize(geometry.sphinx_plaintext_header_length + geometry.surb_length, 0);
        bytes.extend_from_slice(payload);
        bytes.resize(geometry.forward_payload_length, 0);
        Ok(bytes)
    }
}

/// A reply padded with zeros to `ForwardPayloadLength`.
pub fn pad_reply(geometry: &Geometry, reply: &[u8]) -> Result<Vec<u8>, PlaintextError> {
    let most = geometry.forward_payload_length;
    check_length("reply", reply.len(), most, reply.len() <= most)?;
    let mut bytes = Vec::with_capacity(most);
    bytes.extend_from_slice(reply);
    bytes.resize(most, 0);
    Ok(bytes)
}

fn check_room(geometry: &Geometry) -> Result<(), PlaintextError> {
    if geometry.has_surb() { Ok(()) } else { Err(PlaintextError::NoRoom) }
}

fn check_length(what: &'static str, found: usize, expected: usize, fits: bool) -> Result<(), PlaintextError> {
    if fits { Ok(()) } else { Err(PlaintextError::Length { what, found, expected }) }
}
