//! Four lanes in a 256-bit register.

use super::Lanes;
use crate::cpu::Avx2;
use std::arch::x86_64::*;
use std::hint::black_box;
use std::mem::MaybeUninit;

impl Lanes for Avx2 {
    const LANES: usize = 4;
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
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_sub_epi64(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_sll_epi64(a, _mm_cvtsi32_si128(BITS as i32)) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(BITS as i32)) }
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    fn and_not(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_andnot_si256(a, b) }
    }

    #[inline(always)]
    fn select(self, mask: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_blendv_epi8(b, a, mask) }
    }

    #[inline(always)]
    fn rotate_left<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe {
            if BITS.is_multiple_of(8) {
                // Whole bytes: one shuffle instead of two shifts.
                let from = |byte: i64| (byte - i64::from(BITS / 8)) & 7;
                let lane = (0..8).fold(0, |lane, byte| lane | from(byte) << (8 * byte));
                let second = lane | 0x0808_0808_0808_0808;
                return _mm256_shuffle_epi8(a, _mm256_setr_epi64x(lane, second, lane, second));
            }
            let right = _mm_cvtsi32_si128(64 - BITS as i32);
            _mm256_or_si256(_mm256_sll_epi64(a, _mm_cvtsi32_si128(BITS as i32)), _mm256_srl_epi64(a, right))
        }
    }

    #[inline(always)]
    fn mul_32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_mul_epu32(a, b) }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m256i]) {
        let rows: &mut [__m256i; 4] = rows.first_chunk_mut().expect("a row for each lane");
        let [a, b, c, d] = *rows;
        // SAFETY: the token proves the feature.
        *rows = unsafe {
            let (even_ab, odd_ab) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            let (even_cd, odd_cd) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
            [
                _mm256_permute2x128_si256::<0x20>(even_ab, even_cd),
                _mm256_permute2x128_si256::<0x20>(odd_ab, odd_cd),
                _mm256_permute2x128_si256::<0x31>(even_ab, even_cd),
                _mm256_permute2x128_si256::<0x31>(odd_ab, odd_cd),
            ]
        };
    }

    #[inline(always)]
    fn apart<T>(self, work: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx2")]
        #[inline(never)]
        fn inner<T>(work: impl FnOnce() -> T) -> T {
            // Without a variable of such alignment the compiler does not align the frame, and registers that it saves
            // there would straddle lines of the cache.
            #[repr(align(32))]
            #[expect(dead_code, reason = "only its alignment counts")]
            struct Aligned([u8; 32]);
            black_box(&mut MaybeUninit::<Aligned>::uninit());
            work()
        }
        // SAFETY: the token proves the features.
        unsafe { inner(work) }
    }
}
