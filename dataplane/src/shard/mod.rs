//! One shard: everything that one core does, a bounded round at a time.

use crate::time::Instant;

/// What a driver does after [`Shard::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Poll again at once: there is more to do.
    Busy,
    /// Sleep until this moment, an event of this shard's connections, or a wake-up, whichever is first. The shard has
    /// set its parked flag and looked once more. [`Instant::NEVER`] means no moment.
    ParkUntil(Instant),
}
