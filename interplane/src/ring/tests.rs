use super::words::mark;
use super::*;
use crate::counter::{Direction, HandshakeState};
use crate::event::{Detail, Peer};
use proptest::prelude::*;

fn event(number: u16) -> Event {
    Event::ShardRescued { shard: number }
}

fn long(number: u16) -> Event {
    Event::HandshakeFailed {
        direction: Direction::Incoming,
        state: HandshakeState::Finalization,
        peer: Peer { id: Some([number as u8; 32]), address: Some("[2001:db8::1]:3219".parse().expect("an address")) },
        detail: Detail::new("x".repeat(usize::from(number % 200))),
    }
}

fn drain(reader: &mut EventReader) -> Vec<(usize, Event)> {
    let mut events = Vec::new();
    reader.drain(|ring, event| events.push((ring, event)));
    events
}

#[test]
fn events_come_out_in_order_and_by_ring() {
    let (rings, fd) = EventRings::create(2).expect("memfds work");
    let mut reader = EventRings::attach(&fd).expect("the memory is sound").reader();
    let (mut zero, mut one, mut process) = (rings.shard(0).expect("0"), rings.shard(1).expect("1"), rings.process());
    assert!(rings.shard(2).is_none());
    // Many times around the ring, with records of many lengths.
    for round in 0..2000 {
        assert!(one.write(&long(round)) && zero.write(&event(round)) && one.write(&event(round)));
        assert!(process.write(&Event::NoDocument));
        let expected = [(0, event(round)), (1, long(round)), (1, event(round)), (2, Event::NoDocument)];
        assert_eq!(drain(&mut reader), expected);
    }
    assert_eq!((reader.damaged(), rings.dropped()), (0, 0));
}

#[test]
fn a_full_ring_drops_and_counts_and_goes_on() {
    let rings = EventRings::heap(1);
    let mut reader = rings.reader();
    let mut writer = rings.shard(0).expect("the shard exists");
    let written = (0..20_000).filter(|number| writer.write(&event(*number))).count();
    assert!(written < 20_000 && written > 2000);
    assert_eq!(rings.dropped(), 20_000 - written as u64);
    let events = drain(&mut reader);
    assert_eq!(events.len(), written);
    assert!(events.iter().enumerate().all(|(at, (_, found))| *found == event(at as u16)));
    assert!(writer.write(&event(1)));
    assert_eq!(drain(&mut reader), [(0, event(1))]);
}

#[test]
fn a_thread_may_read_while_another_writes() {
    let rings = EventRings::heap(1);
    let mut reader = rings.reader();
    let mut writer = rings.shard(0).expect("the shard exists");
    let mut next = 0;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..30_000 {
                while !writer.write(&long(number)) {
                    std::thread::yield_now();
                }
            }
        });
        while next < 30_000 {
            reader.drain(|_, found| {
                assert_eq!(found, long(next));
                next += 1;
            });
        }
    });
    assert_eq!(reader.damaged(), 0);
}

#[test]
fn a_new_writer_goes_on_where_a_crashed_one_stopped() {
    let (rings, fd) = EventRings::create(1).expect("memfds work");
    rings.shard(0).expect("the shard exists").write(&event(1));
    // In the middle of a record: the words are there, the head is not.
    let words = rings.memory.words();
    let ring = ring_of(words, 0);
    ring.record(ring.head().load(Ordering::Relaxed)).store(u64::MAX, Ordering::Relaxed);
    let again = EventRings::attach(&fd).expect("the memory is sound");
    again.shard(0).expect("the shard exists").write(&event(2));
    assert_eq!(drain(&mut rings.reader()), [(0, event(1)), (0, event(2))]);
}

#[test]
fn foreign_memory_is_refused() {
    let (_memory, fd) = SharedMemory::create("other", 1 << 16).expect("memfds work");
    assert!(matches!(EventRings::attach(&fd), Err(MemoryError::Foreign(_))));
    let (rings, fd) = EventRings::create(1).expect("memfds work");
    for shards in [2, 1000, u64::MAX] {
        rings.memory.words()[1].store(shards, Ordering::Relaxed);
        assert!(matches!(EventRings::attach(&fd), Err(MemoryError::Size { .. })));
    }
}

proptest! {
    /// Whatever a crashed or broken writer left: no panic, and the ring works again afterwards.
    #[test]
    fn garbage_is_skipped(
        head in prop_oneof![any::<u64>(), 0..2 * CAPACITY as u64],
        tail in prop_oneof![any::<u64>(), 0..2 * CAPACITY as u64],
        places in prop::collection::vec((0..CAPACITY as u64, any::<u64>()), 0..64),
        marked in prop::collection::vec((0..CAPACITY as u64, any::<u32>()), 0..16),
    ) {
        let rings = EventRings::heap(0);
        let words = rings.memory.words();
        let ring = ring_of(words, 0);
        ring.head().store(head, Ordering::Relaxed);
        ring.tail().store(tail, Ordering::Relaxed);
        for (position, word) in places {
            ring.record(position).store(word, Ordering::Relaxed);
        }
        for (ahead, length) in marked {
            let position = tail.wrapping_add(ahead);
            ring.record(position).store(mark(position, length % 600), Ordering::Relaxed);
        }
        let mut reader = rings.reader();
        drain(&mut reader);
        prop_assert!(reader.damaged() > 0 || head == tail);
        prop_assert!(rings.process().write(&event(9)));
        prop_assert_eq!(drain(&mut reader), [(0, event(9))]);
    }
}
