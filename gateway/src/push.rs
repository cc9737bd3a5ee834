//! One client's end of delivery (server.md 5.2): one message under way at a time, numbered from 1, kept by the mail room
//! until the client has acknowledged it.

#[cfg(test)]
mod tests;

use crate::spool::Letter;
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;

/// How long a client may take to acknowledge a message; then its connection ends.
pub const DELIVERED_LIMIT: Duration = Duration::from_secs(60);

/// What has to be sent to a client now.
#[derive(Clone, Debug)]
pub struct Message {
    /// The number under which the client acknowledges it.
    pub sequence: u32,
    /// What is in it.
    pub letter: Arc<Letter>,
}

/// The state of one connection.
///
/// Call [`offer`](Self::offer) with what the mail room gives, send what [`poll_message`](Self::poll_message) gives, and
/// tell the mail room when [`handle_delivered`](Self::handle_delivered) says yes.
#[derive(Debug, Default)]
pub struct Push {
    offered: Option<Arc<Letter>>,
    /// The number of the last message.
    sequence: u32,
    /// Until when it is to be acknowledged, if it is not yet.
    deadline: Option<Instant>,
}

impl Push {
    /// The next letter. The mail room gives one at a time; a second one takes the first one's place.
    pub fn offer(&mut self, letter: Arc<Letter>) {
        self.offered = Some(letter);
    }

    /// The letter of the message that [`poll_message`](Self::poll_message) has, if it has one.
    pub fn peek(&self) -> Option<&Letter> {
        self.offered.as_deref().filter(|_| self.deadline.is_none())
    }

    /// Whether [`poll_message`](Self::poll_message) has something.
    pub fn has_message(&self) -> bool {
        self.peek().is_some()
    }

    /// What is to be sent, if nothing is under way.
    pub fn poll_message(&mut self, now: Instant) -> Option<Message> {
        if self.deadline.is_some() {
            return None;
        }
        let letter = self.offered.take()?;
        self.sequence = self.sequence.wrapping_add(1);
        self.deadline = Some(now + DELIVERED_LIMIT);
        Some(Message { sequence: self.sequence, letter })
    }

    /// The client acknowledges a message; true if it is the one under way. Others mean nothing.
    pub fn handle_delivered(&mut self, sequence: u32) -> bool {
        let is_under_way = self.deadline.is_some() && sequence == self.sequence;
        if is_under_way {
            self.deadline = None;
        }
        is_under_way
    }

    /// When the client has taken too long.
    pub fn poll_timeout(&self) -> Instant {
        self.deadline.unwrap_or(Instant::NEVER)
    }
}
