//! How many names are trusted on their first use: whoever connects could fill the disk with more. Most of them at once,
//! then a steady trickle: there is no end to it.

use std::time::{Duration, Instant};

/// Names that are trusted at once.
pub const BURST: u64 = 1 << 17;
/// One more after each of these.
pub const PAUSE: Duration = Duration::from_secs(1);

/// What is left.
pub struct Trust {
    left: u64,
    counted_at: Instant,
}

impl Trust {
    /// So many for now.
    pub fn new(left: u64, now: Instant) -> Self {
        Self { left, counted_at: now }
    }

    /// Whether one more name may be trusted, which it then is.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted_at).as_secs() / PAUSE.as_secs();
        self.left = self.left.saturating_add(passed).min(BURST);
        // Not `now`: what is left of a pause counts for the next name.
        self.counted_at += PAUSE * u32::try_from(passed).unwrap_or(u32::MAX);
        let may = self.left > 0;
        self.left -= u64::from(may);
        may
    }

    /// One that was taken was not used.
    pub fn give_back(&mut self) {
        self.left = (self.left + 1).min(BURST);
    }
}

#[cfg(test)]
mod tests;
