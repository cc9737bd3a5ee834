use super::*;

#[test]
fn a_key_survives_the_round_trip() {
    let bytes: Vec<u8> = (0..=255).collect();
    let text = encode("X25519 PUBLIC KEY", &bytes).unwrap();
    assert!(text.starts_with("-----BEGIN X25519 PUBLIC KEY-----\nAAEC"));
    assert!(text.ends_with("\n-----END X25519 PUBLIC KEY-----\n"));
    assert!(text.lines().all(|line| line.len() <= 64));
    assert_eq!(decode(&text, "X25519 PUBLIC KEY").unwrap(), bytes);
    assert_eq!(decode(&format!("preamble\n{}", text.replace('\n', "\r\n")), "X25519 PUBLIC KEY").unwrap(), bytes);
}

#[test]
fn the_first_block_must_have_the_expected_type() {
    let text = encode("ED25519 SPHINCS+ PUBLIC KEY", &[1; 96]).unwrap();
    let error = decode(&text, "ED25519-SPHINCS+ PUBLIC KEY").unwrap_err();
    assert!(matches!(error, PemError::WrongType { .. }), "{error}");
    let lower_case = text.replace("SPHINCS", "sphincs");
    assert_eq!(decode(&lower_case, "ED25519 SPHINCS+ PUBLIC KEY").unwrap(), [1; 96]);
}

#[test]
fn malformed_blocks_are_errors() {
    assert_eq!(decode("", "A"), Err(PemError::NoBlock));
    assert_eq!(decode("-----BEGIN A-----\nAAAA\n", "A"), Err(PemError::Malformed("A".into())));
    assert_eq!(decode("-----BEGIN A-----\nAAAA\n-----END B-----\n", "A"), Err(PemError::Malformed("A".into())));
    assert_eq!(decode("-----BEGIN A-----\nA*AA\n-----END A-----\n", "A"), Err(PemError::Malformed("A".into())));
    assert_eq!(encode("A", &[0; 32]), Err(PemError::AllZero));
}

/// What Go's `encoding/pem` (1.26), the reference's reader, makes of texts between a begin and an end line of type A and
/// of whole texts: the bytes, or none.
#[test]
fn as_lenient_as_the_reference_s_reader() {
    const BEGIN: &str = "-----BEGIN A-----\n";
    const END: &str = "-----END A-----\n";
    let zeros: Option<&[u8]> = Some(&[0; 3]);
    let fours: Option<&[u8]> = Some(&[4, 16, 65]);
    for (body, expected) in [
        ("AAAA\n", zeros),
        ("Comment: x\n\nAAAA\n", zeros),
        ("Comment: x\nAAAA\n", zeros),
        ("Comment: x\r\n\r\nAAAA\r\n", zeros),
        ("a:b\nc: d\n\nAA\nAA\n", zeros),
        ("AA AA\t\n", zeros),
        ("AB==\n", Some(&[0])),
        ("", Some(&[])),
        ("a: b\n\n", Some(&[])),
        ("a: b\n", None),
        ("AAAA\u{c}\n", None),
        ("AA\n", None),
        ("AAAA", None),
        ("AAAA\nBBBB", None),
        ("AAAA\n:\nAAAA\n", None),
        ("\nComment: x\n\nAAAA\n", None),
        ("-----END A-----: x\nAAAA\n", None),
        ("AAAA\n -----END A-----\n", None),
        // A begun block that is none is passed over.
        ("AAAA\n-----BEGIN A-----\nBBBB\n", fours),
        ("AAAA\n-----END B-----\n-----BEGIN A-----\nBBBB\n", fours),
        ("A*AA\n-----END A-----\n-----BEGIN A-----\nBBBB\n", fours),
        ("AAAA\n-----END A----\n-----BEGIN A-----\nBBBB\n", fours),
        ("AAAA\n-----END A-----x\n-----BEGIN A-----\nBBBB\n", fours),
    ] {
        let found = decode(&[BEGIN, body, END].concat(), "A").ok();
        assert_eq!(found.as_deref(), expected, "{body:?}");
    }
    for (text, expected) in [
        ("x\n-----BEGIN A----- \t\r\nAAAA\r\n-----END A-----\r\n", zeros),
        ("-----BEGIN A----\nBBBB\n-----END A-----\n-----BEGIN A-----\nAAAA\n-----END A-----", zeros),
        ("-----BEGIN A-----\nAAAA\n-----END A----- \t\n", zeros),
        ("-----BEGIN A-----\nAAAA\n-----END A-----\r", None),
        ("-----BEGIN A-----\nAAAA\n-----END A-----x\n", None),
        (" -----BEGIN A-----\nAAAA\n-----END A-----\n", None),
        ("x-----BEGIN A-----\nAAAA\n-----END A-----\n", None),
    ] {
        assert_eq!(decode(text, "A").ok().as_deref(), expected, "{text:?}");
    }
}
