use super::*;

fn segment(number: u16) -> Segment {
    let mut segment = [7; 64];
    segment[..2].copy_from_slice(&number.to_le_bytes());
    segment
}

fn counts(counts: &LoopCounts, epoch: u64) -> Vec<(u16, u64, u64)> {
    let mut found: Vec<_> = (counts.read(Epoch(epoch)).iter())
        .map(|count| (u16::from_le_bytes([count.segment[0], count.segment[1]]), count.sent, count.completed))
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn counts_are_kept_by_epoch_and_segment_for_eight_epochs() {
    let (ours, fd) = LoopCounts::create().expect("memfds work");
    let theirs = LoopCounts::attach(&fd).expect("the memory is sound");
    let mut writer = theirs.writer();
    for epoch in 100..108 {
        for number in 0..3 {
            (0..=number).for_each(|_| writer.sent(Epoch(epoch), &segment(number)));
        }
        writer.completed(Epoch(epoch), &segment(2));
    }
    assert_eq!(counts(&ours, 104), [(0, 1, 0), (1, 2, 0), (2, 3, 1)]);
    assert_eq!(ours.epochs(), (100..108).map(Epoch).collect::<Vec<_>>());
    writer.sent(Epoch(108), &segment(9));
    assert_eq!((counts(&ours, 108), counts(&ours, 100)), (vec![(9, 1, 0)], Vec::new()));
    // What comes back later than that is not counted anywhere.
    writer.completed(Epoch(100), &segment(1));
    assert_eq!(counts(&ours, 108), [(9, 1, 0)]);
    assert_eq!(ours.epochs().first(), Some(&Epoch(101)));
    // Another writer goes on.
    drop(writer);
    let mut writer = ours.writer();
    writer.completed(Epoch(104), &segment(2));
    writer.sent(Epoch(104), &segment(3));
    assert_eq!(counts(&ours, 104), [(0, 1, 0), (1, 2, 0), (2, 3, 2), (3, 1, 0)]);
}

/// The rule of server.md 7.4 with its quirk.
#[test]
fn ratios_are_those_of_the_reference() {
    let ratio = |sent, completed| SegmentCount { segment: segment(0), sent, completed }.ratio();
    assert_eq!([ratio(4, 3), ratio(4, 4), ratio(4, 5), ratio(4, 0)], [0.75, 1.0, 1.25, 1.0]);
}

#[test]
fn a_full_epoch_and_foreign_memory() {
    let (counts, fd) = LoopCounts::create().expect("memfds work");
    let mut writer = counts.writer();
    for number in 0..SEGMENTS_MAX as u16 + 10 {
        writer.sent(Epoch(5), &segment(number));
    }
    assert_eq!(counts.read(Epoch(5)).len(), SEGMENTS_MAX);
    counts.memory.words()[HEADER_WORDS + 5 * REGION_WORDS + 1].store(u64::MAX, Ordering::Relaxed);
    assert_eq!(LoopCounts::attach(&fd).expect("still ours").read(Epoch(5)).len(), SEGMENTS_MAX);
    let (_memory, fd) = SharedMemory::create("other", 4096).expect("memfds work");
    assert!(matches!(LoopCounts::attach(&fd), Err(MemoryError::Foreign(_))));
}
