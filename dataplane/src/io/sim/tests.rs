use super::*;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

struct Pair {
    network: Network,
    dialler: SimIo,
    listener: SimIo,
    hosts: [HostId; 2],
}

fn pair() -> Pair {
    let network = Network::new([1; 32], Duration::from_secs(1000));
    let mut dialler = network.add_process(1, address(1));
    let mut listener = network.add_process(2, address(2));
    network.listen(listener[0].0, address(80));
    let hosts = [dialler[0].0, listener[0].0];
    Pair { network, dialler: dialler.remove(0).1, listener: listener.remove(0).1, hosts }
}

impl Pair {
    fn later(&self, us: u64) {
        self.network.advance_to(self.network.now() + Duration::from_micros(us));
    }

    fn received(&mut self, conn: ConnId, bytes_max: usize) -> Vec<u8> {
        match self.listener.recv(conn, bytes_max) {
            Received::Bytes { bytes, .. } => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn connected(&mut self) -> (ConnId, ConnId) {
        let dialled = self.dialler.connect(Target::tcp(address(80)));
        self.later(250);
        assert_eq!(self.dialler.next_event(), Some(Event::Connected { conn: dialled }));
        // Of connections that were closed before, something may still be said.
        let accepted =
            std::iter::from_fn(|| self.listener.next_event()).find(|event| !matches!(event, Event::Readable { .. }));
        match accepted {
            Some(Event::Accepted { conn, peer }) if peer == address(1) => (dialled, conn),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_take_their_time_and_keep_their_order() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    assert_eq!(pair.listener.recv(theirs, 100), Received::WouldBlock);
    for byte in 0..50 {
        pair.dialler.send(ours, vec![byte, byte]);
        assert_eq!(pair.dialler.next_event(), Some(Event::Sent { conn: ours, buffer: vec![byte, byte], taken: 2 }));
    }
    pair.later(99);
    assert_eq!(pair.listener.next_event(), None);
    pair.later(30);
    assert_eq!(pair.listener.next_event(), Some(Event::Readable { conn: theirs }));
    assert_eq!(pair.received(theirs, 200), (0..100).map(|at| at / 2).collect::<Vec<_>>());
}

#[test]
fn a_full_buffer_stops_the_sender_until_the_receiver_reads() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    let bytes = vec![7; (1 << 20) + 15];
    pair.dialler.send(ours, bytes.clone());
    let begin = pair.network.now();
    pair.later(10_000);
    assert_eq!(pair.dialler.next_event(), None);
    assert_eq!(pair.dialler.sending(ours), Some(Sending { taken: 1 << 20, progress_at: begin }));
    assert_eq!(pair.received(theirs, 10).len(), 10);
    let progress = Sending { taken: (1 << 20) + 10, progress_at: pair.network.now() };
    assert_eq!((pair.dialler.next_event(), pair.dialler.sending(ours)), (None, Some(progress)));
    assert_eq!(pair.received(theirs, 10).len(), 10);
    assert!(pair.dialler.sending(ours).is_some(), "until it is fetched");
    let taken = bytes.len();
    assert_eq!(pair.dialler.next_event(), Some(Event::Sent { conn: ours, buffer: bytes, taken }));
    assert_eq!(pair.dialler.sending(ours), None);
}

#[test]
fn of_a_lost_connection_the_buffer_comes_back_unless_it_is_closed() {
    let mut pair = pair();
    for closes in [false, true] {
        let (ours, _) = pair.connected();
        let buffer = vec![7; (1 << 20) + 1];
        pair.dialler.send(ours, buffer.clone());
        if closes {
            assert_eq!(pair.dialler.close(ours), 1 << 20);
        }
        pair.network.cut(pair.hosts[0], pair.hosts[1]);
        let events: Vec<_> = std::iter::from_fn(|| pair.dialler.next_event()).collect();
        let lost = [Event::Readable { conn: ours }, Event::Sent { conn: ours, buffer, taken: 1 << 20 }];
        assert_eq!(events, if closes { Vec::new() } else { Vec::from(lost) });
    }
}

#[test]
fn what_was_sent_before_closing_arrives() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    pair.dialler.send(ours, b"last words".to_vec());
    assert_eq!(pair.dialler.close(ours), 10);
    pair.later(1000);
    assert_eq!(pair.received(theirs, 100), b"last words");
    assert_eq!(pair.listener.recv(theirs, 100), Received::Closed);
    // Writing to a closed peer is noticed later.
    let hello = b"hello?".to_vec();
    pair.listener.send(theirs, hello.clone());
    assert_eq!(pair.listener.next_event(), Some(Event::Sent { conn: theirs, buffer: hello.clone(), taken: 6 }));
    pair.later(1000);
    assert_eq!(pair.listener.next_event(), Some(Event::Readable { conn: theirs }));
    pair.listener.send(theirs, hello.clone());
    assert_eq!(pair.listener.next_event(), Some(Event::Sent { conn: theirs, buffer: hello, taken: 0 }));
    pair.listener.close(theirs);
    assert_eq!(pair.network.open_connections(), 0);
    // Old names mean nothing.
    assert_eq!(pair.dialler.recv(ours, 1), Received::Failed);
}

#[test]
fn a_cut_is_noticed_on_both_sides() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    assert_eq!(pair.network.cut(pair.hosts[0], pair.hosts[1]), 1);
    assert_eq!(pair.dialler.next_event(), Some(Event::Readable { conn: ours }));
    assert_eq!(pair.listener.recv(theirs, 1), Received::Failed);
}

#[test]
fn dials_to_nobody_fail_and_swallowed_ones_hang() {
    let mut pair = pair();
    pair.network.swallow_dials(address(90));
    let refused = pair.dialler.connect(Target::tcp(address(81)));
    let _hanging = pair.dialler.connect(Target::tcp(address(90)));
    pair.later(1_000_000);
    let failed = Event::ConnectFailed { conn: refused, failure: ConnectFailure::Refused };
    assert_eq!(pair.dialler.next_event(), Some(failed));
    assert_eq!(pair.dialler.next_event(), None);
}

#[test]
fn a_connection_can_be_handed_over() {
    let network = Network::new([1; 32], Duration::ZERO);
    let (_, mut dialler) = network.add_process(1, address(1)).remove(0);
    let mut shards = network.add_process(2, address(2));
    network.listen(shards[0].0, address(80));
    let ours = dialler.connect(Target::tcp(address(80)));
    dialler.send(ours, b"x".to_vec());
    network.advance_to(Instant(1_000_000));
    let Some(Event::Accepted { conn, .. }) = shards[0].1.next_event() else { panic!("not accepted") };
    assert!(matches!(dialler.next_event(), Some(Event::Connected { .. })));
    dialler.send(ours, b"hello".to_vec());
    assert!(shards[0].1.hand_over(conn, 1));
    network.advance_to(Instant(2_000_000));
    assert!(network.take_wake_up(shards[1].0));
    let Some(Event::Adopted { conn: adopted, peer }) = shards[1].1.next_event() else { panic!("not adopted") };
    assert_eq!(peer, address(1));
    let at = network.now();
    assert_eq!(shards[1].1.recv(adopted, 9), Received::Bytes { bytes: &mut b"hello".to_vec(), at });
    assert_eq!(shards[0].1.recv(conn, 9), Received::Failed);
}

#[test]
fn ended_connections_leave_nothing_behind() {
    let mut pair = pair();
    let mut most = Holdings::default();
    for round in 0..100 {
        let (ours, theirs) = pair.connected();
        pair.dialler.send(ours, vec![1; 1000]);
        match round % 3 {
            0 => drop(pair.network.cut(pair.hosts[0], pair.hosts[1])),
            1 => drop(pair.dialler.close(ours)),
            _ => pair.network.crash(pair.hosts[0]),
        }
        pair.later(1000);
        pair.dialler.close(ours);
        pair.listener.close(theirs);
        pair.later(1000);
        while pair.dialler.next_event().is_some() || pair.listener.next_event().is_some() {}
        let holdings = pair.network.holdings();
        if round < 3 {
            most = holdings;
        }
        assert_eq!((holdings, pair.network.open_connections()), (most, 0), "round {round}");
    }
    assert_eq!((most.connections, most.names, most.agenda), (1, 2, 0));
}

#[test]
fn a_stalled_connection_goes_on_later() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    let until = pair.network.now() + Duration::from_secs(1);
    assert_eq!(pair.network.stall(pair.hosts[1], pair.hosts[0], until), 1);
    pair.dialler.send(ours, b"late".to_vec());
    pair.later(999_000);
    assert_eq!(pair.listener.recv(theirs, 9), Received::WouldBlock);
    pair.later(2000);
    assert_eq!(pair.received(theirs, 9), b"late");
}

#[test]
fn a_crashed_host_knows_nothing_and_the_others_hear_of_it() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    let dialling = pair.dialler.connect(Target::tcp(address(80)));
    assert_eq!(pair.listener.recv(theirs, 9), Received::WouldBlock);
    pair.network.crash(pair.hosts[0]);
    pair.later(1000);
    assert_eq!(pair.listener.next_event(), Some(Event::Readable { conn: theirs }));
    assert_eq!(pair.listener.recv(theirs, 9), Received::Failed);
    assert_eq!(pair.listener.next_event(), None);
    assert_eq!(pair.dialler.recv(ours, 9), Received::Failed);
    assert_eq!(pair.dialler.next_event(), None);
    let again = pair.dialler.connect(Target::tcp(address(80)));
    assert!(again != ours && again != dialling, "names are never used twice");
}
