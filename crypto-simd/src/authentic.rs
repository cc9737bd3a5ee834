//! What kernels and the library say of a tag: the ground of everything that authenticates.

#[cfg(test)]
mod tests;

use subtle::ConstantTimeEq;

/// The tag does not belong to this ciphertext, associated data, nonce and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct OpenError;

/// Whether `a` and `b` are equal, in time that depends on their lengths only.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
