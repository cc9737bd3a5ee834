//! The buffer that a connection is sending, for implementations of [`Io`](super::Io) that write when there is room.

use super::{ConnId, Event, Sending};
use crate::time::Instant;

/// A buffer, and how much of it the connection has taken.
#[derive(Debug)]
pub struct UnderWay {
    buffer: Vec<u8>,
    taken: usize,
    progress_at: Instant,
    /// All is taken, or the connection is lost.
    is_done: bool,
}

/// Outcome of one attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// That many bytes were taken, at least one.
    Bytes(usize),
    /// No room now.
    WouldBlock,
    /// The connection is lost.
    Failed,
}

impl UnderWay {
    /// Nothing of it is taken yet.
    pub fn new(buffer: Vec<u8>, now: Instant) -> Self {
        Self { buffer, taken: 0, progress_at: now, is_done: false }
    }

    /// How far it is.
    pub fn sending(&self) -> Sending {
        Sending { taken: self.taken, progress_at: self.progress_at }
    }

    /// What is still to be taken.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Notes one attempt; true if the buffer is to go back now.
    pub fn note(&mut self, wrote: Wrote, now: Instant) -> bool {
        match wrote {
            Wrote::Bytes(count) => {
                self.taken = (self.taken + count).min(self.buffer.len());
                self.progress_at = now;
                self.is_done = self.taken == self.buffer.len();
            }
            Wrote::WouldBlock => {}
            Wrote::Failed => self.is_done = true,
        }
        self.is_done
    }

    /// Writes as much as there is room for; true if the buffer is to go back now, which is said once.
    pub fn write(&mut self, now: Instant, mut write: impl FnMut(&[u8]) -> Wrote) -> bool {
        while !self.is_done {
            let wrote = write(self.rest());
            if self.note(wrote, now) {
                return true;
            }
            if wrote == Wrote::WouldBlock {
                break;
            }
        }
        false
    }

    /// Whether it is to go back.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Gives it back.
    pub fn sent(self, conn: ConnId) -> Event {
        Event::Sent { conn, buffer: self.buffer, taken: self.taken }
    }
}
