//! Each level and its twin against the RFC, against aws-lc and among each other.

use super::*;
use crate::cpu::{Kernels, Level};
use crate::random::{Random, SeededRandom};
use crate::symmetric::aead::library;

fn kernels() -> Vec<(String, Kernel)> {
    let twins = emulated().into_iter().enumerate().map(|(index, kernel)| (format!("twin {index}"), kernel));
    let levels = Level::ALL.into_iter().filter_map(|level| {
        let kernels = Kernels::of(level);
        if kernels.is_none() {
            println!("chacha20poly1305 {level}: NOT TESTED ON THIS HOST");
        }
        Some((level.to_string(), kernels?.chacha20poly1305?))
    });
    levels.chain(twins).collect()
}

fn random<const N: usize>(random: &mut SeededRandom) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

#[test]
fn every_length() {
    for (name, kernel) in kernels() {
        let mut random_bytes = SeededRandom::new(&[3; 32]);
        let lengths = (0..=2100).chain([4095, 4096, 8191, 8193, 10_000, 16_500, 30_000, 32_768, 70_001]);
        for length in lengths {
            let (key, nonce): ([u8; 32], [u8; 12]) = (random(&mut random_bytes), random(&mut random_bytes));
            let ad: [u8; 40] = random(&mut random_bytes);
            let ad = &ad[..length % 41];
            let mut message = vec![0; length];
            random_bytes.fill(&mut message);
            let (mut expected, mut expected_tag) = (message.clone(), [0; 16]);
            library::seal(&key, &nonce, ad, &mut expected, &mut expected_tag);
            let mut buffer = message.clone();
            let tag = kernel.seal(&key, &nonce, ad, &mut buffer);
            assert!(buffer == expected, "{name}: ciphertext of {length}");
            assert_eq!(tag, expected_tag, "{name}: tag of {length}");
            assert!(kernel.open(&key, &nonce, ad, &mut buffer, &tag).is_ok());
            assert!(buffer == message, "{name}: plaintext of {length}");
        }
    }
}
