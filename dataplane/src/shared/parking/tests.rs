//! Every order in which a sleeper and those who bring something can meet, as `loom` goes through them, weak memory
//! included. The queue here has no order of its own at all: what holds with it holds with any.

use super::{Atomics, Parking};
use crate::time::Instant;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::thread;
use std::marker::PhantomData;

/// `loom`'s, with or without the fences.
struct Modelled<const FENCES: bool>(PhantomData<()>);

impl<const FENCES: bool> Atomics for Modelled<FENCES> {
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
        if FENCES {
            fence(Ordering::SeqCst);
        }
    }
}

/// A shard, its inbox, and how often its driver was woken.
struct Shard<const FENCES: bool> {
    parking: Parking<Modelled<FENCES>>,
    inbox: AtomicUsize,
    wake_ups: AtomicUsize,
}

impl<const FENCES: bool> Shard<FENCES> {
    fn new() -> Arc<Self> {
        Arc::new(Self { parking: Parking::new(), inbox: AtomicUsize::new(0), wake_ups: AtomicUsize::new(0) })
    }

    /// What another shard does with a packet that is due then.
    fn bring(&self, due: u64) {
        self.inbox.fetch_add(1, Ordering::Relaxed);
        if self.parking.unpark_for(Instant(due)) {
            self.wake_ups.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the attach thread does after it has published something.
    fn publish(&self) {
        self.inbox.fetch_add(1, Ordering::Relaxed);
        if self.parking.unpark() {
            self.wake_ups.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The end of a round: true if the shard went to sleep.
    fn rest(&self, until: u64) -> bool {
        self.parking.park(Instant(until));
        if self.inbox.load(Ordering::Relaxed) == 0 {
            return true;
        }
        self.parking.awake();
        false
    }
}

/// One rests, another brings; at the end nobody may sleep on something that nobody wakes it for.
fn meet<const FENCES: bool>(bring: fn(&Shard<FENCES>)) {
    loom::model(move || {
        let shard = Shard::<FENCES>::new();
        let bringer = shard.clone();
        let bringer = thread::spawn(move || bring(&bringer));
        let sleeps = shard.rest(100);
        bringer.join().expect("nobody panics");
        let woken = shard.wake_ups.load(Ordering::Relaxed);
        assert!(!sleeps || woken == 1, "a wake-up is lost");
        assert_eq!(shard.parking.is_parked(), sleeps && woken == 0);
    });
}

#[test]
fn a_packet_for_a_shard_that_goes_to_sleep_is_seen_or_wakes_it() {
    meet::<true>(|shard| shard.bring(50));
}

#[test]
fn a_publication_for_a_shard_that_goes_to_sleep_is_seen_or_wakes_it() {
    meet::<true>(Shard::publish);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn without_fences_a_wake_up_is_lost() {
    meet::<false>(|shard| shard.bring(50));
}

#[test]
fn a_packet_that_is_due_after_the_shard_wakes_by_itself_wakes_nobody() {
    loom::model(|| {
        let shard = Shard::<true>::new();
        let bringer = shard.clone();
        let bringer = thread::spawn(move || bringer.bring(100));
        shard.rest(100);
        bringer.join().expect("nobody panics");
        // Whoever sees the flag up sees until when, too.
        assert_eq!(shard.wake_ups.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn of_all_who_bring_something_one_wakes_the_shard() {
    loom::model(|| {
        let shard = Shard::<true>::new();
        shard.parking.park(Instant(100));
        let bringers: Vec<_> = (0..2)
            .map(|number| {
                let shard = shard.clone();
                thread::spawn(move || if number == 0 { shard.bring(50) } else { shard.publish() })
            })
            .collect();
        bringers.into_iter().for_each(|bringer| bringer.join().expect("nobody panics"));
        assert_eq!(shard.wake_ups.load(Ordering::Relaxed), 1);
        assert!(!shard.parking.is_parked());
    });
}

#[test]
fn a_shard_whose_time_has_come_and_one_who_wakes_it_agree() {
    loom::model(|| {
        let shard = Shard::<true>::new();
        shard.parking.park(Instant(100));
        let bringer = shard.clone();
        let bringer = thread::spawn(move || bringer.bring(50));
        let by_itself = shard.parking.awake();
        bringer.join().expect("nobody panics");
        // Either it woke up by itself, or it was woken; its round finds the packet in both cases.
        assert_eq!(usize::from(by_itself) + shard.wake_ups.load(Ordering::Relaxed), 1);
        assert_eq!(shard.inbox.load(Ordering::Relaxed), 1);
    });
}
