//! Every deadline, with the reason that it gives.

use super::pair::{PACKET_BYTES, Pair, x25519};
use crate::command::Command;
use crate::error::{HandshakeError, HandshakeReason, HandshakeState};
use crate::link::{End, Limits};
use crate::sizes::Role;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn timed_out(state: HandshakeState, role: Role) -> Option<End> {
    Some(End::Handshake(HandshakeError { state, reason: HandshakeReason::TimedOut, role }))
}

#[test]
fn a_stranger_who_says_nothing_has_less_time_than_a_handshake() {
    let limits = Limits { message_1: seconds(1), ..Limits::node(Role::Responder, seconds(3)) };
    let mut pair = Pair::with(x25519(), limits, limits);
    pair.pass(seconds(1) - MILLISECOND);
    assert_eq!(pair.responder.end(), None);
    pair.pass(MILLISECOND);
    assert_eq!(pair.responder.end(), timed_out(HandshakeState::Message1Receive, Role::Responder));
    // Whoever has begun has the whole time.
    let mut pair = Pair::with(x25519(), limits, limits);
    pair.deliver(Role::Initiator);
    pair.pass(seconds(3) - MILLISECOND);
    assert_eq!(pair.responder.end(), None);
    pair.pass(MILLISECOND);
    assert_eq!(pair.responder.end(), timed_out(HandshakeState::Message3Receive, Role::Responder));
    assert_eq!(pair.initiator.end(), timed_out(HandshakeState::Message2Receive, Role::Initiator));
}

#[test]
fn half_a_message_1_is_none() {
    let limits = Limits { message_1: seconds(1), ..Limits::node(Role::Responder, seconds(3)) };
    let mut pair = Pair::with(x25519(), limits, limits);
    pair.responder.drive(pair.now, &mut [3; 20]);
    pair.pass(seconds(1));
    assert_eq!(pair.responder.end(), timed_out(HandshakeState::Message1Receive, Role::Responder));
}

#[test]
fn the_handshake_has_one_deadline_for_all_messages() {
    let mut pair = Pair::of(x25519());
    for role in [Role::Initiator, Role::Responder, Role::Initiator] {
        pair.pass(seconds(1) - MILLISECOND);
        pair.deliver(role);
    }
    assert!(pair.responder.link.is_up());
    pair.pass(3 * MILLISECOND);
    assert_eq!(pair.initiator.end(), timed_out(HandshakeState::Message4Receive, Role::Initiator));
}

#[test]
fn the_finalization_has_the_limit_of_a_receive() {
    let mut pair = Pair::of(x25519());
    for role in [Role::Initiator, Role::Responder, Role::Initiator] {
        pair.deliver(role);
    }
    // Message 4 arrives, the NoOp does not.
    pair.responder.line.truncate(1);
    pair.deliver(Role::Responder);
    assert!(!pair.initiator.link.is_up());
    pair.pass(seconds(120) - MILLISECOND);
    assert_eq!(pair.initiator.end(), None);
    pair.pass(MILLISECOND);
    assert_eq!(pair.initiator.end(), timed_out(HandshakeState::Finalization, Role::Initiator));
}

#[test]
fn a_receive_limit_covers_header_and_body_together() {
    let mut pair = Pair::of(x25519()).established();
    pair.pass(seconds(20));
    pair.initiator.send(&Command::NoOp);
    pair.deliver(Role::Initiator);
    pair.pass(seconds(30));
    pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
    pair.initiator.heed(pair.now);
    let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
    pair.responder.drive(pair.now, &mut bytes[..100]);
    pair.pass(seconds(90) - MILLISECOND);
    assert_eq!(pair.responder.end(), None);
    pair.pass(MILLISECOND);
    assert_eq!(pair.responder.end(), Some(End::Silent), "120 s after the last whole command");
}

/// Whose owner has no time to read it says NoOp all the same.
#[test]
fn a_peer_that_waits_to_be_read_is_not_silent_and_hears_what_it_is_owed() {
    let mut pair = Pair::of(x25519()).established();
    pair.responder.link.keep_alive_every(
        Some(seconds(8)),
        pair.now,
        &mut crypto_simd::random::SeededRandom::new(&[1; 32]),
    );
    for _ in 0..130 {
        pair.responder.link.excuse_silence(pair.now + seconds(2));
        pair.pass(seconds(1));
    }
    assert_eq!(pair.responder.end(), None);
    assert!((13..=19).contains(&pair.responder.line.len()), "{} NoOps", pair.responder.line.len());
    pair.pass(seconds(2));
    assert_eq!(pair.responder.end(), Some(End::Silent));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let mut pair = Pair::of(x25519()).established();
    pair.initiator.send(&Command::NoOp);
    let buffer = pair.initiator.link.poll_output(pair.now).expect("a frame");
    pair.pass(seconds(59));
    let taken = buffer.len();
    assert_eq!(pair.initiator.link.handle_sent(buffer, taken), 0);
    pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
    let _lost = pair.initiator.link.poll_output(pair.now).expect("a frame");
    pair.pass(seconds(59));
    pair.initiator.link.handle_progress(pair.now - seconds(9));
    pair.pass(seconds(51) - MILLISECOND);
    assert_eq!(pair.initiator.end(), None, "60 s since it last took something");
    pair.pass(MILLISECOND);
    assert_eq!(pair.initiator.end(), Some(End::Stalled));
    assert_eq!(pair.initiator.link.handle_lost(9), (0, 1));
}

#[test]
fn no_ops_keep_a_link_alive_at_uneven_intervals() {
    let mut pair = Pair::of(x25519()).established();
    let mut gaps = Vec::new();
    for _ in 0..40 {
        let before = pair.now;
        while pair.initiator.line.is_empty() {
            pair.pass(MILLISECOND);
        }
        gaps.push(pair.now.since(before).as_millis());
        pair.run();
    }
    // 45 s, and up to an eighth more or less.
    assert!(gaps.iter().all(|gap| (39_375..=50_626).contains(gap)), "{gaps:?}");
    gaps.sort_unstable();
    gaps.dedup();
    assert!(gaps.len() > 30, "{gaps:?}");
    assert_eq!(pair.responder.received.len(), 40);
    assert_eq!(pair.responder.end(), None);
}

#[test]
fn packets_put_a_no_op_off() {
    let mut pair = Pair::of(x25519()).established();
    for _ in 0..20 {
        pair.pass(seconds(39));
        pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
        pair.run();
    }
    let set = pair.responder.commands();
    assert!(pair.responder.received.iter().all(|bytes| set.parse(bytes) != Ok(Command::NoOp)));
    assert_eq!(pair.responder.received.len(), 20);
}

#[test]
fn idle_buffers_are_given_back() {
    let mut pair = Pair::of(x25519()).established();
    for _ in 0..3 {
        pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
        pair.initiator.heed(pair.now);
        let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
        let (first, second) = bytes.split_at_mut(100);
        pair.responder.drive(pair.now, first);
        pair.pass(seconds(1));
        pair.responder.drive(pair.now, second);
        assert!(pair.responder.link.held.has_memory() && pair.initiator.link.outbox.has_memory());
    }
    pair.pass(seconds(3));
    assert!(!pair.responder.link.held.has_memory() && !pair.initiator.link.outbox.has_memory());
    assert_eq!(pair.responder.received.len(), 3);
}
