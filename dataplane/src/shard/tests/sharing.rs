//! Several shards and one stream of packets.

use super::forwarding::connected;
use super::net::Plan;
use super::nodes::{DOWNSTREAM, Mint, Order, UPSTREAM, id_of};
use interplane::counter::Direction;
use interplane::event::Event;
use interplane::{Counter, DropReason};
use std::time::Duration;

#[test]
fn idle_shards_pull_the_surplus_of_a_busy_one() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(1);
    for number in 0..2000 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[number % 3], 100)));
    }
    for (place, peer) in downstream.iter().enumerate() {
        net.run_until_received(*peer, if place == 2 { 666 } else { 667 });
    }
    let unwraps: Vec<u64> = (0..2).map(|shard| net.counters.get(shard, Counter::UNWRAPS)).collect();
    let received: Vec<u64> = (0..2).map(|shard| net.counters.get(shard, Counter::RECEIVED)).collect();
    assert_eq!(unwraps.iter().sum::<u64>(), 2000);
    assert!(received.contains(&0), "one shard has the link");
    assert!(unwraps.iter().all(|unwraps| *unwraps > 600), "both do the work: {unwraps:?}");
    assert!(net.total(Counter::PULLED_BATCHES) > 20);
    assert_eq!(net.drops(), []);
    net.check_slots();
}

#[test]
fn at_low_load_nothing_is_shared_and_nothing_waits() {
    let (mut net, upstream, downstream) = connected(4);
    let mut mint = Mint::new(2);
    for _ in 0..50 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 20)));
        let sent_at = net.now();
        net.run_until_received(downstream[0], 1);
        // 2 x up to 120 us of path, 20 ms of delay, a slot of the wheel, some rounds.
        let at = net.peer(downstream[0]).received.pop().expect("a packet").at;
        assert!(at.since(sent_at) < Duration::from_micros(20_000 + 240 + 250 + 50), "{:?}", at.since(sent_at));
    }
    assert_eq!(net.total(Counter::SURPLUS_BATCHES), 0);
}

#[test]
fn connections_go_to_the_shard_that_has_the_fewest() {
    let (mut net, _) = Plan::new(3).build_with_downstream();
    let peers: Vec<_> = UPSTREAM.iter().map(|node| net.add_dialler(*node)).collect();
    peers.iter().for_each(|peer| net.run_until_up(*peer));
    net.run_for(Duration::from_millis(1));
    for shard in 0..3 {
        assert_eq!(net.counters.get(shard, Counter::CONNECTIONS_ACCEPTED), 1);
    }
    let owned = net.shards().filter(|shard| DOWNSTREAM.iter().any(|node| shard.is_linked_to(&id_of(*node))));
    assert_eq!(owned.count(), 3, "so do destinations");
    let mut links = 0;
    net.events.reader().drain(|_, event| {
        links += u32::from(matches!(event, Event::LinkUp { direction: Direction::Incoming, .. }));
    });
    assert_eq!(links, 3);
}

#[test]
fn a_sleeping_owner_is_woken_only_for_what_is_due_before_it_wakes_by_itself() {
    let (mut net, upstream, downstream) = connected(2);
    // The destination that the other shard owns.
    let accepting = (0..2).find(|shard| net.counters.get(*shard, Counter::CONNECTIONS_ACCEPTED) > 0).expect("a link");
    let is_remote = |node: &u8| net.shards().nth(1 - accepting).expect("two shards").is_linked_to(&id_of(*node));
    let place = DOWNSTREAM.iter().position(is_remote).expect("destinations are spread");
    let mut mint = Mint::new(3);
    let wakes = |net: &super::net::Net| net.counters.get(1 - accepting, Counter::WAKES);
    let at_first = wakes(&net);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[place], 100)));
    net.run_for(Duration::from_millis(20));
    assert_eq!(wakes(&net), at_first + 1);
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[place], 900)));
    net.run_for(Duration::from_millis(20));
    assert_eq!(wakes(&net), at_first + 1, "due after the first one");
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[place], 20)));
    net.run_for(Duration::from_millis(30));
    assert_eq!(wakes(&net), at_first + 2);
    net.run_until_received(downstream[place], 3);
}

#[test]
fn a_shard_that_stands_still_costs_no_more_than_its_own_links() {
    let mut plan = Plan::new(2);
    plan.setup.machine.slots_per_shard = 4096;
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    downstream.iter().for_each(|peer| net.run_until_up(*peer));
    net.run_for(Duration::from_millis(1));
    let accepting = (0..2).find(|shard| net.counters.get(*shard, Counter::CONNECTIONS_ACCEPTED) > 0).expect("a link");
    let is_remote = |node: &u8| net.shards().nth(1 - accepting).expect("two shards").is_linked_to(&id_of(*node));
    let (remote, local): (Vec<u8>, Vec<u8>) = DOWNSTREAM.iter().partition(|node| is_remote(node));
    net.simulation.set_stopped(net.shards[1 - accepting], true);
    let mut mint = Mint::new(4);
    for _ in 0..1500 {
        net.peer(upstream).send(mint.packet(Order::to(remote[0], 200)));
    }
    for _ in 0..100 {
        net.peer(upstream).send(mint.packet(Order::to(local[0], 200)));
    }
    let place_of = |node: u8| DOWNSTREAM.iter().position(|other| *other == node).expect("a downstream node");
    net.run_until_received(downstream[place_of(local[0])], 100);
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.drops(), [(DropReason::OutgoingQueueFull, 1500 - 1024)], "the inbox is full");
    net.simulation.set_stopped(net.shards[1 - accepting], false);
    net.run_until_received(downstream[place_of(remote[0])], 1024);
    net.check_slots();
}
