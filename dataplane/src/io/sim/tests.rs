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

    fn connected(&mut self) -> (ConnId, ConnId) {
        let dialled = self.dialler.connect(address(80));
        self.later(250);
        assert_eq!(self.dialler.next_event(), Some(Event::Connected { conn: dialled }));
        match self.listener.next_event() {
            Some(Event::Accepted { conn, peer }) if peer == address(1) => (dialled, conn),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_take_their_time_and_keep_their_order() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    let mut buffer = [0; 100];
    assert_eq!(pair.listener.recv(theirs, &mut buffer), Recv::WouldBlock);
    for byte in 0..50 {
        assert_eq!(pair.dialler.send(ours, &[byte, byte]), Sent::Bytes(2));
    }
    pair.later(99);
    assert_eq!(pair.listener.next_event(), None);
    pair.later(30);
    assert_eq!(pair.listener.next_event(), Some(Event::Readable { conn: theirs }));
    assert_eq!(pair.listener.recv(theirs, &mut buffer), Recv::Bytes(100));
    assert!(buffer.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 2));
}

#[test]
fn a_full_buffer_stops_the_sender_until_the_receiver_reads() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    let bytes = vec![7; 3 << 20];
    assert_eq!(pair.dialler.send(ours, &bytes), Sent::Bytes(1 << 20));
    assert_eq!(pair.dialler.send(ours, &bytes), Sent::WouldBlock);
    pair.later(10_000);
    assert_eq!(pair.dialler.next_event(), None);
    let mut buffer = [0; 10];
    assert_eq!(pair.listener.recv(theirs, &mut buffer), Recv::Bytes(10));
    assert_eq!(pair.dialler.next_event(), Some(Event::Writable { conn: ours }));
    assert_eq!(pair.dialler.send(ours, &bytes), Sent::Bytes(10));
}

#[test]
fn what_was_sent_before_closing_arrives() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    pair.dialler.send(ours, b"last words");
    pair.dialler.close(ours);
    pair.later(1000);
    let mut buffer = [0; 100];
    assert_eq!(pair.listener.recv(theirs, &mut buffer), Recv::Bytes(10));
    assert_eq!(pair.listener.recv(theirs, &mut buffer), Recv::Closed);
    // Writing to a closed peer is noticed later.
    assert_eq!(pair.listener.send(theirs, b"hello?"), Sent::Bytes(6));
    pair.later(1000);
    assert_eq!(pair.listener.send(theirs, b"hello?"), Sent::Failed);
    pair.listener.close(theirs);
    assert_eq!(pair.network.open_connections(), 0);
    // Old names mean nothing.
    assert_eq!(pair.dialler.recv(ours, &mut buffer), Recv::Failed);
}

#[test]
fn a_cut_is_noticed_on_both_sides() {
    let mut pair = pair();
    let (ours, theirs) = pair.connected();
    assert_eq!(pair.network.cut(pair.hosts[0], pair.hosts[1]), 1);
    assert_eq!(pair.dialler.next_event(), Some(Event::Readable { conn: ours }));
    assert_eq!(pair.listener.recv(theirs, &mut [0]), Recv::Failed);
}

#[test]
fn dials_to_nobody_fail_and_swallowed_ones_hang() {
    let mut pair = pair();
    pair.network.swallow_dials(address(90));
    let refused = pair.dialler.connect(address(81));
    let _hanging = pair.dialler.connect(address(90));
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
    let ours = dialler.connect(address(80));
    dialler.send(ours, b"x");
    network.advance_to(Instant(1_000_000));
    let Some(Event::Accepted { conn, .. }) = shards[0].1.next_event() else { panic!("not accepted") };
    dialler.send(ours, b"hello");
    shards[0].1.hand_over(conn, 1);
    network.advance_to(Instant(2_000_000));
    assert!(network.take_wake_up(shards[1].0));
    let Some(Event::Adopted { conn: adopted, peer }) = shards[1].1.next_event() else { panic!("not adopted") };
    assert_eq!(peer, address(1));
    let mut buffer = [0; 9];
    assert_eq!(shards[1].1.recv(adopted, &mut buffer), Recv::Bytes(5));
    assert_eq!(shards[0].1.recv(conn, &mut buffer), Recv::Failed);
}
