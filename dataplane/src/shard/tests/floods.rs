//! Peers that mean harm by holding places: connections that say nothing, packets that wait long.

use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, Mint, OWN, Order, UPSTREAM, address_of};
use super::peers::{FakePeer, Send};
use crate::io::sim::HostId;
use interplane::DropReason;
use interplane::event::Event;
use interplane::setup::PoolSize;
use std::time::Duration;

/// 512 connections from 16 addresses that nobody lists.
const FLOODERS: std::ops::Range<u8> = 60..76;
const IDLE_EACH: usize = 32;

/// Opens again what was closed, and goes on for a while.
fn flood(net: &mut Net, flooders: &[HostId], time: Duration) {
    let until = net.now() + time;
    while net.now() < until {
        for flooder in flooders {
            if net.peer(*flooder).open_connections() < IDLE_EACH {
                net.peer(*flooder).dial(address_of(OWN));
            }
        }
        net.run_for(Duration::from_millis(1));
    }
}

fn flooded(shards: u16) -> (Net, Vec<HostId>) {
    let mut net = Plan::new(shards).build();
    let flooders: Vec<_> = FLOODERS.map(|node| net.add_peer(FakePeer::new(node).muted(), node)).collect();
    flood(&mut net, &flooders, Duration::from_millis(100));
    (net, flooders)
}

#[test]
fn idle_connections_keep_no_neighbour_out() {
    for shards in 1..=2 {
        let (mut net, flooders) = flooded(shards);
        let neighbours = UPSTREAM.map(|node| net.add_dialler(node));
        let rounds = 40;
        for round in 1..=rounds {
            flood(&mut net, &flooders, Duration::from_millis(25));
            for neighbour in neighbours {
                assert_eq!(net.peer(neighbour).established, round, "shards: {shards}");
                // As the reference does every two minutes.
                net.peer(neighbour).to_send.push_back(Send::Close);
            }
            net.run_for(Duration::from_millis(1));
            neighbours.iter().for_each(|neighbour| net.peer(*neighbour).dial(address_of(OWN)));
        }
        let held: usize = flooders.iter().map(|flooder| net.peer(*flooder).open_connections()).sum();
        assert!(held >= 120, "the flood went on: {held} connections");
    }
}

/// Behind address translation a neighbour comes from where no document puts it.
#[test]
fn idle_connections_keep_no_neighbour_out_that_comes_from_elsewhere() {
    let (mut net, flooders) = flooded(1);
    let neighbour = net.add_peer(FakePeer::dialling(UPSTREAM[0], address_of(OWN)), 99);
    flood(&mut net, &flooders, Duration::from_millis(200));
    assert_eq!(net.peer(neighbour).established, 1);
}

/// Nor do those who send a first message and stop there.
#[test]
fn strangers_in_the_middle_of_their_handshake_keep_no_neighbour_out() {
    let mut plan = Plan::new(1);
    plan.setup.limits.handshakes_of_strangers = 8;
    let mut net = plan.build();
    for node in FLOODERS {
        let mut peer = FakePeer::dialling(node, address_of(OWN));
        peer.stops_after_first_message = true;
        net.add_peer(peer, node);
    }
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.shared.admission().handshakes(), 8);
    let neighbour = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(neighbour);
    net.run_for(Duration::from_secs(4));
    assert_eq!(net.shared.admission().handshakes(), 0);
}

/// Nor do those who do so again and again, from more addresses than there are places for strangers, even to a neighbour
/// that comes from where no document puts it: a first message is no right to the rest of the time.
#[test]
fn strangers_in_the_middle_of_their_handshakes_keep_nobody_out() {
    for shards in 1..=2 {
        let mut plan = Plan::new(shards);
        plan.setup.limits.handshakes_of_strangers = 8;
        let mut net = plan.build();
        let flooders = FLOODERS.map(|node| {
            let mut peer = FakePeer::dialling(node, address_of(OWN));
            peer.stops_after_first_message = true;
            peer.redials = true;
            net.add_peer(peer, node)
        });
        let flooders: Vec<_> = flooders.collect();
        net.run_for(Duration::from_millis(100));
        assert_eq!(net.shared.admission().handshakes(), 8);
        // One that behaves like them up to there, but goes on.
        flooders.iter().for_each(|flooder| net.peer(*flooder).redials = false);
        let neighbour = net.add_peer(FakePeer::dialling(UPSTREAM[0], address_of(OWN)), 99);
        net.run_for(Duration::from_millis(500));
        assert_eq!(net.peer(neighbour).established, 1, "shards: {shards}");
    }
}

/// A malicious neighbour that lists many addresses has no more of the neighbours' places than it can make this node
/// compute for.
#[test]
fn neighbours_in_the_middle_of_their_handshakes_keep_no_neighbour_out() {
    let mut plan = Plan::new(1);
    plan.setup.limits.handshakes_of_neighbours = 8;
    let mut net = plan.build();
    let mut malicious = FakePeer::new(UPSTREAM[1]);
    malicious.stops_after_first_message = true;
    let malicious = net.add_peer(malicious, UPSTREAM[1]);
    for _ in 0..8 {
        net.peer(malicious).dial(address_of(OWN));
        net.run_for(Duration::from_millis(10));
    }
    assert_eq!(net.shared.admission().handshakes(), 8);
    let neighbour = net.add_dialler(UPSTREAM[0]);
    net.run_for(Duration::from_millis(500));
    assert_eq!(net.peer(neighbour).established, 1);
}

/// A node for this line rate, with the slots that it has by default.
fn sized_for(packets_per_second: u64) -> (Net, Vec<HostId>) {
    let mut plan = Plan::new(1);
    let size = PoolSize::new(packets_per_second, 1, Duration::from_millis(super::nodes::DELAY_MS_MAX));
    plan.setup.limits.packets_per_second = packets_per_second as u32;
    plan.setup.machine.slots_per_shard = size.slots() as u32;
    plan.build_with_downstream()
}

/// Sends so many packets per second to two destinations, long delays over one link and short ones over the other.
fn load(net: &mut Net, mint: &mut Mint, links: [HostId; 2], long_per_second: u32, seconds: u32) {
    const SHORT_PER_SECOND: u32 = 20;
    for step in 0..seconds * SHORT_PER_SECOND {
        for number in 0..long_per_second / SHORT_PER_SECOND {
            let next = DOWNSTREAM[((step + number) % 2) as usize];
            net.peer(links[0]).send(mint.packet(Order::to(next, 5_500)));
        }
        net.peer(links[1]).send(mint.packet(Order::to(DOWNSTREAM[2], 20)));
        net.run_for(Duration::from_millis(50));
    }
}

#[test]
fn the_longest_delays_are_carried_at_the_line_rate() {
    let (mut net, downstream) = sized_for(220);
    let links = [UPSTREAM[0], UPSTREAM[1]].map(|node| net.add_dialler(node));
    links.iter().for_each(|link| net.run_until_up(*link));
    load(&mut net, &mut Mint::new(1), links, 200, 8);
    net.run_for(Duration::from_secs(6));
    assert_eq!(net.drops(), []);
    assert_eq!(downstream.iter().map(|peer| net.peer(*peer).received.len()).sum::<usize>(), 220 * 8);
    net.check_slots();
}

#[test]
fn too_many_long_delays_cost_random_packets_and_no_link_stands_still() {
    let (mut net, downstream) = sized_for(50);
    let links = [UPSTREAM[0], UPSTREAM[1]].map(|node| net.add_dialler(node));
    links.iter().for_each(|link| net.run_until_up(*link));
    // Four times what the node is sized for.
    load(&mut net, &mut Mint::new(2), links, 200, 16);
    // All short ones but a few, which were chosen while they waited, have come at once.
    let short = net.peer(downstream[2]).received.len();
    assert!(short >= 20 * 16 * 98 / 100, "{short}");
    net.run_for(Duration::from_secs(6));
    let overflow = net.dropped(DropReason::SchedulerQueueOverflow);
    assert!(overflow > 500, "{:?}", net.drops());
    assert_eq!(net.drops(), [(DropReason::SchedulerQueueOverflow, overflow)]);
    assert_eq!(net.account().received, 220 * 16, "everything was read");
    net.check_slots();
}

#[test]
fn a_document_with_longer_delays_than_there_are_slots_for_is_told_of_once() {
    for (packets_per_second, expected) in [(50, 0), (5_000, 1)] {
        let mut plan = Plan::new(2);
        plan.setup.limits.packets_per_second = packets_per_second;
        let (mut net, _) = plan.build_with_downstream();
        net.run_for(Duration::from_secs(1));
        net.shared.publish_directory(super::nodes::usual_snapshot(2));
        net.wake_all();
        net.run_for(Duration::from_secs(1));
        let mut told = 0;
        net.events.reader().drain(|_, event| told += u32::from(matches!(event, Event::SlotsTooFew { .. })));
        assert_eq!(told, expected);
    }
}
