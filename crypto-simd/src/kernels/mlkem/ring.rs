//! Coefficients modulo q = 3329, in pairs as ML-KEM multiplies them: signed, of any representative that fits 16 bits.

use crate::lanes::Words16;

/// The modulus.
pub(super) const Q: i16 = 3329;
/// 1/q modulo 2^16.
const Q_INVERSE: i16 = -3327;
/// 2^26/q, rounded: [`Compress::rounded_quotient`] is exact for every word of 16 bits.
const QUOTIENT: i16 = 20159;

/// A constant factor for the same word everywhere: in Montgomery form, and the same divided by q modulo 2^16. Both are
/// written twice, as a pair.
pub(super) type Factor = [u32; 2];

/// A polynomial: pairs of coefficients, 2i and 2i + 1.
pub(super) type Polynomial<E> = [E; PAIRS];

/// Pairs of coefficients in a polynomial.
pub(super) const PAIRS: usize = 128;

/// The polynomials of a vector or in a row of a matrix.
pub(super) const RANK: usize = 3;

/// A pair of a constant polynomial in NTT form, as the factors of the two coefficients of products with it: (a0, z·a1)
/// and (a1, a0).
pub(super) type PairFactors = [u32; 2];

/// The arithmetic of NTT and products. There are two kinds: that of vectors, and that of ranges, by which a test
/// proves that no value leaves 16 bits.
pub(super) trait Ring: Copy {
    /// A pair of coefficients of each packet.
    type Element: Copy;

    /// a + b, not reduced.
    fn sum(self, a: Self::Element, b: Self::Element) -> Self::Element;

    /// a - b, not reduced.
    fn difference(self, a: Self::Element, b: Self::Element) -> Self::Element;

    /// a · factor, less than q in absolute value.
    fn mul(self, a: Self::Element, factor: Factor) -> Self::Element;

    /// The sum of the products of pairs, modulo X² - z, divided by 2^16.
    fn products(self, a: [Self::Element; RANK], factors: [PairFactors; RANK]) -> Self::Element;

    /// A representative between -2q/3 and 2q/3.
    fn reduce(self, a: Self::Element) -> Self::Element;
}

impl<W: Words16> Ring for W {
    type Element = W::Vector;

    #[inline(always)]
    fn sum(self, a: W::Vector, b: W::Vector) -> W::Vector {
        self.add_16(a, b)
    }

    #[inline(always)]
    fn difference(self, a: W::Vector, b: W::Vector) -> W::Vector {
        self.sub_16(a, b)
    }

    /// Montgomery's reduction: both products have the same low half, so that the difference of the high halves is the
    /// product divided by 2^16.
    #[inline(always)]
    fn mul(self, a: W::Vector, factor: Factor) -> W::Vector {
        let quotient = self.mul_low_16(a, self.splat_32(factor[1]));
        self.sub_16(self.mul_high_16(a, self.splat_32(factor[0])), self.mul_high_16(quotient, self.splat_16(Q)))
    }

    #[inline(always)]
    fn products(self, a: [W::Vector; RANK], factors: [PairFactors; RANK]) -> W::Vector {
        let (first, second) = (sum_of_dots(self, &a, &factors, 0), sum_of_dots(self, &a, &factors, 1));
        let low = self.merge_16(first, self.shift_32(second, 16));
        let high = self.merge_16(self.shift_32(first, -16), second);
        let quotient = self.mul_low_16(low, self.splat_16(Q_INVERSE));
        self.sub_16(high, self.mul_high_16(quotient, self.splat_16(Q)))
    }

    #[inline(always)]
    fn reduce(self, a: W::Vector) -> W::Vector {
        // 10/2^15 is 1/q but for a 60th.
        let quotient = self.mul_round_16(a, self.splat_16(10));
        self.sub_16(a, self.mul_low_16(quotient, self.splat_16(Q)))
    }
}

/// One coefficient of a sum of products, as a word of 32 bits.
#[inline(always)]
fn sum_of_dots<W: Words16>(w: W, a: &[W::Vector; RANK], factors: &[PairFactors; RANK], side: usize) -> W::Vector {
    let mut sum = w.dot_32(a[0], w.splat_32(factors[0][side]));
    for index in 1..RANK {
        sum = w.add_32(sum, w.dot_32(a[index], w.splat_32(factors[index][side])));
    }
    sum
}

/// Compression (FIPS 203 4.2.1) without a division, of any representative.
///
/// For z ≡ 2^d · x (mod q), the rounded quotient of 2^d · x by q is the one of z, plus (2^d · x - z) / q, which is
/// -z / q modulo 2^d.
pub(super) trait Compress: Words16 {
    /// z / q, rounded.
    #[inline(always)]
    fn rounded_quotient(self, z: Self::Vector) -> Self::Vector {
        self.mul_round_16(self.mul_high_16(z, self.splat_16(QUOTIENT)), self.splat_16(1 << 5))
    }

    /// `Compress_d(x)` of z ≡ 2^d · x in the lowest d bits; above them is anything.
    #[inline(always)]
    fn compress(self, z: Self::Vector) -> Self::Vector {
        self.sub_16(self.rounded_quotient(z), self.mul_low_16(z, self.splat_16(Q_INVERSE)))
    }

    /// `Decompress_d(y)` of y shifted left by 15 - d.
    #[inline(always)]
    fn decompress(self, y: Self::Vector) -> Self::Vector {
        self.mul_round_16(y, self.splat_16(Q))
    }
}

impl<W: Words16> Compress for W {}

/// a modulo q, the representative nearest to zero. Without branches, because coefficients of the secret come here.
pub(super) const fn centred(a: i64) -> i16 {
    let q = Q as i64;
    let rest = a % q;
    let least = rest + ((rest >> 63) & q);
    let is_above = (q / 2 - least) >> 63;
    (least - (is_above & q)) as i16
}

/// The factor a in the form for [`Ring::mul`].
pub(super) const fn factor(a: i64) -> Factor {
    let montgomery = centred(a << 16);
    [twice(montgomery), twice(montgomery.wrapping_mul(Q_INVERSE))]
}

const fn twice(word: i16) -> u32 {
    pair(word, word)
}

/// Two words as a pair.
pub(super) const fn pair(first: i16, second: i16) -> u32 {
    (second as u16 as u32) << 16 | first as u16 as u32
}

/// 17^power modulo q; 17 is a 256th root of unity.
pub(super) const fn root_to_the(power: u32) -> i64 {
    let (mut result, mut count) = (1, 0);
    while count < power {
        result = result * 17 % Q as i64;
        count += 1;
    }
    result
}

#[cfg(test)]
mod tests;
