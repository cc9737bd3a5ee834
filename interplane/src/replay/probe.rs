//! The rule of the replay set, apart from where its slots are: over slots in one fixed order, which fill once and are
//! never cleared. It is generic so that the tests can go through every order in which threads may meet in it.

#[cfg(test)]
mod tests;

use super::Insert;
use std::sync::atomic::{AtomicU64, Ordering};

/// One slot: zero while it is empty, then a fingerprint for ever.
pub(super) trait Slot {
    /// What it holds. An empty slot may be full by the time this is read.
    fn found(&self) -> u64;

    /// Puts the fingerprint into it if it is still empty, else gives what it holds.
    fn claim(&self, fingerprint: u64) -> Result<(), u64>;
}

/// Slots are independent words that change once, so no order between them matters.
impl Slot for AtomicU64 {
    #[inline]
    fn found(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    #[inline]
    fn claim(&self, fingerprint: u64) -> Result<(), u64> {
        self.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }
}

/// Whether the fingerprint is in one of the slots in which it may be.
#[inline]
pub(super) fn contains<'a, S: Slot + 'a>(slots: impl Iterator<Item = &'a S>, fingerprint: u64) -> bool {
    for slot in slots {
        match slot.found() {
            0 => return false,
            found if found == fingerprint => return true,
            _ => {}
        }
    }
    false
}

/// Puts the fingerprint into the first empty one of the slots in which it may be, unless it is there.
#[inline]
pub(super) fn insert<'a, S: Slot + 'a>(slots: impl Iterator<Item = &'a S>, fingerprint: u64) -> Insert {
    for slot in slots {
        let mut found = slot.found();
        if found == 0 {
            match slot.claim(fingerprint) {
                Ok(()) => return Insert::New,
                // Who was faster may have had the same tag.
                Err(other) => found = other,
            }
        }
        if found == fingerprint {
            return Insert::Seen;
        }
    }
    Insert::Full
}
