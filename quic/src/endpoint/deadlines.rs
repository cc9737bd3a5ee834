//! When to look at which connection.
//!
//! The library's timers move with nearly every packet, nearly always later. So an entry stays where it is, and whoever finds
//! that it came too early enters the connection again.

use std::collections::BTreeSet;
use wire::Instant;

/// Connections by their next deadline, or an earlier moment: one entry each.
#[derive(Default)]
pub struct Deadlines {
    entries: BTreeSet<(Instant, u32)>,
}

impl Deadlines {
    /// Enters a connection in place of its entry for `before`, if it has one.
    pub fn enter(&mut self, at: Instant, index: u32, before: Instant) {
        self.remove(before, index);
        self.entries.insert((at, index));
    }

    /// Takes out an entry, if there is one.
    pub fn remove(&mut self, at: Instant, index: u32) {
        if at != Instant::NEVER {
            self.entries.remove(&(at, index));
        }
    }

    /// When something is due, at the earliest.
    pub fn next(&self) -> Instant {
        self.entries.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// The next connection that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        (self.next() <= now).then(|| self.entries.pop_first()).flatten().map(|(_, index)| index)
    }
}
