//! Randomness comes in as an argument: the operating system's, or a stream from a seed for tests and simulations.

use chacha20::cipher::{KeyIvInit, StreamCipher};

/// A source of random bytes.
pub trait Random {
    /// Overwrites `bytes` with random ones.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // Without randomness no key may be made; there is nothing sensible to go on with.
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The ChaCha20 keystream of a 32-byte seed (original variant, zero nonce): the reference's deterministic reader
/// (sphinx.md 2.4). Reads are continuous: unused bytes of a block serve the next read.
pub struct SeededRandom(chacha20::ChaCha20Legacy);

impl SeededRandom {
    /// A stream that starts at block 0 of `seed`.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(chacha20::ChaCha20Legacy::new(seed.into(), &[0; 8].into()))
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
        self.0.apply_keystream(bytes);
    }
}
