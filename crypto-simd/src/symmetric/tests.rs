use super::*;
use crate::random::Random;

#[test]
fn chacha_poly_opens_what_it_seals() {
    let (key, nonce) = ([1; 32], [2; 12]);
    for length in [0, 1, 64, 3000] {
        let message: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let (mut buffer, mut tag) = (message.clone(), [0; 16]);
        ChaChaPoly::seal_in_place(&key, &nonce, b"ad", &mut buffer, &mut tag);
        let sealed = buffer.clone();
        assert_eq!(ChaChaPoly::open_in_place(&key, &nonce, b"ad", &mut buffer, &tag), Ok(()));
        assert_eq!(buffer, message);
        buffer.copy_from_slice(&sealed);
        assert_eq!(ChaChaPoly::open_in_place(&key, &nonce, b"da", &mut buffer, &tag), Err(OpenError));
        tag[0] ^= 1;
        assert_eq!(ChaChaPoly::open_in_place(&key, &nonce, b"ad", &mut buffer, &tag), Err(OpenError));
        assert!(length < 64 || buffer != message);
    }
}

/// wire.md 2.4: sealing zeros under the rekey nonce starts with block 1.
#[test]
fn a_rekey_is_block_one() {
    let (key, mut nonce) = ([9; 32], [0xff; 12]);
    nonce[..4].fill(0);
    let (mut zeros, mut tag) = ([0; 32], [0; 16]);
    ChaChaPoly::seal_in_place(&key, &nonce, &[], &mut zeros, &mut tag);
    assert_eq!(zeros, chacha20_block(&key, 1, &nonce)[..32]);
}

#[test]
fn hmac_and_hkdf_follow_their_rfcs() {
    // RFC 4231 test cases 2 and 6; RFC 5869 test case 3 (PRK and OKM).
    let tag = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let tag = hmac_sha256(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
    assert_eq!(hex::encode(tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    let prk = hex::decode("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04").unwrap();
    let mut okm = [0; 42];
    hkdf_expand_sha256(&prk, &[], &mut okm);
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(hex::encode(okm), expected);
}

/// A 16-byte pseudorandom key, which `FrodoKEM-640-SHAKE` gives, is an ordinary one.
#[test]
fn a_short_pseudorandom_key_is_expanded() {
    let mut okm = [0; 32];
    hkdf_expand_sha256(&[1; 16], b"info", &mut okm);
    assert_eq!(okm, hmac_sha256(&[1; 16], &[b"info", &[1]]));
}

#[test]
fn noise_hkdf_chains_its_outputs() {
    let [first, second, third] = hkdf_blake2b_512(&[1; 64], &[]);
    let prk = hmac_blake2b_512(&[1; 64], &[]);
    assert_eq!(*first, hmac_blake2b_512(&prk, &[&[1]]));
    assert_eq!(*second, hmac_blake2b_512(&prk, &[&first[..], &[2]]));
    assert_eq!(*third, hmac_blake2b_512(&prk, &[&second[..], &[3]]));
    assert_eq!(hmac_blake2b_512(&[7; 129], &[b"m"]), hmac_blake2b_512(&blake2b_512(&[7; 129]), &[b"m"]));
}

#[test]
fn the_counter_carries_over_all_bytes() {
    let (mut whole, mut second) = ([0; 32], [0; 16]);
    aes256_ctr_keystream(&[3; 32], &[0xff; 16], &mut whole);
    aes256_ctr_keystream(&[3; 32], &[0; 16], &mut second);
    assert_eq!(whole[16..], second);
}

#[test]
fn blake2xb_reads_are_continuous() {
    let (mut whole, mut pieces) = ([0; 200], [0; 200]);
    Blake2Xb::new(200, &[1; 32], &[b"message"]).fill(&mut whole);
    let mut stream = Blake2Xb::new(200, &[1; 32], &[b"mes", b"sage"]);
    for piece in pieces.chunks_mut(23) {
        stream.fill(piece);
    }
    assert_eq!(whole, pieces);
}
