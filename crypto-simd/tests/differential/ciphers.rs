//! AEZ v5, AES-256 in counter mode and ChaCha20-Poly1305.

use super::source::{Source, compare};
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use crypto_simd::aez;
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::SchemeError;
use crypto_simd::symmetric::{self, ChaChaPoly, FrameOpening, OpenError};
use zears::Aez;

/// As Sphinx uses it: 48-byte key, 16-byte nonce, no authenticator.
pub fn aez(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, iv) = (source.array::<48>(), source.array::<16>());
        let max = if source.once_in(50) { 33_000 } else { 2100 };
        // Of an empty message zears makes an authenticator, which has no bytes either.
        let length = source.length(max).max(1);
        let message = source.bytes(length);
        let expected = Aez::new(&key).encrypt(&iv, &[], 0, &message);
        let mut data = message.clone();
        aez::encipher_in_place(&key, &iv, &mut data);
        assert!(data == expected, "encipher {length} bytes");
        aez::decipher_in_place(&key, &iv, &mut data);
        assert!(data == message, "decipher {length} bytes");
    }
}

/// Nonces of any length, associated data, authenticators.
pub fn aez_authenticated(source: &mut Source, count: usize) {
    for _ in 0..count {
        let key = source.array::<48>();
        let strings: Vec<Vec<u8>> = (0..source.below(4)).map(|_| short(source, 100)).collect();
        let (nonce, ad) = (short(source, 40), strings.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (tau_bytes, message) = (source.below(33), short(source, 600));
        let expected = Aez::new(&key).encrypt(&nonce, &ad, tau_bytes as u32, &message);
        let mut buffer = [&message[..], &vec![0x55; tau_bytes]].concat();
        aez::encrypt_in_place(&key, &nonce, &ad, tau_bytes, &mut buffer);
        assert!(buffer == expected, "{} bytes, authenticator {tau_bytes}", message.len());
        let wrong = source.once_in(4) && tau_bytes >= 8;
        if wrong {
            let at = source.below(buffer.len());
            buffer[at] ^= 1 << source.below(8);
        }
        let result = aez::decrypt_in_place(&key, &nonce, &ad, tau_bytes, &mut buffer);
        if wrong {
            assert!(result == Err(OpenError) && buffer.iter().all(|byte| *byte == 0), "a forgery is wiped");
        } else {
            assert!(result == Ok(()) && buffer[..message.len()] == message, "{} bytes back", message.len());
        }
    }
}

/// Counters that run over 32, 64 and 128 bits among the initial ones.
pub fn aes256_ctr(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, mut iv) = (source.array::<32>(), source.array::<16>());
        if source.once_in(4) {
            let ones = *source.pick(&[4, 8, 16]);
            iv[16 - ones..].fill(0xff);
            iv[15] -= source.below(9) as u8;
        }
        let max = if source.once_in(50) { 33_000 } else { 7000 };
        let length = source.length(max);
        let message = source.bytes(length);
        let mut expected = message.clone();
        ctr::Ctr128BE::<aes::Aes256>::new(&key.into(), &iv.into()).apply_keystream(&mut expected);
        let mut data = message.clone();
        symmetric::aes256_ctr_xor(&key, &iv, &mut data);
        assert!(data == expected, "{length} bytes from counter {}", hex::encode(iv));
        symmetric::aes256_ctr_keystream(&key, &iv, &mut data);
        assert!(data.iter().zip(&message).map(|(a, b)| a ^ b).eq(expected), "keystream of {length} bytes");
    }
}

pub fn chacha20poly1305(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, nonce) = (source.array::<32>(), source.array::<12>());
        let ad = short(source, 80);
        let max = if source.once_in(50) { 33_000 } else { 4000 };
        let length = source.length(max);
        // All ones make Poly1305's blocks as large as they get.
        let message = if source.once_in(16) { vec![0xff; length] } else { source.bytes(length) };
        let mut expected = message.clone();
        let oracle = ChaCha20Poly1305::new(&key.into());
        let expected_tag = oracle.encrypt_inout_detached(&nonce.into(), &ad, expected.as_mut_slice().into()).unwrap();
        let (mut data, mut tag) = (message.clone(), [0x55; 16]);
        ChaChaPoly::seal_in_place(&key, &nonce, &ad, &mut data, &mut tag);
        assert!(data == expected && tag[..] == expected_tag[..], "seal {length} bytes");
        if source.once_in(4) {
            tag[source.below(16)] ^= 1 << source.below(8);
            assert_eq!(ChaChaPoly::open_in_place(&key, &nonce, &ad, &mut data, &tag), Err(OpenError));
            assert!(length < 16 || data != message, "nothing of the plaintext");
        } else {
            assert_eq!(ChaChaPoly::open_in_place(&key, &nonce, &ad, &mut data, &tag), Ok(()), "open {length} bytes");
            assert!(data == message, "open {length} bytes");
        }
    }
}

/// Frames of the link one after the other (wire.md 2.3, 2.4 and 4.1): sealed as by the oracle, opened again, forged.
pub fn link_frames(source: &mut Source, count: usize) {
    let mut key = source.array::<32>();
    let mut counter = if source.once_in(8) { u64::MAX - 5 } else { u64::from_le_bytes(source.array()) };
    let mut opening = FrameOpening::new();
    for _ in 0..count {
        let header = source.array::<4>();
        let max = if source.once_in(50) { 33_000 } else { 4000 };
        let length = source.length(max);
        let body = source.bytes(length);

        let (mut sealed_header, mut sealed_body, mut sealing_key) = (header, body.clone(), key);
        let tags = symmetric::seal_frame(&mut sealing_key, counter, &mut sealed_header, &mut sealed_body);
        let (mut expected_header, mut expected_body) = (header, body.clone());
        let oracle = ChaCha20Poly1305::new(&key.into());
        let seal = |counter: u64, bytes: &mut [u8]| -> [u8; 16] {
            oracle.encrypt_inout_detached(&nonce_of(counter).into(), &[], bytes.into()).unwrap().into()
        };
        let expected_tags = [seal(counter, &mut expected_header), seal(counter.wrapping_add(1), &mut expected_body)];
        let mut next_key = [0; 32];
        let mut stream = chacha20::ChaCha20::new(&key.into(), &nonce_of(u64::MAX).into());
        stream.seek(64);
        stream.apply_keystream(&mut next_key);
        assert!(sealed_header == expected_header && sealed_body == expected_body, "seal {length} bytes");
        assert!(tags == expected_tags && sealing_key == next_key, "tags and key of {length} bytes");

        let forged = source.below(8);
        let mut wrong = tags;
        wrong[forged % 2][source.below(16)] ^= 1 << source.below(8);
        if forged == 0 {
            let result = opening.open_header(&key, counter, &mut sealed_header.clone(), &wrong[0]);
            assert_eq!(result, Err(OpenError), "a forged header");
        }
        let mut opened_header = sealed_header;
        assert_eq!(opening.open_header(&key, counter, &mut opened_header, &tags[0]), Ok(()));
        assert_eq!(opened_header, header);
        if forged == 1 {
            let (mut kept, mut opened) = (key, sealed_body.clone());
            assert_eq!(opening.open_body(&mut kept, &mut opened, &wrong[1]), Err(OpenError), "a forged body");
            assert!(kept == key && (length < 16 || opened != body), "key kept, nothing of the plaintext");
            assert_eq!(opening.open_body(&mut kept, &mut sealed_body.clone(), &tags[1]), Err(OpenError), "no header");
            let mut opened_header = sealed_header;
            assert_eq!(opening.open_header(&key, counter, &mut opened_header, &tags[0]), Ok(()));
        }
        assert_eq!(opening.open_body(&mut key, &mut sealed_body, &tags[1]), Ok(()));
        assert!(sealed_body == body && key == next_key, "open {length} bytes");
        counter = counter.wrapping_add(2);
    }
}

fn nonce_of(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// The streams of a batch of seeds, each read in two parts.
pub fn seeded_random_batch(source: &mut Source, count: usize) {
    let seeds: Vec<[u8; 32]> = (0..count).map(|_| source.array()).collect();
    let lengths: Vec<_> = (0..count).map(|_| (source.below(100), source.below(100))).collect();
    let stream = |(seed, (first, second)): (&[u8; 32], &(usize, usize))| {
        let mut stream = vec![0; first + second];
        chacha20::ChaCha20Legacy::new(seed.into(), &[0; 8].into()).apply_keystream(&mut stream);
        Ok(stream)
    };
    let expected: Vec<_> = seeds.iter().zip(&lengths).map(stream).collect();
    compare(source, &expected, |arrangement| {
        let seeds: Vec<_> = arrangement.iter().map(|index| &seeds[*index]).collect();
        let mut streams = vec![Err(SchemeError::Unsupported); seeds.len()];
        SeededRandom::batch(&seeds, |place, random| {
            let (first, second) = lengths[arrangement[place]];
            let mut stream = vec![0x55; first + second];
            random.fill(&mut stream[..first]);
            random.fill(&mut stream[first..]);
            streams[place] = Ok(stream);
        });
        streams
    });
}

pub fn chacha20_block(source: &mut Source, count: usize) {
    for _ in 0..count {
        let (key, nonce) = (source.array::<32>(), source.array::<12>());
        let counter = u32::from_le_bytes(source.array());
        let mut expected = [0; 64];
        let mut oracle = chacha20::ChaCha20::new(&key.into(), &nonce.into());
        oracle.seek(64 * u64::from(counter));
        oracle.apply_keystream(&mut expected);
        assert_eq!(symmetric::chacha20_block(&key, counter, &nonce), expected, "block {counter}");
    }
}

fn short(source: &mut Source, max: usize) -> Vec<u8> {
    let length = source.below(max + 1);
    source.bytes(length)
}
