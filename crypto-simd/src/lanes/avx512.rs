//! Eight lanes in a 512-bit register.

use super::{Lanes, MultiplyAdd52};
use crate::cpu::Avx512;
use std::arch::x86_64::*;
use std::hint::black_box;
use std::mem::MaybeUninit;

impl Lanes for Avx512 {
    const LANES: usize = 8;
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
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_sub_epi64(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_slli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_srli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn and_not(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_andnot_si512(a, b) }
    }

    #[inline(always)]
    fn select(self, mask: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<0b1100_1010>(mask, a, b) }
    }

    #[inline(always)]
    fn rotate_left<const BITS: u32>(self, a: __m512i) -> __m512i {
        // The intrinsic's count is signed, and a constant of another type cannot be converted to its parameter.
        // SAFETY: the token proves the feature.
        unsafe { _mm512_rolv_epi64(a, _mm512_set1_epi64(i64::from(BITS))) }
    }

    #[inline(always)]
    fn mul_32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_mul_epu32(a, b) }
    }

    #[inline(always)]
    fn xor_3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<0x96>(a, b, c) }
    }

    #[inline(always)]
    fn xor_and_not(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_ternarylogic_epi64::<0xd2>(a, b, c) }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m512i]) {
        let rows: &mut [__m512i; 8] = rows.first_chunk_mut().expect("a row for each lane");
        let [a, b, c, d, e, f, g, h] = *rows;
        // SAFETY: the token proves the feature.
        unsafe {
            // Even and odd columns of pairs of rows: each part of 128 bits is a column of two rows.
            let (even_ab, odd_ab) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
            let (even_cd, odd_cd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
            let (even_ef, odd_ef) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
            let (even_gh, odd_gh) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
            // Parts 0 and 2, or 1 and 3, of both operands.
            macro_rules! parts_02 {
                ($a:expr, $b:expr) => {
                    _mm512_shuffle_i64x2::<0x88>($a, $b)
                };
            }
            macro_rules! parts_13 {
                ($a:expr, $b:expr) => {
                    _mm512_shuffle_i64x2::<0xdd>($a, $b)
                };
            }
            let (low_04, high_04) = (parts_02!(even_ab, even_cd), parts_02!(even_ef, even_gh));
            let (low_26, high_26) = (parts_13!(even_ab, even_cd), parts_13!(even_ef, even_gh));
            let (low_15, high_15) = (parts_02!(odd_ab, odd_cd), parts_02!(odd_ef, odd_gh));
            let (low_37, high_37) = (parts_13!(odd_ab, odd_cd), parts_13!(odd_ef, odd_gh));
            let (row_0, row_4) = (parts_02!(low_04, high_04), parts_13!(low_04, high_04));
            let (row_1, row_5) = (parts_02!(low_15, high_15), parts_13!(low_15, high_15));
            let (row_2, row_6) = (parts_02!(low_26, high_26), parts_13!(low_26, high_26));
            let (row_3, row_7) = (parts_02!(low_37, high_37), parts_13!(low_37, high_37));
            *rows = [row_0, row_1, row_2, row_3, row_4, row_5, row_6, row_7];
        }
    }

    #[inline(always)]
    fn apart<T>(self, work: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
        #[inline(never)]
        fn inner<T>(work: impl FnOnce() -> T) -> T {
            // Without a variable of such alignment the compiler does not align the frame, and registers that it saves
            // there would straddle lines of the cache.
            #[repr(align(64))]
            #[expect(dead_code, reason = "only its alignment counts")]
            struct Aligned([u8; 64]);
            black_box(&mut MaybeUninit::<Aligned>::uninit());
            work()
        }
        // Called where the compiler does not see what it calls: built in several units it would inline this all the same.
        let inner: unsafe fn(_) -> T = black_box(inner);
        // SAFETY: the token proves the features.
        unsafe { inner(work) }
    }
}

impl MultiplyAdd52 for Avx512 {
    #[inline(always)]
    fn mul_low(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_mullo_epi64(a, b) }
    }

    #[inline(always)]
    fn madd52_low(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_madd52lo_epu64(sum, a, b) }
    }

    #[inline(always)]
    fn madd52_high(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_madd52hi_epu64(sum, a, b) }
    }
}
