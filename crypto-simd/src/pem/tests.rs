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
