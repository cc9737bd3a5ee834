//! One direction's cipher state: ChaCha20-Poly1305 under a counter, and the rekey of wire.md 2.4.

use crate::session::TAG_BYTES;
use crypto_simd::symmetric::{ChaChaPoly, chacha20_block};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why nothing was sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CipherError {
    Tag,
    NonceExhausted,
}

#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct CipherState {
    key: [u8; 32],
    counter: u64,
}

impl CipherState {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0 }
    }

    /// Encrypts in place, gives the tag, counts.
    pub(crate) fn seal(&mut self, associated: &[u8], bytes: &mut [u8]) -> Result<[u8; TAG_BYTES], CipherError> {
        let nonce = self.nonce()?;
        let mut tag = [0; TAG_BYTES];
        ChaChaPoly::seal_in_place(&self.key, &nonce, associated, bytes, &mut tag);
        self.counter += 1;
        Ok(tag)
    }

    /// Decrypts in place; a wrong tag leaves the counter where it was.
    pub(crate) fn open(
        &mut self,
        associated: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), CipherError> {
        let nonce = self.nonce()?;
        ChaChaPoly::open_in_place(&self.key, &nonce, associated, bytes, tag).map_err(|_| CipherError::Tag)?;
        self.counter += 1;
        Ok(())
    }

    /// The first 32 bytes of what encrypting zeros with the last nonce would give: block 1 of the keystream. The
    /// counter goes on.
    pub(crate) fn rekey(&mut self) {
        let mut block = chacha20_block(&self.key, 1, &nonce_of(u64::MAX));
        self.key.copy_from_slice(&block[..32]);
        block.zeroize();
    }

    fn nonce(&self) -> Result<[u8; 12], CipherError> {
        match self.counter {
            u64::MAX => Err(CipherError::NonceExhausted),
            counter => Ok(nonce_of(counter)),
        }
    }
}

#[cfg(test)]
impl CipherState {
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    pub(crate) fn at_counter(key: [u8; 32], counter: u64) -> Self {
        Self { key, counter }
    }
}

fn nonce_of(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}
