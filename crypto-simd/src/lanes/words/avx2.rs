//! Eight or four words in a 256-bit register.

use super::{Words, Words32, Words64};
use crate::cpu::Avx2;
use std::arch::x86_64::*;

/// The 32 bytes of `input` from `offset`.
#[inline(always)]
fn row(_: Avx2, input: &[u8], offset: usize) -> __m256i {
    let bytes: &[u8; 32] = input[offset..].first_chunk().expect("a whole block");
    // SAFETY: 32 bytes are there; the load needs no alignment; the token proves the feature.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Turns the bytes of each word around, by their order in a 128-bit half.
#[inline(always)]
fn swap_bytes(_: Avx2, order: i128, vector: __m256i) -> __m256i {
    // SAFETY: `order` has 128 bits; the token proves the feature.
    unsafe {
        let order = _mm_loadu_si128((&raw const order).cast());
        _mm256_shuffle_epi8(vector, _mm256_broadcastsi128_si256(order))
    }
}

/// The order of bytes that turns 32-bit words around.
const SWAP_32: i128 = i128::from_le_bytes([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
/// The same for 64-bit words.
const SWAP_64: i128 = i128::from_le_bytes([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);

/// The low and the high halves of two registers.
#[inline(always)]
fn halves(_: Avx2, a: __m256i, b: __m256i) -> [__m256i; 2] {
    // SAFETY: the token proves the feature.
    unsafe { [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)] }
}

impl Words for Words32<Avx2> {
    type Word = u32;
    type Vector = __m256i;

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_set1_epi32(word as i32) }
    }

    #[inline(always)]
    fn load(self, words: &[u32]) -> __m256i {
        let words: &[u32; 8] = words.first_chunk().expect("a word for each lane");
        // SAFETY: eight words are there; the load needs no alignment; the token proves the feature.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: __m256i, words: &mut [u32]) {
        let words: &mut [u32; 8] = words.first_chunk_mut().expect("room for each lane");
        // SAFETY: there is room for eight words; the store needs no alignment; the token proves the feature.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [__m256i; 16] {
        let inputs: &[&[u8]; 8] = inputs.first_chunk().expect("an input for each lane");
        let mut words = [self.splat(0); 16];
        for half in 0..2 {
            let words = &mut words[8 * half..][..8];
            for lane in 0..8 {
                let row = row(self.0, inputs[lane], offset + 32 * half);
                words[lane] = if BIG_ENDIAN { swap_bytes(self.0, SWAP_32, row) } else { row };
            }
            // In groups of four lanes: half j of the vector at c then holds word 4j + c of these lanes.
            for group in words.as_chunks_mut::<4>().0 {
                let [a, b, c, d] = *group;
                // SAFETY: the token proves the feature.
                *group = unsafe {
                    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
                    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
                    [
                        _mm256_unpacklo_epi64(ab_low, cd_low),
                        _mm256_unpackhi_epi64(ab_low, cd_low),
                        _mm256_unpacklo_epi64(ab_high, cd_high),
                        _mm256_unpackhi_epi64(ab_high, cd_high),
                    ]
                };
            }
            for c in 0..4 {
                [words[c], words[4 + c]] = halves(self.0, words[c], words[4 + c]);
            }
        }
        words
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn choose(self, mask: __m256i, a: __m256i, b: __m256i) -> __m256i {
        choose(self.0, mask, a, b)
    }

    #[inline(always)]
    fn majority(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        majority(self.0, a, b, c)
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(BITS as i32)) }
    }

    #[inline(always)]
    fn rotate_right<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            if BITS.is_multiple_of(8) {
                // Whole bytes: one shuffle instead of two shifts.
                let order =
                    |word: u32| i32::from_le_bytes([0, 1, 2, 3].map(|byte| (4 * word + (byte + BITS / 8) % 4) as u8));
                let order = [order(0), order(1), order(2), order(3)];
                let order =
                    _mm256_setr_epi32(order[0], order[1], order[2], order[3], order[0], order[1], order[2], order[3]);
                return _mm256_shuffle_epi8(a, order);
            }
            let left = _mm256_sll_epi32(a, _mm_cvtsi32_si128(32 - BITS as i32));
            _mm256_or_si256(self.shift_right::<BITS>(a), left)
        }
    }
}

impl Words for Words64<Avx2> {
    type Word = u64;
    type Vector = __m256i;

    #[inline(always)]
    fn splat(self, word: u64) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_set1_epi64x(word as i64) }
    }

    #[inline(always)]
    fn load(self, words: &[u64]) -> __m256i {
        let words: &[u64; 4] = words.first_chunk().expect("a word for each lane");
        // SAFETY: four words are there; the load needs no alignment; the token proves the feature.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: __m256i, words: &mut [u64]) {
        let words: &mut [u64; 4] = words.first_chunk_mut().expect("room for each lane");
        // SAFETY: there is room for four words; the store needs no alignment; the token proves the feature.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [__m256i; 16] {
        let inputs: &[&[u8]; 4] = inputs.first_chunk().expect("an input for each lane");
        let mut words = [self.splat(0); 16];
        for quarter in 0..4 {
            let words = &mut words[4 * quarter..][..4];
            for lane in 0..4 {
                let row = row(self.0, inputs[lane], offset + 32 * quarter);
                words[lane] = if BIG_ENDIAN { swap_bytes(self.0, SWAP_64, row) } else { row };
            }
            let [a, b, c, d] = [words[0], words[1], words[2], words[3]];
            // SAFETY: the token proves the feature.
            let (even, odd) = unsafe {
                (
                    [_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d)],
                    [_mm256_unpackhi_epi64(a, b), _mm256_unpackhi_epi64(c, d)],
                )
            };
            [words[0], words[2]] = halves(self.0, even[0], even[1]);
            [words[1], words[3]] = halves(self.0, odd[0], odd[1]);
        }
        words
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn choose(self, mask: __m256i, a: __m256i, b: __m256i) -> __m256i {
        choose(self.0, mask, a, b)
    }

    #[inline(always)]
    fn majority(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        majority(self.0, a, b, c)
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(BITS as i32)) }
    }

    #[inline(always)]
    fn rotate_right<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            let left = _mm256_sll_epi64(a, _mm_cvtsi32_si128(64 - BITS as i32));
            _mm256_or_si256(self.shift_right::<BITS>(a), left)
        }
    }
}

#[inline(always)]
fn choose(_: Avx2, mask: __m256i, a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: the token proves the feature.
    unsafe { _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(a, b), mask), b) }
}

#[inline(always)]
fn majority(_: Avx2, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    // SAFETY: the token proves the feature.
    unsafe { _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(b, c)), b) }
}
