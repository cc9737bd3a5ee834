//! What is sealed and not yet sent. A frame that is sealed must go out in order, so nothing in here can be dropped any
//! more; it is kept small for that reason.

use crate::command::{Command, CommandSet};
use crate::error::{Error, FrameError};
use crate::frame::{FrameSealer, frame_bytes};
use std::collections::VecDeque;

/// Frames that room is made for at once, at most.
const ROOM_FRAMES_MAX: usize = 64;

/// Two buffers: one is filled while the connection has the other.
#[derive(Default)]
pub(super) struct Outbox {
    filling: Vec<u8>,
    spare: Vec<u8>,
    /// Bytes at the front of `filling` that leave by themselves: a message of the handshake.
    alone: usize,
    /// Bytes that the connection has.
    away: usize,
    /// Of each frame that is not wholly sent: its bytes, and whether it carries a packet.
    frames: VecDeque<(usize, bool)>,
    packets: usize,
}

impl Outbox {
    /// Whether nothing is to be sent or on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.filling.is_empty() && self.away == 0
    }

    /// Bytes that the connection does not have yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.filling.len()
    }

    /// Packets that are not wholly sent.
    pub(super) fn packets(&self) -> usize {
        self.packets
    }

    /// Adds a message of the handshake. Whatever is there leaves before what comes behind.
    pub(super) fn push_message(&mut self, message: &[u8]) {
        self.push_bytes(message);
        self.alone = self.filling.len();
    }

    /// Seals a command behind the rest.
    pub(super) fn seal(
        &mut self,
        sealer: &mut FrameSealer,
        set: &CommandSet,
        command: &Command<'_>,
    ) -> Result<(), Error> {
        let before = self.filling.len();
        sealer.seal_command(set, command, &mut self.filling)?;
        self.note(before, matches!(command, Command::SendPacket { .. }));
        Ok(())
    }

    /// Seals an encoded SendPacket behind the rest. The first one makes room for as many as there may ever be, so that
    /// packets cost no memory afterwards; other commands are too rare for that.
    pub(super) fn seal_packet(
        &mut self,
        sealer: &mut FrameSealer,
        command: &[u8],
        output_bytes: usize,
    ) -> Result<(), FrameError> {
        let before = self.filling.len();
        let frame_bytes = frame_bytes(command.len());
        let frames = (output_bytes / frame_bytes).clamp(1, ROOM_FRAMES_MAX);
        self.filling.reserve_exact((frames * frame_bytes).saturating_sub(before).max(frame_bytes));
        self.frames.reserve((2 * frames).saturating_sub(self.frames.len()).max(1));
        sealer.seal_onto(command, &mut self.filling)?;
        self.note(before, true);
        Ok(())
    }

    fn note(&mut self, before: usize, is_packet: bool) {
        self.frames.push_back((self.filling.len() - before, is_packet));
        self.packets += usize::from(is_packet);
    }

    /// What the connection is to be given next, if it has nothing.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        if self.away > 0 || self.filling.is_empty() {
            return None;
        }
        let behind = if self.alone > 0 && self.alone < self.filling.len() {
            self.filling.split_off(self.alone)
        } else {
            std::mem::take(&mut self.spare)
        };
        self.alone = 0;
        let buffer = std::mem::replace(&mut self.filling, behind);
        self.away = buffer.len();
        Some(buffer)
    }

    /// A buffer comes back of which the connection has taken so many bytes. Returns the packets among them.
    pub(super) fn sent(&mut self, mut buffer: Vec<u8>, taken: usize) -> usize {
        let packets = self.taken(taken);
        if buffer.capacity() > self.spare.capacity() {
            buffer.clear();
            self.spare = buffer;
        }
        packets
    }

    /// The connection has taken so many bytes of what it has, and will take no more of it. Returns the packets that
    /// were wholly among them.
    pub(super) fn taken(&mut self, taken: usize) -> usize {
        let mut bytes = taken.min(std::mem::take(&mut self.away));
        let before = self.packets;
        while let Some(&(frame_bytes, is_packet)) = self.frames.front()
            && frame_bytes <= bytes
        {
            bytes -= frame_bytes;
            self.frames.pop_front();
            self.packets -= usize::from(is_packet);
        }
        before - self.packets
    }

    /// Gives memory back if nothing is to be sent.
    pub(super) fn reclaim(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn has_memory(&self) -> bool {
        self.filling.capacity() + self.spare.capacity() + self.frames.capacity() > 0
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        self.filling.extend_from_slice(bytes);
        self.frames.push_back((bytes.len(), false));
    }
}
