//! AEZ v5 (sphinx.md 2.5): the wide-block cipher of packet payloads, in place and without allocation.
//!
//! Sphinx uses a 48-byte key, a 16-byte nonce, no associated data and no authenticator ([`encipher_in_place`],
//! [`decipher_in_place`]); the general forms serve the recorded vectors.

use crate::authentic::OpenError;
use crate::dispatch::{Kernels, kernels};
use crate::kernels::aez::{Delta, Direction};
pub use crate::kernels::aez::{IV_BYTES, KEY_BYTES};
use zeroize::Zeroizing;

/// Enciphers a payload: no associated data, no authenticator; the length stays. An empty message stays empty.
pub fn encipher_in_place(key: &[u8; KEY_BYTES], iv: &[u8; IV_BYTES], data: &mut [u8]) {
    kernels().aez.cipher(key, Delta::Of(iv), data, Direction::Encipher);
}

/// The inverse of [`encipher_in_place`]; every text deciphers to something.
pub fn decipher_in_place(key: &[u8; KEY_BYTES], iv: &[u8; IV_BYTES], data: &mut [u8]) {
    decipher_in_place_with(kernels(), key, iv, data);
}

/// [`decipher_in_place`] with the kernel of another level than this process uses, for comparisons.
pub fn decipher_in_place_with(kernels: &Kernels, key: &[u8; KEY_BYTES], iv: &[u8; IV_BYTES], data: &mut [u8]) {
    kernels.aez.cipher(key, Delta::Of(iv), data, Direction::Decipher);
}

/// Encrypts in place with associated data and an authenticator of `tau_bytes`: `buffer` holds the message, then
/// `tau_bytes` of room that are overwritten.
///
/// # Panics
/// When the buffer is shorter than the authenticator: the caller makes room for it.
pub fn encrypt_in_place(key: &[u8; KEY_BYTES], nonce: &[u8], ad: &[&[u8]], tau_bytes: usize, buffer: &mut [u8]) {
    kernels().aez.encrypt(key, nonce, ad, tau_bytes, buffer);
}

/// The inverse of [`encrypt_in_place`]: the message stands in front of `tau_bytes` of zeros. When the authenticator is
/// wrong, or the buffer shorter than it, the buffer is wiped.
pub fn decrypt_in_place(
    key: &[u8; KEY_BYTES],
    nonce: &[u8],
    ad: &[&[u8]],
    tau_bytes: usize,
    buffer: &mut [u8],
) -> Result<(), OpenError> {
    kernels().aez.decrypt(key, nonce, ad, tau_bytes, buffer)
}

/// The 48-byte key of a key of any length: itself, or its BLAKE2b-384 hash.
pub fn extract_key(key: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut extracted = Zeroizing::new([0; KEY_BYTES]);
    if key.len() == KEY_BYTES {
        extracted.copy_from_slice(key);
    } else {
        extracted.copy_from_slice(blake2b_simd::Params::new().hash_length(KEY_BYTES).hash(key).as_bytes());
    }
    extracted
}
