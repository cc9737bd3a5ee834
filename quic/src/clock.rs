//! Our instants as those of the library, and back.

use std::time;
use wire::Instant;

/// Where both kinds of instants meet.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: time::Instant,
    zero: Instant,
}

impl Clock {
    /// From now on. The library's clock cannot be made from a number, so that this is where the operating system's is read:
    /// once, and nothing depends on what it says.
    pub fn start(now: Instant) -> Self {
        Self { base: time::Instant::now(), zero: now }
    }

    /// For the library.
    pub fn library(&self, at: Instant) -> time::Instant {
        self.base + at.since(self.zero)
    }

    /// For us.
    pub fn ours(&self, at: time::Instant) -> Instant {
        self.zero + at.saturating_duration_since(self.base)
    }
}
