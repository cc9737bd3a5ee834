//! The handshake's symmetric state: hash `h`, chaining key `ck`, cipher (wire.md 2.2, 3.2).

use crate::cipher::{CipherError, CipherState};
use crate::sizes::TAG_BYTES;
use crypto_simd::symmetric::{blake2b_512, blake2b_512_parts, hkdf_blake2b_512};
use zeroize::ZeroizeOnDrop;

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 64;

#[derive(ZeroizeOnDrop)]
pub(crate) struct SymmetricState {
    #[zeroize(skip)]
    hash: [u8; HASH_BYTES],
    chaining_key: [u8; HASH_BYTES],
    cipher: Option<CipherState>,
}

impl SymmetricState {
    /// Initialize with the protocol name of `kem_name` (wire.md 3.1).
    pub(crate) fn new(kem_name: &str) -> Self {
        let name = format!("Noise_pqXX_{kem_name}_ChaChaPoly_BLAKE2b");
        let mut hash = [0; HASH_BYTES];
        match hash.get_mut(..name.len()) {
            Some(start) => start.copy_from_slice(name.as_bytes()),
            None => hash = blake2b_512(name.as_bytes()),
        }
        Self { hash, chaining_key: hash, cipher: None }
    }

    pub(crate) fn hash(&self) -> &[u8; HASH_BYTES] {
        &self.hash
    }

    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = blake2b_512_parts(&[&self.hash, data]);
    }

    /// MixKey, for `ekem`.
    pub(crate) fn mix_key(&mut self, secret: &[u8]) {
        let [chaining_key, key] = hkdf_blake2b_512(&self.chaining_key, secret);
        self.chaining_key = *chaining_key;
        self.cipher = Some(CipherState::new(first_half(&key)));
    }

    /// MixKeyAndHash, for `skem`.
    pub(crate) fn mix_key_and_hash(&mut self, secret: &[u8]) {
        let [chaining_key, hash, key] = hkdf_blake2b_512(&self.chaining_key, secret);
        self.chaining_key = *chaining_key;
        self.mix_hash(hash.as_slice());
        self.cipher = Some(CipherState::new(first_half(&key)));
    }

    /// EncryptAndHash: encrypts in place, hashes ciphertext and tag, gives the tag. Only called once a key exists.
    pub(crate) fn encrypt_and_hash(&mut self, bytes: &mut [u8]) -> Result<[u8; TAG_BYTES], CipherError> {
        let cipher = self.cipher.as_mut().ok_or(CipherError::NonceExhausted)?;
        let tag = cipher.seal(&self.hash, bytes)?;
        self.mix_ciphertext(bytes, &tag);
        Ok(tag)
    }

    /// DecryptAndHash: opens in place under the hash as it was before this ciphertext.
    pub(crate) fn decrypt_and_hash(&mut self, bytes: &mut [u8], tag: &[u8; TAG_BYTES]) -> Result<(), CipherError> {
        let associated = self.hash;
        self.mix_ciphertext(bytes, tag);
        self.cipher.as_mut().ok_or(CipherError::Tag)?.open(&associated, bytes, tag)
    }

    /// Split: the initiator's and the responder's sending cipher.
    pub(crate) fn split(&self) -> (CipherState, CipherState) {
        let [initiator, responder] = hkdf_blake2b_512(&self.chaining_key, &[]);
        (CipherState::new(first_half(&initiator)), CipherState::new(first_half(&responder)))
    }

    fn mix_ciphertext(&mut self, ciphertext: &[u8], tag: &[u8]) {
        self.hash = blake2b_512_parts(&[&self.hash, ciphertext, tag]);
    }
}

#[cfg(test)]
impl SymmetricState {
    pub(crate) fn chaining_key(&self) -> &[u8; HASH_BYTES] {
        &self.chaining_key
    }

    pub(crate) fn cipher(&self) -> Option<&CipherState> {
        self.cipher.as_ref()
    }
}

fn first_half(output: &[u8; HASH_BYTES]) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(&output[..32]);
    key
}
