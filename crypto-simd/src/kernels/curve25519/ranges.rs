//! The ranges of the field on doubles, proved by running its formulas over intervals.
//!
//! A step starts with limbs in the range that the test states and must end with limbs within it; on the way every
//! operation that is not a split must be exact for all values of its operands, every split must round to a multiple of
//! 2^51, bits may be added only of doubles between two neighbouring powers of two, and what is shifted down must not
//! wrap.

use super::doubles::{FieldDoubles, Reduced};
use super::ladder::{Arithmetic, Points, step};
use crate::lanes::Doubles;

/// The integers from `least` to `most` that are multiples of 2^`zeros`.
#[derive(Clone, Copy, Debug)]
struct Interval {
    least: i128,
    most: i128,
    zeros: u32,
    /// Whether they are the bits of a vector, modulo 2^64, instead of its doubles.
    is_bits: bool,
}

/// Bits of a double's significand.
const PRECISION: u32 = 53;
/// What a double between 1 and 2 has for its exponent.
const EXPONENT_BIAS: i128 = 1023;

fn bits(value: i128) -> u32 {
    128 - value.unsigned_abs().leading_zeros()
}

impl Interval {
    fn doubles(least: i128, most: i128, zeros: u32) -> Self {
        Self { least, most, zeros, is_bits: false }
    }

    fn bits(least: i128, most: i128) -> Self {
        Self { least, most, zeros: 0, is_bits: true }
    }

    fn symmetric(most: i128) -> Self {
        Self::doubles(-most, most, 0)
    }

    fn of(ends: &[i128], zeros: u32) -> Self {
        Self::doubles(*ends.iter().min().unwrap(), *ends.iter().max().unwrap(), zeros)
    }

    /// This interval, which a double holds exactly.
    fn exact(self) -> Self {
        let most = self.most.max(-self.least);
        assert!(!self.is_bits && most <= 1 << (PRECISION + self.zeros), "{self:?} is not exact in a double");
        self
    }

    fn sum(self, b: Self) -> Self {
        let (a, b) = (self.as_doubles(), b.as_doubles());
        Self::doubles(a.least + b.least, a.most + b.most, a.zeros.min(b.zeros))
    }

    fn negative(self) -> Self {
        let a = self.as_doubles();
        Self::doubles(-a.most, -a.least, a.zeros)
    }

    fn product(self, b: Self) -> Self {
        let (a, b) = (self.as_doubles(), b.as_doubles());
        let ends = [a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most];
        Self::of(&ends, a.zeros + b.zeros)
    }

    /// The distance of doubles as a power of two: at the least and at the largest value, which are positive.
    fn precision(self) -> (u32, u32) {
        assert!(self.least > 0, "the high part {self:?} changes its sign");
        (bits(self.least) - PRECISION, bits(self.most) - PRECISION)
    }

    /// The bits of doubles, which count in steps of the last place from one power of two to the next.
    fn as_bits(self) -> Self {
        if self.is_bits {
            return self;
        }
        let unit = bits(self.least) - PRECISION;
        assert!(self.least > 0 && self.most <= 1 << (PRECISION + unit), "{self:?} has several exponents");
        assert!(self.zeros >= unit, "{self:?} has fractions");
        let power = PRECISION - 1 + unit;
        let bits = |value: i128| ((i128::from(power) + EXPONENT_BIAS) << 52) + ((value - (1 << power)) >> unit);
        Self::bits(bits(self.least), bits(self.most))
    }

    /// The doubles of bits, which are all of one exponent.
    fn as_doubles(self) -> Self {
        if !self.is_bits {
            return self;
        }
        let exponent = self.least >> 52;
        assert_eq!(exponent, self.most >> 52, "{self:?} has several exponents");
        let unit = u32::try_from(exponent - EXPONENT_BIAS - 52).expect("integers");
        let value = |bits: i128| ((bits & ((1 << 52) - 1)) + (1 << 52)) << unit;
        Self::doubles(value(self.least), value(self.most), unit)
    }

    /// The one integer of a constant.
    fn constant(self) -> i128 {
        assert_eq!(self.least, self.most, "not a constant");
        self.least
    }
}

/// high + addend, rounded, and what was rounded off plus `rest`.
fn split(high: Interval, rest: i128, addend: Interval) -> (Interval, Interval) {
    let sum = high.sum(addend);
    assert_eq!(sum.precision(), (51, 51), "{sum:?} does not round to a multiple of 2^51");
    let half = 1i128 << 50;
    let next = Interval::doubles(sum.least - half, sum.most + half, 51);
    assert_eq!(next.precision(), (51, 51), "rounding leaves the range");
    // high + rest - next = rounded off + rest - addend
    let _ = Interval::doubles(rest - half - addend.most, rest + half - addend.least, high.zeros.min(51)).exact();
    (next, Interval::doubles(rest - half, rest + half, 0).exact())
}

#[derive(Clone, Copy)]
struct Intervals;

impl Doubles for Intervals {
    type Vector = Interval;

    fn splat(self, value: f64) -> Interval {
        let value = value as i128;
        Interval::doubles(value, value, value.trailing_zeros().min(127))
    }

    fn splat_bits(self, bits: u64) -> Interval {
        Interval::bits(bits.into(), bits.into())
    }

    fn add(self, a: Interval, b: Interval) -> Interval {
        a.sum(b).exact()
    }

    fn sub(self, a: Interval, b: Interval) -> Interval {
        a.sum(b.negative()).exact()
    }

    fn multiply_add(self, a: Interval, b: Interval, c: Interval) -> Interval {
        a.product(b).sum(c).exact()
    }

    /// A mask says nothing.
    fn select(self, _: Interval, a: Interval, b: Interval) -> Interval {
        Interval::of(&[a.least, a.most, b.least, b.most], a.zeros.min(b.zeros))
    }

    fn add_bits(self, a: Interval, b: Interval) -> Interval {
        let (a, b) = (a.as_bits(), b.as_bits());
        Interval::bits(a.least + b.least, a.most + b.most)
    }

    fn sub_bits(self, a: Interval, b: Interval) -> Interval {
        let (a, b) = (a.as_bits(), b.as_bits());
        Interval::bits(a.least - b.most, a.most - b.least)
    }

    /// The second is a constant with all of its bits at the bottom.
    fn and_bits(self, a: Interval, b: Interval) -> Interval {
        let (_, mask) = (a.as_bits(), b.as_bits().constant());
        assert_eq!(mask & (mask + 1), 0);
        Interval::bits(0, mask)
    }

    /// They have no bit in common.
    fn or_bits(self, a: Interval, b: Interval) -> Interval {
        let (a, b) = (a.as_bits(), b.as_bits());
        assert!(a.least >= 0 && a.most < 1 << b.constant().trailing_zeros(), "{a:?} may overlap with {b:?}");
        self.add_bits(a, b)
    }

    fn shift_left_bits<const COUNT: u32>(self, a: Interval) -> Interval {
        let a = a.as_bits();
        Interval::bits(a.least << COUNT, a.most << COUNT)
    }

    fn shift_right_bits<const COUNT: u32>(self, a: Interval) -> Interval {
        let a = a.as_bits();
        assert_eq!(a.least >> 64, a.most >> 64, "{a:?} wraps");
        let wrapped = |value: i128| (value & i128::from(u64::MAX)) >> COUNT;
        Interval::bits(wrapped(a.least), wrapped(a.most))
    }

    fn multiply_words(self, a: Interval, b: Interval) -> Interval {
        let (a, b) = (a.as_bits(), b.as_bits());
        assert!(a.least >= 0 && a.most >> 32 == 0 && b.constant() >> 32 == 0);
        Interval::bits(a.least * b.least, a.most * b.most)
    }

    fn split_product(self, high: Interval, high_and_rest: Interval, a: Interval, b: Interval) -> (Interval, Interval) {
        // Either the same or both constants.
        let rest = high_and_rest.least - high.least;
        assert_eq!(rest, high_and_rest.most - high.most);
        split(high, rest, a.product(b))
    }

    fn scale_add<const EXPONENT: i32>(self, a: Interval, factor: f64, sum: Interval) -> Interval {
        assert!(a.zeros >= EXPONENT as u32, "{a:?} gives a fraction");
        let scaled = Interval::doubles(a.least >> EXPONENT, a.most >> EXPONENT, a.zeros - EXPONENT as u32);
        self.multiply_add(scaled, self.splat(factor), sum)
    }
}

fn assert_reduced(name: &str, element: Reduced<Interval>) {
    for (index, (limb, outer)) in element.0.into_iter().zip(reduced().0).enumerate() {
        assert!(limb.least >= outer.least && limb.most <= outer.most, "limb {index} of {name}: {limb:?}");
    }
}

/// The range that `doubles` states in words.
fn reduced() -> Reduced<Interval> {
    Reduced([Interval::symmetric((1 << 50) + 1000); 5])
}

#[test]
fn a_step_of_the_ladder_is_exact() {
    let [a, b, c, d] = [reduced(); 4];
    let mut points = Points { x_1: reduced(), a, b, c, d, swaps: Interval::bits(0, 0) };
    step(FieldDoubles(Intervals), &mut points);
    for (name, element) in [("a", points.a), ("b", points.b), ("c", points.c), ("d", points.d)] {
        assert_reduced(name, element);
    }
}

/// What goes into the ladder is in the range of a reduced element, and so is what comes out.
#[test]
fn reductions_give_reduced_limbs() {
    let f = FieldDoubles(Intervals);
    let unsigned = [Interval::doubles(0, (1 << 51) - 1, 0); 5];
    assert_reduced("bytes", f.reduce(f.widen_to_reduce(unsigned)));
    let (a, b) = (f.widen_to_reduce(reduced().0), f.widen(reduced().0));
    assert_reduced("a sum", f.add(a, b));
    assert_reduced("a difference", f.sub(a, b));
}
