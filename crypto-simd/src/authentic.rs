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
    // One barrier at the end: one for each byte costs a packet 0.16 us.
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    a.len() == b.len() && difference.ct_eq(&0).into()
}
