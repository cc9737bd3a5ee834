//! Links: who may connect, which connection stays, what ends one, and what the others notice.

use super::forwarding::connected;
use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, EPOCH, Mint, OWN, Order, UPSTREAM, address_of, document, snapshot};
use super::peers::{FakePeer, Send};
use crate::io::ConnId;
use crate::shared::sessions::Seat;
use interplane::counter::{AdmissionRefusal, Direction, HandshakeState, LinkEnd, PeerRefusal};
use interplane::event::Event;
use interplane::{Counter, DropReason};
use std::time::Duration;
use wire::Command;

fn ended(net: &Net, end: LinkEnd) -> u64 {
    net.total(Counter::link_ended(end))
}

fn failed(net: &Net, direction: Direction, state: HandshakeState) -> u64 {
    net.total(Counter::handshake_failure(direction, state))
}

#[test]
fn without_a_document_nobody_is_let_in() {
    let mut plan = Plan::new(1);
    plan.snapshot = None;
    let mut net = plan.build();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_for(Duration::from_secs(1));
    assert!(!net.peer(upstream).is_up());
    assert_eq!(net.total(Counter::REFUSED_NO_PKI_DOC), 1);
}

#[test]
fn only_listed_neighbours_with_their_own_keys_are_let_in() {
    let mut net = Plan::new(1).build();
    let strangers = [
        FakePeer::dialling(77, address_of(OWN)),
        FakePeer::dialling(DOWNSTREAM[0], address_of(OWN)),
        FakePeer::dialling(UPSTREAM[0], address_of(OWN)).with_other_link_key(),
    ];
    let hosts: Vec<_> = strangers.into_iter().map(|peer| net.add_peer(peer, 77)).collect();
    net.run_for(Duration::from_secs(5));
    for host in hosts {
        assert!(!net.peer(host).is_up());
    }
    assert_eq!(net.total(Counter::peer_validation_failure(PeerRefusal::UnknownMix)), 3);
    assert_eq!(failed(&net, Direction::Incoming, HandshakeState::Other), 3);
    let mut mismatches = 0;
    net.events.reader().drain(|_, event| mismatches += u32::from(matches!(event, Event::LinkKeyMismatch { .. })));
    assert_eq!(mismatches, 1);
    assert_eq!(net.shared.sessions().len(), 0);
    assert_eq!(net.shared.admission().handshakes(), 0);
}

#[test]
fn the_newest_connection_of_a_peer_stays_on_one_shard_and_across_shards() {
    for shards in 1..=2 {
        let (mut net, mut newest, downstream) = connected(shards);
        net.peer(newest).send_command(&Command::NoOp);
        for round in 1..=4 {
            let older = std::mem::replace(&mut newest, net.add_peer(dialling_as_upstream(), 76 + round));
            net.run_until_up(newest);
            assert!(net.peer(older).is_up(), "round {round}: nothing is known yet");
            net.peer(newest).send_command(&Command::NoOp);
            net.run_for(Duration::from_millis(20));
            assert!(!net.peer(older).is_up(), "round {round}");
            assert_eq!(ended(&net, LinkEnd::Replaced), u64::from(round));
            assert_eq!(net.shared.sessions().len(), 1);
        }
        net.peer(newest).send(Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5)));
        net.run_until_received(downstream[0], 1);
    }
}

/// Names and link keys of nodes are public, and with them anybody gets through a handshake up to its last message, which
/// only the private key opens.
#[test]
fn who_has_only_claimed_to_be_a_peer_takes_nobodys_place() {
    for shards in 1..=2 {
        let (mut net, upstream, downstream) = connected(shards);
        net.peer(upstream).send_command(&Command::NoOp);
        let liars: Vec<_> = (0..10).map(|_| net.add_peer(dialling_as_upstream(), 77)).collect();
        net.run_for(Duration::from_secs(1));
        assert!(net.peer(upstream).is_up(), "the one that has shown its key stays");
        let stay = liars.iter().filter(|liar| net.peer(**liar).is_up()).count();
        assert_eq!((stay, ended(&net, LinkEnd::Replaced)), (4, 6), "a few of the others, for a while");
        let seat = Seat { shard: 0, conn: ConnId { index: 9, generation: 9 } };
        let next = net.shared.admission().admit(address_of(77), seat).expect("there is room");
        assert!(!next.handshake.is_of_neighbour(), "a claim makes no address a neighbour's");
        net.peer(upstream).send(Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5)));
        net.run_until_received(downstream[0], 1);
        net.run_for(Duration::from_secs(121));
        assert_eq!(net.shared.sessions().len(), 0);
    }
}

fn dialling_as_upstream() -> FakePeer {
    FakePeer::dialling(UPSTREAM[0], address_of(OWN))
}

#[test]
fn redials_every_two_minutes_are_taken_calmly() {
    let (mut net, upstream, downstream) = connected(2);
    let mut mint = Mint::new(2);
    for round in 1..=6 {
        for _ in 0..10 {
            net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[1], 5)));
        }
        net.run_for(Duration::from_secs(119));
        // The reference drops the link and dials again at once (server.md 3.9).
        net.peer(upstream).to_send.push_back(Send::Close);
        net.run_for(Duration::from_millis(1));
        net.peer(upstream).dial(address_of(OWN));
        net.run_until_up(upstream);
        assert_eq!(net.peer(upstream).established, round + 1);
    }
    assert_eq!(net.drops(), []);
    assert_eq!(net.peer(downstream[1]).received.len(), 60);
    assert_eq!(ended(&net, LinkEnd::PeerClosed), 6);
}

#[test]
fn an_idle_outgoing_link_stays_and_carries_a_no_op_about_every_45_seconds() {
    let (mut net, _, downstream) = connected(1);
    net.run_for(Duration::from_secs(10 * 45 + 20));
    for peer in downstream {
        let peer = net.peer(peer);
        assert_eq!((peer.established, peer.ended), (1, 0));
        // Each wait is up to an eighth longer or shorter.
        assert!((9..=11).contains(&peer.no_ops), "{} NoOps", peer.no_ops);
    }
}

#[test]
fn a_silent_incoming_peer_is_closed_after_two_minutes() {
    let (mut net, upstream, _) = connected(1);
    net.run_for(Duration::from_secs(119));
    assert!(net.peer(upstream).is_up());
    net.peer(upstream).to_send.push_back(Send::Plain(vec![0; 6]));
    net.run_for(Duration::from_secs(119));
    assert!(net.peer(upstream).is_up(), "a NoOp counts");
    net.run_for(Duration::from_secs(2));
    assert!(!net.peer(upstream).is_up());
    assert_eq!(ended(&net, LinkEnd::Idle), 1);
}

#[test]
fn whatever_a_downstream_peer_says_ends_the_link() {
    let (mut net, _, downstream) = connected(1);
    net.peer(downstream[0]).to_send.push_back(Send::Plain(vec![0; 6]));
    net.run_for(Duration::from_millis(10));
    assert_eq!(ended(&net, LinkEnd::Unexpected), 1);
    // It did not live long, so the next dial comes later.
    net.run_for(Duration::from_secs(10));
    assert_eq!(net.peer(downstream[0]).established, 1);
    net.run_for(Duration::from_secs(15));
    assert_eq!(net.peer(downstream[0]).established, 2);
}

#[test]
fn dials_are_repeated_at_growing_intervals() {
    let mut plan = Plan::new(1);
    plan.unix_start = super::nodes::unix_at(EPOCH, 1, 100);
    let mut net = plan.build();
    // Nobody listens: dials at about 0, 19, 56, 112, 187, 281, 394, 525 s and then every 150 s, each wait within an eighth.
    net.run_for(Duration::from_secs(1000));
    let dials = net.total(Counter::dial_failure(interplane::counter::DialFailure::Refused)) / 3;
    assert!((8..=11).contains(&dials), "{dials} dials");
    assert_eq!(net.total(Counter::CONNECTIONS_MADE), 0);
    let listener = net.add_listener(DOWNSTREAM[2]);
    net.run_for(Duration::from_secs(180));
    assert!(net.peer(listener).is_up());
}

#[test]
fn dials_without_an_answer_end() {
    let mut net = Plan::new(1).build();
    for node in DOWNSTREAM {
        net.simulation.network().swallow_dials(address_of(node));
    }
    net.run_for(Duration::from_secs(70));
    assert_eq!(net.total(Counter::dial_failure(interplane::counter::DialFailure::Timeout)), 3);
}

#[test]
fn a_downstream_peer_with_another_key_is_not_sent_to() {
    let mut net = Plan::new(1).build();
    let impostor = net.add_peer(FakePeer::new(DOWNSTREAM[0]).with_other_link_key(), DOWNSTREAM[0]);
    net.simulation.network().listen(impostor, address_of(DOWNSTREAM[0]));
    net.run_for(Duration::from_secs(100));
    assert_eq!(net.peer(impostor).established, 0);
    assert!(failed(&net, Direction::Outgoing, HandshakeState::Other) >= 2);
}

#[test]
fn a_stalled_peer_costs_the_others_nothing() {
    let (mut net, upstream, downstream) = connected(1);
    net.simulation.set_stopped(downstream[0], true);
    let mut mint = Mint::new(3);
    // More to the stalled peer than its connection and buffers take (1 MB, twice 64 frames and 64 packets).
    let frame_bytes = net.shared.facts().frame_bytes();
    let to_stalled = (1 << 20) / frame_bytes + 600;
    let others = 400;
    let start = net.now();
    for number in 0..to_stalled.max(2 * others) {
        if number < to_stalled {
            net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1)));
        }
        if number < 2 * others {
            net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[1 + number % 2], 1)));
        }
    }
    net.run_until_received(downstream[1], others);
    net.run_until_received(downstream[2], others);
    assert!(net.now().since(start) < Duration::from_secs(1));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.account().received as usize, to_stalled + 2 * others);
    let lost = net.dropped(DropReason::OutgoingQueueFull) + net.dropped(DropReason::OutgoingSendDeadlineBlown);
    assert!(lost > 0, "{:?}", net.drops());
    assert_eq!(net.account().dropped, lost);
    // What waits too long is dropped although the peer takes nothing: only sealed frames are left, in
    // the buffer that is under way and in the one behind it.
    assert!(net.account().held <= 128, "{:?}", net.account());
    net.run_for(Duration::from_secs(65));
    assert_eq!(ended(&net, LinkEnd::Stalled), 1, "after a minute without progress");
    assert_eq!(net.account().held, 0);
    net.check_slots();
}

/// How long, by the simulation's clock, the node takes for packets to two peers while as many go to a third, which reads
/// or does not.
fn time_for_two_of_three(third_reads: bool) -> Duration {
    let (mut net, upstream, downstream) = connected(1);
    net.simulation.set_stopped(downstream[0], !third_reads);
    let mut mint = Mint::new(7);
    let count = 2 * ((1 << 20) / net.shared.facts().frame_bytes() + 600);
    let start = net.now();
    for number in 0..count {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1)));
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[1 + number % 2], 1)));
    }
    net.run_until_received(downstream[1], count / 2);
    net.run_until_received(downstream[2], count / 2);
    let time = net.now().since(start);
    let lost = net.dropped(DropReason::OutgoingQueueFull) + net.dropped(DropReason::OutgoingSendDeadlineBlown);
    assert_eq!(lost > 0, !third_reads, "{:?}", net.drops());
    time
}

#[test]
fn beside_a_stalled_peer_the_others_keep_their_rate() {
    let (beside_a_reader, beside_a_stalled_peer) = (time_for_two_of_three(true), time_for_two_of_three(false));
    let kept = beside_a_reader.as_secs_f64() / beside_a_stalled_peer.as_secs_f64();
    assert!(kept >= 0.95, "{kept:.3} of the rate: {beside_a_stalled_peer:?} instead of {beside_a_reader:?}");
}

#[test]
fn a_lost_connection_drops_what_was_sealed_and_is_made_again() {
    let (mut net, upstream, downstream) = connected(1);
    net.run_for(Duration::from_secs(30));
    let mut mint = Mint::new(4);
    for _ in 0..50 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1)));
    }
    net.run_for(Duration::from_micros(700));
    assert_eq!(net.simulation.network().cut(net.shards[0], downstream[0]), 1);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.peer(downstream[0]).established, 2, "an old link is dialled again at once");
    net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 1)));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.account().received, 51);
    assert_eq!(net.account().held, 0);
    net.check_slots();
}

#[test]
fn too_many_unfinished_handshakes_of_one_source_are_refused() {
    let mut plan = Plan::new(1);
    plan.setup.limits.handshakes_per_address = 4;
    let mut net = plan.build();
    let mut idlers = FakePeer::new(66).muted();
    idlers.dial(address_of(OWN));
    let idlers = net.add_peer(idlers, 66);
    for _ in 0..9 {
        net.run_for(Duration::from_millis(1));
        net.peer(idlers).dial(address_of(OWN));
    }
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.total(Counter::admission_refused(AdmissionRefusal::AddressLimit)), 6);
    // Somebody else still gets in, and the idle ones are gone after the handshake's time.
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    net.run_for(Duration::from_secs(4));
    assert_eq!(failed(&net, Direction::Incoming, HandshakeState::Message1Receive), 4);
    assert_eq!(net.shared.admission().handshakes(), 0);
    assert_eq!(net.peer(idlers).open_connections(), 0);
}

#[test]
fn a_stopping_node_takes_no_more_connections() {
    let (mut net, upstream, _) = connected(1);
    net.shared.close_doors();
    let late = net.add_dialler(UPSTREAM[1]);
    net.run_for(Duration::from_secs(1));
    assert!(!net.peer(late).is_up() && net.peer(upstream).is_up());
    assert_eq!(net.total(Counter::admission_refused(AdmissionRefusal::ShuttingDown)), 1);
}

#[test]
fn a_new_snapshot_ends_links_that_it_does_not_allow_and_makes_others() {
    let (mut net, upstream, downstream) = connected(2);
    let stays = net.add_dialler(UPSTREAM[1]);
    net.run_until_up(stays);
    let newcomer = net.add_listener(33);
    let mut mint = Mint::new(5);
    for _ in 0..10 {
        net.peer(upstream).send(mint.packet(Order::to(DOWNSTREAM[0], 2000)));
    }
    net.run_for(Duration::from_millis(100));
    let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
    let changed = epochs.map(|epoch| document(epoch, &UPSTREAM[1..], &[31, 32, 33]));
    net.shared.publish_directory(snapshot(2, &changed));
    net.wake_all();
    net.run_until_up(newcomer);
    assert_eq!(net.shared.applied().serial, 2);
    assert!(!net.peer(upstream).is_up() && net.peer(stays).is_up());
    assert!(!net.peer(downstream[0]).is_up() && net.peer(downstream[1]).is_up());
    assert_eq!(ended(&net, LinkEnd::NoLongerValid), 2);
    net.run_for(Duration::from_secs(4));
    assert_eq!(net.drops(), [(DropReason::DispatchNoConnection, 10)]);
    net.peer(stays).send(mint.packet(Order::to(33, 5)));
    net.run_until_received(newcomer, 1);
    net.check_slots();
}

#[test]
fn a_peer_of_the_next_epoch_may_connect_in_the_slack_and_send() {
    let mut plan = Plan::new(1);
    let documents = [document(EPOCH, &UPSTREAM, &DOWNSTREAM), document(EPOCH.after(1), &[13], &[34])];
    plan.snapshot = Some(snapshot(1, &documents));
    plan.unix_start = super::nodes::unix_at(EPOCH, 7, 8) - Duration::from_secs(5);
    let (mut net, _) = plan.build_with_downstream();
    let early = net.add_dialler(13);
    let next = net.add_listener(34);
    net.run_for(Duration::from_secs(4));
    assert!(!net.peer(early).is_up() && !net.peer(next).is_up());
    net.run_for(Duration::from_secs(2));
    net.peer(early).dial(address_of(OWN));
    net.run_until_up(early);
    net.run_until_up(next);
    // Outgoing packets to it wait for the epoch, incoming ones do not.
    let mut mint = Mint::new(6);
    net.peer(early).send(mint.packet(Order { next: DOWNSTREAM[0], delay_ms: 5, epoch: EPOCH }));
    net.peer(early).send(mint.packet(Order { next: 34, delay_ms: 5, epoch: EPOCH.after(1) }));
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.account().sent, 1);
    assert_eq!(net.drops(), [(DropReason::OutgoingPeerNotConnected, 1)]);
    net.run_for(Duration::from_secs(70));
    net.peer(early).to_send.push_back(Send::Plain(vec![0; 6]));
    net.run_for(Duration::from_secs(80));
    assert!(net.simulation.network().unix_now() > super::nodes::unix_at(EPOCH.after(1), 0, 1));
    net.peer(early).send(mint.packet(Order { next: 34, delay_ms: 5, epoch: EPOCH.after(1) }));
    net.run_until_received(next, 1);
}
