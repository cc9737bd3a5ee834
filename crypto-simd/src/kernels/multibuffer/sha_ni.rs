//! SHA-256 of two messages at once with the SHA instructions: one message alone waits for each instruction's result,
//! the other fills the gap.

use super::sha2::{K, Sha256, kernel_256};
use super::{Blocks, Kernel, Rows};
use crate::cpu::ShaNi;
use std::arch::x86_64::*;

/// Messages at once.
const STREAMS: usize = 2;
const BLOCK_BYTES: usize = 64;

/// The constants of four rounds each.
const CONSTANTS: [[u32; 4]; 16] = {
    let mut words = [[0; 4]; 16];
    let mut round = 0;
    while round < 64 {
        words[round / 4][round % 4] = (K[round] >> 32) as u32;
        round += 1;
    }
    words
};

/// The kernel; the token is the proof that it may be called.
pub(super) fn kernel(_: ShaNi) -> Sha256 {
    kernel_256!(absorb, STREAMS, 2, "sha,sse2,ssse3,sse4.1")
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline(never)]
fn absorb(rows: &mut Rows<u32, STREAMS, 8>, blocks: Blocks<'_, u32, STREAMS>) {
    let mut states = [[_mm_setzero_si128(); 2]; STREAMS];
    for (lane, [abef, cdgh]) in states.iter_mut().enumerate() {
        let [a, b, c, d, e, f, g, h] = rows.each_ref().map(|row| row[lane] as i32);
        (*abef, *cdgh) = (_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h));
    }
    match blocks {
        Blocks::Bytes(inputs) => {
            let [first, second] = [inputs[0].as_chunks().0, inputs[1].as_chunks().0];
            for (first, second) in first.iter().zip(second) {
                compress(&mut states, [load(first), load(second)]);
            }
        }
        Blocks::Shared(bytes, digests) => {
            let mut w = [load(bytes.first_chunk().expect("a whole block")); STREAMS];
            if let Some(digests) = digests {
                for (lane, w) in w.iter_mut().enumerate() {
                    let [a, b, c, d, e, f, g, h] = digests.each_ref().map(|row| row[lane] as i32);
                    (w[0], w[1]) = (_mm_set_epi32(d, c, b, a), _mm_set_epi32(h, g, f, e));
                }
            }
            compress(&mut states, w);
        }
    }
    for (lane, [abef, cdgh]) in states.into_iter().enumerate() {
        let mut words = [0_u32; 8];
        // SAFETY: there is room for both vectors; the stores need no alignment.
        unsafe {
            _mm_storeu_si128(words.as_mut_ptr().cast(), abef);
            _mm_storeu_si128(words[4..].as_mut_ptr().cast(), cdgh);
        }
        let [f, e, b, a, h, g, d, c] = words;
        for (row, word) in rows.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            row[lane] = word;
        }
    }
}

#[target_feature(enable = "sse2,ssse3")]
#[inline]
fn load(block: &[u8; BLOCK_BYTES]) -> [__m128i; 4] {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut words = [_mm_setzero_si128(); 4];
    for (words, bytes) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        // SAFETY: 16 bytes are there; the load needs no alignment.
        *words = unsafe { _mm_shuffle_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), order) };
    }
    words
}

/// FIPS 180-4 6.2.2, four rounds at a time; `w` holds the 16 words that are next.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn compress(states: &mut [[__m128i; 2]; STREAMS], mut w: [[__m128i; 4]; STREAMS]) {
    let before = *states;
    // The number of the rounds is known when compiling, so that everything stays in registers.
    macro_rules! rounds {
        ($($quad:literal)*) => { $( {
            if $quad >= 4 {
                schedule::<{ $quad % 4 }>(&mut w);
            }
            four_rounds(states, [w[0][$quad % 4], w[1][$quad % 4]], $quad);
        } )* };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for (state, before) in states.iter_mut().zip(before) {
        *state = [_mm_add_epi32(state[0], before[0]), _mm_add_epi32(state[1], before[1])];
    }
}

/// Replaces four words of each message by those of 16 rounds later.
#[target_feature(enable = "sha,sse2,ssse3")]
#[inline]
fn schedule<const INDEX: usize>(w: &mut [[__m128i; 4]; STREAMS]) {
    for w in w {
        let (middle, last) = (w[(INDEX + 2) % 4], w[(INDEX + 3) % 4]);
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[INDEX], w[(INDEX + 1) % 4]), _mm_alignr_epi8::<4>(last, middle));
        w[INDEX] = _mm_sha256msg2_epu32(sum, last);
    }
}

#[target_feature(enable = "sha,sse2")]
#[inline]
fn four_rounds(states: &mut [[__m128i; 2]; STREAMS], words: [__m128i; STREAMS], quad: usize) {
    let [a, b, c, d] = CONSTANTS[quad].map(|word| word as i32);
    let constants = _mm_set_epi32(d, c, b, a);
    let sums = [_mm_add_epi32(words[0], constants), _mm_add_epi32(words[1], constants)];
    let [[first_abef, first_cdgh], [second_abef, second_cdgh]] = states;
    *first_cdgh = _mm_sha256rnds2_epu32(*first_cdgh, *first_abef, sums[0]);
    *second_cdgh = _mm_sha256rnds2_epu32(*second_cdgh, *second_abef, sums[1]);
    *first_abef = _mm_sha256rnds2_epu32(*first_abef, *first_cdgh, _mm_shuffle_epi32::<0x0e>(sums[0]));
    *second_abef = _mm_sha256rnds2_epu32(*second_abef, *second_cdgh, _mm_shuffle_epi32::<0x0e>(sums[1]));
}
