use super::*;
use std::collections::BTreeSet;

#[test]
fn names_and_cells_are_unique() {
    let names: BTreeSet<_> = Family::ALL.iter().map(|family| family.name()).collect();
    assert_eq!(names.len(), Family::ALL.len());
    let mut series = BTreeSet::new();
    let mut cells = Vec::new();
    for family in Family::ALL {
        assert!(!family.help().is_empty());
        for combination in 0..family.combinations() {
            assert!(series.insert((family.name(), family.label_values(combination))), "{family:?} {combination}");
            cells.extend(Counter::of(*family, combination).map(Counter::cell));
        }
    }
    assert_eq!(cells, (0..CELLS).collect::<Vec<_>>());
}

#[test]
fn typed_handles_meet_their_labels() {
    let counters = Counters::heap(1);
    let shard = counters.shard(0).expect("there is one shard");
    let check = |counter: Counter, family: Family, labels: &[&str]| {
        let before = counters.total(counter);
        shard.increment(counter);
        let found = (0..family.combinations()).find(|at| family.label_values(*at) == labels).expect("the labels exist");
        let cell = Counter::of(family, found).next().expect("a family has cells");
        assert_eq!(cell, counter, "{family:?} {labels:?}");
        assert_eq!(counters.total(cell), before + 1);
    };
    for reason in DropReason::ALL {
        check(Counter::dropped(*reason), Family::Dropped, &[reason.label()]);
    }
    for request in Request::ALL {
        check(Counter::request(*request), Family::Requests, &[request.label()]);
    }
    for direction in Direction::ALL {
        for state in HandshakeState::ALL {
            let labels = [direction.label(), state.label()];
            check(Counter::handshake_failure(*direction, *state), Family::HandshakeFailures, &labels);
        }
        for outcome in Outcome::ALL {
            let (cell, _) = Histogram::handshake_us(*direction, *outcome).cells(0);
            check(cell, Family::HandshakeDuration, &[direction.label(), outcome.label()]);
        }
    }
    check(Counter::queued(Queue::Wheel), Family::Queued, &["wheel"]);
    check(Counter::dial_failure(DialFailure::Dns), Family::DialFailures, &["dns"]);
    check(Counter::UNWRAPS, Family::Unwraps, &[]);
}

#[test]
fn histograms_put_values_into_their_buckets() {
    let counters = Counters::heap(1);
    let shard = counters.shard(0).expect("there is one shard");
    for value in [0, 16, 17, 1 << 23, u64::from(u32::MAX)] {
        shard.observe(Histogram::LATENESS_US, value);
    }
    let cells: Vec<_> = Counter::of(Family::Lateness, 0).map(|cell| counters.total(cell)).collect();
    assert_eq!(cells[..2], [2, 1]);
    assert_eq!(cells[cells.len() - 3..], [1, 1, 33 + (1 << 23) + u64::from(u32::MAX)]);
    shard.observe(Histogram::MIX_QUEUE, 7);
    let summary: Vec<_> = Counter::of(Family::MixQueue, 0).map(|cell| counters.total(cell)).collect();
    assert_eq!(summary, [1, 7]);
}

#[test]
fn two_mappings_see_the_same_rows() {
    let (writer, fd) = Counters::create(3).expect("memfds work");
    let reader = Counters::attach(&fd).expect("the memory is sound");
    assert_eq!(reader.shards(), 3);
    for shard in 0..3 {
        writer.shard(shard).expect("the shard exists").add(Counter::RECEIVED, shard as u64 + 1);
    }
    writer.process().add(Counter::RECEIVED, 10);
    assert!(writer.shard(3).is_none());
    assert_eq!([0, 1, 2, 3, 4].map(|row| reader.get(row, Counter::RECEIVED)), [1, 2, 3, 10, 0]);
    assert_eq!(reader.total(Counter::RECEIVED), 16);
}

#[test]
fn foreign_and_short_memory_is_refused() {
    let (_memory, fd) = SharedMemory::create("other", 1 << 16).expect("memfds work");
    assert!(matches!(Counters::attach(&fd), Err(MemoryError::Foreign(_))));
    let (memory, fd) = SharedMemory::create("short", 4096).expect("memfds work");
    for (word, value) in memory.words().iter().zip([MAGIC, CELLS as u64, 200]) {
        word.store(value, Ordering::Relaxed);
    }
    assert!(matches!(Counters::attach(&fd), Err(MemoryError::Size { .. })));
    memory.words()[2].store(u64::MAX, Ordering::Relaxed);
    assert!(matches!(Counters::attach(&fd), Err(MemoryError::Size { .. })));
    assert!(Counters::create(SHARDS_MAX + 1).is_err());
}

#[test]
fn reasons_feed_the_reference_counters() {
    let counters = Counters::heap(2);
    for (shard, reason) in
        [(0, DropReason::Replay), (1, DropReason::UnwrapFailed), (0, DropReason::OutgoingSendDeadlineBlown)]
    {
        counters.shard(shard).expect("the shard exists").dropped(reason);
    }
    assert_eq!(counters.total_also(Also::Packets), 3);
    assert_eq!(counters.total_also(Also::Replayed), 1);
    assert_eq!(counters.total_also(Also::DeadlineBlown), 1);
    assert_eq!(counters.total_also(Also::RateLimit), 0);
}

#[test]
fn packets_of_a_crashed_data_plane_are_lost_and_the_account_balances() {
    let counters = Counters::heap(2);
    let shard = counters.shard(0).expect("the shard exists");
    shard.add(Counter::RECEIVED, 100);
    shard.add(Counter::originated(Origin::Decoy), 5);
    shard.add(Counter::SENT, 60);
    shard.add(Counter::delivered(Destination::Decoy), 4);
    shard.dropped(DropReason::Replay);
    shard.set(Counter::HELD, 39);
    shard.set(Counter::PARKED, 1);
    assert_eq!(counters.account_total().difference(), 1);
    assert_eq!(counters.settle_after_crash(), 40);
    let account = counters.account_total();
    assert_eq!((account.held, account.lost_in_restart, account.difference()), (0, 40, 0));
    assert_eq!(counters.total(Counter::PARKED), 0);
    assert_eq!(counters.settle_after_crash(), 0);
}
