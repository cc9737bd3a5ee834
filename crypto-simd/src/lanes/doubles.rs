//! Vectors of doubles that hold integers: what exact integer arithmetic by fused multiply-and-add
//! needs, and by integers on their bits.
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

    /// The same bits in every lane.
    #[inline(always)]
    fn splat_bits(self, bits: u64) -> Self::Vector {
        self.splat(f64::from_bits(bits))
    }

    /// a + b of the bits as integers modulo 2^64.
    fn add_bits(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a - b of the bits as integers modulo 2^64.
    fn sub_bits(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The bits that both have.
    fn and_bits(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The bits that one of them has.
    fn or_bits(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The bits `COUNT` places up.
    fn shift_left_bits<const COUNT: u32>(self, a: Self::Vector) -> Self::Vector;

    /// The bits `COUNT` places down.
    fn shift_right_bits<const COUNT: u32>(self, a: Self::Vector) -> Self::Vector;

    /// The product of the lower 32 bits of each, as an integer.
    fn multiply_words(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// high + a · b, rounded to the precision that `high` has by its size, and what was rounded off, exactly, plus what
    /// `high_and_rest` is more than `high`.
    #[inline(always)]
    fn split_product(
        self,
        high: Self::Vector,
        high_and_rest: Self::Vector,
        a: Self::Vector,
        b: Self::Vector,
    ) -> (Self::Vector, Self::Vector) {
        let next = self.multiply_add(a, b, high);
        (next, self.multiply_add(a, b, self.sub(high_and_rest, next)))
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

impl<const N: usize> super::Emulated<N> {
    #[inline(always)]
    fn bits(self, a: Array<N>, b: Array<N>, combine: impl Fn(u64, u64) -> u64) -> Array<N> {
        Array(std::array::from_fn(|lane| f64::from_bits(combine(a.0[lane].to_bits(), b.0[lane].to_bits()))))
    }
}

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
    fn add_bits(self, a: Array<N>, b: Array<N>) -> Array<N> {
        self.bits(a, b, u64::wrapping_add)
    }

    #[inline(always)]
    fn sub_bits(self, a: Array<N>, b: Array<N>) -> Array<N> {
        self.bits(a, b, u64::wrapping_sub)
    }

    #[inline(always)]
    fn and_bits(self, a: Array<N>, b: Array<N>) -> Array<N> {
        self.bits(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or_bits(self, a: Array<N>, b: Array<N>) -> Array<N> {
        self.bits(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn shift_left_bits<const COUNT: u32>(self, a: Array<N>) -> Array<N> {
        self.bits(a, a, |a, _| a << COUNT)
    }

    #[inline(always)]
    fn shift_right_bits<const COUNT: u32>(self, a: Array<N>) -> Array<N> {
        self.bits(a, a, |a, _| a >> COUNT)
    }

    #[inline(always)]
    fn multiply_words(self, a: Array<N>, b: Array<N>) -> Array<N> {
        self.bits(a, b, |a, b| (a & u64::from(u32::MAX)) * (b & u64::from(u32::MAX)))
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
