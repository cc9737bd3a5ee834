//! Hashes, MACs and key derivation.

use super::oracles;
use super::source::Source;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest};
use crypto_simd::symmetric::{self, HmacBlake2b512Key, HmacSha256Key};

/// Up to a header of 7 kB under a key of any length.
pub fn hmac_sha256(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, message) = (key(source), message(source, 7000));
        let expected = oracles::hmac_sha256(&key, &message);
        assert_eq!(symmetric::hmac_sha256(&key, &source.parts(&message)), expected, "{} bytes", message.len());
        let prepared = HmacSha256Key::new(&key);
        assert_eq!(prepared.tag(&[&message]), expected);
        assert_eq!(prepared.tag(&source.parts(&message)), expected, "a key can be used again");
        let mut wrong = expected;
        wrong[source.below(32)] ^= 1 << source.below(8);
        assert!(symmetric::equal(&expected, &prepared.tag(&[&message])) && !symmetric::equal(&expected, &wrong));
    }
}

pub fn hkdf_expand_sha256(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (prk, info) = (key(source), message(source, 200));
        let max = if source.once_in(20) { 8160 } else { 300 };
        let mut output = vec![0x55; source.length(max)];
        symmetric::hkdf_expand_sha256(&prk, &info, &mut output);
        assert_eq!(output, oracles::hkdf_expand_sha256(&prk, &info, output.len()), "{} bytes", output.len());
    }
}

/// Ragged batches of inputs up to a large ciphertext.
pub fn sha512_256(source: &mut Source, count: usize) {
    let inputs: Vec<_> = (0..count).map(|_| message(source, 2500)).collect();
    let expected: Vec<_> = inputs.iter().map(|input| oracles::sha512_256(input)).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[0x55; 32]; count];
    symmetric::sha512_256_batch(&inputs, &mut digests);
    assert_eq!(digests, expected);
    let turn = source.below(count);
    symmetric::sha512_256_batch(&inputs[turn..], &mut digests[turn..]);
    assert_eq!(digests, expected, "from {turn}");
    for (input, expected) in inputs.iter().zip(expected) {
        assert_eq!(symmetric::sha512_256(input), expected);
    }
}

pub fn blake2b(source: &mut Source, count: usize) {
    for _ in 0..count {
        let message = message(source, 3000);
        let key = source.below(64) + 1;
        let key = source.bytes(key);
        assert_eq!(symmetric::blake2b_512(&message)[..], Blake2b512::digest(&message)[..]);
        assert_eq!(symmetric::blake2b_512_parts(&source.parts(&message))[..], Blake2b512::digest(&message)[..]);
        assert_eq!(symmetric::blake2b_256(&message)[..], Blake2b::<U32>::digest(&message)[..]);
        let keyed = oracles::blake2b_256_keyed(&key, &message);
        assert_eq!(symmetric::blake2b_256_keyed(&key, &source.parts(&message))[..], keyed);
    }
}

/// HMAC, and Noise's HKDF over it (wire.md 2.2).
pub fn hmac_blake2b_512(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, message) = (key(source), message(source, 3000));
        let expected = oracles::hmac_blake2b_512(&key, &message);
        assert_eq!(symmetric::hmac_blake2b_512(&key, &source.parts(&message))[..], expected);
        assert_eq!(HmacBlake2b512Key::new(&key).tag(&[&message])[..], expected);
        let outputs = symmetric::hkdf_blake2b_512::<3>(&key, &message);
        let mut previous = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            previous.push(index as u8 + 1);
            previous = oracles::hmac_blake2b_512(&expected, &previous);
            assert_eq!(output[..], previous);
        }
    }
}

/// A key of any length, usually of 32 or 64 bytes, seldom longer than a block.
fn key(source: &mut Source) -> Vec<u8> {
    let length = match source.below(4) {
        0 => source.below(200),
        1 => 64,
        _ => 32,
    };
    source.bytes(length)
}

fn message(source: &mut Source, max: usize) -> Vec<u8> {
    let length = source.length(max);
    source.bytes(length)
}
