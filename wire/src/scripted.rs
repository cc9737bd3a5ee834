//! Randomness from a script, for tests.

use crypto_simd::random::Random;

/// Gives the scripted bytes, and fails the test when they run out.
pub(crate) struct Scripted(Vec<u8>);

impl Scripted {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }
}

impl Random for Scripted {
    fn fill(&mut self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.0.len(), "the script has {} bytes, {} are asked for", self.0.len(), bytes.len());
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        self.0.drain(..bytes.len());
    }
}
