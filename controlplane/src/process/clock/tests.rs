use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn steps_of_more_than_two_seconds_are_told_once() {
    let mut watch = ClockWatch::default();
    assert_eq!(watch.look(s(1000), s(5)), None);
    assert_eq!(watch.look(s(1001), s(6)), None);
    assert_eq!(watch.look(s(1602), s(7)), Some(Jump::Forward(s(600))));
    assert_eq!(watch.look(s(1603), s(8)), None);
    assert_eq!(watch.look(s(1004), s(9)), Some(Jump::Back(s(600))));
    assert_eq!(watch.look(s(1005), s(10)), None);
    // No jump: looks that come late, and a clock that is slewed.
    assert_eq!(watch.look(s(1065), s(70)), None);
    assert_eq!(watch.look(s(1068), s(71)), None);
    assert_eq!(watch.look(s(1067), s(72)), None);
}
