//! How a shard goes to sleep without missing what others bring it: the flag, the time of its own awakening, and who wakes
//! whom.
//!
//! ```text
//! the sleeper:  park()          ; look at the queues ; sleep
//! a bringer:    fill a queue    ; unpark()           ; wake the sleeper if that says so
//! ```
//!
//! Each side writes, then reads what the other one writes. The fences between keep both from reading the old: either the
//! sleeper finds the queue filled, or the bringer finds the flag up. It is generic over its atomics so that the tests can
//! go through every order in which the two may meet.

#[cfg(test)]
mod tests;

use crate::time::Instant;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// What the flag and the time are made of.
pub(crate) trait Atomics {
    /// The flag.
    type Flag;
    /// The time.
    type Time;

    /// A flag that is down.
    fn flag() -> Self::Flag;
    /// A time.
    fn time(value: u64) -> Self::Time;
    /// Reads the flag.
    fn is_up(flag: &Self::Flag, order: Ordering) -> bool;
    /// Puts the flag up.
    fn put_up(flag: &Self::Flag, order: Ordering);
    /// Takes the flag down; whether it was up.
    fn take_down(flag: &Self::Flag, order: Ordering) -> bool;
    /// Reads the time.
    fn read(time: &Self::Time) -> u64;
    /// Writes the time.
    fn write(time: &Self::Time, value: u64);
    /// Keeps what is written before from being done after what is read behind.
    fn full_fence();
}

/// The processor's own.
pub(crate) struct Native;

impl Atomics for Native {
    type Flag = AtomicBool;
    type Time = AtomicU64;

    fn flag() -> AtomicBool {
        AtomicBool::new(false)
    }

    fn time(value: u64) -> AtomicU64 {
        AtomicU64::new(value)
    }

    fn is_up(flag: &AtomicBool, order: Ordering) -> bool {
        flag.load(order)
    }

    fn put_up(flag: &AtomicBool, order: Ordering) {
        flag.store(true, order);
    }

    fn take_down(flag: &AtomicBool, order: Ordering) -> bool {
        flag.swap(false, order)
    }

    fn read(time: &AtomicU64) -> u64 {
        time.load(Ordering::Relaxed)
    }

    fn write(time: &AtomicU64, value: u64) {
        time.store(value, Ordering::Relaxed);
    }

    fn full_fence() {
        fence(Ordering::SeqCst);
    }
}

/// One shard's sleep, as all see it.
pub(crate) struct Parking<A: Atomics = Native> {
    parked: CachePadded<A::Flag>,
    next_expiry: A::Time,
}

impl<A: Atomics> Parking<A> {
    /// Awake.
    pub fn new() -> Self {
        Self { parked: CachePadded::new(A::flag()), next_expiry: A::time(u64::MAX) }
    }

    /// Says that the shard is about to sleep until `next_expiry` at the latest. The shard must look at its queues once
    /// more afterwards: whoever filled them before did not see the flag.
    pub fn park(&self, next_expiry: Instant) {
        A::write(&self.next_expiry, next_expiry.0);
        A::put_up(&self.parked, Ordering::Release);
        A::full_fence();
    }

    /// Says that the shard is awake; true if it was not woken by anybody.
    pub fn awake(&self) -> bool {
        self.is_parked() && A::take_down(&self.parked, Ordering::Relaxed)
    }

    /// Whether it sleeps, or is about to.
    pub fn is_parked(&self) -> bool {
        A::is_up(&self.parked, Ordering::Relaxed)
    }

    /// Until when the shard sleeps, if it says that it does.
    pub fn parked_until(&self) -> Option<Instant> {
        self.is_parked().then(|| Instant(A::read(&self.next_expiry)))
    }

    /// True if the shard was parked: the caller is the one to wake it.
    pub fn unpark(&self) -> bool {
        A::full_fence();
        self.is_parked() && A::take_down(&self.parked, Ordering::AcqRel)
    }

    /// [`Parking::unpark`] for something that is due at a time: a shard that wakes up early enough by itself is let
    /// sleep.
    pub fn unpark_for(&self, due: Instant) -> bool {
        A::full_fence();
        A::is_up(&self.parked, Ordering::Acquire)
            && due.0 < A::read(&self.next_expiry)
            && A::take_down(&self.parked, Ordering::AcqRel)
    }
}
