//! When the kernel had what is read only now.
//!
//! Who reads sleeps and works while bytes come. Were delays counted from when they are read, all would be so much longer.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::Instant;

/// What has lain longer has waited for its reader, who is behind: its delay then counts from so long before it was
/// read. Without this bound most packets of a shard that is far behind would be due at once, in the order of their arrival,
/// and a clock that is set forward would make packets early.
pub const LAIN_MAX: Duration = Duration::from_millis(1);

/// A look at what has come, by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// By that of delays.
    pub at: Instant,
    /// By that of the kernel's times, since 1970, a little before: so nothing counts from before it came.
    pub civil: Duration,
}

impl Look {
    /// Now, with what `clock` says.
    pub fn now(clock: impl FnOnce() -> Instant) -> Self {
        let civil = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: clock(), civil }
    }

    /// When something arrived that the kernel says it had at that time.
    pub fn arrived_at(self, time: Option<Duration>) -> Instant {
        let lain = time.and_then(|time| self.civil.checked_sub(time)).unwrap_or_default();
        Instant(self.at.0.saturating_sub(u64::try_from(lain.min(LAIN_MAX).as_nanos()).unwrap_or(0)))
    }
}
