//! The authenticate message, payload of messages 2 and 3 (wire.md 3.6).

use crate::sizes::{ADDITIONAL_DATA_BYTES_MAX, AUTHENTICATE_BYTES};

/// Its contents.
pub(super) struct Authenticate<'a> {
    pub(super) additional_data: &'a [u8],
    pub(super) unix_seconds: u32,
}

impl<'a> Authenticate<'a> {
    /// The encoding; `additional_data` has at most 255 bytes, which [`Handshake::new`](super::Handshake::new) checked.
    pub(super) fn encode(additional_data: &[u8], unix_seconds: u32) -> [u8; AUTHENTICATE_BYTES] {
        let mut bytes = [0; AUTHENTICATE_BYTES];
        let length = additional_data.len().min(ADDITIONAL_DATA_BYTES_MAX);
        bytes[0] = length as u8;
        bytes[1..1 + length].copy_from_slice(&additional_data[..length]);
        bytes[1 + ADDITIONAL_DATA_BYTES_MAX..].copy_from_slice(&unix_seconds.to_be_bytes());
        bytes
    }

    /// The fields; padding is ignored. `None` only for a wrong size.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&length, rest) = bytes.split_first()?;
        let (padded, time) = rest.split_at_checked(ADDITIONAL_DATA_BYTES_MAX)?;
        Some(Self {
            additional_data: padded.get(..length.into())?,
            unix_seconds: u32::from_be_bytes(time.try_into().ok()?),
        })
    }
}
