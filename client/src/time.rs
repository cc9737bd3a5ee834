//! The two clocks that a client is told.

use std::time::Duration;
use wire::Instant;

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For deadlines: never goes back.
    pub at: Instant,
    /// For epochs: time since the Unix epoch, as the host's clock shows it.
    pub unix: Duration,
}

impl Now {
    /// The moment so much later, if nobody sets a clock.
    pub fn after(self, span: Duration) -> Self {
        Self { at: self.at + span, unix: self.unix.saturating_add(span) }
    }
}
