//! When peers are dialled: at the start of an epoch, with new documents, before an epoch, and when they cannot be.

use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, EPOCH, UPSTREAM, document, snapshot, unix_at};
use interplane::Counter;
use interplane::counter::{DialFailure, Direction, HandshakeState};
use interplane::event::Event;
use pki::address::Addresses;
use pki::document::Document;
use std::collections::BTreeMap;
use std::time::Duration;

const NEWCOMER: u8 = 34;
const GATEWAY: u8 = 100;

/// Seconds before or after the next epoch.
fn at_boundary(net: &Net) -> f64 {
    net.simulation.network().unix_now().as_secs_f64() - unix_at(EPOCH.after(1), 0, 1).as_secs_f64()
}

/// The usual document now, `next` for the next epoch, some seconds before that.
fn before_boundary(next: Document, seconds: u64) -> Net {
    let mut plan = Plan::new(1);
    plan.snapshot = Some(snapshot(1, &[document(EPOCH, &UPSTREAM, &DOWNSTREAM), next]));
    plan.unix_start = unix_at(EPOCH.after(1), 0, 1) - Duration::from_secs(seconds);
    plan.build_with_downstream().0
}

/// When connections came, in seconds since the next epoch.
fn dials(net: &mut Net, peer: crate::io::sim::HostId) -> Vec<f64> {
    let (now, at_boundary) = (net.now(), at_boundary(net));
    net.peer(peer).accepted_at.iter().map(|at| at_boundary - now.since(*at).as_secs_f64()).collect()
}

#[test]
fn a_peer_that_refuses_before_its_epoch_is_linked_as_soon_as_it_begins() {
    let mut net = before_boundary(document(EPOCH.after(1), &UPSTREAM, &[NEWCOMER]), 150);
    let newcomer = net.add_listener(NEWCOMER);
    net.peer(newcomer).refuses = true;
    net.run_for(Duration::from_millis(149_999));
    let early = dials(&mut net, newcomer);
    assert_eq!(early.len(), 1, "one try before its epoch is enough: {early:?}");
    net.peer(newcomer).refuses = false;
    net.run_for(Duration::from_secs(2));
    assert!(net.peer(newcomer).is_up());
    let all = dials(&mut net, newcomer);
    assert!(all.len() == 2 && (0.0..1.3).contains(&all[1]), "{all:?}");
}

#[test]
fn a_peer_that_is_not_ready_at_the_boundary_is_not_dialled_twice_at_once() {
    let mut net = before_boundary(document(EPOCH.after(1), &UPSTREAM, &[NEWCOMER]), 20);
    let newcomer = net.add_listener(NEWCOMER);
    net.peer(newcomer).refuses = true;
    net.run_for(Duration::from_secs(140));
    let dials = dials(&mut net, newcomer);
    // Once before the boundary, at the boundary, and then after about 1, 5, 23 and 42 s, each within an eighth.
    assert_eq!(dials.len(), 6, "{dials:?}");
    let waits: Vec<_> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[1..].windows(2).all(|pair| pair[0] > 1.0 && pair[1] > pair[0]), "{dials:?}");
    assert!((0.0..1.3).contains(&dials[1]), "{dials:?}");
    net.peer(newcomer).refuses = false;
    net.run_for(Duration::from_secs(90));
    assert!(net.peer(newcomer).is_up());
}

#[test]
fn a_new_document_ends_a_long_wait() {
    let mut plan = Plan::new(1);
    plan.unix_start = unix_at(EPOCH, 1, 100);
    let mut net = plan.build();
    net.run_for(Duration::from_secs(600));
    let refused = |net: &Net| net.total(Counter::dial_failure(DialFailure::Refused));
    let before = refused(&net);
    let listener = net.add_listener(DOWNSTREAM[0]);
    let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
    net.shared.publish_directory(snapshot(2, &epochs.map(|epoch| document(epoch, &UPSTREAM, &DOWNSTREAM))));
    net.wake_all();
    net.run_for(Duration::from_secs(2));
    assert!(net.peer(listener).is_up());
    let anew = refused(&net) - before;
    assert!((2..=4).contains(&anew), "the others are dialled anew too, {anew} times");
    net.run_for(Duration::from_secs(10));
    let anew = refused(&net) - before;
    assert!((4..=6).contains(&anew), "and again after short waits: {anew} times");
}

/// Before its epoch a gateway takes this node for a client; a link of that kind would lose replies (server.md 3.7).
#[test]
fn a_gateway_is_not_dialled_before_the_epoch_in_which_it_knows_this_node() {
    // This node is in the middle now, and in the last layer in the next epoch.
    let mut next = document(EPOCH.after(1), &UPSTREAM, &[]);
    next.topology.pop();
    let mut net = before_boundary(next, 150);
    let gateway = net.add_listener(GATEWAY);
    let service = net.add_listener(200);
    net.run_for(Duration::from_millis(150_400));
    assert!(net.peer(service).is_up(), "a service node tells nodes and clients apart at once");
    assert!(dials(&mut net, gateway).is_empty());
    net.run_for(Duration::from_millis(1_600));
    assert!(net.peer(gateway).is_up());
    let dials = dials(&mut net, gateway);
    assert!(dials.len() == 1 && dials[0] >= 0.5, "{dials:?}");
}

#[test]
fn a_node_that_starts_within_an_epoch_dials_its_gateways_at_once() {
    let mut now = document(EPOCH, &UPSTREAM, &[]);
    now.topology.pop();
    let mut plan = Plan::new(1);
    plan.snapshot = Some(snapshot(1, &[now]));
    let mut net = plan.build();
    let gateway = net.add_listener(GATEWAY);
    net.run_for(Duration::from_millis(100));
    assert!(net.peer(gateway).is_up());
}

#[test]
fn a_peer_with_quic_only_is_called_that_once() {
    let mut only_quic = document(EPOCH, &UPSTREAM, &DOWNSTREAM);
    let urls = vec!["quic://192.0.2.30:30000".to_string()];
    only_quic.topology[2][0].addresses = Some(Addresses::from(&BTreeMap::from([("quic".to_string(), urls)])));
    let mut plan = Plan::new(1);
    plan.unix_start = unix_at(EPOCH, 1, 100);
    plan.snapshot = Some(snapshot(1, &[only_quic]));
    let (mut net, _) = plan.build_with_downstream();
    net.run_for(Duration::from_secs(700));
    assert!(net.total(Counter::dial_failure(DialFailure::NoTransport)) >= 4);
    assert_eq!(net.total(Counter::dial_failure(DialFailure::Dns)), 0);
    let mut said = Vec::new();
    net.events.reader().drain(|_, event| {
        if let Event::DialFailed { reason: DialFailure::NoTransport, detail, .. } = event {
            said.push(detail.to_string());
        }
    });
    assert_eq!(said, ["it lists quic"]);
}

#[test]
fn a_refused_handshake_counts_where_it_ended() {
    let mut net = before_boundary(document(EPOCH.after(1), &UPSTREAM, &[NEWCOMER]), 100);
    let newcomer = net.add_listener(NEWCOMER);
    net.peer(newcomer).refuses = true;
    net.run_for(Duration::from_secs(50));
    let failures = Counter::handshake_failure(Direction::Outgoing, HandshakeState::Message4Receive);
    assert_eq!(net.total(failures), 1);
}
