//! Every packet once, whatever happens between two of its appearances.

use super::forwarding::connected;
use super::net::Plan;
use super::nodes::{DOWNSTREAM, EPOCH, Mint, Order, UPSTREAM, geometry, key_ring};
use interplane::{Counter, DropReason};
use std::time::Duration;

#[test]
fn a_packet_is_forwarded_once() {
    for shards in 1..=2 {
        let (mut net, upstream, downstream) = connected(shards);
        let packet = Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5));
        net.peer(upstream).send(packet.clone());
        net.run_until_received(downstream[0], 1);
        for _ in 0..3 {
            net.peer(upstream).send(packet.clone());
        }
        net.run_for(Duration::from_secs(1));
        assert_eq!(net.drops(), [(DropReason::Replay, 3)]);
        // Only the first cost an unwrap.
        assert_eq!(net.total(Counter::UNWRAPS), 1);
        assert_eq!(net.peer(downstream[0]).received.len(), 1);
    }
}

#[test]
fn the_same_packet_twice_in_one_batch() {
    let (mut net, upstream, downstream) = connected(1);
    let mut mint = Mint::new(2);
    for _ in 0..10 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        net.peer(upstream).send(packet.clone());
        net.peer(upstream).send(packet);
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.drops(), [(DropReason::Replay, 10)]);
    assert_eq!(net.peer(downstream[0]).received.len(), 10);
}

#[test]
fn the_same_packet_on_two_shards() {
    let (mut net, first, downstream) = connected(2);
    let second = net.add_dialler(UPSTREAM[1]);
    net.run_until_up(second);
    let mut mint = Mint::new(3);
    for _ in 0..200 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        net.peer(first).send(packet.clone());
        net.peer(second).send(packet);
    }
    net.run_for(Duration::from_secs(1));
    assert!((0..2).all(|shard| net.counters.account(shard).received > 0), "both shards have a link");
    assert_eq!(net.drops(), [(DropReason::Replay, 200)]);
    assert_eq!(net.peer(downstream[0]).received.len(), 200);
}

#[test]
fn a_restart_with_another_number_of_shards_forgets_nothing() {
    let keys = key_ring(EPOCH.0 - 1..=EPOCH.0 + 1);
    let mut mint = Mint::new(4);
    let packets: Vec<_> = (0..50).map(|_| mint.packet(Order::to(DOWNSTREAM[1], 5))).collect();
    for (shards, expected) in [(1, 50), (3, 0), (2, 0)] {
        let mut plan = Plan::new(shards);
        plan.keys = keys.clone();
        let (mut net, downstream) = plan.build_with_downstream();
        let upstream = net.add_dialler(UPSTREAM[0]);
        net.run_until_up(upstream);
        net.run_until_up(downstream[1]);
        packets.iter().for_each(|packet| net.peer(upstream).send(packet.clone()));
        net.run_for(Duration::from_secs(1));
        assert_eq!(net.peer(downstream[1]).received.len(), expected);
        assert_eq!(net.dropped(DropReason::Replay), 50 - expected as u64);
    }
}

#[test]
fn a_damaged_copy_does_not_use_up_the_tag() {
    let (mut net, upstream, downstream) = connected(1);
    let packet = Mint::new(5).packet(Order::to(DOWNSTREAM[0], 5));
    let mut damaged = packet.clone();
    damaged[100] ^= 1;
    net.peer(upstream).send(damaged);
    net.peer(upstream).send(packet);
    net.run_until_received(downstream[0], 1);
    assert_eq!(net.drops(), [(DropReason::UnwrapFailed, 1)]);
}

#[test]
fn a_packet_that_is_dropped_later_is_seen_all_the_same() {
    let (mut net, upstream, _) = connected(1);
    let packet = Mint::new(6).packet(Order::to(99, 5));
    net.peer(upstream).send(packet.clone());
    net.run_for(Duration::from_millis(100));
    net.peer(upstream).send(packet);
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.drops(), [(DropReason::Replay, 1), (DropReason::SchedulerNextHopInvalid, 1)]);
}

#[test]
fn a_full_replay_set_lets_nothing_through() {
    let mut plan = Plan::new(1);
    plan.keys = key_ring(EPOCH.0..=EPOCH.0);
    let set = &mut plan.keys.mix_keys[0].replays;
    *set = std::sync::Arc::new(interplane::ReplaySet::heap(EPOCH.0, 1, [1; 16]));
    let slots = set.buckets() * 8;
    for number in 0..slots {
        let mut tag = [0; 32];
        tag[..8].copy_from_slice(&number.to_le_bytes());
        let _ = set.insert(&tag);
    }
    assert_eq!(set.fill().tags, slots);
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.peer(upstream).send(Mint::new(7).packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.drops(), [(DropReason::ReplaySetFull, 1)]);
    assert_eq!(net.peer(downstream[0]).received.len(), 0);
}

#[test]
fn poison_packets_are_refused_and_no_tag_stays_noted() {
    let mut mint = Mint::new(8);
    let [poison, good] = [0, 1].map(|_| mint.packet(Order::to(DOWNSTREAM[0], 5)));
    let mut tags = [[0; 32]];
    sphinx::replay_tags(&geometry(), &[&poison], &mut tags);
    let mut plan = Plan::new(1);
    plan.refused = tags.to_vec();
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.peer(upstream).send(poison);
    net.peer(upstream).send(good);
    net.run_until_received(downstream[0], 1);
    assert_eq!(net.drops(), [(DropReason::PoisonPacket, 1)]);
    assert!(net.in_flight.take().is_empty());
}

#[test]
fn packets_ahead_of_their_epoch_cannot_use_up_its_replay_set() {
    let mut plan = Plan::new(1);
    plan.keys = key_ring(EPOCH.0 - 1..=EPOCH.0 + 1);
    let next = plan.keys.mix_keys.last().map(|key| key.replays.clone()).expect("three keys");
    let quota = next.fill().slots / 100 * interplane::replay::EARLY_PERCENT;
    // Somebody has sent as many as may come early, but one.
    for number in 1..quota {
        let mut tag = [0; 32];
        tag[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        tag[24..].copy_from_slice(&number.to_le_bytes());
        assert_eq!(next.insert_early_at(next.locate(&tag)), interplane::Insert::New);
    }
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.run_until_up(downstream[0]);
    let mut mint = Mint::new(9);
    let order = Order { epoch: EPOCH.after(1), ..Order::to(DOWNSTREAM[0], 5) };
    for _ in 0..3 {
        net.peer(upstream).send(mint.packet(order));
    }
    // Packets of this epoch go on as ever.
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 5)));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.drops(), [(DropReason::ReplayEarlyQuota, 2)]);
    assert_eq!(net.peer(downstream[0]).received.len(), 2);
}
