//! What the counter mode of AES-256 needs from a CPU beside [`Blocks`].

#[cfg(test)]
use super::soft::Soft;
use super::{Block, Blocks};
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
#[cfg(target_arch = "x86_64")]
use std::mem::transmute;

/// Blocks that count, and whose words can be moved for a key schedule.
pub(crate) trait Counter: Blocks {
    /// The last AES round: SubBytes, ShiftRows, then the round key.
    fn last_round(self, state: Self::Vector, key: Self::Vector) -> Self::Vector;

    /// The last word of each block in all its four places.
    fn last_word(self, vector: Self::Vector) -> Self::Vector;

    /// As [`Self::last_word`], each word's first byte moved behind the others.
    fn last_word_rotated(self, vector: Self::Vector) -> Self::Vector;

    /// Each word of each block becomes the sum of itself and those before it.
    fn running_sum(self, vector: Self::Vector) -> Self::Vector;

    /// The numbers 0, 1, 2, ... below [`Blocks::LANES`].
    fn count(self) -> Self::Number;

    /// The same number in every lane.
    fn repeat(self, number: u64) -> Self::Number;

    /// Adds numbers below 2^63 to 128-bit integers, which wrap around.
    fn add(self, number: Self::Number, small: Self::Number) -> Self::Number;

    /// Adds a vector to at most 16 · [`Blocks::LANES`] bytes.
    fn add_to(self, vector: Self::Vector, bytes: &mut [u8]);
}

#[cfg(target_arch = "x86_64")]
const LAST_WORD_ROTATED: Block = [13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12];

/// Adds a vector that has been stored to bytes that are fewer.
#[inline(always)]
fn add_some(stored: &[u8], bytes: &mut [u8]) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    let (stored_words, stored_rest) = (stored.as_chunks::<8>().0, &stored[8 * words.len()..]);
    for (word, stored) in words.iter_mut().zip(stored_words) {
        *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*stored)).to_ne_bytes();
    }
    for (byte, stored) in rest.iter_mut().zip(stored_rest) {
        *byte ^= stored;
    }
}

#[cfg(target_arch = "x86_64")]
impl Counter for Avx2 {
    #[inline(always)]
    fn last_round(self, state: __m128i, key: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_aesenclast_si128(state, key) }
    }

    #[inline(always)]
    fn last_word(self, vector: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_shuffle_epi32::<0xff>(vector) }
    }

    #[inline(always)]
    fn last_word_rotated(self, vector: __m128i) -> __m128i {
        // SAFETY: the token proves the feature; the blocks are 16 bytes without padding.
        unsafe { _mm_shuffle_epi8(vector, transmute::<[Block; 1], __m128i>([LAST_WORD_ROTATED])) }
    }

    #[inline(always)]
    fn running_sum(self, vector: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe {
            let pairs = _mm_xor_si128(vector, _mm_slli_si128::<4>(vector));
            _mm_xor_si128(pairs, _mm_slli_si128::<8>(pairs))
        }
    }

    #[inline(always)]
    fn count(self) -> __m128i {
        // SAFETY: the words are 16 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 1], __m128i>([[0, 0]]) }
    }

    #[inline(always)]
    fn repeat(self, number: u64) -> __m128i {
        // SAFETY: the words are 16 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 1], __m128i>([[number, 0]]) }
    }

    #[inline(always)]
    fn add(self, number: __m128i, small: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe {
            let sum = _mm_add_epi64(number, small);
            // A bit leaves a word when its top bit was set and is no more.
            let carry = _mm_srli_epi64::<63>(_mm_andnot_si128(sum, number));
            _mm_add_epi64(sum, _mm_slli_si128::<8>(carry))
        }
    }

    #[inline(always)]
    fn add_to(self, vector: __m128i, bytes: &mut [u8]) {
        if let Ok(block) = <&mut Block>::try_from(&mut *bytes) {
            let start: *mut __m128i = block.as_mut_ptr().cast();
            // SAFETY: the token proves the feature; a block is one vector long.
            unsafe { _mm_storeu_si128(start, _mm_xor_si128(_mm_loadu_si128(start), vector)) };
        } else {
            // SAFETY: both types are 16 bytes without padding.
            add_some(&unsafe { transmute::<__m128i, [u8; 16]>(vector) }, bytes);
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Counter for Avx2Vaes {
    #[inline(always)]
    fn last_round(self, state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_aesenclast_epi128(state, key) }
    }

    #[inline(always)]
    fn last_word(self, vector: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_shuffle_epi32::<0xff>(vector) }
    }

    #[inline(always)]
    fn last_word_rotated(self, vector: __m256i) -> __m256i {
        // SAFETY: the token proves the feature; the blocks are 32 bytes without padding.
        unsafe { _mm256_shuffle_epi8(vector, transmute::<[Block; 2], __m256i>([LAST_WORD_ROTATED; 2])) }
    }

    #[inline(always)]
    fn running_sum(self, vector: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            let pairs = _mm256_xor_si256(vector, _mm256_slli_si256::<4>(vector));
            _mm256_xor_si256(pairs, _mm256_slli_si256::<8>(pairs))
        }
    }

    #[inline(always)]
    fn count(self) -> __m256i {
        // SAFETY: the words are 32 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 2], __m256i>([[0, 0], [1, 0]]) }
    }

    #[inline(always)]
    fn repeat(self, number: u64) -> __m256i {
        // SAFETY: the words are 32 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 2], __m256i>([[number, 0]; 2]) }
    }

    #[inline(always)]
    fn add(self, number: __m256i, small: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            let sum = _mm256_add_epi64(number, small);
            // A bit leaves a word when its top bit was set and is no more.
            let carry = _mm256_srli_epi64::<63>(_mm256_andnot_si256(sum, number));
            _mm256_add_epi64(sum, _mm256_slli_si256::<8>(carry))
        }
    }

    #[inline(always)]
    fn add_to(self, vector: __m256i, bytes: &mut [u8]) {
        if let Ok(blocks) = <&mut [u8; 32]>::try_from(&mut *bytes) {
            let start: *mut __m256i = blocks.as_mut_ptr().cast();
            // SAFETY: the token proves the feature; two blocks are one vector long.
            unsafe { _mm256_storeu_si256(start, _mm256_xor_si256(_mm256_loadu_si256(start), vector)) };
        } else {
            // SAFETY: both types are 32 bytes without padding.
            add_some(&unsafe { transmute::<__m256i, [u8; 32]>(vector) }, bytes);
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Counter for Avx512 {
    #[inline(always)]
    fn last_round(self, state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_aesenclast_epi128(state, key) }
    }

    #[inline(always)]
    fn last_word(self, vector: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_shuffle_epi32::<0xff>(vector) }
    }

    #[inline(always)]
    fn last_word_rotated(self, vector: __m512i) -> __m512i {
        // SAFETY: the token proves the feature; the blocks are 64 bytes without padding.
        unsafe { _mm512_shuffle_epi8(vector, transmute::<[Block; 4], __m512i>([LAST_WORD_ROTATED; 4])) }
    }

    #[inline(always)]
    fn running_sum(self, vector: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe {
            let pairs = _mm512_xor_si512(vector, _mm512_bslli_epi128::<4>(vector));
            _mm512_xor_si512(pairs, _mm512_bslli_epi128::<8>(pairs))
        }
    }

    #[inline(always)]
    fn count(self) -> __m512i {
        // SAFETY: the words are 64 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 4], __m512i>([[0, 0], [1, 0], [2, 0], [3, 0]]) }
    }

    #[inline(always)]
    fn repeat(self, number: u64) -> __m512i {
        // SAFETY: the words are 64 bytes without padding.
        unsafe { transmute::<[[u64; 2]; 4], __m512i>([[number, 0]; 4]) }
    }

    #[inline(always)]
    fn add(self, number: __m512i, small: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe {
            let sum = _mm512_add_epi64(number, small);
            // A bit leaves a word when its top bit was set and is no more.
            let carry = _mm512_srli_epi64::<63>(_mm512_andnot_si512(sum, number));
            _mm512_add_epi64(sum, _mm512_bslli_epi128::<8>(carry))
        }
    }

    #[inline(always)]
    fn add_to(self, vector: __m512i, bytes: &mut [u8]) {
        if let Ok(blocks) = <&mut [u8; 64]>::try_from(&mut *bytes) {
            let start: *mut i32 = blocks.as_mut_ptr().cast();
            // SAFETY: the token proves the feature; four blocks are one vector long.
            unsafe { _mm512_storeu_epi32(start, _mm512_xor_si512(_mm512_loadu_epi32(start), vector)) };
        } else {
            let start: *mut i8 = bytes.as_mut_ptr().cast();
            let mask = u64::MAX >> (64 - bytes.len().clamp(1, 64));
            // SAFETY: the token proves the feature; what is masked out is neither read nor written.
            unsafe {
                _mm512_mask_storeu_epi8(start, mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, start), vector));
            }
        }
    }
}

#[cfg(test)]
impl Counter for Soft {
    fn last_round(self, state: [u64; 8], key: [u64; 8]) -> [u64; 8] {
        self.xor(self.sub_shift(state), key)
    }

    fn last_word(self, vector: [u64; 8]) -> [u64; 8] {
        self.vector(self.number(vector).map(|block| repeat(block as u32)))
    }

    fn last_word_rotated(self, vector: [u64; 8]) -> [u64; 8] {
        self.vector(self.number(vector).map(|block| repeat((block as u32).rotate_left(8))))
    }

    fn running_sum(self, vector: [u64; 8]) -> [u64; 8] {
        let pairs = self.number(vector).map(|block| block ^ block >> 32);
        self.vector(pairs.map(|block| block ^ block >> 64))
    }

    fn count(self) -> [u128; 4] {
        [0, 1, 2, 3]
    }

    fn repeat(self, number: u64) -> [u128; 4] {
        [number.into(); 4]
    }

    fn add(self, number: [u128; 4], small: [u128; 4]) -> [u128; 4] {
        std::array::from_fn(|lane| number[lane].wrapping_add(small[lane]))
    }

    fn add_to(self, vector: [u64; 8], bytes: &mut [u8]) {
        add_some(self.number(vector).map(u128::to_be_bytes).as_flattened(), bytes);
    }
}

/// Four times the same word.
#[cfg(test)]
fn repeat(word: u32) -> u128 {
    u128::from(word) * 0x0000_0001_0000_0001_0000_0001_0000_0001
}
