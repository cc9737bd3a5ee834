//! AES-256 in counter mode (sphinx.md 2.2) under a key that changes with every packet.

use crate::dispatch::kernels;

/// XORs the keystream of `key` and `iv` into `data`. The IV is the first counter block, counted as one 128-bit
/// big-endian integer.
pub fn aes256_ctr_xor(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    (kernels().aes256_ctr)(key, iv, data);
}

/// Overwrites `output` with the keystream of `key` and `iv`.
pub fn aes256_ctr_keystream(key: &[u8; 32], iv: &[u8; 16], output: &mut [u8]) {
    output.fill(0);
    aes256_ctr_xor(key, iv, output);
}
