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
fn what_was_in_flight_at_two_crashes_is_refused_and_bystanders_are_not() {
    let mut suspects = Suspects::default();
    suspects.crashed(tags(10, 5));
    assert!(suspects.refused().is_empty());
    // Others beside it, and some other crash in between.
    suspects.crashed(tags(50, 3));
    suspects.crashed([tags(12, 1), tags(100, 20)].concat());
    assert_eq!(suspects.refused(), tags(12, 1));
    // Two that take turns.
    suspects.crashed(tags(51, 1));
    assert_eq!(suspects.refused(), [tags(12, 1), tags(51, 1)].concat());
    // Nothing is listed twice, and two copies in one batch are one crash.
    suspects.crashed([tags(12, 1), tags(200, 1), tags(200, 1)].concat());
    assert_eq!(suspects.refused(), [tags(12, 1), tags(51, 1)].concat());
}

#[test]
fn the_lists_of_suspects_are_bounded() {
    let tag = |number: u32| {
        let mut tag = [0; 32];
        tag[..4].copy_from_slice(&number.to_le_bytes());
        tag
    };
    let mut suspects = Suspects::default();
    let many = SUSPECTS_MAX as u32 + 5000;
    (0..many)
        .collect::<Vec<_>>()
        .chunks(1000)
        .for_each(|part| suspects.crashed(part.iter().map(|n| tag(*n)).collect()));
    assert_eq!(suspects.once.len(), SUSPECTS_MAX);
    for number in many - 5000..many {
        suspects.crashed(vec![tag(number)]);
    }
    assert_eq!(suspects.refused().len(), REFUSED_TAGS_MAX);
    assert_eq!(suspects.refused().last(), Some(&tag(many - 1)));
}
