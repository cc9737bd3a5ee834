//! AES-256 in counter mode (sphinx.md 2.2) under a key that changes with every packet.
//!
//! A chain of thirteen short steps makes the round keys, and the first blocks follow it round by round. Where the CPU has
//! no vectors for AES, aws-lc's one-shot calls do the work: its safe wrappers cost more per key than the keystream of a
//! header.

#[cfg(any(test, target_arch = "x86_64"))]
use crate::aes::counter::Counter;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
use crate::cpu::{Proof, kernels};
use aws_lc_sys::{AES_KEY, AES_ctr128_encrypt, AES_set_encrypt_key};
use std::mem::MaybeUninit;

/// XORs the keystream of key and first counter block into data.
pub(crate) type Kernel = fn(&[u8; 32], &[u8; 16], &mut [u8]);

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

/// The kernel for a level.
pub(crate) fn kernel(proof: Proof) -> Kernel {
    match proof {
        Proof::Portable => library,
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => aes_ni(token),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => vaes_256(token),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => vaes_512(token),
    }
}

fn library(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
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

/// Declares the kernel of one backend: a safe function that names the token, around one that carries the target features
/// and into which everything else is inlined.
#[cfg(target_arch = "x86_64")]
macro_rules! entry_point {
    ($kernel:ident, $token:ident, $group:literal, $features:literal) => {
        fn $kernel(_: $token) -> Kernel {
            #[target_feature(enable = $features)]
            fn inner(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
                // SAFETY: this function is reached through the kernel only, which the token's owner made.
                let token = unsafe { $token::assume() };
                xor::<_, $group>(token, key, iv, data);
            }
            // SAFETY: whoever has the kernel had the token, so the CPU has the features.
            |key, iv, data| unsafe { inner(key, iv, data) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry_point!(aes_ni, Avx2, 8, "avx2,aes");
#[cfg(target_arch = "x86_64")]
entry_point!(vaes_256, Avx2Vaes, 8, "avx2,aes,vaes");
#[cfg(target_arch = "x86_64")]
entry_point!(vaes_512, Avx512, 8, "avx512f,avx512bw,avx512dq,avx512vl,aes,vaes");

/// `G` vectors at a time, so that the latency of one round hides behind the others.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn xor<B: Counter, const G: usize>(b: B, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut keys = expand(b, key);
    let mut counter = b.add(b.number(b.splat(iv)), b.count());
    let mut groups = data.chunks_exact_mut(16 * B::LANES * G);
    for group in &mut groups {
        let blocks = std::array::from_fn(|g| b.add(counter, b.repeat((g * B::LANES) as u64)));
        for (stream, bytes) in encrypt::<_, G>(b, &keys, blocks).into_iter().zip(group.chunks_exact_mut(16 * B::LANES))
        {
            b.add_to(stream, bytes);
        }
        counter = b.add(counter, b.repeat((G * B::LANES) as u64));
    }
    for bytes in groups.into_remainder().chunks_mut(16 * B::LANES) {
        let [stream] = encrypt(b, &keys, [counter]);
        b.add_to(stream, bytes);
        counter = b.add(counter, b.repeat(B::LANES as u64));
    }
    // SAFETY: the round keys are plain vectors, for which zeros are valid.
    unsafe { zeroize::zeroize_flat_type(&mut keys) };
}

#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn encrypt<B: Counter, const N: usize>(b: B, keys: &[B::Vector; 15], blocks: [B::Number; N]) -> [B::Vector; N] {
    let mut states = blocks.map(|block| b.xor(b.vector(block), keys[0]));
    for key in &keys[1..14] {
        for state in &mut states {
            *state = b.round(*state, *key);
        }
    }
    states.map(|state| b.last_round(state, keys[14]))
}

/// The round keys, each in all lanes. The S-box comes from the last AES round of a block with four equal words, which
/// ShiftRows leaves alone.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn expand<B: Counter>(b: B, key: &[u8; 32]) -> [B::Vector; 15] {
    let (halves, _) = key.as_chunks::<16>();
    let mut keys = [b.splat(&halves[0]); 15];
    keys[1] = b.splat(&halves[1]);
    for round in 2..15 {
        let mut sum = b.running_sum(keys[round - 2]);
        let word = if round % 2 == 0 {
            let constant = 1 << (round / 2 - 1);
            sum = b.xor(sum, b.splat([[constant, 0, 0, 0]; 4].as_flattened().try_into().expect("sixteen bytes")));
            b.last_word_rotated(keys[round - 1])
        } else {
            b.last_word(keys[round - 1])
        };
        keys[round] = b.last_round(word, sum);
    }
    keys
}

#[cfg(test)]
mod tests;
