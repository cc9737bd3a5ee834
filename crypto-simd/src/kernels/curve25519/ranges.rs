//! The ranges of the field on doubles, proved by running its formulas over intervals.
//!
//! A step starts with limbs in the ranges that the test states and must end with limbs within them; on the way every
//! operation that is not a split must be exact for all values of its operands, and every split must round to a
//! multiple of 2^51.

use super::doubles::{FieldDoubles, Reduced, Unreduced};
use super::ladder::{Arithmetic, Points, step};
use crate::lanes::Doubles;

/// The integers from `least` to `most` that are multiples of 2^`zeros`.
#[derive(Clone, Copy, Debug)]
struct Interval {
    least: i128,
    most: i128,
    zeros: u32,
}

/// Bits of a double's significand.
const PRECISION: u32 = 53;

fn bits(value: i128) -> u32 {
    128 - value.unsigned_abs().leading_zeros()
}

impl Interval {
    fn symmetric(most: i128) -> Self {
        Self { least: -most, most, zeros: 0 }
    }

    fn of(ends: &[i128], zeros: u32) -> Self {
        Self { least: *ends.iter().min().unwrap(), most: *ends.iter().max().unwrap(), zeros }
    }

    /// This interval, which a double holds exactly.
    fn exact(self) -> Self {
        let most = self.most.max(-self.least);
        assert!(most <= 1 << (PRECISION + self.zeros), "{self:?} is not exact in a double");
        self
    }

    fn sum(self, b: Self) -> Self {
        Self { least: self.least + b.least, most: self.most + b.most, zeros: self.zeros.min(b.zeros) }
    }

    fn negative(self) -> Self {
        Self { least: -self.most, most: -self.least, zeros: self.zeros }
    }

    fn product(self, b: Self) -> Self {
        let ends = [self.least * b.least, self.least * b.most, self.most * b.least, self.most * b.most];
        Self::of(&ends, self.zeros + b.zeros)
    }

    /// The distance of doubles as a power of two: at the least and at the largest value, which are positive.
    fn precision(self) -> (u32, u32) {
        assert!(self.least > 0, "the high part {self:?} changes its sign");
        (bits(self.least) - PRECISION, bits(self.most) - PRECISION)
    }
}

/// high + addend, rounded, and what was rounded off.
fn split(high: Interval, addend: Interval) -> (Interval, Interval) {
    let sum = high.sum(addend);
    let (finest, coarsest) = sum.precision();
    assert!(finest >= 51, "{sum:?} does not round to a multiple of 2^51");
    let half = 1i128 << (coarsest - 1);
    let next = Interval { least: sum.least - half, most: sum.most + half, zeros: finest };
    assert_eq!(next.precision(), (finest, coarsest), "rounding leaves the range");
    // high - next = rounded off - addend
    let _ = Interval { least: -half - addend.most, most: half - addend.least, zeros: finest.min(high.zeros) }.exact();
    let rest = Interval { least: -half, most: half, zeros: addend.zeros.min(finest) }.exact();
    (next, rest)
}

#[derive(Clone, Copy)]
struct Intervals;

impl Doubles for Intervals {
    type Vector = Interval;

    fn splat(self, value: f64) -> Interval {
        let value = value as i128;
        Interval { least: value, most: value, zeros: value.trailing_zeros().min(127) }
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

    fn split_product(self, high: Interval, a: Interval, b: Interval) -> (Interval, Interval) {
        split(high, a.product(b))
    }

    fn split(self, high: Interval, a: Interval) -> (Interval, Interval) {
        split(high, a)
    }

    fn round<const BITS: u32>(self, a: Interval) -> (Interval, Interval) {
        let half = 1 << (BITS - 1);
        let quotient = Interval { least: (a.least - half) >> BITS, most: (a.most + half) >> BITS, zeros: 0 };
        assert!(quotient.most.max(-quotient.least) < 1 << 51, "{a:?} is too large to be rounded");
        (quotient, Interval { least: -half, most: half, zeros: a.zeros.min(BITS) }.exact())
    }

    fn scale_add<const EXPONENT: i32>(self, a: Interval, factor: f64, sum: Interval) -> Interval {
        assert!(a.zeros >= EXPONENT as u32, "{a:?} gives a fraction");
        let scaled =
            Interval { least: a.least >> EXPONENT, most: a.most >> EXPONENT, zeros: a.zeros - EXPONENT as u32 };
        self.multiply_add(scaled, self.splat(factor), sum)
    }
}

fn within(inner: Interval, outer: Interval) -> bool {
    inner.least >= outer.least && inner.most <= outer.most
}

/// The ranges that `doubles` states in words.
fn reduced() -> Reduced<Interval> {
    Reduced([Interval::symmetric((1 << 50) + 100); 5])
}

fn unreduced() -> Unreduced<Interval> {
    Unreduced([Interval::symmetric(1 << 52); 5])
}

#[test]
fn a_step_of_the_ladder_is_exact() {
    let f = FieldDoubles(Intervals);
    let element = unreduced();
    let swap = Interval::symmetric(0);
    let mut points = Points { x_1: reduced(), x_2: element, z_2: element, x_3: element, z_3: element, swap };
    step(f, &mut points);
    for (name, element) in [("x_2", points.x_2), ("z_2", points.z_2), ("x_3", points.x_3), ("z_3", points.z_3)] {
        for (index, (limb, outer)) in element.0.into_iter().zip(unreduced().0).enumerate() {
            assert!(within(limb, outer), "limb {index} of {name}: {limb:?}");
        }
    }
}

/// What goes into the ladder is in the range of a reduced element, and so is what comes out.
#[test]
fn reductions_give_reduced_limbs() {
    let f = FieldDoubles(Intervals);
    let unsigned = Unreduced([Interval { least: 0, most: (1 << 51) - 1, zeros: 0 }; 5]);
    for element in [unsigned, unreduced()] {
        for (index, (limb, outer)) in f.reduce(element).0.into_iter().zip(reduced().0).enumerate() {
            assert!(within(limb, outer), "limb {index}: {limb:?}");
        }
    }
}
