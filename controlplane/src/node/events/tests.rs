use super::*;
use interplane::counter::{HandshakeState, PeerRefusal};
use interplane::event::Detail;

fn lines_of(events: impl Fn(u64) -> Event, per_second: u64, seconds: u64) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Debug, &path).unwrap();
    let mut scribe = Scribe { throttle: Throttle::default(), log: log.clone() };
    for number in 0..per_second * seconds {
        let now = Duration::from_micros(number * 1_000_000 / per_second);
        scribe.take(&events(number), now);
        scribe.sum_up(now);
    }
    scribe.sum_up(Duration::from_secs(seconds + 60));
    assert!(log.flush(Duration::from_secs(30)));
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn strangers_write_a_few_lines_a_second_and_the_rest_is_counted() {
    let garbage = |_| Event::HandshakeFailed {
        direction: Direction::Incoming,
        state: HandshakeState::ALL[0],
        peer: Peer::default(),
        detail: Detail::new("garbage"),
    };
    // Each with an identity of its own, as listed peers that are not wanted.
    let refused = |number: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Event::PeerRefused { reason: PeerRefusal::ALL[0], peer: Peer { id: Some(id), address: None } }
    };
    let keys = |_| Event::LinkKeyMismatch { peer: Peer::default() };
    for events in [&garbage as &dyn Fn(u64) -> Event, &refused, &keys] {
        let lines = lines_of(events, 5000, 20);
        assert!(lines.len() <= 40, "{} lines in 20 s", lines.len());
        let more: u64 = lines
            .iter()
            .filter_map(|line| line.split_once("and ")?.1.split_once(" more in ")?.0.parse::<u64>().ok())
            .sum();
        let written = lines.iter().filter(|line| !line.contains(" more in ")).count() as u64;
        assert_eq!(written + more, 100_000);
    }
}

#[test]
fn a_network_that_comes_up_at_once_is_written_whole() {
    let up = |number: u64| {
        let peer = Peer { id: Some([number as u8; 32]), address: None };
        Event::LinkUp { direction: Direction::Outgoing, peer }
    };
    assert_eq!(lines_of(up, 250, 1).len(), 250);
}
