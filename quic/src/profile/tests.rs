use super::certificate::generate;
use super::parameters::{changed, take_number};
use super::*;

#[test]
fn the_certificate_is_the_references_but_for_key_and_signature() {
    let key = generate().expect("a certificate");
    let der = key.cert[0].as_ref();
    assert_eq!(der.len(), 178);
    // Serial number 1, Ed25519, nobody, the year 1 twice, nobody.
    let begin = "3081af3063a003020102020101300506032b65703000302218";
    assert_eq!(der[..begin.len() / 2].iter().map(|byte| format!("{byte:02x}")).collect::<String>(), begin);
    assert!(der.windows(15).filter(|window| *window == b"00010101000000Z").count() == 2);
    assert_ne!(der, generate().expect("a certificate").cert[0].as_ref(), "each has a key of its own");
}

/// The parameters in bytes, as (id, value).
fn parsed(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let id = take_number(&mut bytes).expect("an id");
        let length = take_number(&mut bytes).expect("a length") as usize;
        found.push((id, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    found.sort();
    found
}

#[test]
fn parameters_that_the_library_chooses_are_replaced() {
    // An idle time-out, a limit of 5 ids, a shortest delay of acknowledgements.
    let bytes = [1, 4, 0x80, 0, 0x75, 0x30, 0x0e, 1, 5, 0xc0, 0, 0, 0, 0xff, 4, 0xde, 0x1b, 2, 0x43, 0xe8];
    let expected =
        vec![(1, vec![0x80, 0, 0x75, 0x30]), (0x0b, vec![ACK_DELAY_MS_MAX]), (0x0e, vec![CONNECTION_ID_LIMIT])];
    assert_eq!(parsed(&changed(&bytes).expect("they are well-formed")), expected);
    for end in 1..bytes.len() {
        // Whatever is cut off: no panic.
        let _found = changed(&bytes[..end]);
    }
}

#[test]
fn first_ids_are_as_long_as_the_references() {
    let lengths: Vec<usize> = (0..500).map(|_| first_id().len()).collect();
    assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&8), Some(&20)));
}

#[test]
fn a_process_can_be_warmed_up() {
    warm_up().expect("QUIC's settings");
}
