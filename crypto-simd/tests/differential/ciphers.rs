//! AEZ v5, AES-256 in counter mode and ChaCha20-Poly1305.

use super::source::Source;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use crypto_simd::aez;
use crypto_simd::symmetric::{self, ChaChaPoly, OpenError};
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
