//! Garbage, closed connections and commands out of place, at each stage.

use super::pair::{PACKET_BYTES, Pair, Side, config, x25519};
use crate::command::Command;
use crate::error::{FrameError, HandshakeError, HandshakeReason, HandshakeState};
use crate::link::{Due, End, Event, Input, Limits, SendError};
use crate::sizes::{MessageSizes, Role};
use crate::{CommandError, SessionConfig};
use proptest::prelude::*;
use std::time::Duration;

/// A pair after so many deliveries.
fn after(deliveries: usize) -> Pair {
    let mut pair = Pair::of(x25519());
    let turns = [Role::Initiator, Role::Responder].into_iter().cycle();
    turns.take(deliveries).for_each(|role| {
        pair.deliver(role);
    });
    pair.initiator.heed(pair.now);
    pair.responder.heed(pair.now);
    pair
}

fn failure(side: &Side) -> (HandshakeState, HandshakeReason) {
    match side.end() {
        Some(End::Handshake(HandshakeError { state, reason, .. })) => (state, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_closed_connection_means_what_was_due() {
    use HandshakeState as At;
    let expected = [
        (
            At::Message2Receive,
            HandshakeReason::ClosedBeforeFirstByte,
            At::Message1Receive,
            HandshakeReason::ClosedBeforeFirstByte,
        ),
        (At::Message2Receive, HandshakeReason::ClosedBeforeFirstByte, At::Message3Receive, HandshakeReason::Closed),
        (At::Message4Receive, HandshakeReason::Closed, At::Message3Receive, HandshakeReason::Closed),
    ];
    for (deliveries, (initiator, why_initiator, responder, why_responder)) in expected.into_iter().enumerate() {
        let mut pair = after(deliveries);
        for side in [&mut pair.initiator, &mut pair.responder] {
            side.link.handle_closed(true);
            side.heed(pair.now);
        }
        assert_eq!(failure(&pair.initiator), (initiator, why_initiator));
        assert_eq!(failure(&pair.responder), (responder, why_responder));
    }
    for (is_broken, end) in [(false, End::PeerClosed), (true, End::Failed)] {
        let mut pair = after(4);
        pair.responder.link.handle_closed(is_broken);
        pair.responder.heed(pair.now);
        assert_eq!(pair.responder.end(), Some(end));
    }
}

#[test]
fn a_rejected_peer_gets_no_answer() {
    for (deliveries, role) in [(2, Role::Initiator), (3, Role::Responder)] {
        let mut pair = Pair::of(x25519());
        for turn in 0..deliveries {
            let from = if turn % 2 == 0 { Role::Initiator } else { Role::Responder };
            if turn + 1 == deliveries {
                pair.side(role).is_willing = false;
            }
            pair.deliver(from);
        }
        let now = pair.now;
        let side = pair.side(role);
        assert_eq!((side.link.due(), side.link.peer()), (Some(Due::Step), None));
        side.take_turn(now);
        side.heed(now);
        assert_eq!(side.events.last(), Some(&Event::Due(Due::Decision)));
        assert!(side.link.peer().is_some());
        side.link.reject();
        side.heed(now);
        assert_eq!(failure(side), (HandshakeState::PeerAuthentication, HandshakeReason::Rejected));
        assert!(side.line.is_empty());
        assert_eq!(side.end().map(|end| end.label()), Some("handshake"));
        side.take_turn(now);
        side.drive(now, &mut [1; 100]);
        assert!(side.line.is_empty() && !side.link.is_up(), "an end is final");
    }
}

#[test]
fn surplus_has_a_limit() {
    let mut pair = Pair::of(x25519());
    pair.responder.is_willing = false;
    pair.deliver(Role::Initiator);
    let most = MessageSizes::of(x25519().info()).largest();
    pair.responder.drive(pair.now, &mut vec![0; most]);
    assert_eq!(pair.responder.end(), None);
    pair.responder.drive(pair.now, &mut [0]);
    assert_eq!(failure(&pair.responder), (HandshakeState::Message1Receive, HandshakeReason::Surplus));
}

#[test]
fn another_version_and_another_first_frame() {
    let mut pair = Pair::of(x25519());
    pair.responder.drive(pair.now, &mut [2; 33]);
    let End::Handshake(error) = pair.responder.end().expect("an end") else { panic!() };
    assert_eq!((error.reason, error.label()), (HandshakeReason::Version { expected: 3, received: 2 }, "other"));
    assert!(pair.responder.line.is_empty());

    for change in [0, 25] {
        let mut pair = after(3);
        pair.responder.line[1][change] ^= 1;
        pair.deliver(Role::Responder);
        assert_eq!(failure(&pair.initiator), (HandshakeState::Finalization, HandshakeReason::Finalization));
    }
}

#[test]
fn a_frame_that_does_not_open_ends_the_link() {
    for (change, end) in [(3, FrameError::Tag), (30, FrameError::Tag)] {
        let mut pair = after(4);
        pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
        pair.initiator.heed(pair.now);
        pair.initiator.line[0][change] ^= 1;
        pair.deliver(Role::Initiator);
        assert_eq!(pair.responder.end(), Some(End::Frame(end)));
        assert_eq!(pair.responder.link.send(&Command::NoOp), Err(SendError::NotUp));
    }
}

#[test]
fn a_frame_beyond_the_limit_ends_the_link_at_its_header() {
    let now = crate::Instant::default();
    let limits = Limits::node(Role::Responder, Duration::from_secs(3));
    let mut pair = Pair::of(x25519());
    let small: SessionConfig = config(Role::Responder, x25519()).receive_client_to_server();
    pair.responder = Side::new(small, limits, 2, now);
    let mut pair = pair.established();
    pair.initiator.send(&Command::Message { sequence: 1, surb_id: &[1; 16], payload: &[2; 198] });
    pair.initiator.heed(pair.now);
    let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
    pair.responder.drive(pair.now, &mut bytes[..20]);
    let (bytes, bytes_max) = (PACKET_BYTES + 6 + 20 + 16, PACKET_BYTES + 6 + 16);
    assert_eq!(pair.responder.end(), Some(End::Frame(FrameError::TooLarge { bytes, bytes_max })));
}

/// Who the peer is decides how much it may say, and that is known only when the link is up.
#[test]
fn a_limit_can_be_lowered_on_an_established_link() {
    for (bytes_max, is_taken) in [(PACKET_BYTES + 6 + 16, true), (PACKET_BYTES + 6 + 15, false)] {
        let mut pair = Pair::of(x25519()).established();
        pair.responder.link.receive_at_most(bytes_max);
        // It is never raised again.
        pair.responder.link.receive_at_most(usize::MAX);
        pair.initiator.send(&Command::SendPacket { packet: &[1; PACKET_BYTES] });
        pair.initiator.heed(pair.now);
        pair.deliver(Role::Initiator);
        let error = FrameError::TooLarge { bytes: PACKET_BYTES + 6 + 16, bytes_max };
        assert_eq!(pair.responder.end(), (!is_taken).then_some(End::Frame(error)));
    }
}

#[test]
fn a_frame_that_is_not_opened_or_opened_into_the_wrong_place_ends_the_link() {
    for is_tried in [false, true] {
        let mut pair = after(4);
        (0..2).for_each(|_| pair.initiator.send(&Command::NoOp));
        pair.initiator.heed(pair.now);
        let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
        let mut input = &mut bytes[..];
        match pair.responder.link.handle_input(pair.now, &mut input) {
            Input::Frame(frame) if is_tried => assert!(frame.open_in(&mut [0; 9]).is_err()),
            Input::Frame(_) => {}
            _ => panic!("a frame was due"),
        }
        pair.responder.drive(pair.now, input);
        assert!(matches!(pair.responder.end(), Some(End::Frame(_))));
        assert!(pair.responder.received.is_empty());
    }
}

#[test]
fn an_owner_ends_a_link_once() {
    let mut pair = after(4);
    pair.responder.link.end(End::Replaced);
    pair.responder.link.end(End::Command(CommandError::Padding));
    pair.responder.link.handle_closed(true);
    pair.responder.heed(pair.now);
    assert_eq!(pair.responder.events.iter().filter(|event| matches!(event, Event::Ended(_))).count(), 1);
    assert_eq!(pair.responder.end(), Some(End::Replaced));
    assert_eq!(pair.responder.link.poll_timeout(), crate::Instant::NEVER);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever arrives in whatever pieces, at whatever stage: no panic, nothing held beyond the limits, and no link.
    #[test]
    fn garbage_at_each_stage(
        deliveries in 0usize..=4,
        to in any::<bool>(),
        is_willing in any::<bool>(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 1..12),
    ) {
        let mut pair = after(deliveries);
        let side = pair.side(if to { Role::Initiator } else { Role::Responder });
        // What is due, and what may come behind it before its step.
        let held_max = if to { (64 << 10) + 1000 } else { MessageSizes::of(x25519().info()).largest() };
        let was_up = side.link.is_up();
        side.is_willing = is_willing;
        let bytes: usize = pieces.iter().map(Vec::len).sum();
        let mut held_at_end = None;
        for mut piece in pieces {
            side.drive(crate::Instant(2_000_000_000), &mut piece);
            let held = side.link.held_bytes();
            match side.end() {
                None => prop_assert!(held <= held_max, "{held} bytes are held"),
                Some(_) => prop_assert!(held <= *held_at_end.get_or_insert(held), "more is held after the end"),
            }
        }
        prop_assert!(was_up || !side.link.is_up());
        if was_up && bytes > 20 {
            prop_assert!(matches!(side.end(), Some(End::Frame(FrameError::Tag))));
        }
    }
}
