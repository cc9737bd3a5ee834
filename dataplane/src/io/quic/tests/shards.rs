//! Links come up, packets get through, whatever becomes of datagrams.

use super::net::Net;
use crate::io::Transport;
use crate::io::sim::HostId;
use crate::shard::tests::nodes::{DOWNSTREAM, Mint, Order, UPSTREAM};
use interplane::Counter;
use interplane::counter::{LinkEnd, QuicArrival};
use std::time::Duration;

/// A node of so many shards with all of its links over `over`.
fn connected(shards: u16, percent: u32, seed: u8) -> (Net, Vec<HostId>, Vec<HostId>) {
    let mut net = Net::new(shards, &DOWNSTREAM, seed);
    net.set_loss(percent);
    let downstream: Vec<_> = DOWNSTREAM.iter().map(|node| net.add_listener(*node)).collect();
    let upstream: Vec<_> = UPSTREAM
        .iter()
        .enumerate()
        .map(|(place, node)| net.add_dialler(*node, Transport::Quic, place % usize::from(shards)))
        .collect();
    net.run_until_up(&upstream);
    net.run_until_up(&downstream);
    (net, upstream, downstream)
}

/// Sends packets through the node, from all and to all; all arrive.
fn send_packets(net: &mut Net, upstream: &[HostId], downstream: &[HostId], each: usize) {
    let before: Vec<usize> = downstream.iter().map(|peer| net.peer(*peer).received.len()).collect();
    // Another one each time: the same packets again would be replays.
    let mut mint = Mint::new(before.iter().sum::<usize>() as u8);
    for peer in upstream {
        for number in 0..each * downstream.len() {
            let to = DOWNSTREAM[number % downstream.len()];
            net.peer(*peer).send(mint.packet(Order::to(to, 20 + number as u32 % 50)));
        }
    }
    for (peer, before) in downstream.iter().zip(before) {
        net.run_until_received(*peer, before + each * upstream.len(), Duration::from_secs(20));
    }
    net.run_for(Duration::from_millis(50));
}

#[test]
fn packets_pass_over_quic_and_the_account_balances() {
    for shards in 1..=2 {
        let (mut net, upstream, downstream) = connected(shards, 0, 1);
        send_packets(&mut net, &upstream, &downstream, 50);
        let account = net.account();
        assert_eq!((account.received, account.sent, account.held, account.dropped), (450, 450, 0, 0), "{account:?}");
        assert_eq!((net.connections(), net.arrivals(QuicArrival::Accepted)), (6, 3));
    }
}

#[test]
fn at_two_percent_loss_no_packet_and_no_connection_is_lost() {
    for seed in 1..=3 {
        let (mut net, upstream, downstream) = connected(2, 2, seed);
        for _ in 0..4 {
            send_packets(&mut net, &upstream, &downstream, 30);
            net.run_for(Duration::from_secs(20));
        }
        let account = net.account();
        assert_eq!((account.received, account.sent, account.dropped), (1080, 1080, 0), "seed {seed}: {account:?}");
        for peer in upstream.iter().chain(&downstream) {
            let peer = net.peer(*peer);
            assert_eq!((peer.established, peer.ended), (1, 0), "seed {seed}");
        }
    }
}

#[test]
fn tcp_and_quic_live_side_by_side() {
    let mut net = Net::new(2, &DOWNSTREAM[..1], 4);
    let downstream: Vec<_> = DOWNSTREAM.iter().map(|node| net.add_listener(*node)).collect();
    let over = [Transport::Tcp, Transport::Quic, Transport::Quic];
    let upstream: Vec<_> = UPSTREAM.iter().zip(over).map(|(node, over)| net.add_dialler(*node, over, 1)).collect();
    net.run_until_up(&upstream);
    net.run_until_up(&downstream);
    send_packets(&mut net, &upstream, &downstream, 30);
    let account = net.account();
    assert_eq!((account.received, account.sent, account.dropped), (270, 270, 0), "{account:?}");
    assert_eq!(net.connections(), 3, "one to downstream, two from upstream");
}

#[test]
fn a_peer_that_dies_is_noticed_and_reached_again() {
    let (mut net, upstream, mut downstream) = connected(1, 0, 5);
    let dead = downstream.remove(0);
    net.simulation.set_stopped(dead, true);
    net.network().crash(dead);
    // The one that takes its place begins half a second later, with another memory.
    net.run_for(Duration::from_millis(500));
    let again = net.add_listener(DOWNSTREAM[0]);
    let begin = net.now();
    net.run_for(Duration::from_secs(45));
    assert!(net.peer(again).is_up(), "no link after {:?}", net.now().since(begin));
    downstream.insert(0, again);
    send_packets(&mut net, &upstream, &downstream, 10);
    assert_eq!(net.counters.total(Counter::link_ended(LinkEnd::Failed)), 1);
}

#[test]
fn links_end_as_over_tcp() {
    let (mut net, upstream, downstream) = connected(1, 0, 6);
    net.peer(upstream[0]).to_send.push_back(crate::shard::tests::peers::Send::Close);
    net.run_for(Duration::from_secs(3));
    assert_eq!(net.counters.total(Counter::link_ended(LinkEnd::PeerClosed)), 1);
    net.peer(downstream[0]).to_send.push_back(crate::shard::tests::peers::Send::Close);
    // A link that lived so short a time is not dialled again at once.
    net.run_for(Duration::from_secs(100));
    assert_eq!(net.peer(downstream[0]).established, 2, "it is dialled again");
    assert_eq!(net.counters.total(Counter::link_ended(LinkEnd::PeerClosed)), 2);
}
