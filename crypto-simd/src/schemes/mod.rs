//! Schemes by the names that configuration files use (sphinx.md 10 to 13). Look-up is case-insensitive; `name` is the
//! canonical spelling that enters hashes, PEM headers and the link protocol's name.

pub mod kem;
pub mod nike;
pub mod signature;

mod adapter;
mod combiner;
mod ed25519;
mod hybrid;
mod kyber;
mod mlkem;
mod montgomery;
mod sphincs;
mod x25519;
mod x448;
mod xwing;

pub use kem::{Kem, KemDecapsulationKey};
pub use nike::{Nike, NikePrivateKey};
pub use signature::{Signature, SignatureSigningKey};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why a name gives no scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No scheme of this kind has that name.
    #[error("unknown {kind} scheme {name:?}; known are: {known}")]
    Unknown {
        /// "NIKE", "KEM" or "signature".
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The registered names, comma separated.
        known: String,
    },
    /// The name is registered, its sizes are known, the code is not in this build.
    #[error("{kind} scheme {name:?} is not built in yet; built in are: {built_in}")]
    NotBuiltIn {
        /// "NIKE", "KEM" or "signature".
        kind: &'static str,
        /// The canonical name.
        name: &'static str,
        /// The names that are built in, comma separated.
        built_in: String,
    },
}

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

/// The index among the built-in names of the scheme that an operator calls `name`.
fn look_up(
    kind: &'static str,
    name: &str,
    mut registered: impl Iterator<Item = &'static str> + Clone,
    mut built_in: impl Iterator<Item = &'static str> + Clone,
) -> Result<usize, LookupError> {
    let list = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
    if let Some(index) = built_in.clone().position(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(index);
    }
    match registered.clone().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(name) => Err(LookupError::NotBuiltIn { kind, name, built_in: list(&mut built_in) }),
        None => Err(LookupError::Unknown { kind, name: name.into(), known: list(&mut registered) }),
    }
}

/// Whether two names are the same, for use in constants.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// `bytes` as an array, or the error for the wrong length.
fn array<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], SchemeError> {
    bytes.try_into().map_err(|_| SchemeError::Length)
}

#[cfg(test)]
mod tests;
