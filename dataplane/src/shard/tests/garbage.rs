//! What peers must not send: counted, survived, and without effect on others.

use super::forwarding::connected;
use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, Mint, OWN, Order, UPSTREAM, address_of, geometry};
use super::peers::{FakePeer, Send};
use crate::io::sim::HostId;
use crypto_simd::random::{Random, SeededRandom};
use interplane::Counter;
use interplane::counter::{AdmissionRefusal, Direction, HandshakeState, LinkEnd, Request};
use std::time::Duration;

/// Somebody who dials and sends these bytes instead of a handshake.
fn stranger(net: &mut Net, bytes: Vec<u8>, close: bool) -> HostId {
    let mut peer = FakePeer::dialling(66, address_of(OWN)).muted();
    peer.to_send.push_back(Send::Raw(bytes));
    if close {
        peer.to_send.push_back(Send::Close);
    }
    net.add_peer(peer, 66)
}

#[test]
fn no_bytes_instead_of_a_handshake_do_any_harm() {
    let (mut net, upstream, downstream) = connected(2);
    let mut random = SeededRandom::new(&[3; 32]);
    let mut hosts = Vec::new();
    for (count, close) in [(0, true), (1, false), (1, true), (32, true), (33, false), (5000, false), (100_000, true)] {
        let mut bytes = vec![0; count];
        random.fill(&mut bytes);
        hosts.push(stranger(&mut net, bytes.clone(), close));
        if let Some(version) = bytes.first_mut() {
            // A right beginning.
            *version = 3;
            hosts.push(stranger(&mut net, bytes, close));
        }
    }
    net.run_for(Duration::from_secs(5));
    for host in &hosts {
        assert_eq!(net.peer(*host).open_connections(), 0);
    }
    let failures: u64 = HandshakeState::ALL
        .iter()
        .map(|state| net.total(Counter::handshake_failure(Direction::Incoming, *state)))
        .sum();
    assert_eq!(failures, hosts.len() as u64);
    assert_eq!(net.shared.admission().handshakes(), 0);
    net.peer(upstream).send(Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_until_received(downstream[0], 1);
}

/// A link from upstream on which this is sent after a good packet; gives how it ended.
fn end_after(what: Send) -> (Net, HostId, u64) {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(2);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 5)));
    net.peer(upstream).to_send.push_back(what);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_for(Duration::from_secs(3));
    assert!(!net.peer(downstream[0]).received.is_empty(), "the packet before was good");
    assert_eq!(net.account().difference(), 0);
    net.check_slots();
    let faults = [LinkEnd::Frame, LinkEnd::Command, LinkEnd::Unexpected];
    let ended = faults.iter().map(|fault| net.total(Counter::link_ended(*fault))).sum();
    (net, upstream, ended)
}

fn plain(id: u8, announced: u32, bytes: usize) -> Send {
    let mut plain = vec![0; bytes.max(6)];
    plain[0] = id;
    plain[2..6].copy_from_slice(&announced.to_be_bytes());
    Send::Plain(plain)
}

#[test]
fn foreign_and_malformed_commands_end_the_link() {
    let padded = geometry().packet_length + 6;
    let packet = geometry().packet_length as u32;
    let cases = [
        // SendPacket of wrong lengths, in frames of the right and of other sizes.
        plain(2, packet - 1, padded),
        plain(2, packet + 1, padded),
        plain(2, 0, padded),
        plain(2, packet, padded - 1),
        plain(2, 10, 16),
        plain(2, u32::MAX, padded),
        // Commands of other sessions, unknown ones, replies.
        plain(16, 4, padded),
        plain(18, 8, padded),
        plain(32, 8, padded),
        plain(5, 4, padded),
        plain(3, packet, padded),
        plain(17, packet - 4, padded),
        plain(20, 8, padded),
        plain(22, 8, padded),
        plain(77, 0, padded),
        // Less than a header; the reserved byte; padding that is not zero; a NoOp with a body.
        Send::Plain(vec![]),
        Send::Plain(vec![0; 5]),
        Send::Plain([0, 1, 0, 0, 0, 0].into()),
        Send::Plain([0, 0, 0, 0, 0, 0, 0, 1].into()),
        plain(0, 4, padded),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let (mut net, upstream, ended) = end_after(case);
        assert_eq!(ended, 1, "case {number}");
        assert!(!net.peer(upstream).is_up());
        assert_eq!(net.account().received, 1, "case {number}");
    }
}

#[test]
fn frames_that_do_not_open_or_are_too_large_end_the_link() {
    let largest = geometry().packet_length + 6;
    for (number, case) in [
        Send::Raw(vec![0xaa; 20]),
        Send::Raw(vec![0x55; 5000]),
        Send::Plain(vec![0; largest + 1]),
        Send::Plain(vec![0; 400_000]),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut net, upstream, ended) = end_after(case);
        assert_eq!(ended, 1, "case {number}");
        assert!(!net.peer(upstream).is_up());
    }
}

#[test]
fn a_no_op_of_any_size_is_taken_and_a_disconnect_obeyed() {
    for bytes in [6, 7, 100, geometry().packet_length + 6] {
        let (mut net, upstream, ended) = end_after(plain(0, 0, bytes));
        assert_eq!(ended, 0);
        assert!(net.peer(upstream).is_up());
        assert_eq!(net.total(Counter::request(Request::NoOp)), 1);
        assert_eq!(net.total(Counter::request(Request::SendPacket)), 2);
    }
    let (mut net, upstream, _) = end_after(plain(1, 0, 6));
    assert!(!net.peer(upstream).is_up());
    assert_eq!(net.total(Counter::link_ended(LinkEnd::PeerClosed)), 1);
}

#[test]
fn random_packets_are_dropped_one_by_one() {
    let (mut net, upstream, downstream) = connected(1);
    let mut random = SeededRandom::new(&[4; 32]);
    for number in 0..200 {
        let mut packet = vec![0; geometry().packet_length];
        random.fill(&mut packet);
        if number % 2 == 0 {
            packet[..2].fill(0);
        }
        net.peer(upstream).send(packet);
    }
    net.peer(upstream).send(Mint::new(3).packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_until_received(downstream[0], 1);
    assert_eq!(net.drops(), [(interplane::DropReason::UnwrapFailed, 200)]);
    assert!(net.peer(upstream).is_up());
}

#[test]
fn a_flood_of_connections_leaves_the_links_alone() {
    let mut plan = Plan::new(2);
    plan.setup.limits.handshakes_of_strangers = 20;
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.run_until_up(downstream[0]);
    for _ in 0..100 {
        stranger(&mut net, vec![3], false);
    }
    net.peer(upstream).send(Mint::new(4).packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_until_received(downstream[0], 1);
    net.run_for(Duration::from_secs(5));
    assert_eq!(net.shared.admission().handshakes(), 0);
    assert!(net.peer(upstream).is_up());
}

#[test]
fn links_that_come_during_a_flood_come_up() {
    let mut plan = Plan::new(2);
    plan.setup.limits.handshakes_of_strangers = 20;
    let mut net = plan.build();
    let flood = |net: &mut Net| {
        for host in 0..100 {
            let mut peer = FakePeer::dialling(66, address_of(OWN)).muted();
            peer.to_send.push_back(Send::Raw(vec![3]));
            net.add_peer(peer, 40 + host % 20);
        }
        net.run_for(Duration::from_millis(1));
    };
    flood(&mut net);
    let start = net.now();
    for node in UPSTREAM {
        let neighbour = net.add_dialler(node);
        flood(&mut net);
        net.run_until_up(neighbour);
    }
    // Long before the node gives up on any connection of the flood.
    assert!(net.now().since(start) < Duration::from_millis(100), "{:?}", net.now().since(start));
    assert!(net.total(Counter::admission_refused(AdmissionRefusal::HandshakeLimit)) > 0, "the flood had its limit");
}
