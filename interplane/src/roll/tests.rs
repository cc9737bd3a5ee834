use super::*;

fn report() -> LinkReport {
    LinkReport {
        node: [7; 32],
        direction: Direction::Outgoing,
        shard: 1,
        transport: Some(Transport::Quic),
        state: LinkState::Up,
        may_send: true,
        state_ms: 5,
        last_packet_ms: Some(3),
        queued: 0,
        sealed: 0,
        stalled_ms: None,
        failures: 0,
        all: Passed::default(),
        lately: Passed { packets: 990, too_late: 9, dropped: 0 },
    }
}

#[test]
fn a_roll_comes_back_out_of_its_memory() {
    let roll = Roll(vec![
        report(),
        LinkReport { state: LinkState::Waiting, transport: None, last_packet_ms: None, ..report() },
    ]);
    let file = roll.to_file().unwrap();
    assert_eq!(Roll::open(&file).unwrap(), roll);
    assert!(Roll::open(memory::seal(NAME, &[0xff; 9]).unwrap()).is_err());
}

#[test]
fn a_roll_of_more_links_than_there_can_be_is_refused() {
    let of = |links| Roll(vec![report(); links]);
    assert_eq!(Roll::open(of(LINKS_MAX).to_file().unwrap()).unwrap().0.len(), LINKS_MAX);
    assert!(of(LINKS_MAX + 1).to_file().is_err());
    let encoded = postcard::to_stdvec(&of(LINKS_MAX + 1)).unwrap();
    assert!(Roll::open(memory::seal(NAME, &encoded).unwrap()).is_err());
}

#[test]
fn a_link_is_slow_that_loses_packets_or_takes_nothing() {
    let lossy = |too_late| LinkReport { lately: Passed { packets: 990, too_late, dropped: 0 }, ..report() };
    assert!(!lossy(9).is_slow());
    assert!(lossy(10).is_slow());
    assert!(!LinkReport { stalled_ms: Some(999), ..report() }.is_slow());
    assert!(LinkReport { stalled_ms: Some(1_000), ..report() }.is_slow());
    // Nothing was lost where nothing was sent; and what is not up is not slow.
    assert!(!LinkReport { lately: Passed::default(), ..report() }.is_slow());
    assert!(!LinkReport { state: LinkState::Waiting, ..lossy(900) }.is_slow());
}
