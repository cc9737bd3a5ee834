//! Strangers, and peers that say nothing.

use super::net::{Io, Net, common, shard_address};
use crate::io::sim::{Network, SimIo};
use crate::io::{Io as _, Transport};
use crate::shard::tests::nodes::{DOWNSTREAM, Mint, Order, UPSTREAM};
use interplane::counter::QuicArrival;
use std::net::SocketAddr;
use std::time::Duration;

/// The first datagram of a dial.
fn first_datagram(network: &Network) -> Vec<u8> {
    let mut endpoint = quic::Endpoint::new(common(), network.now());
    endpoint.add_port(false, false);
    endpoint.connect(shard_address(0), network.now()).expect("a socket is there");
    let mut bytes = Vec::new();
    endpoint.poll_transmit(network.now(), 1, false, &mut bytes).expect("a first datagram");
    bytes
}

#[test]
fn a_flood_from_made_up_addresses_costs_little_memory_and_no_packet() {
    let mut net = Net::new(1, &DOWNSTREAM[..1], 7);
    let downstream = net.add_listener(DOWNSTREAM[0]);
    let upstream = net.add_dialler(UPSTREAM[0], Transport::Quic, 0);
    net.run_until_up(&[upstream, downstream]);
    let mut mint = Mint::new(7);
    let mut most = 0;
    for round in 0..100_u16 {
        for number in 0..30_u16 {
            let from = SocketAddr::from(([198, 51, 100, number as u8], 1024 + round));
            let bytes = if number % 3 == 0 { vec![0x40 | number as u8; 30] } else { first_datagram(net.network()) };
            net.network().inject(from, shard_address(0), bytes);
        }
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 5)));
        net.run_for(Duration::from_millis(10));
        most = most.max(net.connections());
    }
    net.run_until_received(downstream, 100, Duration::from_secs(5));
    let retried = net.arrivals(QuicArrival::Retried);
    assert!(most < 60, "{most} connections");
    assert!(retried > 1000, "{retried} were asked to show where they are");
    assert!(retried <= 2000, "{retried} of 2,000 that came");
    let account = net.account();
    assert_eq!((account.received, account.sent, account.dropped), (100, 100, 0));
    net.run_for(Duration::from_secs(15));
    assert_eq!(net.connections(), 2, "nothing of it stays");
}

#[test]
fn a_silent_client_holds_nobody_up() {
    let mut net = Net::new(1, &[], 8);
    let mut silent = crate::shard::tests::peers::FakePeer::dialling(UPSTREAM[1], shard_address(0));
    (silent.over, silent.mute) = (Transport::Quic, true);
    let _silent = net.add_peer(UPSTREAM[1], silent);
    net.run_for(Duration::from_millis(100));
    let upstream = net.add_dialler(UPSTREAM[0], Transport::Quic, 0);
    let begin = net.now();
    net.run_until_up(&[upstream]);
    assert!(net.now().since(begin) < Duration::from_millis(100));
    net.run_for(Duration::from_secs(31));
    assert_eq!((net.connections(), net.arrivals(QuicArrival::Silent)), (1, 1));
}

/// Where a node has no QUIC it says so, and does not try.
#[test]
fn without_quic_nothing_is_carried_and_a_dial_fails() {
    let network = Network::new([1; 32], Duration::ZERO);
    let (_, io) = network.add_process(1, shard_address(0)).remove(0);
    let mut io: Io = crate::io::quic::QuicIo::<SimIo>::new(io, None);
    assert!(!io.carries(Transport::Quic) && io.carries(Transport::Tcp));
    let conn = io.connect(crate::io::Target::quic(shard_address(1)));
    let failure = crate::io::ConnectFailure::Other;
    assert_eq!(io.next_event(), Some(crate::io::Event::ConnectFailed { conn, failure }));
    assert_eq!(io.close(conn), 0);
    assert_eq!(io.next_event(), None);
}
