//! What a link makes of bytes that arrive.

use super::held::Unit;
use super::{End, State};
use crate::error::FrameError;
use crate::frame::FrameOpener;
use crate::sizes::TAG_BYTES;

/// What came of `Link::handle_input`.
#[must_use]
pub enum Input<'a> {
    /// All of the input is taken; more is needed.
    Nothing,
    /// There is an event to poll; then call again with what is left of the input.
    Event,
    /// A whole frame. Open it, then call again with what is left of the input.
    Frame(Frame<'a>),
}

/// A whole frame that is still sealed. One that is not opened ends the link.
#[must_use]
pub struct Frame<'a> {
    pub(super) unit: Unit<'a>,
    pub(super) opener: &'a mut FrameOpener,
    pub(super) state: &'a mut State,
}

impl<'a> Frame<'a> {
    /// Bytes of its command's encoding: what a place must have to open it there.
    pub fn command_bytes(&self) -> usize {
        // No header announces a body without its tag.
        self.unit.len().saturating_sub(TAG_BYTES)
    }

    /// Opens it where its bytes lie; returns the command's encoding. An error has ended the link.
    pub fn open(self) -> Result<&'a mut [u8], FrameError> {
        Self::open_body(self.opener, self.state, self.unit.join())
    }

    /// Opens it and gives the command's encoding as memory of its own, which a large frame brings along instead of a
    /// copy. An error has ended the link.
    pub fn into_command(self) -> Result<Vec<u8>, FrameError> {
        let Self { unit, opener, state } = self;
        let mut body = unit.into_vec();
        let command_bytes = Self::open_body(opener, state, &mut body)?.len();
        body.truncate(command_bytes);
        Ok(body)
    }

    /// Opens it from where its bytes lie into `place`, which has [`command_bytes`](Self::command_bytes) for the command's
    /// encoding. An error has ended the link.
    pub fn open_in(self, place: &mut [u8]) -> Result<(), FrameError> {
        let Self { unit, opener, state } = self;
        opener.open_body_to(unit.join(), place).inspect_err(|error| state.end(End::Frame(*error)))
    }

    fn open_body<'p>(
        opener: &mut FrameOpener,
        state: &mut State,
        body: &'p mut [u8],
    ) -> Result<&'p mut [u8], FrameError> {
        opener.open_body(body).inspect_err(|error| state.end(End::Frame(*error)))
    }
}
