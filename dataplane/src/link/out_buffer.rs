//! Sealed frames of one link on their way into the connection: contiguous, so that one send takes many.
//!
//! A frame that is sealed must go out in order, so what is in here cannot be dropped any more; the buffers are kept
//! small for that reason, and a peer that takes nothing for a minute loses its connection.

#[cfg(test)]
mod tests;

use crate::io::{ConnId, Io};
use crate::time::Instant;
use std::collections::VecDeque;
use wire::command::write_header;
use wire::command::{COMMAND_HEADER_BYTES, CommandId};
use wire::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameError, FrameSealer};

/// What one buffer holds if frames are small.
const BYTES: usize = 256 << 10;
const FRAMES_MAX: usize = 64;
const FRAMES_MIN: usize = 16;

/// Frames, all of one size: one buffer fills while the connection has the other.
pub struct OutBuffer {
    frame_bytes: usize,
    bytes_max: usize,
    /// Not handed over yet. Made when the first frame is sealed.
    filling: Vec<u8>,
    /// The other one, if the connection does not have it.
    spare: Vec<u8>,
    /// Bytes that the connection has.
    under_way: usize,
    /// Of each frame, those under way first: whether it carries a packet.
    frames: VecDeque<bool>,
    /// When a buffer was last handed over, or the connection was last seen to take something.
    pub progress_at: Instant,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Packets whose last byte is sent.
    pub packets: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The connection is lost.
    pub failed: bool,
}

impl OutBuffer {
    /// An empty buffer for frames of this size.
    pub fn new(frame_bytes: usize) -> Self {
        let frames = (BYTES / frame_bytes.max(1)).clamp(FRAMES_MIN, FRAMES_MAX);
        Self {
            frame_bytes,
            bytes_max: frames * frame_bytes,
            filling: Vec::new(),
            spare: Vec::new(),
            under_way: 0,
            frames: VecDeque::with_capacity(2 * frames),
            progress_at: Instant::default(),
        }
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether another frame fits.
    pub fn has_room(&self) -> bool {
        self.filling.len() + self.frame_bytes <= self.bytes_max
    }

    /// Packets that are not known to be wholly sent.
    pub fn packets(&self) -> u64 {
        self.frames.iter().filter(|is_packet| **is_packet).count() as u64
    }

    /// Asks the connection when it last took something.
    pub fn note_progress(&mut self, io: &impl Io, conn: ConnId) {
        if let Some(sending) = io.sending(conn) {
            self.progress_at = self.progress_at.max(sending.progress_at);
        }
    }

    /// Seals a packet. There must be room.
    pub fn seal_packet(&mut self, packet: &[u8], sealer: &mut FrameSealer) -> Result<(), FrameError> {
        self.seal(CommandId::SendPacket, packet, sealer)
    }

    /// Seals a NoOp of the same size. There must be room.
    pub fn seal_no_op(&mut self, sealer: &mut FrameSealer) -> Result<(), FrameError> {
        self.seal(CommandId::NoOp, &[], sealer)
    }

    fn seal(&mut self, id: CommandId, body: &[u8], sealer: &mut FrameSealer) -> Result<(), FrameError> {
        let start = self.filling.len();
        let too_large = FrameError::TooLarge { bytes: self.frame_bytes, bytes_max: self.bytes_max - start };
        if !self.has_room() {
            return Err(too_large);
        }
        self.filling.reserve_exact(self.bytes_max - start);
        self.filling.resize(start + self.frame_bytes, 0);
        let sealed = fill(&mut self.filling[start..], id, body)
            .ok_or(too_large)
            .and_then(|()| sealer.seal(&mut self.filling[start..]));
        match sealed {
            Ok(()) => self.frames.push_back(id == CommandId::SendPacket),
            Err(_) => self.filling.truncate(start),
        }
        sealed
    }

    /// Hands over what is sealed, if the connection has nothing under way.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId, now: Instant) {
        if self.filling.is_empty() || io.sending(conn).is_some() {
            return;
        }
        let next = std::mem::take(&mut self.spare);
        let buffer = std::mem::replace(&mut self.filling, next);
        self.under_way = buffer.len();
        self.progress_at = now;
        io.send(conn, buffer);
    }

    /// A buffer has come back, of which the connection took so much.
    pub fn handle_sent(&mut self, mut buffer: Vec<u8>, taken: usize) -> Flushed {
        let flushed = Flushed { packets: self.complete(taken), bytes: taken as u64, failed: taken < buffer.len() };
        self.under_way = 0;
        buffer.clear();
        self.spare = buffer;
        flushed
    }

    /// Forgets everything: the connection is closed, and took so much of what was under way. Gives the packets that
    /// were wholly sent, and those that were not.
    pub fn clear(&mut self, taken: usize) -> (u64, u64) {
        let sent = self.complete(taken);
        let lost = self.packets();
        self.frames.clear();
        self.filling.clear();
        self.under_way = 0;
        (sent, lost)
    }

    /// The connection took so many bytes of what was under way; gives the packets among them.
    fn complete(&mut self, taken: usize) -> u64 {
        let whole = taken.min(self.under_way) / self.frame_bytes.max(1);
        self.frames.drain(..whole.min(self.frames.len())).map(u64::from).sum()
    }
}

/// Writes a command into a frame that is all zero; none if it does not fit.
fn fill(frame: &mut [u8], id: CommandId, body: &[u8]) -> Option<()> {
    let end = frame.len().checked_sub(FRAME_BODY_TAG_BYTES)?;
    let command = frame.get_mut(FRAME_HEADER_BYTES..end)?;
    let (header, rest) = command.split_first_chunk_mut::<COMMAND_HEADER_BYTES>()?;
    write_header(id, u32::try_from(body.len()).ok()?, header);
    rest.get_mut(..body.len())?.copy_from_slice(body);
    Some(())
}
