//! What all schemes give and take: errors, shared secrets, arrays.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why an operation on keys or ciphertexts failed. Low-order points and all-zero secrets are ordinary errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// Input of the wrong length.
    #[error("wrong length")]
    Length,
    /// Not the encoding of a key, ciphertext or signature.
    #[error("malformed encoding")]
    Malformed,
    /// A low-order or otherwise degenerate point: the shared secret would be all zero.
    #[error("degenerate public key")]
    Degenerate,
    /// A signature that does not verify.
    #[error("signature does not verify")]
    BadSignature,
    /// The scheme cannot do this (for example deterministic derivation of SPHINCS+ keys).
    #[error("not supported by this scheme")]
    Unsupported,
}

/// The longest shared secret of any registered scheme, in bytes (`CTIDH2048-X448`).
pub const SHARED_SECRET_BYTES_MAX: usize = 312;

/// A shared secret of up to [`SHARED_SECRET_BYTES_MAX`] bytes, wiped when dropped.
pub struct SharedSecret {
    /// Zeros from `len` on: wiping a short secret costs little.
    bytes: [u8; SHARED_SECRET_BYTES_MAX],
    len: usize,
}

impl Default for SharedSecret {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Clone for SharedSecret {
    fn clone(&self) -> Self {
        let mut secret = Self::EMPTY;
        secret.reset(self.len).copy_from_slice(self.as_bytes());
        secret
    }
}

impl SharedSecret {
    /// A secret of no bytes.
    pub const EMPTY: Self = Self { bytes: [0; SHARED_SECRET_BYTES_MAX], len: 0 };

    /// The secret's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Sets the length and gives the bytes to be written (at most [`SHARED_SECRET_BYTES_MAX`]).
    pub fn reset(&mut self, len: usize) -> &mut [u8] {
        self.zeroize();
        self.len = len.min(SHARED_SECRET_BYTES_MAX);
        &mut self.bytes[..self.len]
    }
}

impl Zeroize for SharedSecret {
    fn zeroize(&mut self) {
        self.bytes[..self.len].zeroize();
        self.len = 0;
    }
}

impl Drop for SharedSecret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SharedSecret {}

/// `bytes` as an array, or the error for the wrong length.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], SchemeError> {
    bytes.try_into().map_err(|_| SchemeError::Length)
}
