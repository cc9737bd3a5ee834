//! Connections that want to receive, in the order in which they get buffers.

#[cfg(test)]
mod tests;

use super::ConnId;
use std::collections::VecDeque;

/// Those that wait. Who asks for little is in the middle of a handshake: these and the links take turns, so that
/// neither a crowd of links with a backlog nor one of strangers keeps the others waiting.
#[derive(Default)]
pub struct Starving {
    little: VecDeque<ConnId>,
    much: VecDeque<ConnId>,
    was_little: bool,
}

impl Starving {
    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.little.is_empty() && self.much.is_empty()
    }

    /// Puts a connection at the end of its queue.
    pub fn push(&mut self, conn: ConnId, is_little: bool) {
        if is_little { &mut self.little } else { &mut self.much }.push_back(conn);
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<ConnId> {
        let (first, second) =
            if self.was_little { (&mut self.much, &mut self.little) } else { (&mut self.little, &mut self.much) };
        let conn = first.pop_front();
        self.was_little ^= conn.is_some();
        conn.or_else(|| second.pop_front())
    }
}
