//! 16 or 8 words in a 512-bit register.

use super::{Words, Words32, Words64};
use crate::cpu::Avx512;
use std::arch::asm;
use std::arch::x86_64::*;

/// `vpternlog`'s truth tables of a ^ b ^ c, of the choice between b and c by a, and of the majority.
const XOR: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;

/// The 64 bytes of `input` from `offset`.
#[inline(always)]
fn row(_: Avx512, input: &[u8], offset: usize) -> __m512i {
    let bytes: &[u8; 64] = input[offset..].first_chunk().expect("a whole block");
    // SAFETY: 64 bytes are there; the load needs no alignment; the token proves the feature.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Exchanges registers and 128-bit quarters: quarter j of register i goes to quarter i of register j.
#[inline(always)]
fn transpose_quarters(_: Avx512, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the token proves the feature.
    unsafe {
        let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        [
            _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even),
            _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
            _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even),
            _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd),
        ]
    }
}

/// The order of bytes in a 128-bit quarter that turns its 32-bit words around.
const SWAP_32: i128 = i128::from_le_bytes([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
/// The same for 64-bit words.
const SWAP_64: i128 = i128::from_le_bytes([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);

#[inline(always)]
fn swap_bytes(_: Avx512, order: i128, vector: __m512i) -> __m512i {
    // SAFETY: `order` has 128 bits; the token proves the feature.
    unsafe {
        let order = _mm_loadu_si128((&raw const order).cast());
        _mm512_shuffle_epi8(vector, _mm512_broadcast_i32x4(order))
    }
}

/// a + b as one instruction that the compiler does not look into.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_in_order_32(a: __m512i, b: __m512i) -> __m512i {
    let sum;
    // SAFETY: the instruction reads and writes these registers only.
    unsafe {
        asm!("vpaddd {}, {}, {}", out(zmm_reg) sum, in(zmm_reg) a, in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// The same for 64-bit words.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_in_order_64(a: __m512i, b: __m512i) -> __m512i {
    let sum;
    // SAFETY: the instruction reads and writes these registers only.
    unsafe {
        asm!("vpaddq {}, {}, {}", out(zmm_reg) sum, in(zmm_reg) a, in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

impl Words for Words32<Avx512> {
    #[inline(always)]
    fn add_in_order(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { add_in_order_32(a, b) }
    }

    type Word = u32;
    type Vector = __m512i;

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_set1_epi32(word as i32) }
    }

    #[inline(always)]
    fn load(self, words: &[u32]) -> __m512i {
        let words: &[u32; 16] = words.first_chunk().expect("a word for each lane");
        // SAFETY: 16 words are there; the load needs no alignment; the token proves the feature.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512i, words: &mut [u32]) {
        let words: &mut [u32; 16] = words.first_chunk_mut().expect("room for each lane");
        // SAFETY: there is room for 16 words; the store needs no alignment; the token proves the feature.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [__m512i; 16] {
        let inputs: &[&[u8]; 16] = inputs.first_chunk().expect("an input for each lane");
        let mut words = [self.splat(0); 16];
        for lane in 0..16 {
            let row = row(self.0, inputs[lane], offset);
            words[lane] = if BIG_ENDIAN { swap_bytes(self.0, SWAP_32, row) } else { row };
        }
        // In groups of four lanes: quarter j of the vector at c then holds word 4j + c of these lanes.
        for group in words.as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *group;
            // SAFETY: the token proves the feature.
            *group = unsafe {
                let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
                let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
                [
                    _mm512_unpacklo_epi64(ab_low, cd_low),
                    _mm512_unpackhi_epi64(ab_low, cd_low),
                    _mm512_unpacklo_epi64(ab_high, cd_high),
                    _mm512_unpackhi_epi64(ab_high, cd_high),
                ]
            };
        }
        for c in 0..4 {
            [words[c], words[4 + c], words[8 + c], words[12 + c]] =
                transpose_quarters(self.0, [words[c], words[4 + c], words[8 + c], words[12 + c]]);
        }
        words
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi32::<XOR>(a, b, c) }
    }

    #[inline(always)]
    fn choose(self, mask: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi32::<CHOOSE>(mask, a, b) }
    }

    #[inline(always)]
    fn majority(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_srli_epi32::<BITS>(a) }
    }

    #[inline(always)]
    fn rotate_right<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_rorv_epi32(a, _mm512_set1_epi32(BITS as i32)) }
    }
}

impl Words for Words64<Avx512> {
    #[inline(always)]
    fn add_in_order(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { add_in_order_64(a, b) }
    }

    type Word = u64;
    type Vector = __m512i;

    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    fn load(self, words: &[u64]) -> __m512i {
        let words: &[u64; 8] = words.first_chunk().expect("a word for each lane");
        // SAFETY: eight words are there; the load needs no alignment; the token proves the feature.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512i, words: &mut [u64]) {
        let words: &mut [u64; 8] = words.first_chunk_mut().expect("room for each lane");
        // SAFETY: there is room for eight words; the store needs no alignment; the token proves the feature.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [__m512i; 16] {
        let inputs: &[&[u8]; 8] = inputs.first_chunk().expect("an input for each lane");
        let mut words = [self.splat(0); 16];
        for half in 0..2 {
            let words = &mut words[8 * half..][..8];
            for lane in 0..8 {
                let row = row(self.0, inputs[lane], offset + 64 * half);
                words[lane] = if BIG_ENDIAN { swap_bytes(self.0, SWAP_64, row) } else { row };
            }
            // In pairs of lanes: quarter j of the vector at c then holds word 2j + c of these lanes.
            for pair in words.as_chunks_mut::<2>().0 {
                let [a, b] = *pair;
                // SAFETY: the token proves the feature.
                *pair = unsafe { [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)] };
            }
            for c in 0..2 {
                [words[c], words[2 + c], words[4 + c], words[6 + c]] =
                    transpose_quarters(self.0, [words[c], words[2 + c], words[4 + c], words[6 + c]]);
            }
        }
        words
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<XOR>(a, b, c) }
    }

    #[inline(always)]
    fn choose(self, mask: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<CHOOSE>(mask, a, b) }
    }

    #[inline(always)]
    fn majority(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<MAJORITY>(a, b, c) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_srli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn rotate_right<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_rorv_epi64(a, _mm512_set1_epi64(i64::from(BITS))) }
    }
}
