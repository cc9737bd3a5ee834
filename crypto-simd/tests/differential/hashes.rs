//! Hashes, MACs and key derivation.

use super::oracles;
use super::source::{Source, compare};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest};
use crypto_simd::random::Random;
use crypto_simd::symmetric::{self, Blake2Xb, HmacBlake2b512Key, HmacSha256Key};

/// Batches under a key each; messages usually of one length, as headers are.
pub fn hmac_sha256_batch(source: &mut Source, count: usize) {
    let keys: Vec<[u8; 32]> = (0..count).map(|_| source.array()).collect();
    let messages = messages(source, count, 7000);
    let expected: Vec<_> = (0..count).map(|i| Ok(oracles::hmac_sha256(&keys[i], &messages[i]).to_vec())).collect();
    compare(source, &expected, |arrangement| {
        let (keys, messages) = (pick(arrangement, &keys), slices(arrangement, &messages));
        let mut tags = vec![[0x55; 32]; arrangement.len()];
        symmetric::hmac_sha256_batch(&keys, &messages, &mut tags);
        tags.iter().map(|tag| Ok(tag.to_vec())).collect()
    });
}

/// Batches of keys of one length or of several, outputs likewise.
pub fn hkdf_expand_sha256_batch(source: &mut Source, count: usize) {
    let (key_bytes, output_bytes) = (if source.once_in(2) { 32 } else { source.length(150) }, source.length(600));
    let ragged = source.once_in(4);
    let mut length = |bytes| if ragged { source.below(bytes + 1) } else { bytes };
    let lengths: Vec<_> = (0..count).map(|_| (length(key_bytes), length(output_bytes))).collect();
    let prks: Vec<_> = lengths.iter().map(|(key_bytes, _)| source.bytes(*key_bytes)).collect();
    let info = message(source, 120);
    let expected: Vec<_> = (0..count).map(|i| Ok(oracles::hkdf_expand_sha256(&prks[i], &info, lengths[i].1))).collect();
    compare(source, &expected, |arrangement| {
        let mut outputs: Vec<_> = arrangement.iter().map(|i| vec![0x55; lengths[*i].1]).collect();
        let mut output_slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        symmetric::hkdf_expand_sha256_batch(&slices(arrangement, &prks), &info, &mut output_slices);
        outputs.into_iter().map(Ok).collect()
    });
}

pub fn blake2b_256_batch(source: &mut Source, count: usize) {
    let keys: Vec<[u8; 32]> = (0..count).map(|_| source.array()).collect();
    let messages = messages(source, count, 2500);
    let plain: Vec<_> = messages.iter().map(|message| Ok(Blake2b::<U32>::digest(message).to_vec())).collect();
    compare(source, &plain, |arrangement| {
        let mut digests = vec![[0x55; 32]; arrangement.len()];
        symmetric::blake2b_256_batch(&slices(arrangement, &messages), &mut digests);
        digests.iter().map(|digest| Ok(digest.to_vec())).collect()
    });
    let keyed: Vec<_> = (0..count).map(|i| Ok(oracles::blake2b_256_keyed(&keys[i], &messages[i]))).collect();
    compare(source, &keyed, |arrangement| {
        let mut digests = vec![[0x55; 32]; arrangement.len()];
        let (keys, messages) = (pick(arrangement, &keys), slices(arrangement, &messages));
        symmetric::blake2b_256_keyed_batch(&keys, &messages, &mut digests);
        digests.iter().map(|digest| Ok(digest.to_vec())).collect()
    });
}

/// No other library has the stream: batches are compared with our single one, which the recorded vectors check.
pub fn blake2xb_batch(source: &mut Source, count: usize) {
    let keys: Vec<[u8; 32]> = (0..count).map(|_| source.array()).collect();
    let messages = messages(source, count, 300);
    let output_bytes = 1 + source.below(64);
    let single = |i: usize| {
        let mut output = vec![0; output_bytes];
        Blake2Xb::new(output_bytes as u32, &keys[i], &[&messages[i]]).fill(&mut output);
        Ok(output)
    };
    let expected: Vec<_> = (0..count).map(single).collect();
    compare(source, &expected, |arrangement| {
        let mut outputs = vec![vec![0x55; output_bytes]; arrangement.len()];
        let mut output_slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        let (keys, messages) = (pick(arrangement, &keys), slices(arrangement, &messages));
        if !arrangement.is_empty() {
            Blake2Xb::batch(&keys, &messages, &mut output_slices);
        }
        outputs.into_iter().map(Ok).collect()
    });
}

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

/// Messages of one length, or of several once in four.
fn messages(source: &mut Source, count: usize, max: usize) -> Vec<Vec<u8>> {
    let max = if source.once_in(8) { max } else { max.min(600) };
    let (length, ragged) = (source.length(max), source.once_in(4));
    (0..count).map(|_| if ragged { message(source, max) } else { source.bytes(length) }).collect()
}

fn slices<'a>(arrangement: &[usize], all: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    arrangement.iter().map(|index| &all[*index][..]).collect()
}

fn pick<'a, T>(arrangement: &[usize], all: &'a [T]) -> Vec<&'a T> {
    arrangement.iter().map(|index| &all[*index]).collect()
}
