//! The same vectors as words of 16 bits, in pairs: each 64-bit lane holds two pairs, of two packets.
//!
//! Operations named `16` act on each word of 16 bits, those named `32` on each pair as one word of 32 bits, whose low
//! half is the pair's first word.

use super::{Emulated, Lanes};

/// Words of 16 bits. Additions wrap, as the instructions do; products are signed.
pub trait Words16: Lanes {
    /// The same pair everywhere.
    fn splat_32(self, pair: u32) -> Self::Vector;

    /// The same word everywhere.
    #[inline(always)]
    fn splat_16(self, word: i16) -> Self::Vector {
        self.splat_32(u32::from(word as u16) * 0x1_0001)
    }

    /// a + b
    fn add_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a - b
    fn sub_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The low half of a · b.
    fn mul_low_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The high half of a · b.
    fn mul_high_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a · b / 2^15, rounded; not for a = b = -2^15.
    fn mul_round_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a + b
    fn add_32(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The scalar product of the pairs a and b.
    fn dot_32(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a shifted left by `bits`, or right by `-bits`, with zeros coming in. The count is to be constant after inlining.
    fn shift_32(self, a: Self::Vector, bits: i32) -> Self::Vector;

    /// The first words of a's pairs with the second words of b's.
    fn merge_16(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The first pairs of a's lanes with the second pairs of b's.
    fn merge_32(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

/// Applies an operation to the four words of each lane.
#[inline(always)]
fn each_16<const N: usize>(a: [u64; N], b: [u64; N], operation: impl Fn(i16, i16) -> i16) -> [u64; N] {
    let word = |a: u64, index: usize| (a >> (16 * index)) as i16;
    let place = |result: i16, index: usize| u64::from(result as u16) << (16 * index);
    std::array::from_fn(|lane| {
        (0..4).map(|index| place(operation(word(a[lane], index), word(b[lane], index)), index)).sum()
    })
}

/// Applies an operation to the two pairs of each lane.
#[inline(always)]
fn each_32<const N: usize>(a: [u64; N], b: [u64; N], operation: impl Fn(u32, u32) -> u32) -> [u64; N] {
    std::array::from_fn(|lane| {
        let low = operation(a[lane] as u32, b[lane] as u32);
        let high = operation((a[lane] >> 32) as u32, (b[lane] >> 32) as u32);
        u64::from(high) << 32 | u64::from(low)
    })
}

/// The scalar product of two pairs; only -2^15 four times overflows.
#[inline(always)]
fn dot(a: u32, b: u32) -> u32 {
    let product = |a: u32, b: u32| i32::from(a as i16) * i32::from(b as i16);
    product(a, b).wrapping_add(product(a >> 16, b >> 16)) as u32
}

impl<const N: usize> Words16 for Emulated<N> {
    #[inline(always)]
    fn splat_32(self, pair: u32) -> [u64; N] {
        [u64::from(pair) << 32 | u64::from(pair); N]
    }

    #[inline(always)]
    fn add_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_16(a, b, i16::wrapping_add)
    }

    #[inline(always)]
    fn sub_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_16(a, b, i16::wrapping_sub)
    }

    #[inline(always)]
    fn mul_low_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_16(a, b, i16::wrapping_mul)
    }

    #[inline(always)]
    fn mul_high_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_16(a, b, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16)
    }

    #[inline(always)]
    fn mul_round_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_16(a, b, |a, b| ((i32::from(a) * i32::from(b) + (1 << 14)) >> 15) as i16)
    }

    #[inline(always)]
    fn add_32(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_32(a, b, u32::wrapping_add)
    }

    #[inline(always)]
    fn dot_32(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_32(a, b, dot)
    }

    #[inline(always)]
    fn shift_32(self, a: [u64; N], bits: i32) -> [u64; N] {
        each_32(a, a, |a, _| if bits >= 0 { a << bits } else { a >> -bits })
    }

    #[inline(always)]
    fn merge_16(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        each_32(a, b, |a, b| a & 0xffff | b & 0xffff_0000)
    }

    #[inline(always)]
    fn merge_32(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane] & 0xffff_ffff | b[lane] & 0xffff_ffff_0000_0000)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Words16;
    use crate::cpu::{Avx2, Avx512};
    use std::arch::x86_64::*;

    macro_rules! operations {
        ($vector:ty: $($name:ident($first:ident, $second:ident) = $operation:expr;)*) => {
            $(
                #[inline(always)]
                fn $name(self, $first: $vector, $second: $vector) -> $vector {
                    // SAFETY: the token proves the feature.
                    unsafe { $operation }
                }
            )*
        };
    }

    impl Words16 for Avx2 {
        #[inline(always)]
        fn splat_32(self, pair: u32) -> __m256i {
            // SAFETY: the token proves the feature.
            unsafe { _mm256_set1_epi32(pair as i32) }
        }

        #[inline(always)]
        fn shift_32(self, a: __m256i, bits: i32) -> __m256i {
            // SAFETY: the token proves the feature.
            unsafe {
                if bits >= 0 {
                    _mm256_sll_epi32(a, _mm_cvtsi32_si128(bits))
                } else {
                    _mm256_srl_epi32(a, _mm_cvtsi32_si128(-bits))
                }
            }
        }

        operations! { __m256i:
            add_16(a, b) = _mm256_add_epi16(a, b);
            sub_16(a, b) = _mm256_sub_epi16(a, b);
            mul_low_16(a, b) = _mm256_mullo_epi16(a, b);
            mul_high_16(a, b) = _mm256_mulhi_epi16(a, b);
            mul_round_16(a, b) = _mm256_mulhrs_epi16(a, b);
            add_32(a, b) = _mm256_add_epi32(a, b);
            dot_32(a, b) = _mm256_madd_epi16(a, b);
            merge_16(a, b) = _mm256_blend_epi16::<0xaa>(a, b);
            merge_32(a, b) = _mm256_blend_epi32::<0xaa>(a, b);
        }
    }

    impl Words16 for Avx512 {
        #[inline(always)]
        fn splat_32(self, pair: u32) -> __m512i {
            // SAFETY: the token proves the feature.
            unsafe { _mm512_set1_epi32(pair as i32) }
        }

        #[inline(always)]
        fn shift_32(self, a: __m512i, bits: i32) -> __m512i {
            // SAFETY: the token proves the feature.
            unsafe {
                if bits >= 0 {
                    _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits))
                } else {
                    _mm512_srl_epi32(a, _mm_cvtsi32_si128(-bits))
                }
            }
        }

        operations! { __m512i:
            add_16(a, b) = _mm512_add_epi16(a, b);
            sub_16(a, b) = _mm512_sub_epi16(a, b);
            mul_low_16(a, b) = _mm512_mullo_epi16(a, b);
            mul_high_16(a, b) = _mm512_mulhi_epi16(a, b);
            mul_round_16(a, b) = _mm512_mulhrs_epi16(a, b);
            add_32(a, b) = _mm512_add_epi32(a, b);
            dot_32(a, b) = _mm512_madd_epi16(a, b);
            merge_16(a, b) = _mm512_mask_blend_epi16(0xaaaa_aaaa, a, b);
            merge_32(a, b) = _mm512_mask_blend_epi32(0xaaaa, a, b);
        }
    }
}

#[cfg(test)]
mod tests;
