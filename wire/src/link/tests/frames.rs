//! Handshakes that end well, and frames both ways.

use super::pair::{PACKET_BYTES, Pair, x25519};
use crate::command::Command;
use crate::link::{Due, End, Event, SendError};
use crate::sizes::{MessageSizes, Role};
use crate::{FRAME_HEADER_BYTES, Link, frame_bytes};
use crypto_simd::schemes::kem;
use proptest::prelude::*;

const STEP: Event = Event::Due(Due::Step);
const DECISION: Event = Event::Due(Due::Decision);

#[test]
fn every_kem_shakes_hands() {
    let kems: Vec<_> = kem::registered().iter().filter_map(|info| kem::by_name(info.name).ok()).collect();
    assert!(kems.len() >= 4);
    for kem in kems {
        let pair = Pair::of(kem).established();
        assert_eq!(pair.initiator.events, [STEP, STEP, DECISION, STEP, Event::Up], "{}", kem.info().name);
        assert_eq!(pair.responder.events, [STEP, STEP, DECISION, Event::Up]);
        assert_eq!(pair.initiator.link.peer().map(|peer| &peer.additional_data[..]), Some(&b"responder"[..]));
        assert_eq!(pair.responder.link.peer().map(|peer| &peer.additional_data[..]), Some(&b"initiator"[..]));
        assert_eq!((pair.initiator.link.clock_skew(), pair.responder.link.clock_skew()), (Some(0), None));
        let hash = |link: Link| link.into_transport().expect("nothing is under way").handshake_hash;
        assert_eq!(hash(pair.initiator.link), hash(pair.responder.link));
    }
}

/// Who keeps thousands of links does not want two of each public key.
#[test]
fn a_link_goes_on_without_its_peers_credentials() {
    let mut pair = Pair::of(x25519()).established();
    let peer = pair.responder.link.take_peer().expect("it is up");
    assert_eq!(peer.additional_data, b"initiator");
    assert_eq!(pair.responder.link.peer(), None);
    for role in [Role::Initiator, Role::Responder] {
        pair.side(role).send(&Command::SendPacket { packet: &[7; PACKET_BYTES] });
    }
    pair.run();
    assert_eq!((pair.initiator.received.len(), pair.responder.received.len()), (1, 1));
}

#[test]
fn message_4_and_the_no_op_are_two_sends() {
    let mut pair = Pair::of(x25519());
    let sizes = MessageSizes::of(x25519().info());
    let mut sends: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (role, sends) in [Role::Initiator, Role::Responder].into_iter().zip(&mut sends) {
            let now = pair.now;
            let side = pair.side(role);
            side.heed(now);
            sends.extend(side.line.iter().map(Vec::len));
            pair.deliver(role);
        }
    }
    use crate::sizes::Message::{Four, One, Three, Two};
    let no_op = frame_bytes(6 + PACKET_BYTES);
    assert_eq!(sends[0], [One, Three].map(|number| sizes.message(number)));
    assert_eq!(sends[1], [sizes.message(Two), sizes.message(Four), no_op]);
}

#[test]
fn frames_of_mixed_sizes_go_both_ways() {
    let mut pair = Pair::of(x25519()).established();
    let (packet, reply, chunk) = ([7; PACKET_BYTES], [8; 198], vec![9; 90_000]);
    let commands = [
        Command::NoOp,
        Command::SendPacket { packet: &packet },
        Command::Consensus { error_code: 0, payload: &chunk },
        Command::Message { sequence: 1, surb_id: &[1; 16], payload: &reply },
        Command::GetConsensus { epoch: 3, padded: false },
        Command::SendPacket { packet: &packet[..9] },
    ];
    for role in [Role::Responder, Role::Initiator] {
        commands.iter().for_each(|command| pair.side(role).send(command));
        assert_eq!(pair.side(role).link.unsent_packets(), 2);
        pair.run();
        assert_eq!((pair.side(role).packets_sent, pair.side(role).link.unsent_packets()), (2, 0));
    }
    for side in [&pair.initiator, &pair.responder] {
        let set = side.commands();
        let received: Vec<_> = side.received.iter().map(|bytes| set.parse(bytes).expect("a command")).collect();
        assert_eq!(received, commands);
    }
}

#[test]
fn a_line_may_cut_everywhere() {
    let packet = [7; PACKET_BYTES];
    for piece_bytes in [1, 2, 3, 19, 20, 21, 35, 36, 37, 440, 441, 442, 443, 1000] {
        let mut pair = Pair::of(x25519());
        pair.piece_bytes = piece_bytes;
        let mut pair = pair.established();
        for role in [Role::Initiator, Role::Responder] {
            (0..3).for_each(|_| pair.side(role).send(&Command::SendPacket { packet: &packet }));
            pair.run();
        }
        assert_eq!((pair.initiator.received.len(), pair.responder.received.len()), (3, 3), "{piece_bytes}");
    }
}

#[test]
fn one_cut_at_every_byte() {
    let packet = [7; PACKET_BYTES];
    let mut pair = Pair::of(x25519()).established();
    let both = 2 * frame_bytes(6 + PACKET_BYTES);
    for cut in 0..=both {
        pair.initiator.send(&Command::SendPacket { packet: &packet });
        pair.initiator.send(&Command::NoOp);
        pair.initiator.heed(pair.now);
        let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
        assert_eq!(bytes.len(), both);
        let (first, second) = bytes.split_at_mut(cut);
        pair.responder.drive(pair.now, first);
        assert_eq!(pair.responder.received.len(), cut / (both / 2));
        let begun = cut % (both / 2);
        let due = if begun < FRAME_HEADER_BYTES { FRAME_HEADER_BYTES } else { both / 2 } - begun;
        assert_eq!(pair.responder.link.input_due(), due);
        pair.responder.drive(pair.now, second);
        assert_eq!(std::mem::take(&mut pair.responder.received).len(), 2, "cut at {cut}");
    }
}

#[test]
fn what_comes_before_a_step_is_taken_waits() {
    let mut pair = Pair::of(x25519());
    pair.deliver(Role::Initiator);
    pair.deliver(Role::Responder);
    pair.initiator.is_willing = false;
    pair.deliver(Role::Initiator);
    // Message 4, the NoOp and commands behind it arrive while the initiator has no time for its step.
    for _ in 0..20 {
        pair.responder.send(&Command::SendPacket { packet: &[3; PACKET_BYTES] });
    }
    pair.deliver(Role::Responder);
    assert_eq!(pair.initiator.link.due(), Some(Due::Step));
    assert!(!pair.initiator.link.is_up() && pair.initiator.received.is_empty());
    let now = pair.now;
    pair.initiator.take_turn(now);
    pair.initiator.drive(now, &mut []);
    assert!(pair.initiator.link.is_up());
    assert_eq!(pair.initiator.received.len(), 20);
}

#[test]
fn output_has_a_limit_but_one_frame_always_goes() {
    let mut pair = Pair::of(x25519()).established();
    let command = Command::SendPacket { packet: &[7; PACKET_BYTES] };
    let most = (256 << 10) / frame_bytes(6 + PACKET_BYTES);
    for _ in 0..most {
        assert!(pair.responder.link.has_room(6 + PACKET_BYTES));
        pair.responder.send(&command);
    }
    assert!(!pair.responder.link.has_room(6 + PACKET_BYTES));
    assert_eq!(pair.responder.link.send(&command), Err(SendError::Full));
    // While the connection has these, as many again.
    let buffer = pair.responder.link.poll_output(pair.now).expect("frames");
    (0..most).for_each(|_| pair.responder.send(&command));
    assert_eq!(pair.responder.link.send(&command), Err(SendError::Full));
    assert!(pair.responder.link.poll_output(pair.now).is_none());
    let taken = buffer.len();
    assert_eq!(pair.responder.link.handle_sent(buffer, taken), most);
    let buffer = pair.responder.link.poll_output(pair.now).expect("frames");
    pair.responder.send(&Command::Consensus { error_code: 0, payload: &vec![1; 1 << 20] });
    assert_eq!(pair.responder.link.send(&command), Err(SendError::Full));
    // A connection that is lost half-way has sent what it took as a whole.
    let frame_bytes = frame_bytes(6 + PACKET_BYTES);
    assert_eq!(pair.responder.link.handle_sent(buffer, 3 * frame_bytes - 1), 2);
    assert_eq!(pair.responder.link.poll_event(), Some(Event::Ended(End::Failed)));
    assert_eq!(pair.responder.link.handle_lost(0), (0, most - 2));
}

#[test]
fn a_command_that_cannot_be_sent_does_no_harm() {
    let mut pair = Pair::of(x25519());
    assert_eq!(pair.initiator.link.send(&Command::NoOp), Err(SendError::NotUp));
    let mut pair = pair.established();
    assert!(matches!(pair.initiator.link.send(&Command::ReplicaDecoy), Err(SendError::Command(_))));
    pair.initiator.send(&Command::NoOp);
    pair.run();
    assert_eq!(pair.responder.received.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_sizes(pieces in prop::collection::vec(1usize..1500, 1..40), packets in 1usize..8) {
        let mut pair = Pair::of(x25519()).established();
        for _ in 0..packets {
            pair.initiator.send(&Command::SendPacket { packet: &[5; PACKET_BYTES] });
            pair.initiator.send(&Command::GetConsensus { epoch: 4, padded: false });
        }
        pair.initiator.heed(pair.now);
        let mut bytes = std::mem::take(&mut pair.initiator.line).concat();
        let mut rest = &mut bytes[..];
        for piece in pieces.iter().cycle() {
            let (first, behind) = rest.split_at_mut((*piece).min(rest.len()));
            pair.responder.drive(pair.now, first);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(pair.responder.received.len(), 2 * packets);
    }
}
