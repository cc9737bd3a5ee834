//! Vectors of doubles that hold integers: what exact integer arithmetic by fused multiply-and-add needs.
//!
//! Rounding must be to nearest. Sums and products are exact unless a method says that it rounds.

/// Vectors of doubles, one per packet.
pub(crate) trait Doubles: Copy {
    /// The doubles.
    type Vector: Copy;

    /// The same double in every lane.
    fn splat(self, value: f64) -> Self::Vector;

    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a - b
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a · b + c, rounded once.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `a` where the sign bit of the mask is set, else `b`.
    fn select(self, mask: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// high + a · b, rounded to the precision that `high` has by its size, and what was rounded off, exactly.
    #[inline(always)]
    fn split_product(self, high: Self::Vector, a: Self::Vector, b: Self::Vector) -> (Self::Vector, Self::Vector) {
        let next = self.multiply_add(a, b, high);
        (next, self.multiply_add(a, b, self.sub(high, next)))
    }

    /// high + a, rounded to the precision that `high` has by its size, and what was rounded off, exactly.
    #[inline(always)]
    fn split(self, high: Self::Vector, a: Self::Vector) -> (Self::Vector, Self::Vector) {
        let next = self.add(high, a);
        (next, self.add(a, self.sub(high, next)))
    }

    /// a / 2^BITS rounded to an integer, and what was rounded off of a, exactly.
    #[inline(always)]
    fn round<const BITS: u32>(self, a: Self::Vector) -> (Self::Vector, Self::Vector) {
        // Between 2^52 and 2^53 doubles are integers.
        let (integers, unit) = (self.splat(3.0 * (1u64 << 51) as f64), (1u64 << BITS) as f64);
        let quotient = self.sub(self.multiply_add(a, self.splat(1.0 / unit), integers), integers);
        (quotient, self.multiply_add(quotient, self.splat(-unit), a))
    }

    /// a · 2^-EXPONENT · factor + sum, of which the product is an integer.
    #[inline(always)]
    fn scale_add<const EXPONENT: i32>(self, a: Self::Vector, factor: f64, sum: Self::Vector) -> Self::Vector {
        self.multiply_add(a, self.splat(factor / (1u64 << EXPONENT) as f64), sum)
    }
}

/// `N` doubles as a plain array, aligned as a 256-bit register is in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct Array<const N: usize>(pub(crate) [f64; N]);

impl<const N: usize> Doubles for super::Emulated<N> {
    type Vector = Array<N>;

    #[inline(always)]
    fn splat(self, value: f64) -> Array<N> {
        Array([value; N])
    }

    #[inline(always)]
    fn add(self, a: Array<N>, b: Array<N>) -> Array<N> {
        Array(std::array::from_fn(|lane| a.0[lane] + b.0[lane]))
    }

    #[inline(always)]
    fn sub(self, a: Array<N>, b: Array<N>) -> Array<N> {
        Array(std::array::from_fn(|lane| a.0[lane] - b.0[lane]))
    }

    #[inline(always)]
    fn multiply_add(self, a: Array<N>, b: Array<N>, c: Array<N>) -> Array<N> {
        Array(std::array::from_fn(|lane| a.0[lane].mul_add(b.0[lane], c.0[lane])))
    }

    #[inline(always)]
    fn select(self, mask: Array<N>, a: Array<N>, b: Array<N>) -> Array<N> {
        Array(std::array::from_fn(|lane| {
            let mask = (mask.0[lane].to_bits() as i64 >> 63) as u64;
            let (a, b) = (a.0[lane].to_bits(), b.0[lane].to_bits());
            f64::from_bits(b ^ mask & (a ^ b))
        }))
    }
}
