use super::{BlockSphinxPlaintext, PlaintextError, pad_reply};
use crate::geometry::Geometry;

fn geometry() -> Geometry {
    Geometry::nike("x25519", 10, 5, true).expect("a good geometry")
}

#[test]
fn parses_what_it_builds() {
    let geometry = geometry();
    let surb = vec![7; geometry.surb_length];
    for surb in [None, Some(surb.as_slice())] {
        let bytes = BlockSphinxPlaintext::build(&geometry, surb, b"hello").expect("fits");
        assert_eq!(bytes.len(), geometry.forward_payload_length);
        let expected = BlockSphinxPlaintext { surb, payload: b"hello\0\0\0\0\0" };
        assert_eq!(BlockSphinxPlaintext::parse(&geometry, &bytes), Ok(expected));
    }
}

#[test]
fn refuses_other_flags_reserved_bytes_and_lengths() {
    let geometry = geometry();
    let mut bytes = BlockSphinxPlaintext::build(&geometry, None, &[]).expect("fits");
    bytes[1] = 9;
    assert_eq!(BlockSphinxPlaintext::parse(&geometry, &bytes), Err(PlaintextError::Reserved(9)));
    bytes[0] = 2;
    assert_eq!(BlockSphinxPlaintext::parse(&geometry, &bytes), Err(PlaintextError::Flags(2)));
    bytes.push(0);
    let error = BlockSphinxPlaintext::parse(&geometry, &bytes);
    assert!(matches!(error, Err(PlaintextError::Length { what: "forward payload", .. })));
    let error = BlockSphinxPlaintext::build(&geometry, Some(&[0; 3]), &[]);
    assert!(matches!(error, Err(PlaintextError::Length { what: "reply block", found: 3, .. })));
    let error = BlockSphinxPlaintext::build(&geometry, None, &[0; 11]);
    assert!(matches!(error, Err(PlaintextError::Length { what: "user payload", found: 11, expected: 10 })));
}

#[test]
fn needs_room_for_a_reply_block() {
    let geometry = Geometry::nike("x25519", 10, 5, false).expect("a good geometry");
    assert_eq!(BlockSphinxPlaintext::build(&geometry, None, &[]), Err(PlaintextError::NoRoom));
    assert_eq!(BlockSphinxPlaintext::parse(&geometry, &[0; 10]), Err(PlaintextError::NoRoom));
}

#[test]
fn pads_replies() {
    let geometry = geometry();
    let padded = pad_reply(&geometry, b"yes").expect("fits");
    assert_eq!((padded.len(), &padded[..4]), (geometry.forward_payload_length, &b"yes\0"[..]));
    assert!(pad_reply(&geometry, &vec![0; geometry.forward_payload_length + 1]).is_err());
}
