//! From the first byte to the last: what arrives, where, when, and what does not.

use super::net::{Actor, Net, Plan};
use super::nodes::{DELAY_MS_MAX, DOWNSTREAM, EPOCH, Mint, OWN, Order, UPSTREAM, geometry, id_of, mix_key};
use super::peers::{Received, Send};
use crate::io::sim::HostId;
use interplane::counter::{Family, PacketStage};
use interplane::{Counter, DropReason};
use sphinx::Unwrapper;
use sphinx::commands::RoutingCommand;
use std::collections::HashMap;
use std::time::Duration;

/// What the next hop must get: the packet as this node's key leaves it, by the one-packet function.
fn expected(packet: &[u8], epoch: pki::Epoch) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let mut unwrapper = Unwrapper::new(&geometry(), 1).expect("a sound geometry");
    unwrapper.unwrap(&mix_key(OWN, epoch), &mut packet).expect("a good packet");
    packet
}

/// A link from upstream, and links to all of downstream.
pub fn connected(shards: u16) -> (Net, HostId, Vec<HostId>) {
    let (mut net, downstream) = Plan::new(shards).build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    for peer in &downstream {
        net.run_until_up(*peer);
    }
    // Their last message is still on its way.
    net.run_for(Duration::from_millis(1));
    (net, upstream, downstream)
}

#[test]
fn packets_reach_the_right_next_hop_unchanged_but_for_one_layer() {
    for shards in 1..=2 {
        let (mut net, upstream, downstream) = connected(shards);
        let mut mint = Mint::new(1);
        let mut due: HashMap<Vec<u8>, usize> = HashMap::new();
        for number in 0..300 {
            let to = number % 3;
            let packet = mint.packet(Order::to(DOWNSTREAM[to], 20 + number as u32));
            due.insert(expected(&packet, EPOCH), to);
            net.peer(upstream).send(packet);
        }
        for (place, peer) in downstream.iter().enumerate() {
            net.run_until_received(*peer, 100);
            for Received { packet, .. } in &net.peer(*peer).received {
                assert_eq!(due.remove(packet), Some(place), "a strange packet");
            }
        }
        assert!(due.is_empty());
        assert_eq!(net.drops(), []);
        assert_eq!((net.account().received, net.account().sent, net.account().held), (300, 300, 0));
        assert_eq!(net.total(Counter::UNWRAPS), 300);
        net.check_slots();
    }
}

#[test]
fn each_stage_counts_each_packet_once_and_no_delay_is_overrun() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(3);
    (0..100).for_each(|_| net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1))));
    net.run_until_received(downstream[0], 100);
    for (place, stage) in PacketStage::ALL.iter().enumerate() {
        assert_eq!(net.observed_of(Family::Stages, place).0, 100, "{stage:?}");
    }
    assert_eq!(net.total(Counter::DELAYS_OVERRUN), 0);
}

/// A shard that is slow leaves a delay of 1 ms no time: that is to be seen.
#[test]
fn delays_that_are_over_before_the_unwrap_are_counted() {
    let (mut net, upstream, downstream) = connected(1);
    net.simulation.set_round(Duration::from_millis(2));
    let mut mint = Mint::new(4);
    for delay_ms in [1, 1, 1, 300] {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], delay_ms)));
    }
    net.run_until_received(downstream[0], 4);
    assert_eq!(net.total(Counter::DELAYS_OVERRUN), 3);
}

/// How late a packet with a delay of 20 ms leaves that came so long before a batch that begins then or soon, and how long
/// the batch takes.
fn late_beside_a_batch(lead: Duration) -> (Duration, Duration) {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(5);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 20)));
    net.run_for(lead);
    let unwrapped = |net: &Net| Duration::from_micros(net.observed(Family::Unwrap).1);
    let before = unwrapped(&net);
    (0..32).for_each(|_| net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[1], 300))));
    // Each look at the clock takes so long that the first packet becomes due while the others are read or unwrapped.
    net.simulation.network().set_tick(Duration::from_millis(1));
    net.run_until_received(downstream[0], 1);
    assert_eq!(net.observed(Family::UnwrapBatch).1, 33, "all in one batch");
    (Duration::from_micros(net.observed(Family::Lateness).1), unwrapped(&net) - before)
}

#[test]
fn what_becomes_due_within_a_batch_does_not_wait_for_the_end_of_it() {
    let (lateness, batch) = late_beside_a_batch(Duration::from_millis(12));
    assert!(lateness + Duration::from_millis(2) < batch, "{lateness:?} late for a batch of {batch:?}");
}

#[test]
fn what_is_due_before_a_batch_does_not_wait_for_any_of_it() {
    let (lateness, _) = late_beside_a_batch(Duration::from_millis(16));
    // Between the pieces of the batch it would leave two ticks later.
    assert!(lateness < Duration::from_millis(4), "{lateness:?}");
}

/// The time of the unwrap is not added to the delay: that runs from the arrival.
#[test]
fn a_delay_runs_while_its_packet_is_unwrapped() {
    const TICK: Duration = Duration::from_millis(2);
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(6);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 300)));
    // The bytes are under way, and only the shard has work.
    net.run_for(Duration::from_micros(50));
    let start = net.now();
    net.simulation.network().set_tick(TICK);
    while net.total(Counter::UNWRAPS) == 0 {
        net.run_for(Duration::from_micros(50));
    }
    net.simulation.network().set_tick(Duration::ZERO);
    let unwrap = Duration::from_micros(net.observed(Family::Unwrap).1);
    assert!(unwrap >= 4 * TICK, "{unwrap:?}");
    net.run_until_received(downstream[0], 1);
    let took = net.peer(downstream[0]).received[0].at.since(start);
    // Three looks at the clock come before the arrival; two paths and a slot of the wheel take a quarter of one.
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(300) + 5 * TICK, "{took:?}");
}

/// Between the pieces of a batch the shard handles events: its packets' own link may end there.
#[test]
fn a_link_that_ends_within_a_batch_costs_none_of_its_packets() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(7);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 20)));
    net.run_for(Duration::from_micros(19_900));
    (0..32).for_each(|_| net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[1], 300))));
    net.run_for(Duration::from_micros(20));
    net.peer(upstream).to_send.push_back(Send::Close);
    net.simulation.network().set_tick(Duration::from_millis(1));
    net.run_until_received(downstream[0], 1);
    net.simulation.network().set_tick(Duration::ZERO);
    net.run_until_received(downstream[1], 32);
    assert_eq!(net.drops(), []);
    assert_eq!((net.account().received, net.account().sent, net.account().held), (33, 33, 0));
    net.check_slots();
}

#[test]
fn delays_are_kept_never_shorter_and_hardly_longer() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(2);
    let start = net.now();
    let mut due = HashMap::new();
    for number in 0..400u32 {
        let delay_ms = [1, 2, 7, 50, 333, 1200, 4800, 5400][number as usize % 8];
        let packet = mint.packet(Order::to(DOWNSTREAM[number as usize % 3], delay_ms));
        due.insert(expected(&packet, EPOCH), delay_ms);
        net.peer(upstream).send(packet);
    }
    net.run_for(Duration::from_secs(6));
    for peer in downstream {
        for Received { at, packet } in std::mem::take(&mut net.peer(peer).received) {
            let delay = Duration::from_millis(u64::from(due.remove(&packet).expect("a known packet")));
            // 200 us on two paths; the time that the simulation gives to the work is far below a millisecond.
            let took = at.since(start);
            assert!(took >= delay + Duration::from_micros(200), "{took:?} for a delay of {delay:?}");
            assert!(took <= delay + Duration::from_millis(4), "{took:?} for a delay of {delay:?}");
        }
    }
    assert!(due.is_empty());
}

#[test]
fn what_may_not_be_delayed_or_sent_on_is_dropped_for_one_reason() {
    let (mut net, upstream, _) = connected(1);
    let mut mint = Mint::new(3);
    let ttl_ms = 3 * 20 * 60 * 1000;
    let mut packets = vec![
        mint.packet(Order::to(DOWNSTREAM[0], DELAY_MS_MAX as u32 + 1000)),
        mint.packet(Order::to(DOWNSTREAM[0], ttl_ms + 1)),
        mint.packet(Order::to(UPSTREAM[1], 5)),
        mint.packet(Order::to(99, 5)),
        mint.ending_here(vec![RoutingCommand::Recipient([1; 32])]),
        mint.ending_here(vec![RoutingCommand::NodeDelay { delay_ms: 1 }, RoutingCommand::Recipient([1; 32])]),
        mint.ending_here(vec![RoutingCommand::Recipient([1; 32]), RoutingCommand::SurbReply([1; 16])]),
        mint.ending_here(vec![RoutingCommand::NodeDelay { delay_ms: 1 }]),
        mint.ending_here(vec![RoutingCommand::Recipient([1; 32]), RoutingCommand::Recipient([1; 32])]),
    ];
    let mut damaged = mint.packet(Order::to(DOWNSTREAM[0], 5));
    damaged[60] ^= 1;
    packets.push(damaged);
    let mut other_version = mint.packet(Order::to(DOWNSTREAM[0], 5));
    other_version[0] = 1;
    packets.push(other_version);
    for element in [[0; 32], std::array::from_fn(|at| u8::from(at == 0))] {
        let mut low_order = mint.packet(Order::to(DOWNSTREAM[0], 5));
        low_order[2..34].copy_from_slice(&element);
        packets.push(low_order);
    }
    let count = packets.len() as u64;
    packets.into_iter().for_each(|packet| net.peer(upstream).send(packet));
    net.run_for(Duration::from_secs(1));
    let expected = [
        (DropReason::UnwrapFailed, 3),
        (DropReason::LowOrderPoint, 2),
        (DropReason::DelayImpossible, 1),
        (DropReason::MixReceivedNonForward, 3),
        (DropReason::InvalidPacket, 1),
        (DropReason::SchedulerDelayExceedsMax, 1),
        (DropReason::SchedulerNextHopInvalid, 2),
    ];
    assert_eq!(net.drops(), expected);
    assert_eq!(net.account().received, count);
    assert!(net.peer(upstream).is_up(), "bad packets do not end a link");
    net.check_slots();
}

#[test]
fn a_packet_without_delay_needs_a_quick_node() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(4);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 0)));
    net.run_until_received(downstream[0], 1);
    assert_eq!(net.drops(), []);
    // Now each round takes longer than a millisecond: packets are read in one and unwrapped a whole batch later.
    net.simulation.set_round(Duration::from_millis(2));
    for _ in 0..96 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 0)));
    }
    net.run_for(Duration::from_secs(1));
    assert!(net.dropped(DropReason::ZeroDelayExcessiveDwell) > 0, "{:?}", net.drops());
    assert_eq!(net.account().difference(), 0);
}

#[test]
fn a_packet_that_waits_too_long_for_its_unwrap_is_dropped() {
    let (mut net, upstream, _) = connected(1);
    let mut mint = Mint::new(5);
    net.simulation.set_round(Duration::from_millis(300));
    for _ in 0..96 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 10)));
    }
    net.run_for(Duration::from_secs(10));
    assert!(net.dropped(DropReason::UnwrapDwellExceeded) > 0, "{:?}", net.drops());
}

#[test]
fn a_delay_queue_with_a_limit_loses_a_random_packet() {
    let mut plan = Plan::new(1);
    plan.setup.limits.scheduler_queue_packets = 10;
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    let mut mint = Mint::new(6);
    for _ in 0..50 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 500)));
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.drops(), [(DropReason::SchedulerQueueOverflow, 40)]);
    assert_eq!(net.peer(downstream[0]).received.len(), 10);
}

#[test]
fn frames_may_be_cut_anywhere() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(7);
    net.peer(upstream).send_bytes_max = 7;
    for _ in 0..20 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1)));
    }
    net.run_until_received(downstream[0], 20);
    assert_eq!(net.drops(), []);
}

#[test]
fn packets_of_one_slot_leave_in_random_order() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(8);
    let mut order = Vec::new();
    for _ in 0..64 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 100));
        order.push(expected(&packet, EPOCH));
        net.peer(upstream).send(packet);
    }
    net.run_until_received(downstream[0], 64);
    let received: Vec<_> = net.peer(downstream[0]).received.iter().map(|received| received.packet.clone()).collect();
    assert_ne!(received, order);
    assert_eq!(net.peer(downstream[0]).received.len(), 64);
    assert!(net.shards().any(|shard| shard.is_linked_to(&id_of(DOWNSTREAM[0]))));
}

#[test]
fn stopping_drops_what_is_held_and_closes_everything() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(9);
    for _ in 0..100 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 5000)));
    }
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.account().held, 100);
    net.shut_down();
    assert_eq!(net.drops(), [(DropReason::Shutdown, 100)]);
    assert_eq!(net.account().held, 0);
    assert_eq!(net.total(Counter::CONNECTIONS_CANCELLED), 3);
    net.check_slots();
    net.run_for(Duration::from_millis(10));
    assert!(!net.peer(upstream).is_up() && !net.peer(downstream[0]).is_up());
}

/// Whoever watches a shard goes by it: one that hangs in its first round after a sleep must not look asleep.
#[test]
fn a_shard_says_that_it_sleeps_only_while_it_does() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(9);
    for number in 0..200 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 20 + number)));
    }
    let counters = net.counters.clone();
    let (mut asleep, mut awake) = (0, 0);
    net.run_until("the last packet", |simulation| {
        let shards = simulation.hosts().filter_map(|actor| match actor {
            Actor::Shard(shard) => Some(shard),
            Actor::Peer(_) => None,
        });
        for (index, shard) in shards.enumerate() {
            assert_eq!(counters.get(index, Counter::PARKED), u64::from(shard.is_parked), "shard {index}");
            *if shard.is_parked { &mut asleep } else { &mut awake } += 1;
        }
        matches!(simulation.host(downstream[0]), Some(Actor::Peer(peer)) if peer.received.len() == 200)
    });
    assert!(asleep > 0 && awake > 0, "{asleep} and {awake} looks");
}
