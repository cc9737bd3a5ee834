use super::*;

fn at(seconds: u64) -> Instant {
    Instant::default() + Duration::from_secs(seconds)
}

#[test]
fn what_is_long_ago_does_not_count_as_lately() {
    let mut tally = Tally::new(at(0));
    assert_eq!((tally.all(), tally.last_packet(at(9))), (Passed::default(), None));
    tally.passed(5, at(1));
    tally.passed(0, at(2));
    tally.too_late(at(3));
    assert_eq!(tally.lately(at(4)), Passed { packets: 5, too_late: 1, dropped: 0 });
    assert_eq!(tally.last_packet(at(4)), Some(Duration::from_secs(3)));
    tally.dropped(at(31));
    assert_eq!(tally.lately(at(32)), Passed { packets: 5, too_late: 1, dropped: 1 });
    assert_eq!(tally.lately(at(61)), Passed { packets: 0, too_late: 0, dropped: 1 });
    assert_eq!(tally.lately(at(91)), Passed::default());
    tally.passed(1, at(100));
    assert_eq!(tally.lately(at(100)), Passed { packets: 1, too_late: 0, dropped: 0 });
    tally.too_late(at(101));
    tally.came_up(at(102));
    assert_eq!(tally.lately(at(103)), Passed::default());
    assert_eq!(tally.all(), Passed { packets: 6, too_late: 2, dropped: 1 });
}
