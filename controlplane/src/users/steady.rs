//! Whether the wall clock can be believed when something is to go because of its age: after a jump it is not for a while, so
//! that one that is wrong for a time costs nothing.

use std::time::{Duration, Instant};

/// Seconds by which it may differ from a clock that never jumps, between two looks.
const JUMP_MIN: u64 = 600;
/// How long it is not believed after more.
const DOUBT: Duration = Duration::from_secs(3600);

/// What both clocks said last.
pub struct Steady {
    unix_seconds: u64,
    at: Instant,
    jumped_at: Option<Instant>,
}

impl Steady {
    /// As they are now.
    pub fn new(unix_seconds: u64, now: Instant) -> Self {
        Self { unix_seconds, at: now, jumped_at: None }
    }

    /// Whether it can be believed now.
    pub fn is_believed(&mut self, unix_seconds: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs();
        if unix_seconds.abs_diff(self.unix_seconds.saturating_add(passed)) > JUMP_MIN {
            self.jumped_at = Some(now);
        }
        (self.unix_seconds, self.at) = (unix_seconds, now);
        self.jumped_at.is_none_or(|at| now.saturating_duration_since(at) >= DOUBT)
    }
}

#[cfg(test)]
mod tests;
