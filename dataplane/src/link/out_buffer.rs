//! Sealed frames of one link on their way into the connection: contiguous, so that one send takes many.
//!
//! A frame that is sealed must go out in order, so what is in here cannot be dropped any more; the buffer is kept small
//! for that reason, and a peer that takes nothing for a minute loses its connection.

#[cfg(test)]
mod tests;

use crate::io::{ConnId, Io, Sent};
use crate::time::Instant;
use std::collections::VecDeque;
use wire::command::write_header;
use wire::command::{COMMAND_HEADER_BYTES, CommandId};
use wire::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameError, FrameSealer};

/// What the buffer holds if frames are small.
const BYTES: usize = 256 << 10;
const FRAMES_MAX: usize = 64;
const FRAMES_MIN: usize = 4;

/// Frames, all of one size.
pub struct OutBuffer {
    bytes: Box<[u8]>,
    frame_bytes: usize,
    sent: usize,
    end: usize,
    /// Of each frame that is not wholly sent: whether it carries a packet.
    frames: VecDeque<bool>,
    /// Bytes of the first of them that are sent.
    partial: usize,
    /// When the connection last took something, or the buffer was last empty.
    pub progress_at: Instant,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Packets whose last byte is sent.
    pub packets: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The connection took less than there is.
    pub blocked: bool,
    /// The connection is lost.
    pub failed: bool,
}

impl OutBuffer {
    /// An empty buffer for frames of this size.
    pub fn new(frame_bytes: usize) -> Self {
        let frames = (BYTES / frame_bytes.max(1)).clamp(FRAMES_MIN, FRAMES_MAX);
        Self {
            bytes: vec![0; frames * frame_bytes].into_boxed_slice(),
            frame_bytes,
            sent: 0,
            end: 0,
            frames: VecDeque::with_capacity(frames + 1),
            partial: 0,
            progress_at: Instant::default(),
        }
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.sent == self.end
    }

    /// Whether another frame fits.
    pub fn has_room(&mut self) -> bool {
        if self.bytes.len() - self.end < self.frame_bytes && self.sent >= self.bytes.len() / 2 {
            // At most half of the buffer moves, at most once for each half that is sent.
            self.bytes.copy_within(self.sent..self.end, 0);
            self.end -= self.sent;
            self.sent = 0;
        }
        self.bytes.len() - self.end >= self.frame_bytes
    }

    /// Packets that are not wholly sent.
    pub fn packets(&self) -> u64 {
        self.frames.iter().filter(|is_packet| **is_packet).count() as u64
    }

    /// Seals a packet. There must be room.
    pub fn seal_packet(&mut self, packet: &[u8], sealer: &mut FrameSealer, now: Instant) -> Result<(), FrameError> {
        self.seal(CommandId::SendPacket, packet, sealer, now)
    }

    /// Seals a NoOp of the same size. There must be room.
    pub fn seal_no_op(&mut self, sealer: &mut FrameSealer, now: Instant) -> Result<(), FrameError> {
        self.seal(CommandId::NoOp, &[], sealer, now)
    }

    fn seal(&mut self, id: CommandId, body: &[u8], sealer: &mut FrameSealer, now: Instant) -> Result<(), FrameError> {
        let room = self.bytes.len() - self.end;
        let too_large = FrameError::TooLarge { bytes: self.frame_bytes, bytes_max: room };
        let frame = self.bytes[self.end..].get_mut(..self.frame_bytes).ok_or(too_large)?;
        let command = &mut frame[FRAME_HEADER_BYTES..self.frame_bytes - FRAME_BODY_TAG_BYTES];
        let (header, rest) = command.split_first_chunk_mut::<COMMAND_HEADER_BYTES>().ok_or(too_large)?;
        write_header(id, u32::try_from(body.len()).map_err(|_| too_large)?, header);
        let (content, padding) = rest.split_at_mut_checked(body.len()).ok_or(too_large)?;
        content.copy_from_slice(body);
        padding.fill(0);
        sealer.seal(frame)?;
        if self.is_empty() {
            self.progress_at = now;
        }
        self.end += self.frame_bytes;
        self.frames.push_back(id == CommandId::SendPacket);
        Ok(())
    }

    /// Sends as much as the connection takes, in as few calls as possible.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId, now: Instant) -> Flushed {
        let mut flushed = Flushed::default();
        while self.sent < self.end {
            match io.send(conn, &self.bytes[self.sent..self.end]) {
                Sent::Bytes(count) => {
                    self.sent += count;
                    self.progress_at = now;
                    flushed.bytes += count as u64;
                    flushed.packets += self.complete(count);
                }
                Sent::WouldBlock => {
                    flushed.blocked = true;
                    return flushed;
                }
                Sent::Failed => {
                    flushed.failed = true;
                    return flushed;
                }
            }
        }
        self.sent = 0;
        self.end = 0;
        flushed
    }

    /// Forgets everything: the connection is lost. Gives the number of packets that were not wholly sent.
    pub fn clear(&mut self) -> u64 {
        let lost = self.packets();
        self.frames.clear();
        (self.sent, self.end, self.partial) = (0, 0, 0);
        lost
    }

    /// So many more bytes are sent; gives the packets that they complete.
    fn complete(&mut self, bytes: usize) -> u64 {
        self.partial += bytes;
        let mut packets = 0;
        while self.partial >= self.frame_bytes {
            self.partial -= self.frame_bytes;
            packets += u64::from(self.frames.pop_front().unwrap_or(false));
        }
        packets
    }
}
