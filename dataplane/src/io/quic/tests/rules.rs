//! The rules of `Io`, for connections over QUIC.

use super::net::{Io, common};
use crate::io::quic::QuicIo;
use crate::io::sim::Network;
use crate::io::{ConnId, Event, Io as _, Received, Target};
use crate::shard::Next;
use crate::time::Instant;
use datagram::Datagrams as _;
use std::net::SocketAddr;
use std::time::Duration;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, port as u8], port))
}

struct Pair {
    network: Network,
    dialler: Io,
    listener: Io,
    events: [Vec<Event>; 2],
}

impl Pair {
    fn new() -> Self {
        let network = Network::new([3; 32], Duration::from_secs(1000));
        let (_, dialler) = network.add_process(1, address(1)).remove(0);
        let (host, mut listener) = network.add_process(1, address(2)).remove(0);
        listener.bind(address(2));
        network.listen(host, address(3));
        let over = |io| QuicIo::new(io, Some(common()));
        Self { network, dialler: over(dialler), listener: over(listener), events: Default::default() }
    }

    /// Goes on; rounds end every 50 us.
    fn run(&mut self, time: Duration) {
        let until = self.network.now() + time;
        while self.network.now() < until {
            for (io, events) in [&mut self.dialler, &mut self.listener].into_iter().zip(&mut self.events) {
                events.extend(std::iter::from_fn(|| io.next_event()));
                let _sleep: Next = io.end_round(Next::ParkUntil(Instant::NEVER));
            }
            self.network.advance_to(self.network.now() + Duration::from_micros(50));
        }
    }

    fn take(&mut self, of: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[of])
    }

    fn connected(&mut self) -> (ConnId, ConnId) {
        let ours = self.dialler.connect(Target::quic(address(2)));
        assert_eq!(self.dialler.next_event(), None, "never before the call returns");
        self.run(Duration::from_millis(20));
        assert_eq!(self.take(0), [Event::Connected { conn: ours }]);
        self.dialler.send(ours, b"a".to_vec());
        self.run(Duration::from_millis(20));
        let sent = Event::Sent { conn: ours, buffer: b"a".to_vec(), taken: 1 };
        assert_eq!(self.take(0), [sent]);
        let events = self.take(1);
        match events[..] {
            [Event::Accepted { conn, .. }] => (ours, conn),
            _ => panic!("{events:?}"),
        }
    }

    fn read(&mut self, conn: ConnId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.listener.recv(conn, 1 << 16) {
                Received::Bytes { bytes, at } => {
                    assert!(at <= self.network.now());
                    all.extend_from_slice(bytes);
                }
                Received::WouldBlock | Received::Closed => return all,
                Received::Failed => panic!("lost"),
            }
        }
    }
}

#[test]
fn a_buffer_is_taken_as_there_is_room_and_comes_back_whole() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected();
    assert_eq!(pair.read(theirs), b"a");
    let buffer: Vec<u8> = (0..2 << 20).map(|at: u32| (at / 5) as u8).collect();
    pair.dialler.send(ours, buffer.clone());
    let first = pair.dialler.sending(ours).expect("it is under way").taken;
    assert!(first > 0 && first < buffer.len());
    pair.run(Duration::from_millis(200));
    let stuck = pair.dialler.sending(ours).expect("nobody reads").taken;
    assert!(stuck >= first && stuck < buffer.len());
    assert_eq!(pair.take(0), []);
    let mut read = Vec::new();
    let mut taken = stuck;
    for _ in 0..2000 {
        read.extend(pair.read(theirs));
        pair.run(Duration::from_millis(1));
        if let Some(sending) = pair.dialler.sending(ours) {
            assert!(sending.taken >= taken, "progress does not go back");
            taken = sending.taken;
        }
        if read.len() == buffer.len() {
            break;
        }
    }
    assert!(read == buffer);
    assert_eq!(pair.take(0), [Event::Sent { conn: ours, buffer, taken: 2 << 20 }]);
    assert_eq!(pair.dialler.sending(ours), None);
}

#[test]
fn of_a_lost_connection_the_buffer_comes_back_and_of_a_closed_one_it_does_not() {
    for closes in [false, true] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.connected();
        let buffer = vec![7; 2 << 20];
        pair.dialler.send(ours, buffer.clone());
        pair.run(Duration::from_millis(200));
        let taken = pair.dialler.sending(ours).expect("nobody reads").taken;
        if closes {
            assert_eq!(pair.dialler.close(ours), taken);
        }
        pair.listener.close(theirs);
        pair.run(Duration::from_secs(4));
        let events = pair.take(0);
        if closes {
            assert_eq!(events, []);
        } else {
            assert!(events.contains(&Event::Sent { conn: ours, buffer, taken }), "taken {taken}");
            pair.dialler.close(ours);
        }
        pair.run(Duration::from_secs(4));
        assert_eq!((pair.dialler.quic_connections(), pair.listener.quic_connections()), (0, 0));
    }
}

#[test]
fn names_over_tcp_and_over_quic_do_not_meet_and_are_dense() {
    let mut pair = Pair::new();
    let mut names = Vec::new();
    for _ in 0..5 {
        names.push(pair.connected().0);
        let tcp = pair.dialler.connect(Target::tcp(address(3)));
        pair.run(Duration::from_millis(5));
        assert_eq!(pair.take(0), [Event::Connected { conn: tcp }]);
        pair.take(1);
        names.push(tcp);
    }
    assert!(names.iter().all(|name| name.index < 10), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10);
}

#[test]
fn a_connection_over_quic_stays_with_its_shard() {
    let mut pair = Pair::new();
    let (_, theirs) = pair.connected();
    assert!(!pair.listener.can_hand_over(theirs));
    assert!(!pair.listener.hand_over(theirs, 0));
    assert_eq!(pair.listener.recv(theirs, 1), Received::Failed, "it is closed");
}

#[test]
fn a_sleep_ends_when_quic_has_something_to_do() {
    let mut pair = Pair::new();
    let (_, theirs) = pair.connected();
    assert_eq!(pair.read(theirs), b"a");
    pair.run(Duration::from_millis(100));
    let now = pair.network.now();
    match pair.dialler.end_round(Next::ParkUntil(Instant::NEVER)) {
        Next::ParkUntil(at) => assert!(at > now && at.since(now) <= Duration::from_secs(11), "{at:?}"),
        Next::Busy => panic!("there is nothing to do"),
    }
}

/// Counted by their bytes, so many would be handled that everything else waits for a second.
#[test]
fn short_datagrams_count_as_what_they_cost() {
    let mut pair = Pair::new();
    for number in 0..5000_u16 {
        // Each from another sender, so that no train is made of them.
        let [high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([10, 1, high, low], 9));
        pair.network.inject(from, address(2), vec![0x40, low]);
    }
    pair.network.advance_to(pair.network.now() + Duration::from_secs(1));
    assert_eq!(pair.listener.next_event(), None);
    assert_eq!(pair.listener.end_round(Next::ParkUntil(Instant::NEVER)), Next::Busy, "there is more to hear");
    let mut left = 0;
    while pair.listener.backend().next_train().is_some() {
        left += 1;
    }
    assert!((4000..5000).contains(&left), "{left} of 5000 are left");
}
