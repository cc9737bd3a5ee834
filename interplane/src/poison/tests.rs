use super::*;

fn tags(from: u8, count: u8) -> Vec<[u8; 32]> {
    (from..from + count).map(|number| [number; 32]).collect()
}

#[test]
fn what_was_in_flight_is_found_in_another_mapping() {
    let (data, fd) = InFlight::create(3).expect("memfds work");
    let control = InFlight::attach(&fd).expect("the memory is sound");
    let (mut zero, mut two) = (data.shard(0).expect("0"), data.shard(2).expect("2"));
    assert!(data.shard(3).is_none());
    assert!(control.take().is_empty());
    zero.begin(&tags(1, 32));
    two.begin(&tags(100, 3));
    assert_eq!(control.take(), [tags(1, 32), tags(100, 3)].concat());
    assert!(control.take().is_empty());
    zero.begin(&tags(1, 2));
    zero.end();
    two.begin(&tags(0, 40));
    assert_eq!(control.take(), tags(0, 32));
}

#[test]
fn broken_memory_gives_no_more_than_a_batch_per_shard() {
    let (data, fd) = InFlight::create(2).expect("memfds work");
    for word in data.memory.words().iter().skip(HEADER_WORDS) {
        word.store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(InFlight::attach(&fd).expect("the header is sound").take().len(), 2 * BATCH_PACKETS_MAX);
    data.memory.words()[1].store(3, Ordering::Relaxed);
    assert!(matches!(InFlight::attach(&fd), Err(MemoryError::Size { .. })));
    data.memory.words()[0].store(3, Ordering::Relaxed);
    assert!(matches!(InFlight::attach(&fd), Err(MemoryError::Foreign(_))));
}

#[test]
fn two_crashes_in_short_order_make_suspects() {
    let at = Duration::from_secs;
    let mut suspects = Suspects::default();
    suspects.crashed(at(100), tags(1, 3));
    assert!(suspects.refused().is_empty());
    suspects.crashed(at(200), tags(10, 2));
    assert!(suspects.refused().is_empty());
    suspects.crashed(at(210), tags(11, 2));
    assert_eq!(suspects.refused(), tags(10, 3));
    // A third crash right after adds its own; nothing is listed twice.
    suspects.crashed(at(211), tags(12, 2));
    assert_eq!(suspects.refused(), tags(10, 4));
    suspects.crashed(at(500), tags(50, 2));
    assert_eq!(suspects.refused(), tags(10, 4));
}

#[test]
fn the_list_of_suspects_is_bounded() {
    let mut suspects = Suspects::default();
    for number in 0..5000u32 {
        let mut tag = [0; 32];
        tag[..4].copy_from_slice(&number.to_le_bytes());
        suspects.crashed(Duration::from_secs(1), vec![tag]);
    }
    assert_eq!(suspects.refused().len(), REFUSED_TAGS_MAX);
    assert_eq!(suspects.refused().last().map(|tag| tag[0]), Some(4999u32.to_le_bytes()[0]));
}
