use super::*;
use crate::command::Command;
use crate::sizes::CommandSizes;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::kem;
use proptest::prelude::*;

const CLOCK: u64 = 1_795_288_461;

/// Every KEM of this build.
fn kems() -> Vec<&'static dyn Kem> {
    kem::registered().iter().filter_map(|info| kem::by_name(info.name).ok()).collect()
}

fn end(role: Role, kem: &'static dyn Kem, random: &mut SeededRandom) -> Handshake {
    let key = Arc::from(kem.load(&kem.generate(random)).expect("a usable key"));
    let config = SessionConfig::mixnet(role, kem, CommandSizes::mixnet(400, 198));
    Handshake::new(&config, key, role.label().as_bytes(), random).expect("a handshake")
}

fn pair(kem: &'static dyn Kem, random: &mut SeededRandom) -> (Handshake, Handshake) {
    (end(Role::Initiator, kem, random), end(Role::Responder, kem, random))
}

/// One message from one to the other, `change` in between.
fn pass(
    from: &mut Handshake,
    to: &mut Handshake,
    random: &mut SeededRandom,
    change: &mut dyn FnMut(&mut Vec<u8>),
) -> Result<(), HandshakeError> {
    if from.wants() == Want::Authenticate {
        from.accept(random)?;
    }
    assert_eq!(from.wants(), Want::Write);
    let mut message = from.pending_write().to_vec();
    from.written();
    assert_eq!(to.wants(), Want::Read(message.len()));
    change(&mut message);
    to.read(&mut message, CLOCK, random)
}

/// Runs until done; `change` gets the number of each message.
fn run(
    initiator: &mut Handshake,
    responder: &mut Handshake,
    random: &mut SeededRandom,
    change: &mut dyn FnMut(usize, &mut Vec<u8>),
) -> Result<(), HandshakeError> {
    for number in 1..=4 {
        let (from, to) =
            if number % 2 == 1 { (&mut *initiator, &mut *responder) } else { (&mut *responder, &mut *initiator) };
        pass(from, to, random, &mut |message| change(number, message))?;
    }
    Ok(())
}

#[test]
fn both_ends_of_every_kem() {
    let mut random = SeededRandom::new(&[1; 32]);
    assert!(kems().len() >= 4);
    for kem in kems() {
        let (mut initiator, mut responder) = pair(kem, &mut random);
        run(&mut initiator, &mut responder, &mut random, &mut |_, _| {}).expect("a handshake");
        let (mut ours, mut theirs) =
            (initiator.into_transport().expect("done"), responder.into_transport().expect("done"));
        assert_eq!(ours.handshake_hash, theirs.handshake_hash);
        assert_eq!(ours.peer.additional_data, b"responder");
        assert_eq!(theirs.peer.additional_data, b"initiator");
        assert_eq!((ours.clock_skew, theirs.clock_skew), (Some(0), None));
        let set = crate::CommandSet::new(crate::SessionKind::Mixnet, CommandSizes::mixnet(400, 198));
        let check = |from: &mut Transport, to: &mut Transport| {
            let mut frame = Vec::new();
            from.sealer.seal_command(&set, &Command::NoOp, &mut frame).expect("a frame");
            let (header, body) = frame.split_at_mut(crate::FRAME_HEADER_BYTES);
            to.opener.open_header(header).expect("a header");
            assert_eq!(set.parse(to.opener.open_body(body).expect("a body")), Ok(Command::NoOp));
        };
        check(&mut theirs, &mut ours);
        check(&mut ours, &mut theirs);
    }
}

#[test]
fn sizes_of_deployed_kems() {
    for name in ["xwing", "KYBER768-X25519"] {
        let sizes = MessageSizes::of(kem::by_name(name).expect("built in").info());
        let messages =
            [Message::One, Message::Two, Message::Three, Message::Four].map(|message| sizes.message(message));
        assert_eq!(messages, [1217, 2628, 2644, 1152]);
        assert_eq!(sizes.largest(), 2644);
    }
}

#[test]
fn a_gateway_sends_more_than_it_accepts() {
    let mut random = SeededRandom::new(&[10; 32]);
    let kem = kem::by_name("x25519").expect("built in");
    let sizes = CommandSizes::mixnet(400, 198);
    let key = Arc::from(kem.load(&kem.generate(&mut random)).expect("a usable key"));
    let config = SessionConfig::mixnet(Role::Responder, kem, sizes).receive_client_to_server();
    let mut responder = Handshake::new(&config, key, b"", &mut random).expect("a handshake");
    let mut initiator = end(Role::Initiator, kem, &mut random);
    run(&mut initiator, &mut responder, &mut random, &mut |_, _| {}).expect("a handshake");
    let (mut client, mut gateway) =
        (initiator.into_transport().expect("done"), responder.into_transport().expect("done"));
    let set = config.command_set();
    let chunk = Command::Consensus2 { error_code: 0, chunk: 0, chunks: 1, payload: &[1; 426] };
    let mut frame = Vec::new();
    gateway.sealer.seal_command(&set, &chunk, &mut frame).expect("an allowed size");
    assert_eq!(client.opener.open_header(&mut frame[..crate::FRAME_HEADER_BYTES]), Ok(426 + 15 + 16));
    frame.clear();
    client.sealer.seal_command(&set, &chunk, &mut frame).expect("an allowed size");
    let outcome = gateway.opener.open_header(&mut frame[..crate::FRAME_HEADER_BYTES]);
    assert_eq!(outcome, Err(crate::FrameError::TooLarge { bytes: 457, bytes_max: 422 }));
}

#[test]
fn skew_is_local_minus_remote() {
    let mut random = SeededRandom::new(&[2; 32]);
    let (mut initiator, mut responder) = pair(kem::by_name("x25519").expect("built in"), &mut random);
    pass(&mut initiator, &mut responder, &mut random, &mut |_| {}).expect("message 1");
    let mut message = responder.pending_write().to_vec();
    initiator.read(&mut message, CLOCK - 90, &mut random).expect("message 2");
    assert_eq!(initiator.clock_skew, Some(-90));
}

#[test]
fn a_handshake_is_read_to_its_end() {
    let mut random = SeededRandom::new(&[3; 32]);
    let kem = kem::by_name("x25519").expect("built in");
    let (mut initiator, mut responder) = pair(kem, &mut random);
    assert_eq!(initiator.peer(), None);
    let error = initiator.accept(&mut random).expect_err("nobody to accept");
    assert_eq!((error.reason, error.label()), (HandshakeReason::InvalidState, "message_1_send"));
    assert_eq!((initiator.wants(), initiator.pending_write().len()), (Want::Closed, 0));
    let error = responder.read(&mut [3; 32], CLOCK, &mut random).expect_err("a byte is missing");
    assert_eq!(
        error.to_string(),
        "handshake failed at message_1_receive (responder): message of 32 bytes where 33 were due"
    );
    assert!(responder.into_transport().is_err());
}

#[test]
fn version_and_size_errors() {
    let mut random = SeededRandom::new(&[4; 32]);
    let kem = kem::by_name("x25519").expect("built in");
    let (mut initiator, mut responder) = pair(kem, &mut random);
    let error = pass(&mut initiator, &mut responder, &mut random, &mut |message| message[0] = 2).expect_err("version");
    assert_eq!(error.reason, HandshakeReason::Version { expected: 3, received: 2 });
    assert_eq!(error.label(), "other");

    let (mut initiator, mut responder) = pair(kem, &mut random);
    let error = pass(&mut initiator, &mut responder, &mut random, &mut |message| message.push(0)).expect_err("size");
    assert_eq!(error.reason, HandshakeReason::Size { expected: 33, actual: 34 });
    assert_eq!(error.label(), "message_1_receive");
    assert!(error.to_string().ends_with("message of 34 bytes where 33 were due"));
}

#[test]
fn degenerate_keys_are_errors() {
    let mut random = SeededRandom::new(&[5; 32]);
    for (name, public_key_bytes) in [("x25519", 32), ("xwing", 32), ("kyber768-x25519", 1216)] {
        let (mut initiator, mut responder) = pair(kem::by_name(name).expect("built in"), &mut random);
        // The X25519 key stands at the end of these, at the beginning of hybrids of the combiner.
        let zero = |message: &mut Vec<u8>| {
            let start = message.len() - public_key_bytes;
            message[start..start + 32].fill(0);
        };
        let error = pass(&mut initiator, &mut responder, &mut random, &mut { zero }).expect_err("a degenerate key");
        assert!(matches!(error.reason, HandshakeReason::Kem(_)), "{name}: {error}");
    }
}

#[test]
fn unusable_configurations() {
    let mut random = SeededRandom::new(&[6; 32]);
    let (x25519, xwing) = (kem::by_name("x25519").expect("built in"), kem::by_name("xwing").expect("built in"));
    let config = SessionConfig::mixnet(Role::Initiator, xwing, CommandSizes::mixnet(400, 198));
    let mut key = |kem: &'static dyn Kem| Arc::from(kem.load(&kem.generate(&mut random)).expect("a usable key"));
    let (foreign, own) = (key(x25519), key(xwing));
    for (key, additional_data) in [(foreign, vec![0; 32]), (own, vec![0; 256])] {
        let error = Handshake::new(&config, key, &additional_data, &mut random).err().expect("an error");
        assert_eq!((error.reason, error.label()), (HandshakeReason::Configuration, "initialization"));
    }
}

#[test]
fn a_port_probe_counts_as_message_1() {
    let (state, reason) = (HandshakeState::Message1Receive, HandshakeReason::ClosedBeforeFirstByte);
    // server.md 10.3: `premature_close` is never produced.
    assert_eq!(HandshakeError { state, reason, role: Role::Responder }.label(), "message_1_receive");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A change anywhere fails at the message that was changed, or with an implicitly rejecting KEM at the next tag.
    #[test]
    fn changed_messages_fail(number in 1usize..=4, at in any::<prop::sample::Index>(), bit in 0..8, which in any::<prop::sample::Index>()) {
        let kems = kems();
        let kem = kems[which.index(kems.len())];
        let mut random = SeededRandom::new(&[8; 32]);
        let (mut initiator, mut responder) = pair(kem, &mut random);
        let outcome = run(&mut initiator, &mut responder, &mut random, &mut |this, message| {
            if this == number {
                let at = at.index(message.len());
                message[at] ^= 1u8 << bit;
            }
        });
        prop_assert!(outcome.is_err());
    }

    #[test]
    fn arbitrary_messages_never_panic(
        number in 1usize..=4,
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        exact in any::<bool>(),
        which in any::<prop::sample::Index>(),
    ) {
        let kems = kems();
        let kem = kems[which.index(kems.len())];
        let mut random = SeededRandom::new(&[9; 32]);
        let (mut initiator, mut responder) = pair(kem, &mut random);
        let outcome = run(&mut initiator, &mut responder, &mut random, &mut |this, message| {
            if this == number {
                let length = if exact { message.len() } else { bytes.len() };
                *message = bytes.clone();
                message.resize(length, 3);
            }
        });
        prop_assert!(outcome.is_err());
    }
}
