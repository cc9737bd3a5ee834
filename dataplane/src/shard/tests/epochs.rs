//! Keys and documents over time.

use super::forwarding::connected;
use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, EPOCH, Mint, Order, UPSTREAM, document, key_ring, snapshot, unix_at};
use crate::io::sim::HostId;
use crate::shared::keys::KeyRing;
use interplane::{Counter, DropReason};
use pki::Epoch;
use std::time::Duration;

fn send(net: &mut Net, upstream: HostId, mint: &mut Mint, epoch: Epoch) {
    net.peer(upstream).send(mint.packet(Order { next: DOWNSTREAM[0], delay_ms: 5, epoch }));
}

#[test]
fn keys_of_this_the_last_and_the_next_epoch_open_packets() {
    let mut plan = Plan::new(1);
    plan.keys = key_ring(EPOCH.0 - 2..=EPOCH.0 + 2);
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    let mut mint = Mint::new(1);
    for epoch in [EPOCH.before(1), EPOCH, EPOCH.after(1), EPOCH.before(2), EPOCH.after(2)] {
        send(&mut net, upstream, &mut mint, epoch);
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.peer(downstream[0]).received.len(), 3);
    assert_eq!(net.drops(), [(DropReason::UnwrapFailed, 2)]);
}

#[test]
fn packets_of_mixed_epochs_may_share_a_batch() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(2);
    for number in 0..300u64 {
        let mut packet =
            mint.packet(Order { next: DOWNSTREAM[0], delay_ms: 5, epoch: Epoch(EPOCH.0 - 1 + number % 3) });
        if number % 10 == 0 {
            packet[90] ^= 1;
        }
        net.peer(upstream).send(packet);
    }
    net.run_until_received(downstream[0], 270);
    assert_eq!(net.drops(), [(DropReason::UnwrapFailed, 30)]);
}

#[test]
fn without_a_key_for_this_epoch_nothing_is_unwrapped() {
    let mut plan = Plan::new(1);
    plan.keys = key_ring([EPOCH.0 - 1, EPOCH.0 + 1]);
    let (mut net, _) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    let mut mint = Mint::new(3);
    send(&mut net, upstream, &mut mint, EPOCH.after(1));
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.drops(), [(DropReason::UnwrapFailed, 1)]);
    // Keys that come later are used from then on, and the attach thread sees that they are.
    let number = net.shared.publish_keys(key_ring([EPOCH.0]));
    assert!(net.shared.applied().keys < number);
    net.wake_all();
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.shared.applied().keys, number);
    send(&mut net, upstream, &mut mint, EPOCH);
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.account().sent, 1);
}

/// The clock alone carries the node over six epochs: documents and keys come well before they are needed, as the
/// control plane publishes them, and nothing is lost.
#[test]
fn six_epochs_pass_without_a_loss() {
    let mut plan = Plan::new(2);
    plan.unix_start = unix_at(EPOCH, 1, 2);
    let all_keys = key_ring(EPOCH.0 - 1..=EPOCH.0 + 8);
    let ring = |now: Epoch| KeyRing {
        link_key: all_keys.link_key.clone(),
        mix_keys: all_keys
            .mix_keys
            .iter()
            .filter(|key| (now.0 - 1..=now.0 + 3).contains(&key.epoch.0))
            .cloned()
            .collect(),
    };
    let documents = |now: Epoch| {
        let epochs = [now.before(2), now.before(1), now, now.after(1)];
        epochs.map(|epoch| document(epoch, &UPSTREAM, &DOWNSTREAM))
    };
    plan.keys = ring(EPOCH);
    plan.snapshot = Some(snapshot(1, &documents(EPOCH)));
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    let mut mint = Mint::new(4);
    let mut sent = 0;
    for passed in 0..6 {
        let now = EPOCH.after(passed);
        // From half of an epoch to half of the next one; the step does not divide the period.
        for step in 0..24 {
            let unix = net.simulation.network().unix_now();
            let epoch = super::nodes::clock().now(unix).expect("after epoch 0").epoch;
            // Senders whose clocks are early, right and late.
            for epoch in [epoch.before(1), epoch, epoch.after(1)] {
                for _ in 0..2 {
                    send(&mut net, upstream, &mut mint, epoch);
                    sent += 1;
                }
            }
            net.run_for(Duration::from_millis(50_050));
            if step == 20 {
                net.shared.publish_keys(ring(now.after(1)));
                net.shared.publish_directory(snapshot(2 + passed, &documents(now.after(1))));
                net.wake_all();
            }
        }
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.drops(), []);
    assert_eq!(net.peer(downstream[0]).received.len(), sent);
    assert_eq!(net.peer(downstream[0]).established, 1, "no link was made anew");
    assert_eq!(net.peer(upstream).established, 1);
    assert_eq!(net.shared.applied().serial, 7);
    net.check_slots();
}

/// Documents run out: links end by themselves at the boundary, without the control plane.
#[test]
fn without_newer_documents_links_end_by_the_clock() {
    let mut plan = Plan::new(1);
    plan.snapshot = Some(snapshot(1, &[document(EPOCH, &UPSTREAM, &DOWNSTREAM)]));
    plan.unix_start = unix_at(EPOCH, 99, 100);
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.run_for(Duration::from_secs(11));
    assert!(net.peer(upstream).is_up() && net.peer(downstream[0]).is_up());
    net.run_for(Duration::from_secs(2));
    // An older document counts only while the current one lists the node too (server.md 8.7).
    assert!(!net.peer(upstream).is_up() && !net.peer(downstream[0]).is_up());
    assert_eq!(net.total(Counter::CONNECTIONS_MADE), 3);
}

#[test]
fn a_link_remembers_which_key_its_packets_are_for() {
    let (mut net, upstream, _) = connected(1);
    let mut mint = Mint::new(5);
    let port = |net: &Net| net.shared.ports()[0].hint(0);
    let before = port(&net);
    for _ in 0..3 {
        send(&mut net, upstream, &mut mint, EPOCH.after(1));
        net.run_for(Duration::from_millis(20));
    }
    let hints: Vec<_> = (0..8).map(|link| net.shared.ports()[0].hint(link)).collect();
    assert!(hints.contains(&crate::packet::pool::KeyHint::Next), "{before:?} {hints:?}");
}
