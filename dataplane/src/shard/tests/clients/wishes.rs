//! What operators want meanwhile: another rate for clients, and to be told of links.

use super::*;
use crate::shared::Applied;
use interplane::counter::Direction;
use interplane::roll::{LinkState, Roll};
use interplane::setup::{ClientRate, OrderedRate};

/// Has all shards go by a rate; they sleep.
fn order(net: &mut Net, rate: ClientRate) {
    let mut values = super::super::net::setup(1).adjustable();
    values.client_rate = rate;
    let number = net.shared.adjust(&values);
    net.wake_all();
    net.run_for(Duration::from_millis(5));
    let Applied { adjustment, .. } = net.shared.applied();
    assert_eq!(adjustment, number, "all shards and clients go by it");
}

/// How many of ten packets at once are dropped.
fn dropped_of_ten(gateway: &mut Gateway, mint: &mut Mint) -> u64 {
    let before = gateway.net.dropped(DropReason::GatewayRateLimited);
    for number in 0..10 {
        let packet = mint.packet(Order::to(DOWNSTREAM[number % 3], 5));
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_for(Duration::from_millis(50));
    gateway.net.dropped(DropReason::GatewayRateLimited) - before
}

#[test]
fn clients_go_by_the_rate_that_is_ordered_while_its_document_counts() {
    for shards in 1..=2 {
        let (mut gateway, mut mint) = (Gateway::new(plan(shards, 0.0), 1), Mint::new(1));
        assert_eq!(dropped_of_ten(&mut gateway, &mut mint), 0, "the document has no limit");
        let ordered = |per_minute, epoch| Some(OrderedRate { per_minute, epoch });
        let rate = ClientRate { ordered: ordered(60, EPOCH), ..ClientRate::default() };
        order(&mut gateway.net, rate);
        assert_eq!(dropped_of_ten(&mut gateway, &mut mint), 9, "one token to begin with");
        // What is saved up, and how much may be.
        gateway.net.run_for(Duration::from_secs(20));
        order(&mut gateway.net, ClientRate { burst_packets: Some(4), ..rate });
        assert_eq!(dropped_of_ten(&mut gateway, &mut mint), 6);
        order(&mut gateway.net, ClientRate { is_unlimited: true, ..rate });
        assert_eq!(dropped_of_ten(&mut gateway, &mut mint), 0);
        // Another document counts: what was ordered for the one before is over.
        order(&mut gateway.net, ClientRate { ordered: ordered(1, EPOCH.before(1)), ..ClientRate::default() });
        assert_eq!(dropped_of_ten(&mut gateway, &mut mint), 0);
        gateway.net.check_slots();
    }
}

/// A gateway with clients in more than one piece of a look at all links.
fn crowded() -> Gateway {
    let mut gateway = Gateway::new(plan(1, 0.0), 1);
    for number in 1..140 {
        let client = add_client(&mut gateway.net, CLIENT + number);
        gateway.net.run_until_up(client);
    }
    gateway
}

#[test]
fn an_interval_that_is_shorter_than_a_look_at_all_links_keeps_no_shard_from_its_end() {
    let mut gateway = crowded();
    let mut values = super::super::net::setup(1).adjustable();
    values.times.reauth_interval_ms = 0;
    let number = gateway.net.shared.adjust(&values);
    gateway.net.wake_all();
    // Time stands still between rounds that are due at once.
    for _ in 0..10 {
        gateway.net.wake_all();
        gateway.net.run_for(Duration::ZERO);
    }
    assert_eq!(gateway.net.shared.applied().adjustment, number);
}

fn roll(net: &mut Net) -> Roll {
    let number = net.shared.call_roll();
    assert!(net.shared.take_roll(number).is_none(), "no shard has been asked yet");
    net.wake_all();
    net.run_for(Duration::from_millis(5));
    let roll = net.shared.take_roll(number).expect("all shards have answered");
    for link in &roll.0 {
        assert_eq!((link.state, link.may_send, link.failures), (LinkState::Up, true, 0));
    }
    roll
}

#[test]
fn links_behind_many_clients_are_told_of_too() {
    let mut gateway = crowded();
    let last = gateway.net.add_dialler(UPSTREAM[1]);
    gateway.net.run_until_up(last);
    let roll = roll(&mut gateway.net);
    let incoming = roll.0.iter().filter(|link| link.direction == Direction::Incoming);
    let mut nodes: Vec<_> = incoming.map(|link| link.node).collect();
    nodes.sort_unstable();
    let mut expected = [UPSTREAM[0], UPSTREAM[1]].map(super::super::nodes::id_of);
    expected.sort_unstable();
    assert_eq!(nodes, expected);
}

#[test]
fn links_of_nodes_are_told_of_and_no_clients() {
    for shards in 1..=3 {
        let (mut gateway, mut mint) = (Gateway::new(plan(shards, 0.0), 5), Mint::new(1));
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.upstream).send(packet);
        for number in 0..6 {
            let packet = mint.packet(Order::to(DOWNSTREAM[number % 2], 5));
            gateway.net.peer(gateway.clients[0]).send(packet);
        }
        gateway.net.run_for(Duration::from_secs(2));
        for _ in 0..2 {
            let roll = roll(&mut gateway.net);
            let mut seen: Vec<_> = roll
                .0
                .iter()
                .map(|link| (link.direction == Direction::Incoming, link.node, link.all.packets))
                .collect();
            seen.sort_unstable();
            let id = super::super::nodes::id_of;
            let mut expected = vec![
                (true, id(UPSTREAM[0]), 1),
                (false, id(DOWNSTREAM[0]), 4),
                (false, id(DOWNSTREAM[1]), 3),
                (false, id(DOWNSTREAM[2]), 0),
            ];
            expected.sort_unstable();
            assert_eq!(seen, expected, "shards: {shards}");
            let of_first = roll.0.iter().find(|link| link.node == id(DOWNSTREAM[0])).expect("it is there");
            let since = of_first.last_packet_ms.expect("a packet went");
            assert!((1_900..=2_100).contains(&since) && of_first.state_ms >= since, "{of_first:?}");
            assert!(!of_first.is_slow());
        }
        gateway.net.check_slots();
    }
}
