//! AES-256 in counter mode (sphinx.md 2.2), through aws-lc's one-shot calls: the key changes with every packet, and the
//! safe wrappers cost more per key than the keystream of a header.

use aws_lc_sys::{AES_KEY, AES_ctr128_encrypt, AES_set_encrypt_key};
use std::mem::MaybeUninit;

/// XORs the keystream of `key` and `iv` into `data`. The IV is the first counter block, counted as one 128-bit
/// big-endian integer.
pub fn aes256_ctr_xor(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut schedule = MaybeUninit::<AES_KEY>::uninit();
    let (mut counter, mut unused, mut unused_bytes) = (*iv, [0; 16], 0);
    // SAFETY: `key` has 256 bits, `schedule` has room for the key schedule, which the first call writes before the
    // second reads it; `data` may be both input and output of the same length; `counter` and `unused` have 16 bytes.
    // `AES_set_encrypt_key` fails only for null pointers and other key lengths.
    unsafe {
        AES_set_encrypt_key(key.as_ptr(), 256, schedule.as_mut_ptr());
        AES_ctr128_encrypt(
            data.as_ptr(),
            data.as_mut_ptr(),
            data.len(),
            schedule.as_ptr(),
            counter.as_mut_ptr(),
            unused.as_mut_ptr(),
            &mut unused_bytes,
        );
        // The schedule is plain words, for which zeros are valid.
        zeroize::zeroize_flat_type(schedule.as_mut_ptr());
    }
}

/// Overwrites `output` with the keystream of `key` and `iv`.
pub fn aes256_ctr_keystream(key: &[u8; 32], iv: &[u8; 16], output: &mut [u8]) {
    output.fill(0);
    aes256_ctr_xor(key, iv, output);
}
