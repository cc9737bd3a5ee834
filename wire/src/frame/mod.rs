//! Frames (wire.md 4): a sealed length, a sealed command, a new key for the next one. Both halves work in place and
//! know nothing of commands.

#[cfg(test)]
mod tests;

use crate::cipher::{CipherError, CipherState};
use crate::command::{Command, CommandSet};
use crate::error::{Error, FrameError};
use crate::sizes::TAG_BYTES;
use crypto_simd::symmetric::FrameOpening;

/// Bytes of a sealed header: length and tag.
pub const FRAME_HEADER_BYTES: usize = 4 + TAG_BYTES;

/// Bytes of the tag behind the command.
pub const FRAME_BODY_TAG_BYTES: usize = TAG_BYTES;

/// Bytes on the wire of a frame whose command has `command_bytes`.
pub const fn frame_bytes(command_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + command_bytes + FRAME_BODY_TAG_BYTES
}

/// The sending direction of a session: seals commands in place and rekeys after each.
pub struct FrameSealer {
    cipher: CipherState,
    message_bytes_max: usize,
}

impl FrameSealer {
    pub(crate) fn new(cipher: CipherState, message_bytes_max: usize) -> Self {
        Self { cipher, message_bytes_max }
    }

    /// Seals `[20 bytes of hole][command][16 bytes of hole]` in place and rekeys. Frames must go out in the order of
    /// sealing, each exactly once. A frame over the limit is refused before anything changes.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), FrameError> {
        let actual = frame.len();
        let length_error = FrameError::Length { expected: frame_bytes(0), actual };
        let (length, rest) = frame.split_first_chunk_mut().ok_or(length_error)?;
        let (header_tag, body) = rest.split_first_chunk_mut::<TAG_BYTES>().ok_or(length_error)?;
        let body_bytes = self.check_limit(body.len())?;
        let (command, body_tag) = body.split_last_chunk_mut::<TAG_BYTES>().ok_or(length_error)?;
        *length = body_bytes.to_be_bytes();
        let tags = self.cipher.seal_frame(length, command)?;
        (*header_tag, *body_tag) = (tags[0], tags[1]);
        Ok(())
    }

    /// Seals an encoded command from where it lies and appends the frame to `out`.
    pub fn seal_onto(&mut self, command: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let body_bytes = self.check_limit(command.len() + TAG_BYTES)?;
        Ok(self.cipher.seal_frame_onto(&body_bytes.to_be_bytes(), command, out)?)
    }

    /// Encodes, seals and appends one command to `out`; for everything but the hot path.
    pub fn seal_command(&mut self, set: &CommandSet, command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.resize(start + FRAME_HEADER_BYTES, 0);
        let sealed = set.encode_into(command, out).map_err(Error::from).and_then(|()| {
            out.resize(out.len() + FRAME_BODY_TAG_BYTES, 0);
            Ok(self.seal(&mut out[start..])?)
        });
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    fn check_limit(&self, bytes: usize) -> Result<u32, FrameError> {
        let too_large = FrameError::TooLarge { bytes, bytes_max: self.message_bytes_max };
        if bytes > self.message_bytes_max { Err(too_large) } else { u32::try_from(bytes).map_err(|_| too_large) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Header,
    Body(usize),
    /// A failure is final.
    Nothing,
}

/// The receiving direction of a session: opens headers, then bodies, in place, and rekeys after each frame.
pub struct FrameOpener {
    cipher: CipherState,
    opening: FrameOpening,
    receive_bytes_max: usize,
    due: Due,
}

impl FrameOpener {
    pub(crate) fn new(cipher: CipherState, receive_bytes_max: usize) -> Self {
        Self { cipher, opening: FrameOpening::new(), receive_bytes_max, due: Due::Header }
    }

    /// Lowers the limit for announced bodies, once it is known who the peer is. It cannot be raised again.
    pub fn lower_limit(&mut self, receive_bytes_max: usize) {
        self.receive_bytes_max = self.receive_bytes_max.min(receive_bytes_max);
    }

    /// Opens a header of [`FRAME_HEADER_BYTES`]; gives the bytes of body that follow. A driver whose limit is high
    /// should let its buffer grow with what arrives.
    pub fn open_header(&mut self, header: &mut [u8]) -> Result<usize, FrameError> {
        let Due::Header = self.begin() else { return Err(FrameError::InvalidState) };
        let actual = header.len();
        let header: &mut [u8; FRAME_HEADER_BYTES] =
            header.try_into().map_err(|_| FrameError::Length { expected: FRAME_HEADER_BYTES, actual })?;
        let (length, tag) = header.split_at_mut(4);
        let (length, tag) = match (length.first_chunk_mut::<4>(), tag.first_chunk::<TAG_BYTES>()) {
            (Some(length), Some(tag)) => (length, tag),
            _ => return Err(FrameError::InvalidState),
        };
        self.cipher.open_header(&mut self.opening, length, tag)?;
        let bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if bytes < TAG_BYTES {
            return Err(FrameError::Length { expected: TAG_BYTES, actual: bytes });
        }
        if bytes > self.receive_bytes_max {
            return Err(FrameError::TooLarge { bytes, bytes_max: self.receive_bytes_max });
        }
        self.due = Due::Body(bytes);
        Ok(bytes)
    }

    /// Opens the body that the header announced, in place, and rekeys; gives the command.
    pub fn open_body<'a>(&mut self, body: &'a mut [u8]) -> Result<&'a mut [u8], FrameError> {
        let Due::Body(expected) = self.begin() else { return Err(FrameError::InvalidState) };
        let actual = body.len();
        let (command, tag) = body
            .split_last_chunk_mut::<TAG_BYTES>()
            .filter(|_| actual == expected)
            .ok_or(FrameError::Length { expected, actual })?;
        self.cipher.open_body(&mut self.opening, command, tag)?;
        self.due = Due::Header;
        Ok(command)
    }

    /// The same, but reads the body in one place and writes the command into another, which has its length.
    pub fn open_body_to(&mut self, body: &[u8], place: &mut [u8]) -> Result<(), FrameError> {
        let Due::Body(expected) = self.begin() else { return Err(FrameError::InvalidState) };
        let actual = body.len();
        let (command, tag) = body
            .split_last_chunk::<TAG_BYTES>()
            .filter(|(command, _)| actual == expected && command.len() == place.len())
            .ok_or(FrameError::Length { expected, actual })?;
        self.cipher.open_body_to(&mut self.opening, command, place, tag)?;
        self.due = Due::Header;
        Ok(())
    }

    /// What is due. From here on the opener is dead unless the caller finishes and says what is due next.
    fn begin(&mut self) -> Due {
        std::mem::replace(&mut self.due, Due::Nothing)
    }
}

impl From<CipherError> for FrameError {
    fn from(error: CipherError) -> Self {
        match error {
            CipherError::Tag => Self::Tag,
            CipherError::NonceExhausted => Self::NonceExhausted,
        }
    }
}

#[cfg(test)]
impl FrameSealer {
    pub(crate) fn cipher(&self) -> &CipherState {
        &self.cipher
    }
}

#[cfg(test)]
impl FrameOpener {
    pub(crate) fn cipher(&self) -> &CipherState {
        &self.cipher
    }
}
