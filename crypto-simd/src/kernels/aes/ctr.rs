//! AES-256 in counter mode (sphinx.md 2.2) under a key that changes with every packet.
//!
//! A chain of thirteen short steps makes the round keys, and the first blocks follow it round by round. Where the CPU has
//! no vectors for AES, aws-lc's one-shot calls do the work: its safe wrappers cost more per key than the keystream of a
//! header.

#[cfg(any(test, target_arch = "x86_64"))]
use super::counter::Counter;
use crate::cpu::Proof;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
use aws_lc_sys::{AES_KEY, AES_ctr128_encrypt, AES_set_encrypt_key};
use std::mem::MaybeUninit;

/// XORs the keystream of a key into data. The IV is the first counter block, counted as one 128-bit big-endian integer.
pub(crate) type Kernel = fn(&[u8; 32], &[u8; 16], &mut [u8]);

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
    ($kernel:ident, $token:ident, $group:literal, $half:literal, $features:literal) => {
        fn $kernel(_: $token) -> Kernel {
            #[target_feature(enable = $features)]
            fn inner(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
                // SAFETY: this function is reached through the kernel only, which the token's owner made.
                let token = unsafe { $token::assume() };
                xor::<_, $group, $half>(token, key, iv, data);
            }
            // SAFETY: whoever has the kernel had the token, so the CPU has the features.
            |key, iv, data| unsafe { inner(key, iv, data) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry_point!(aes_ni, Avx2, 8, 4, "avx2,aes");
#[cfg(target_arch = "x86_64")]
entry_point!(vaes_256, Avx2Vaes, 8, 4, "avx2,aes,vaes");
#[cfg(target_arch = "x86_64")]
entry_point!(vaes_512, Avx512, 8, 4, "avx512f,avx512bw,avx512dq,avx512vl,aes,vaes");

/// Writes out a loop over the rounds 1 to 13, which the compiler would keep.
#[cfg(any(test, target_arch = "x86_64"))]
macro_rules! thirteen {
    ($round:ident => $body:block) => {
        thirteen!($round => $body, 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($round:ident => $body:block, $($number:literal)*) => {
        $({
            const $round: usize = $number;
            $body
        })*
    };
}

/// `G` vectors go through the rounds in step, the last ones in groups of `G` or of half, `H`.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn xor<B: Counter, const G: usize, const H: usize>(b: B, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut keys = expand(b, key);
    let mut counter = b.add(b.number(b.splat(iv)), b.count());
    let mut inputs = [keys[0]; G];
    for (g, input) in inputs.iter_mut().enumerate() {
        *input = nth_input(b, &keys, counter, g);
    }
    let mut groups = data.chunks_exact_mut(16 * B::LANES * G);
    for group in &mut groups {
        counter = b.add(counter, b.repeat((G * B::LANES) as u64));
        let mut states = inputs;
        thirteen!(ROUND => {
            states = round_in_step(b, states, keys[ROUND]);
            if ROUND <= G {
                // The inputs of the next group are made between the rounds of this one, which leave room for them.
                let input = nth_input(b, &keys, counter, ROUND - 1);
                let mut both = [states[0], input];
                b.in_step(&mut both);
                [states[0], inputs[ROUND - 1]] = both;
            }
        });
        for (state, bytes) in states.into_iter().zip(group.chunks_exact_mut(16 * B::LANES)) {
            b.add_to(b.last_round(state, keys[14]), bytes);
        }
    }
    let rest = groups.into_remainder();
    if rest.len() > 16 * B::LANES * H {
        encrypt_and_add(b, inputs, &keys, rest);
    } else if !rest.is_empty() {
        let mut half = [keys[0]; H];
        half.copy_from_slice(&inputs[..H]);
        encrypt_and_add(b, half, &keys, rest);
    }
    keys = [b.splat(&[0; 16]); 15];
    zeroize::optimization_barrier(&keys);
}

/// What enters the first round for vector number `g` after `counter`.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn nth_input<B: Counter>(b: B, keys: &[B::Vector; 15], counter: B::Number, g: usize) -> B::Vector {
    b.xor(keys[0], b.vector(b.add(counter, b.repeat((g * B::LANES) as u64))))
}

#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn round_in_step<B: Counter, const N: usize>(b: B, mut states: [B::Vector; N], key: B::Vector) -> [B::Vector; N] {
    for state in &mut states {
        *state = b.round(*state, key);
    }
    b.in_step(&mut states);
    states
}

#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn encrypt_and_add<B: Counter, const N: usize>(
    b: B,
    mut states: [B::Vector; N],
    keys: &[B::Vector; 15],
    data: &mut [u8],
) {
    thirteen!(ROUND => {
        states = round_in_step(b, states, keys[ROUND]);
    });
    for state in &mut states {
        *state = b.last_round(*state, keys[14]);
    }
    for (state, bytes) in states.into_iter().zip(data.chunks_mut(16 * B::LANES)) {
        b.add_to(state, bytes);
    }
}

/// The round keys, each in all lanes. The S-box comes from the last AES round of a block with four equal words, which
/// ShiftRows leaves alone.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn expand<B: Counter>(b: B, key: &[u8; 32]) -> [B::Vector; 15] {
    let (halves, _) = key.as_chunks::<16>();
    let mut keys = [b.splat(&halves[0]); 15];
    keys[1] = b.splat(&halves[1]);
    // Written out, or the compiler keeps the loop.
    next_keys(b, &mut keys, 2);
    next_keys(b, &mut keys, 4);
    next_keys(b, &mut keys, 6);
    next_keys(b, &mut keys, 8);
    next_keys(b, &mut keys, 10);
    next_keys(b, &mut keys, 12);
    keys[14] = next_even(b, &keys, 14);
    keys
}

/// Two round keys from the two before them.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn next_keys<B: Counter>(b: B, keys: &mut [B::Vector; 15], round: usize) {
    keys[round] = next_even(b, keys, round);
    keys[round + 1] = b.last_round(b.last_word(keys[round]), b.running_sum(keys[round - 1]));
}

#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
fn next_even<B: Counter>(b: B, keys: &[B::Vector; 15], round: usize) -> B::Vector {
    let constant = (1_u128 << (round / 2 - 1)) * 0x0000_0001_0000_0001_0000_0001_0000_0001;
    let sum = b.xor(b.running_sum(keys[round - 2]), b.splat(&constant.to_le_bytes()));
    b.last_round(b.last_word_rotated(keys[round - 1]), sum)
}

#[cfg(test)]
mod tests;
