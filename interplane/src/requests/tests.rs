use super::*;
use proptest::prelude::*;

const PAYLOAD: usize = 100;

fn rings(shards: usize) -> (PluginRings, Bell, Bell, OwnedFd) {
    let (rings, fd) = PluginRings::create(shards, PAYLOAD).expect("memfds work");
    (rings, Bell::new().expect("eventfds work"), Bell::new().expect("eventfds work"), fd)
}

fn request(shard: usize, number: u64, payload: &[u8]) -> Request<'_> {
    let (received_at, delay) = (Duration::from_nanos(5 + number), Duration::from_millis(number));
    Request { id: RequestId::new(shard, 3, number), received_at, delay, wants_reply: number.is_multiple_of(2), payload }
}

/// Whether the bell has rung since it was still.
fn has_rung(bell: &Bell) -> bool {
    rustix::io::read(bell, &mut [0; 8]).is_ok()
}

#[test]
fn ids_hold_shard_plugin_and_number() {
    for (shard, plugin, number) in [(0, 0, 0), (63, 4095, u64::MAX >> 24), (1, 2, 3)] {
        let id = RequestId::new(shard, plugin, number);
        assert_eq!((id.shard(), id.plugin(), id.number()), (shard, plugin, number));
    }
    const { assert!(SHARDS_MAX <= 1 << RequestId::SHARD_BITS) };
    assert_eq!(RequestId::new(0, 0, 1 << RequestId::NUMBER_BITS).number(), 0, "the others stay as they are");
}

#[test]
fn requests_go_there_and_answers_come_back() {
    let (ours, there, back, fd) = rings(2);
    let theirs = PluginRings::attach(&fd).expect("the memory is sound");
    assert_eq!(theirs.shards(), 2);
    assert!(theirs.shard(2, there.clone()).is_none());
    let mut shards = [0, 1].map(|shard| theirs.shard(shard, there.clone()).expect("it is one of two"));
    let (mut requests, mut answers) = (ours.requests(), ours.answers(back));
    for number in 0..5000 {
        let payload = vec![number as u8; number as usize % (PAYLOAD + 1)];
        for (at, shard) in shards.iter_mut().enumerate() {
            assert!(shard.ask(&request(at, number, &payload)));
        }
        let mut seen = Vec::new();
        let is_more = requests.take(10, |found| {
            assert_eq!(found, request(found.id.shard(), number, &payload));
            seen.push(found.id);
        });
        assert!(!is_more);
        assert_eq!(seen, [RequestId::new(0, 3, number), RequestId::new(1, 3, number)]);
        for id in seen {
            assert!(answers.give(id, &payload));
        }
        for (at, shard) in shards.iter_mut().enumerate() {
            assert!(shard.has_answers());
            let mut count = 0;
            shard.answers(10, |id, found| {
                assert_eq!((id, found), (RequestId::new(at, 3, number), &payload[..]));
                count += 1;
            });
            assert_eq!((count, shard.has_answers()), (1, false));
        }
    }
}

#[test]
fn what_is_full_or_too_long_is_refused() {
    let (rings, there, back, _fd) = rings(1);
    let (mut requests, mut answers) = (rings.requests(), rings.answers(back));
    let mut shard = rings.shard(0, there).expect("it is there");
    let payload = [7; PAYLOAD + 1];
    assert!(!shard.ask(&request(0, 1, &payload)) && !answers.give(RequestId::new(0, 1, 1), &payload));
    assert!(!answers.give(RequestId::new(1, 1, 1), &payload[1..]), "there is no such shard");
    let asked = (0..10_000).take_while(|number| shard.ask(&request(0, *number, &payload[1..]))).count();
    assert!((RECORDS..10_000).contains(&asked), "{asked}");
    let mut read = 0;
    while requests.take(100, |_| read += 1) {}
    assert_eq!(read, asked);
    assert!(shard.ask(&request(0, 1, &payload[1..])));
    let answered = (0..10_000).take_while(|number| answers.give(RequestId::new(0, 1, *number), &payload[1..])).count();
    assert!((RECORDS..10_000).contains(&answered), "{answered}");
}

#[test]
fn a_bell_rings_once_for_a_sleeper_and_never_for_others() {
    let (rings, there, back, _fd) = rings(2);
    let mut shards = [0, 1].map(|shard| rings.shard(shard, there.clone()).expect("it is there"));
    let (mut requests, mut answers) = (rings.requests(), rings.answers(back.clone()));
    assert!(shards[1].ask(&request(1, 1, b"awake")));
    assert!(!has_rung(&there), "nobody sleeps");
    assert!(!requests.fall_asleep(), "there is something to read");
    requests.take(10, |_| ());
    assert!(requests.fall_asleep());
    for _ in 0..3 {
        assert!(shards[0].ask(&request(0, 1, b"asleep")));
    }
    assert!(has_rung(&there) && !has_rung(&there));
    requests.take(10, |_| ());

    assert!(shards[0].fall_asleep());
    assert!(answers.give(RequestId::new(1, 0, 0), b"the other shard is awake"));
    assert!(!has_rung(&back));
    assert!(answers.give(RequestId::new(0, 0, 0), b"asleep"));
    assert!(has_rung(&back));
    assert!(!shards[0].fall_asleep());
    assert!(rings.has_answers(0) && !rings.has_answers(2));
}

#[test]
fn foreign_memory_is_refused() {
    let (_memory, fd) = SharedMemory::create("other", 1 << 16).expect("memfds work");
    assert!(matches!(PluginRings::attach(&fd), Err(MemoryError::Foreign(_))));
    let (rings, fd) = PluginRings::create(1, PAYLOAD).expect("memfds work");
    for (at, value) in [(1, 2), (1, u64::MAX), (2, 1 << 20), (2, u64::MAX)] {
        let before = rings.memory.words()[at].swap(value, Ordering::Relaxed);
        assert!(matches!(PluginRings::attach(&fd), Err(MemoryError::Size { .. })));
        rings.memory.words()[at].store(before, Ordering::Relaxed);
    }
    assert!(PluginRings::attach(&fd).is_ok());
}

proptest! {
    /// Whatever the other process left: no panic, and the rings work again afterwards.
    #[test]
    fn garbage_is_skipped(
        head in any::<u64>(),
        places in prop::collection::vec((0..10_000_u64, any::<u64>()), 0..64),
        lengths in prop::collection::vec(0..200_u32, 0..16),
    ) {
        let (rings, there, back, _fd) = rings(1);
        let mut requests = rings.requests();
        let mut shard = rings.shard(0, there).expect("it is there");
        drop(back);
        for ring in [rings.requests_of(0), rings.answers_of(0)] {
            ring.head().store(head, Ordering::Relaxed);
            places.iter().for_each(|(at, word)| ring.record(*at).store(*word, Ordering::Relaxed));
            for (at, length) in lengths.iter().enumerate() {
                ring.record(at as u64).store(crate::ring::words::mark(at as u64, *length), Ordering::Relaxed);
            }
        }
        while requests.take(100, |_| ()) {}
        while shard.has_answers() {
            shard.answers(100, |_, _| ());
        }
        prop_assert!(shard.ask(&request(0, 9, b"again")));
        let mut found = 0;
        requests.take(100, |request| found += u64::from(request.payload == b"again"));
        prop_assert_eq!(found, 1);
    }
}
