use super::*;
use crate::io::sim::{Network, Path, SimIo};
use crate::io::{Event, Received, Sending, Target};
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::kem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::{Command, CommandSizes, Handshake, Role, SessionConfig, Transport, Want};

const PACKET_BYTES: usize = 1000;
const BUFFER_BYTES: usize = 2500;

fn sizes() -> CommandSizes {
    CommandSizes::mixnet(PACKET_BYTES, 100)
}

fn frame_bytes() -> usize {
    wire::frame_bytes(sizes().client_to_server_bytes())
}

/// Both ends of a session, after a handshake without a network.
fn session() -> (Transport, Transport) {
    let scheme = kem::by_name("x25519").expect("built in");
    let mut ends = [Role::Initiator, Role::Responder].map(|role| {
        let key = Arc::from(scheme.load(&scheme.generate(&mut OsRandom)).expect("a key"));
        let config = SessionConfig::mixnet(role, scheme, sizes());
        Handshake::new(&config, key, b"", &mut OsRandom).expect("a beginning")
    });
    while ends.iter().any(|end| end.wants() != Want::Done) {
        for turn in 0..2 {
            if ends[turn].wants() == Want::Authenticate {
                ends[turn].accept(&mut OsRandom).expect("accepted");
            }
            if ends[turn].wants() == Want::Write {
                let mut message = ends[turn].pending_write().to_vec();
                ends[turn].written();
                ends[1 - turn].read(&mut message, 0, &mut OsRandom).expect("a good message");
            }
        }
    }
    let [initiator, responder] = ends.map(|end| end.into_transport().expect("done"));
    (initiator, responder)
}

/// A connection that takes 2.5 frames.
fn narrow() -> (Network, SimIo, ConnId, SimIo, ConnId) {
    let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let network = Network::new([1; 32], Duration::ZERO);
    network.set_path(Path { buffer_bytes: BUFFER_BYTES, ..Path::default() });
    let (_, mut ours) = network.add_process(1, address(1)).remove(0);
    let (listener, mut theirs) = network.add_process(1, address(2)).remove(0);
    network.listen(listener, address(2));
    let conn = ours.connect(Target::tcp(address(2)));
    network.advance_to(Instant(1_000_000));
    assert_eq!(ours.next_event(), Some(Event::Connected { conn }));
    let Some(Event::Accepted { conn: accepted, .. }) = theirs.next_event() else { panic!("not accepted") };
    (network, ours, conn, theirs, accepted)
}

#[test]
fn packets_count_as_sent_with_their_last_byte() {
    let (mut initiator, mut responder) = session();
    let (network, mut ours, conn, mut theirs, accepted) = narrow();
    let mut out = OutBuffer::new(frame_bytes());
    let now = network.now();
    for number in 0..3 {
        assert!(out.has_room());
        out.seal_packet(&[number; PACKET_BYTES], &mut initiator.sealer).expect("room");
    }
    out.seal_no_op(&mut initiator.sealer).expect("room");
    assert_eq!(out.packets(), 3);
    out.flush(&mut ours, conn, now);
    assert_eq!(ours.sending(conn), Some(Sending { taken: BUFFER_BYTES, progress_at: now }));
    assert_eq!((ours.next_event(), out.packets()), (None, 3));
    // The peer reads everything: packets in their order, then the NoOp.
    let mut received = Vec::new();
    while received.len() < 4 * frame_bytes() {
        network.advance_to(network.now() + Duration::from_millis(1));
        if let Received::Bytes { bytes, .. } = theirs.recv(accepted, 10_000) {
            received.extend_from_slice(bytes);
        }
    }
    let flushed = fetch_sent(&mut ours, &mut out).expect("all is sent");
    assert_eq!(flushed, Flushed { packets: 3, bytes: received.len() as u64, failed: false });
    assert!(out.is_empty());
    assert_eq!(out.packets(), 0);
    let set = SessionConfig::mixnet(Role::Responder, kem::by_name("x25519").expect("built in"), sizes()).command_set();
    for number in 0..4 {
        let frame = &mut received[number * frame_bytes()..][..frame_bytes()];
        let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
        assert_eq!(responder.opener.open_header(header).expect("a good header"), body.len());
        match set.parse(responder.opener.open_body(body).expect("a good body")).expect("a command") {
            Command::SendPacket { packet } => assert_eq!(packet, [number as u8; PACKET_BYTES]),
            Command::NoOp => assert_eq!(number, 3),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_buffer_that_is_never_empty_makes_room_again() {
    let (mut initiator, mut responder) = session();
    let (network, mut ours, conn, mut theirs, accepted) = narrow();
    let mut out = OutBuffer::new(frame_bytes());
    let (mut sealed, mut sent, mut opened) = (0, 0, 0);
    let mut received = Vec::new();
    while opened < 500 {
        while sealed < 500 && out.has_room() {
            out.seal_packet(&[sealed as u8; PACKET_BYTES], &mut initiator.sealer).expect("room");
            sealed += 1;
        }
        out.flush(&mut ours, conn, network.now());
        sent += fetch_sent(&mut ours, &mut out).map_or(0, |flushed| flushed.packets);
        network.advance_to(network.now() + Duration::from_millis(1));
        if let Received::Bytes { bytes, .. } = theirs.recv(accepted, 1777) {
            received.extend_from_slice(bytes);
        }
        while received.len() >= frame_bytes() {
            let (header, body) = received[..frame_bytes()].split_at_mut(FRAME_HEADER_BYTES);
            responder.opener.open_header(header).expect("a good header");
            let command = responder.opener.open_body(body).expect("a good body");
            assert_eq!(command[COMMAND_HEADER_BYTES], opened as u8);
            received.drain(..frame_bytes());
            opened += 1;
        }
    }
    sent += fetch_sent(&mut ours, &mut out).map_or(0, |flushed| flushed.packets);
    assert_eq!((sealed, sent), (500, 500));
}

#[test]
fn a_full_buffer_refuses_and_a_lost_one_tells_what_was_in_it() {
    let (mut initiator, _) = session();
    let mut out = OutBuffer::new(frame_bytes());
    let mut packets = 0;
    while out.has_room() {
        out.seal_packet(&[0; PACKET_BYTES], &mut initiator.sealer).expect("room");
        packets += 1;
    }
    assert!(out.seal_no_op(&mut initiator.sealer).is_err());
    assert!(packets >= 4);
    assert_eq!(out.clear(0), (0, packets));
    assert!(out.is_empty() && out.has_room());
}

#[test]
fn of_a_lost_connection_what_was_wholly_sent_is_known() {
    let (mut initiator, _) = session();
    let (network, mut ours, conn, _theirs, _) = narrow();
    let mut out = OutBuffer::new(frame_bytes());
    for _ in 0..5 {
        out.seal_packet(&[0; PACKET_BYTES], &mut initiator.sealer).expect("room");
    }
    out.flush(&mut ours, conn, network.now());
    out.seal_packet(&[0; PACKET_BYTES], &mut initiator.sealer).expect("room in the other buffer");
    let whole = (BUFFER_BYTES / frame_bytes()) as u64;
    assert_eq!(out.clear(ours.close(conn)), (whole, 6 - whole));
}

/// What came back, if something did.
fn fetch_sent(io: &mut SimIo, out: &mut OutBuffer) -> Option<Flushed> {
    std::iter::from_fn(|| io.next_event()).find_map(|event| match event {
        Event::Sent { buffer, taken, .. } => Some(out.handle_sent(buffer, taken)),
        _ => None,
    })
}
