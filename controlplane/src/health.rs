//! What is known of the data plane's health, kept by its supervisor, read by metrics, STATUS and the probes.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};

const UNKNOWN: u8 = 0;
const UNLOCKED: u8 = 1;
const LOCKED: u8 = 2;

/// The data plane as its supervisor sees it.
#[derive(Debug, Default)]
pub struct Health {
    process: AtomicI32,
    restarts: AtomicU64,
    stalls: AtomicU64,
    locked: AtomicU8,
}

impl Health {
    /// A data plane has attached, with all its shards at work.
    pub fn attached(&self, process: i32) {
        self.process.store(process, Ordering::Release);
    }

    /// There is none.
    pub fn lost(&self) {
        self.process.store(0, Ordering::Release);
    }

    /// One is started in place of one that ended by itself or was ended because it stood still.
    pub fn restarting(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// One stood still.
    pub fn stalled(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether its keys, and those of this process, are kept out of swap.
    pub fn keys_locked(&self, locked: bool) {
        self.locked.store(if locked { LOCKED } else { UNLOCKED }, Ordering::Relaxed);
    }

    /// The process that is attached.
    pub fn process(&self) -> Option<i32> {
        Some(self.process.load(Ordering::Acquire)).filter(|process| *process > 0)
    }

    /// How often one was started in place of another.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// How often one stood still.
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Whether keys are locked in memory; none before there are any.
    pub fn are_keys_locked(&self) -> Option<bool> {
        match self.locked.load(Ordering::Relaxed) {
            UNKNOWN => None,
            state => Some(state == LOCKED),
        }
    }
}
