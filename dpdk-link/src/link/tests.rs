//! Two ends on a wire of memory, and frames that mean no good. The real wires are in `tests/`.

use super::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;

type Wire = Rc<RefCell<VecDeque<Vec<u8>>>>;

struct Memory {
    mac: Mac,
    takes: Wire,
    gives: Wire,
    current: Option<Vec<u8>>,
}

impl Frames for Memory {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn next_frame(&mut self) -> Option<(&mut [u8], bool)> {
        self.current = self.takes.borrow_mut().pop_front();
        self.current.as_deref_mut().map(|frame| (frame, false))
    }

    fn current(&mut self) -> Option<&mut [u8]> {
        self.current.as_deref_mut()
    }

    fn room(&self) -> usize {
        100
    }

    fn send(&mut self, bytes: usize, write: &mut dyn FnMut(&mut [u8]) -> bool) -> bool {
        let mut frame = vec![0; bytes];
        let is_written = write(&mut frame);
        if is_written {
            self.gives.borrow_mut().push_back(frame);
        }
        is_written
    }

    fn flush(&mut self) {}

    fn lost(&self) -> u64 {
        0
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 30_000))
}

fn end(last: u8, takes: &Wire, gives: &Wire) -> Link<Memory> {
    let frames = Memory { mac: [2, 0, 0, 0, 0, last], takes: Rc::clone(takes), gives: Rc::clone(gives), current: None };
    let addresses = vec![(address(last).ip(), 24), (IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)]), 64)];
    let network = Network { addresses, next_hops: Vec::new(), fixed: Vec::new() };
    let settings = Settings { network, listeners: vec![address(last)], has_unfinished_checksums: false };
    Link::new(frames, settings, Box::new(|| Instant(5_000_000_000))).expect("an own address")
}

fn pair() -> (Link<Memory>, Link<Memory>, [Wire; 2]) {
    let (there, back) = (Wire::default(), Wire::default());
    (end(1, &back, &there), end(2, &there, &back), [there, back])
}

fn send(link: &mut Link<Memory>, socket: SocketId, to: SocketAddr, bytes: &[u8], segment_bytes: usize) {
    let mut buffer = link.buffer();
    buffer.extend(bytes);
    link.transmit(Train { socket, to, from: None, ecn: Some(datagram::Ecn::Ect0), segment_bytes }, buffer);
}

/// Everything that has come for its sockets.
fn all(link: &mut Link<Memory>) -> Vec<(SocketId, SocketAddr, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(arrived) = link.next_train() {
        assert_eq!((arrived.ecn, arrived.segment_bytes), (Some(datagram::Ecn::Ect0), arrived.bytes.len()));
        found.push((arrived.socket, arrived.from, arrived.bytes.to_vec()));
    }
    found
}

#[test]
fn trains_go_both_ways_once_each_end_knows_the_other() {
    let (mut one, mut other, _) = pair();
    let dialling = one.open(false).expect("a port");
    // The first one asks for the way, and is lost; both know each other then.
    send(&mut one, dialling, address(2), b"lost", 4);
    assert_eq!((one.lost(), one.refused().without_next_hop), (1, 1));
    assert!(all(&mut other).is_empty() && all(&mut one).is_empty());
    let bytes: Vec<u8> = (0..3_500_u32).map(|at| (at % 251) as u8).collect();
    send(&mut one, dialling, address(2), &bytes, 1452);
    let found = all(&mut other);
    let from = one.sockets()[dialling.0 as usize].local;
    assert_eq!(found.iter().map(|(_, _, bytes)| bytes.len()).collect::<Vec<_>>(), [1452, 1452, 596]);
    assert!(found.iter().all(|(socket, sender, _)| (*socket, *sender) == (SocketId(0), from)));
    assert_eq!(found.into_iter().flat_map(|(_, _, bytes)| bytes).collect::<Vec<_>>(), bytes);
    send(&mut other, SocketId(0), from, b"answer", 6);
    assert_eq!(all(&mut one), [(dialling, address(2), b"answer".to_vec())]);
    let over_ipv6 = one.open(true).expect("a port");
    let to = SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]), 30_000);
    send(&mut one, over_ipv6, to, b"lost", 4);
    assert!(all(&mut other).is_empty() && all(&mut one).is_empty());
    send(&mut one, over_ipv6, to, b"for nobody", 10);
    assert!(all(&mut other).is_empty());
    assert_eq!(other.refused().for_others, 1);
}

#[test]
fn frames_that_mean_no_good_are_counted_and_lend_nothing() {
    let (mut one, mut other, [there, _]) = pair();
    let socket = one.open(false).expect("a port");
    send(&mut one, socket, address(2), b"lost", 4);
    assert!(all(&mut other).is_empty() && all(&mut one).is_empty());
    send(&mut one, socket, address(2), b"good", 4);
    let good = there.borrow_mut().pop_front().expect("a frame");
    for end in 0..good.len() {
        there.borrow_mut().push_back(good[..end].to_vec());
    }
    assert!(all(&mut other).is_empty());
    assert_eq!(other.refused().no_datagrams, good.len() as u64);
    for bit in 0..8 * good.len() {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        there.borrow_mut().push_back(changed);
    }
    // Only the addresses of Ethernet and the congestion bits are under no checksum that UDP or IPv4 verify.
    let found = std::iter::from_fn(|| other.next_train().map(|arrived| arrived.bytes.to_vec())).collect::<Vec<_>>();
    assert!(found.iter().all(|bytes| bytes == b"good") && found.len() <= 12 * 8, "{}", found.len());
}

#[test]
fn what_is_too_large_or_has_no_socket_is_lost_and_counted() {
    let (mut one, ..) = pair();
    send(&mut one, SocketId(7), address(2), b"x", 1);
    assert_eq!(one.lost(), 1);
    one.neighbours.heard(&[0; 60], Instant(0), |_| ());
    assert_eq!(one.datagram_bytes_max(), 1452);
    let fixed = Network {
        fixed: vec![(address(2).ip(), [2; 6])],
        ..Network { addresses: vec![(address(1).ip(), 24)], next_hops: vec![], fixed: vec![] }
    };
    one.neighbours = Neighbours::new(fixed, [2, 0, 0, 0, 0, 1]);
    send(&mut one, SocketId(0), address(2), &[0; 1473], 1473);
    assert_eq!(one.lost(), 2);
    send(&mut one, SocketId(0), address(2), &[0; 1472], 1472);
    assert_eq!(one.lost(), 2);
}

#[test]
fn a_listener_has_an_address_of_the_card() {
    let frames = Memory { mac: [2; 6], takes: Wire::default(), gives: Wire::default(), current: None };
    let network = Network { addresses: vec![(address(1).ip(), 24)], next_hops: Vec::new(), fixed: Vec::new() };
    let settings = Settings { network, listeners: vec![address(9)], has_unfinished_checksums: false };
    let error = Link::new(frames, settings, Box::new(|| Instant(0))).err().expect("a refusal");
    assert!(error.to_string().contains("192.0.2.9:30000"), "{error}");
}
