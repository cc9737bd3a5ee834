//! Every order in which threads can meet in a set, as `loom` goes through them, weak memory included.

use super::{Slot, contains, insert};
use crate::replay::Insert;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

impl Slot for AtomicU64 {
    fn found(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn claim(&self, fingerprint: u64) -> Result<(), u64> {
        self.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }
}

/// What a driver without compare-and-swap would do: the tests must notice.
struct Torn(AtomicU64);

impl Slot for Torn {
    fn found(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn claim(&self, fingerprint: u64) -> Result<(), u64> {
        self.0.store(fingerprint, Ordering::Relaxed);
        Ok(())
    }
}

fn slots<S>(count: usize, slot: impl Fn(u64) -> S) -> Arc<Vec<S>> {
    Arc::new((0..count).map(|_| slot(0)).collect())
}

/// Inserts each fingerprint on a thread of its own; what each was told.
fn insert_at_once<S: Slot + Send + Sync + 'static>(slots: &Arc<Vec<S>>, fingerprints: &[u64]) -> Vec<Insert> {
    let threads: Vec<_> = fingerprints
        .iter()
        .map(|fingerprint| {
            let (slots, fingerprint) = (slots.clone(), *fingerprint);
            thread::spawn(move || insert(slots.iter(), fingerprint))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no insertion panics")).collect()
}

fn count(told: &[Insert], what: Insert) -> usize {
    told.iter().filter(|answer| **answer == what).count()
}

#[test]
fn of_two_shards_with_one_tag_exactly_one_is_the_first() {
    loom::model(|| {
        let slots = slots(2, AtomicU64::new);
        let told = insert_at_once(&slots, &[7, 7]);
        assert_eq!((count(&told, Insert::New), count(&told, Insert::Seen)), (1, 1));
        assert_eq!((slots[0].found(), slots[1].found()), (7, 0), "one slot, not two");
    });
}

#[test]
fn a_tag_between_others_is_the_first_only_once() {
    loom::model(|| {
        let slots = slots(3, AtomicU64::new);
        let told = insert_at_once(&slots, &[7, 8, 7]);
        assert_eq!(told[1], Insert::New);
        assert_eq!(count(&[told[0], told[2]], Insert::New), 1, "{told:?}");
        let mut held: Vec<u64> = slots.iter().map(Slot::found).collect();
        held.sort_unstable();
        assert_eq!(held, [0, 7, 8]);
    });
}

#[test]
fn a_set_without_room_takes_no_more_than_it_has_slots() {
    loom::model(|| {
        let slots = slots(1, AtomicU64::new);
        let told = insert_at_once(&slots, &[7, 8]);
        assert_eq!((count(&told, Insert::New), count(&told, Insert::Full)), (1, 1));
    });
}

#[test]
fn a_look_sees_what_was_inserted_before_it_and_never_more() {
    loom::model(|| {
        let slots = slots(2, AtomicU64::new);
        let shared = slots.clone();
        let looker = thread::spawn(move || {
            let early = contains(shared.iter(), 7);
            (early, contains(shared.iter(), 7), contains(shared.iter(), 9))
        });
        assert_eq!(insert(slots.iter(), 8), Insert::New);
        assert_eq!(insert(slots.iter(), 7), Insert::New);
        let (early, later, stranger) = looker.join().expect("no look panics");
        assert!(later || !early, "what was seen once stays");
        assert!(!stranger);
        assert!(contains(slots.iter(), 7) && contains(slots.iter(), 8));
    });
}

#[test]
fn a_look_before_an_insertion_does_not_decide() {
    // Two shards look first, as a shard does before its public-key work, and insert afterwards whatever they saw.
    loom::model(|| {
        let slots = slots(2, AtomicU64::new);
        let unwrap = |slots: &[AtomicU64]| {
            let known = contains(slots.iter(), 7);
            (known, insert(slots.iter(), 7))
        };
        let shared = slots.clone();
        let other = thread::spawn(move || unwrap(&shared));
        let (known, told) = unwrap(&slots);
        let (other_known, other_told) = other.join().expect("no insertion panics");
        assert_eq!(count(&[told, other_told], Insert::New), 1);
        assert!(!known || told == Insert::Seen);
        assert!(!other_known || other_told == Insert::Seen);
    });
}

#[test]
#[should_panic(expected = "exactly one")]
fn without_compare_and_swap_two_shards_are_both_the_first() {
    loom::model(|| {
        let slots = slots(2, |empty| Torn(AtomicU64::new(empty)));
        let told = insert_at_once(&slots, &[7, 7]);
        assert_eq!(count(&told, Insert::New), 1, "exactly one");
    });
}
