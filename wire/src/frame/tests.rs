use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1000;

fn pair() -> (FrameSealer, FrameOpener) {
    (FrameSealer::new(CipherState::new([7; 32]), LIMIT), FrameOpener::new(CipherState::new([7; 32]), LIMIT))
}

fn sealed(sealer: &mut FrameSealer, command: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame_bytes(command.len())];
    frame[FRAME_HEADER_BYTES..][..command.len()].copy_from_slice(command);
    sealer.seal(&mut frame).expect("a frame within the limit");
    frame
}

fn open(opener: &mut FrameOpener, frame: &mut [u8]) -> Result<Vec<u8>, FrameError> {
    let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
    opener.open_header(header)?;
    opener.open_body(body).map(|command| command.to_vec())
}

#[test]
fn frames_open_in_order_only() {
    let (mut sealer, mut opener) = pair();
    let mut frames: Vec<_> = [&b"first"[..], b"", b"third"].map(|command| sealed(&mut sealer, command)).into();
    assert_eq!(open(&mut opener, &mut frames[0].clone()), Ok(b"first".to_vec()));
    assert_eq!(open(&mut opener, &mut frames[2].clone()), Err(FrameError::Tag));
    assert_eq!(open(&mut opener, &mut frames[1]), Err(FrameError::InvalidState), "a failure is final");
}

#[test]
fn too_large_is_refused_without_harm() {
    let (mut sealer, mut opener) = pair();
    let mut large = vec![0; frame_bytes(LIMIT - TAG_BYTES + 1)];
    let too_large = Err(FrameError::TooLarge { bytes: LIMIT + 1, bytes_max: LIMIT });
    assert_eq!(sealer.seal(&mut large), too_large);
    let mut full = sealed(&mut sealer, &[9; LIMIT - TAG_BYTES]);
    assert_eq!(open(&mut opener, &mut full), Ok(vec![9; LIMIT - TAG_BYTES]));
    opener.lower_limit(20);
    opener.lower_limit(30);
    let mut small = sealed(&mut sealer, &[9; 5]);
    assert_eq!(open(&mut opener, &mut small), Err(FrameError::TooLarge { bytes: 21, bytes_max: 20 }));
}

#[test]
fn header_and_body_take_turns() {
    let (mut sealer, mut opener) = pair();
    let mut frame = sealed(&mut sealer, b"command");
    assert_eq!(opener.open_body(&mut frame.clone()), Err(FrameError::InvalidState));
    assert_eq!(open(&mut opener, &mut frame.clone()), Err(FrameError::InvalidState));

    let (_, mut opener) = pair();
    let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
    assert_eq!(opener.open_header(header), Ok(7 + TAG_BYTES));
    assert_eq!(opener.open_body(&mut body[1..]), Err(FrameError::Length { expected: 23, actual: 22 }));
}

#[test]
fn short_buffers() {
    let (mut sealer, mut opener) = pair();
    let expected = frame_bytes(0);
    for actual in [0, 19, 20, 35] {
        assert_eq!(sealer.seal(&mut vec![0; actual]), Err(FrameError::Length { expected, actual }));
    }
    assert_eq!(opener.open_header(&mut [0; 19]), Err(FrameError::Length { expected: 20, actual: 19 }));
}

#[test]
fn nonces_end() {
    let mut sealer = FrameSealer::new(CipherState::at_counter([7; 32], u64::MAX - 1), LIMIT);
    assert_eq!(sealer.seal(&mut vec![0; frame_bytes(6)]), Err(FrameError::NonceExhausted));
}

#[test]
fn a_command_is_sealed_or_nothing_appended() {
    let set = CommandSet::new(crate::SessionKind::Pki, crate::CommandSizes::pki(32));
    let (mut sealer, mut opener) = pair();
    let mut out = b"before".to_vec();
    let large = Command::Consensus { error_code: 0, payload: &[0; LIMIT] };
    assert!(sealer.seal_command(&set, &large, &mut out).is_err());
    assert!(sealer.seal_command(&set, &Command::ReplicaDecoy, &mut out).is_err());
    assert_eq!(out, b"before");
    sealer.seal_command(&set, &Command::NoOp, &mut out).expect("a valid command");
    assert_eq!(open(&mut opener, &mut out[6..]), Ok(vec![0; 6]));
}

proptest! {
    #[test]
    fn changed_frames_are_refused(command in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0..8) {
        let (mut sealer, mut opener) = pair();
        let mut frame = sealed(&mut sealer, &command);
        let at = at.index(frame.len());
        frame[at] ^= 1u8 << bit;
        prop_assert_eq!(open(&mut opener, &mut frame), Err(FrameError::Tag));
    }
}
