//! What one link has carried, for people who ask: in all, and lately.

#[cfg(test)]
mod tests;

use crate::time::Instant;
use interplane::roll::Passed;
use std::time::Duration;

/// "Lately" is the part of such a time that has gone by, and the one before it.
const WINDOW: Duration = Duration::from_secs(30);

/// Packets of one link.
#[derive(Clone, Debug)]
pub struct Tally {
    all: Passed,
    window: Passed,
    window_before: Passed,
    window_began: Instant,
    last_packet: Option<Instant>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        let none = Passed::default();
        Self { all: none, window: none, window_before: none, window_began: now, last_packet: None }
    }

    /// The link is there: what was lost without one says nothing about it.
    pub fn came_up(&mut self, now: Instant) {
        (self.window, self.window_before) = Default::default();
        self.window_began = now;
    }

    /// So many packets went over it or came in.
    pub fn passed(&mut self, packets: u64, now: Instant) {
        if packets > 0 {
            self.last_packet = Some(now);
            self.note(Passed { packets, ..Passed::default() }, now);
        }
    }

    /// A packet was too late for it.
    pub fn too_late(&mut self, now: Instant) {
        self.note(Passed { too_late: 1, ..Passed::default() }, now);
    }

    /// A packet was dropped for another reason.
    pub fn dropped(&mut self, now: Instant) {
        self.note(Passed { dropped: 1, ..Passed::default() }, now);
    }

    fn note(&mut self, more: Passed, now: Instant) {
        self.turn(now);
        for sum in [&mut self.all, &mut self.window] {
            *sum = plus(*sum, more);
        }
    }

    /// Begins another window when it is time.
    fn turn(&mut self, now: Instant) {
        let passed = now.since(self.window_began);
        if passed >= WINDOW {
            let window = std::mem::take(&mut self.window);
            self.window_before = if passed < WINDOW * 2 { window } else { Passed::default() };
            self.window_began = now;
        }
    }

    /// All of them.
    pub fn all(&self) -> Passed {
        self.all
    }

    /// Those of the last half minute to minute.
    pub fn lately(&self, now: Instant) -> Passed {
        match now.since(self.window_began) {
            passed if passed < WINDOW => plus(self.window_before, self.window),
            passed if passed < WINDOW * 2 => self.window,
            _ => Passed::default(),
        }
    }

    /// How long ago the last packet was.
    pub fn last_packet(&self, now: Instant) -> Option<Duration> {
        self.last_packet.map(|last| now.since(last))
    }
}

fn plus(one: Passed, other: Passed) -> Passed {
    Passed {
        packets: one.packets + other.packets,
        too_late: one.too_late + other.too_late,
        dropped: one.dropped + other.dropped,
    }
}
