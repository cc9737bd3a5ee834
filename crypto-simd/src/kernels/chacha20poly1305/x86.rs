//! Blocks of ChaCha20 and of Poly1305 in the registers of AVX-512, and a frame's blocks in those of AVX2.

use super::blocks::{BLOCK_WORDS, Blocks};
use super::radix44::LoadBlocks;
use super::rows::{FrameBlocks, Rows, four};
use super::text::Text;
use super::{Block, FRAME_SPECIAL, Kernel, Place, kernel_of};
use crate::cpu::{Avx2, Avx512};
use crate::lanes::words::Words32;
use std::arch::x86_64::*;

impl Blocks for Words32<Avx512> {
    const LANES: usize = 16;

    #[inline(always)]
    fn transpose(self, words: [__m512i; BLOCK_WORDS]) -> [__m512i; BLOCK_WORDS] {
        // SAFETY: the token proves the feature.
        unsafe {
            // In each 128-bit quarter q: `fours[4 i + j]` holds words 4 i .. 4 i + 3 of block 4 q + j.
            let mut fours = [_mm512_setzero_si512(); BLOCK_WORDS];
            for (four, word) in fours.as_chunks_mut::<4>().0.iter_mut().zip(words.as_chunks::<4>().0) {
                let low_01 = _mm512_unpacklo_epi32(word[0], word[1]);
                let high_01 = _mm512_unpackhi_epi32(word[0], word[1]);
                let low_23 = _mm512_unpacklo_epi32(word[2], word[3]);
                let high_23 = _mm512_unpackhi_epi32(word[2], word[3]);
                *four = [
                    _mm512_unpacklo_epi64(low_01, low_23),
                    _mm512_unpackhi_epi64(low_01, low_23),
                    _mm512_unpacklo_epi64(high_01, high_23),
                    _mm512_unpackhi_epi64(high_01, high_23),
                ];
            }
            // The quarters of four vectors, transposed.
            let mut blocks = [_mm512_setzero_si512(); BLOCK_WORDS];
            for j in 0..4 {
                let (a, b, c, d) = (fours[j], fours[4 + j], fours[8 + j], fours[12 + j]);
                let (ab_low, ab_high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xee>(a, b));
                let (cd_low, cd_high) = (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xee>(c, d));
                blocks[j] = _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low);
                blocks[4 + j] = _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low);
                blocks[8 + j] = _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high);
                blocks[12 + j] = _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high);
            }
            blocks
        }
    }

    #[inline(always)]
    fn xor_into(self, vector: __m512i, mut text: Text<'_>) {
        let (from, to) = text.first::<64>();
        // SAFETY: 64 bytes are at both; neither load nor store needs alignment; the token proves the feature.
        unsafe { _mm512_storeu_si512(to.cast(), _mm512_xor_si512(vector, _mm512_loadu_si512(from.cast()))) }
    }
}

impl LoadBlocks for Avx512 {
    #[inline(always)]
    fn load_blocks(self, bytes: &[u8]) -> (__m512i, __m512i) {
        let bytes: &[u8; 128] = bytes.first_chunk().expect("a block for each lane");
        // SAFETY: twice 64 bytes are there; the loads need no alignment; the token proves the feature.
        unsafe {
            let first = _mm512_loadu_si512(bytes.as_ptr().cast());
            let second = _mm512_loadu_si512(bytes[64..].as_ptr().cast());
            (_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second))
        }
    }

    #[inline(always)]
    fn interleave(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_permutexvar_epi64(_mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0), a) }
    }
}

/// The kernel for AVX-512 with IFMA; the token is the proof that it may be called.
pub(super) fn avx512(_: Avx512) -> Kernel {
    kernel_of!(
        #[target_feature(enable = "avx2,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
        2 groups of Words32(Avx512::assume()), 16 words, Avx512::assume()
    )
}

impl Rows for Words32<Avx2> {
    #[inline(always)]
    fn turn<const BY: usize>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            match BY {
                1 => _mm256_shuffle_epi32::<0b00_11_10_01>(a),
                2 => _mm256_shuffle_epi32::<0b01_00_11_10>(a),
                3 => _mm256_shuffle_epi32::<0b10_01_00_11>(a),
                _ => a,
            }
        }
    }
}

/// A frame's blocks for AVX2; the token is the proof that it may be called.
pub(super) fn frame_blocks(_: Avx2) -> FrameBlocks {
    #[target_feature(enable = "avx2")]
    fn inner(key: &[u8; 32], places: &[Place; FRAME_SPECIAL]) -> [Block; FRAME_SPECIAL] {
        // SAFETY: this function is reached through its pointer only, which the token's owner made.
        four(Words32(unsafe { Avx2::assume() }), key, places)
    }
    // SAFETY: whoever has the pointer had the token, so the CPU has the features.
    |key, places| unsafe { inner(key, places) }
}
