//! SHA-256 of two messages at once with the SHA instructions: one message alone waits for each instruction's result,
//! the other fills the gap.

use super::sha2::{K, Sha256};
use super::{Blocks, Kernel, Rows};
use crate::cpu::ShaNi;
use std::arch::x86_64::*;

/// Messages at once.
const STREAMS: usize = 2;
const BLOCK_BYTES: usize = 64;

/// The constants of four rounds, as the instructions want them.
#[repr(align(16))]
struct Constants([[u32; 4]; 16]);

static CONSTANTS: Constants = {
    let mut words = [[0; 4]; 16];
    let mut round = 0;
    while round < 64 {
        words[round / 4][round % 4] = (K[round] >> 32) as u32;
        round += 1;
    }
    Constants(words)
};

/// The kernel; the token is the proof that it may be called.
pub(super) fn kernel(_: ShaNi) -> Sha256 {
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    Kernel { lanes: STREAMS, worth: 2, call: |state, blocks| unsafe { absorb(state, blocks) } }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn absorb(rows: &mut Rows<u32, 16, 8>, blocks: Blocks<'_, u32, 16>) {
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
        Blocks::Words(words) => {
            let mut w = [[_mm_setzero_si128(); 4]; STREAMS];
            for (lane, w) in w.iter_mut().enumerate() {
                for (quad, rows) in w.iter_mut().zip(words.as_chunks::<4>().0) {
                    let [a, b, c, d] = rows.each_ref().map(|row| row[lane] as i32);
                    *quad = _mm_set_epi32(d, c, b, a);
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
#[target_feature(enable = "sha,sse2,ssse3")]
#[inline]
fn compress(states: &mut [[__m128i; 2]; STREAMS], mut w: [[__m128i; 4]; STREAMS]) {
    let before = *states;
    for quad in 0..16 {
        // SAFETY: 16 aligned bytes are there.
        let constants = unsafe { _mm_load_si128(CONSTANTS.0[quad].as_ptr().cast()) };
        let index = quad % 4;
        for lane in 0..STREAMS {
            let w = &mut w[lane];
            if quad >= 4 {
                let (last, middle) = (w[(index + 3) % 4], w[(index + 2) % 4]);
                let sum = _mm_add_epi32(
                    _mm_sha256msg1_epu32(w[index], w[(index + 1) % 4]),
                    _mm_alignr_epi8::<4>(last, middle),
                );
                w[index] = _mm_sha256msg2_epu32(sum, last);
            }
        }
        let sums = [_mm_add_epi32(w[0][index], constants), _mm_add_epi32(w[1][index], constants)];
        for lane in 0..STREAMS {
            let [abef, cdgh] = states[lane];
            states[lane][1] = _mm_sha256rnds2_epu32(cdgh, abef, sums[lane]);
        }
        for lane in 0..STREAMS {
            let [abef, cdgh] = states[lane];
            states[lane][0] = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32::<0x0e>(sums[lane]));
        }
    }
    for lane in 0..STREAMS {
        states[lane][0] = _mm_add_epi32(states[lane][0], before[lane][0]);
        states[lane][1] = _mm_add_epi32(states[lane][1], before[lane][1]);
    }
}
