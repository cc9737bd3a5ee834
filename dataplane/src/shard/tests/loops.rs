//! This node's own loops: what it sends, what comes back, and what is counted.

use super::net::{Net, Plan};
use super::nodes::{self, DOWNSTREAM, EPOCH, OWN, SERVICE, UPSTREAM, geometry, id_of, mix_key};
use super::peers::Received;
use crate::io::sim::HostId;
use interplane::counter::{Destination, Origin};
use interplane::loops::LoopCounts;
use interplane::{Counter, DropReason};
use pki::Epoch;
use pki::document::Document;
use pki::neighbours::Role;
use sphinx::plaintext::{BlockSphinxPlaintext, pad_reply};
use sphinx::{Sphinx, UnwrappedKind, Unwrapper};
use std::time::Duration;

/// A mix in the middle layer that makes ten loops a second.
struct Site {
    net: Net,
    upstream: HostId,
    downstream: Vec<HostId>,
    counts: LoopCounts,
}

fn document(epoch: Epoch, lambda_m: f64) -> Document {
    Document { lambda_m, ..nodes::document(epoch, &UPSTREAM[..1], &DOWNSTREAM) }
}

fn site(lambda_m: f64) -> Site {
    let mut plan = Plan::new(2);
    plan.setup.sends_decoys = true;
    let (counts, _fd) = LoopCounts::create().expect("memfds work");
    plan.loops = Some(counts.clone());
    let documents = [EPOCH.before(1), EPOCH, EPOCH.after(1)].map(|epoch| document(epoch, lambda_m));
    plan.snapshot = Some(nodes::snapshot_as(Role::Mix, 1, &documents));
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    Site { net, upstream, downstream, counts }
}

impl Site {
    /// The loops that have gone out since the last time, as their first hop got them.
    fn sent(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        for (peer, node) in self.downstream.iter().zip(DOWNSTREAM) {
            let received = std::mem::take(&mut self.net.peer(*peer).received);
            found.extend(received.into_iter().map(|Received { packet, .. }| (node, packet)));
        }
        found
    }

    fn decoys(&self) -> (u64, u64) {
        (self.net.total(Counter::originated(Origin::Decoy)), self.net.total(Counter::delivered(Destination::Decoy)))
    }
}

/// What all the others do with a loop: the mix of the last layer, the service node, the mix of the first layer. Gives
/// what comes back to this node.
fn around(first: u8, mut packet: Vec<u8>) -> Vec<u8> {
    let mut unwrapper = Unwrapper::new(&geometry(), 1).expect("a sound geometry");
    let forward = unwrapper.unwrap(&mix_key(first, EPOCH), &mut packet).expect("the first hop opens it");
    assert_eq!(forward.commands.next_node.expect("it goes on").id, id_of(SERVICE));
    let request = unwrapper.unwrap(&mix_key(SERVICE, EPOCH), &mut packet).expect("the service node opens it");
    assert_eq!(request.commands.recipient, service::recipient("+echo"));
    assert!(request.commands.delay_ms.is_some(), "a request with a reply block says how long its reply waits");
    let UnwrappedKind::Deliver { payload_offset, payload_len } = request.kind else { panic!("it ends there") };
    let content = &packet[payload_offset..][..payload_len];
    let plaintext = BlockSphinxPlaintext::parse(&geometry(), content).expect("a request");
    let reply = pad_reply(&geometry(), plaintext.payload).expect("it fits");
    let sphinx = Sphinx::new(geometry()).expect("a sound geometry");
    let surb = plaintext.surb.expect("a loop wants its reply");
    let (mut reply, next) = sphinx.new_packet_from_surb(surb, &reply).expect("a good reply block");
    assert_eq!(next, id_of(UPSTREAM[0]));
    let back = unwrapper.unwrap(&mix_key(UPSTREAM[0], EPOCH), &mut reply).expect("the first layer opens it");
    assert_eq!(back.commands.next_node.expect("it goes on").id, id_of(OWN));
    reply
}

#[test]
fn loops_go_out_at_their_rate_and_come_home() {
    let mut site = site(0.01);
    let mut rounds = 0;
    while rounds < 200 {
        site.net.run_for(Duration::from_millis(100));
        rounds += 1;
        for (first, packet) in site.sent() {
            let reply = around(first, packet);
            let upstream = site.upstream;
            site.net.peer(upstream).send(reply);
        }
    }
    site.net.run_for(Duration::from_millis(50));
    // 200 are expected in twenty seconds; one seed gives one number.
    let (made, home) = site.decoys();
    assert!((150..250).contains(&made), "{made} loops");
    assert_eq!(home + site.sent().len() as u64, made);
    assert_eq!(site.net.drops(), []);
    let counts = site.counts.read(EPOCH);
    // Three ways out to the service node, and one way back: from the first layer to this node.
    let mut pairs: Vec<_> = counts.iter().map(|count| count.segment).collect();
    let pair = |from: u8, to: u8| -> [u8; 64] { [id_of(from), id_of(to)].concat().try_into().expect("two ids") };
    let mut expected = vec![pair(UPSTREAM[0], OWN)];
    expected.extend(DOWNSTREAM.map(|node| pair(node, SERVICE)));
    pairs.sort_unstable();
    expected.sort_unstable();
    assert_eq!(pairs, expected);
    let home_way = counts.iter().find(|count| count.segment == pair(UPSTREAM[0], OWN)).expect("it is there");
    assert_eq!((home_way.sent, home_way.completed), (made, home));
    assert_eq!(counts.iter().map(|count| count.sent).sum::<u64>(), 2 * made);
    let account = site.net.account();
    assert_eq!((account.originated, account.delivered, account.received), (made, home, home));
    site.net.check_slots();
}

#[test]
fn what_does_not_come_home_is_seen_in_the_counts_of_its_segments() {
    let mut site = site(0.01);
    for _ in 0..100 {
        site.net.run_for(Duration::from_millis(100));
        for (first, packet) in site.sent() {
            // One of the mixes behind this one loses everything.
            if first != DOWNSTREAM[1] {
                let upstream = site.upstream;
                site.net.peer(upstream).send(around(first, packet));
            }
        }
    }
    site.net.run_for(Duration::from_millis(50));
    let lost = id_of(DOWNSTREAM[1]);
    for count in site.counts.read(EPOCH) {
        if count.segment[..32] == lost {
            assert!(count.sent > 0 && count.completed == 0, "{count:?}");
        } else if count.segment[..32] != id_of(UPSTREAM[0]) {
            assert!(count.sent - count.completed <= 2, "{count:?}");
        }
    }
}

#[test]
fn a_loop_comes_home_once_and_whole() {
    let mut site = site(0.01);
    site.net.run_until("a loop", |simulation| {
        simulation.hosts().any(|actor| matches!(actor, super::net::Actor::Peer(peer) if !peer.received.is_empty()))
    });
    site.net.run_for(Duration::from_millis(500));
    let loops = site.sent();
    let upstream = site.upstream;
    let replies: Vec<_> = loops.into_iter().map(|(first, packet)| around(first, packet)).collect();
    assert!(replies.len() >= 2, "{}", replies.len());
    let mut damaged = replies[0].clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    site.net.peer(upstream).send(damaged);
    site.net.peer(upstream).send(replies[1].clone());
    site.net.peer(upstream).send(replies[1].clone());
    site.net.run_for(Duration::from_millis(50));
    assert_eq!(site.net.drops(), [(DropReason::Replay, 1), (DropReason::DecoySurbDecryptFailed, 1)]);
    assert_eq!(site.decoys().1, 1);
}

/// After the time of its delays and the slack nobody waits for a loop any more.
#[test]
fn a_loop_that_comes_home_too_late_is_dropped() {
    let mut plan_site = site(0.01);
    plan_site.net.run_for(Duration::from_millis(500));
    let loops = plan_site.sent();
    let replies: Vec<_> = loops.into_iter().map(|(first, packet)| around(first, packet)).collect();
    let longest = Duration::from_millis(5 * nodes::DELAY_MS_MAX) + Duration::from_secs(15);
    plan_site.net.run_for(longest);
    plan_site.sent();
    let upstream = plan_site.upstream;
    let count = replies.len() as u64;
    assert!(count > 0);
    replies.into_iter().for_each(|reply| plan_site.net.peer(upstream).send(reply));
    plan_site.net.run_for(Duration::from_millis(50));
    assert_eq!(plan_site.net.dropped(DropReason::DecoyUnknownSurbId), count);
}

#[test]
fn without_a_rate_or_a_document_there_are_none() {
    let mut none = site(0.0);
    none.net.run_for(Duration::from_secs(20));
    assert_eq!(none.decoys(), (0, 0));
    let mut some = site(0.01);
    some.net.run_for(Duration::from_secs(2));
    assert!(some.decoys().0 > 0);
    // Another epoch begins for which there is no document.
    let before = [EPOCH.before(1), EPOCH.before(2)].map(|epoch| document(epoch, 0.01));
    some.net.shared.publish_directory(nodes::snapshot_as(Role::Mix, 2, &before));
    some.net.wake_all();
    some.net.run_for(Duration::from_secs(1));
    let made = some.decoys().0;
    some.net.run_for(Duration::from_secs(20));
    assert_eq!(some.decoys().0, made);
}
