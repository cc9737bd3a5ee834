//! Strangers in great numbers.

use super::pair::{DIALLER, LISTENER, Pair, address, common};
use crate::limits;
use crate::{Arrived, Endpoint, PortId, Read};
use std::net::SocketAddr;
use std::time::Duration;
use wire::Instant;

/// The first datagrams of a dial that goes nowhere.
fn first_flight(number: u16, now: Instant) -> Vec<u8> {
    let mut stranger = Endpoint::new(common(), now);
    stranger.add_port(false, false);
    stranger.connect(address(2, number.max(1)), now).expect("a socket is there");
    let mut bytes = Vec::new();
    stranger.poll_transmit(now, 1, false, &mut bytes).expect("a first datagram");
    bytes
}

fn throw(pair: &mut Pair, from: SocketAddr, bytes: &[u8]) {
    let now = pair.now;
    let arrived = Arrived { port: PortId(0), from, to: None, ecn: 0, at: now, segment_bytes: bytes.len(), bytes };
    pair.ends[LISTENER].endpoint.handle(arrived, now);
}

#[test]
fn a_flood_of_first_datagrams_is_bounded_and_established_links_go_on() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.read_all(LISTENER, theirs);
    let mut most = 0;
    for round in 0..200_u16 {
        for number in 0..20 {
            let from = SocketAddr::from(([198, 51, 100, (number * 7 + 1) as u8], 2000 + round));
            let flight = first_flight(round, pair.now);
            throw(&mut pair, from, &flight);
        }
        pair.write_all(DIALLER, ours, &[round as u8; 100]);
        pair.run(Duration::from_millis(5));
        assert_eq!(pair.read_all(LISTENER, theirs).0, [round as u8; 100], "round {round}");
        most = most.max(pair.ends[LISTENER].endpoint.connections());
    }
    let counts = pair.ends[LISTENER].endpoint.counts();
    assert!(most <= 1 + limits::RETRY_FROM + limits::HANDSHAKES_PER_ROUND as usize, "{most} connections");
    assert!(counts.retried > 3000, "{counts:?}");
    pair.take_events(LISTENER);
    // An honest newcomer shows that it is where it says, and gets in.
    let (_, newcomer) = pair.connected(b"honest");
    assert_eq!(pair.read_all(LISTENER, newcomer).0, b"honest");
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.ends[LISTENER].endpoint.connections(), 2);
}

#[test]
fn in_one_round_only_some_long_headers_are_looked_at() {
    let mut pair = Pair::new();
    pair.run(Duration::from_millis(1));
    let flight = first_flight(1, pair.now);
    for port in 0..500 {
        throw(&mut pair, address(9, 1000 + port), &flight);
    }
    let counts = pair.ends[LISTENER].endpoint.counts();
    assert_eq!(counts.skipped, 500 - u64::from(limits::LONG_HEADERS_PER_ROUND));
    assert!(pair.ends[LISTENER].endpoint.connections() <= limits::HANDSHAKES_PER_ROUND as usize);
}

#[test]
fn silent_connections_make_room_for_newer_ones() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    // From addresses that can be reached: one dial after the other, none of which opens its stream.
    let mut silent = 0;
    while pair.ends[LISTENER].endpoint.counts().displaced < 10 {
        assert!(silent < 2 * limits::UNFINISHED_MAX, "nobody makes room");
        pair.dial_from_elsewhere();
        silent += 1;
        pair.run(Duration::from_millis(10));
    }
    assert!(pair.ends[LISTENER].endpoint.connections() <= limits::UNFINISHED_MAX + 2);
    pair.take_events(DIALLER);
    pair.ends[DIALLER].endpoint.add_port(false, false);
    let (_, newcomer) = pair.connected(b"b");
    assert_eq!(pair.read_all(LISTENER, newcomer), (b"b".to_vec(), Read::WouldBlock));
    pair.write_all(DIALLER, ours, b"c");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.read_all(LISTENER, theirs).0, b"ac");
}

#[test]
fn garbage_is_nobodys() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    let flight = first_flight(1, pair.now);
    for length in 0..flight.len() {
        let mut bytes = flight[..length].to_vec();
        if let Some(byte) = bytes.get_mut(length / 2) {
            *byte ^= 0x55;
        }
        throw(&mut pair, address(9, 1000), &bytes);
        pair.run(Duration::from_millis(1));
    }
    pair.write_all(DIALLER, ours, b"b");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.read_all(LISTENER, theirs).0, b"ab");
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.ends[LISTENER].endpoint.connections(), 1);
}
