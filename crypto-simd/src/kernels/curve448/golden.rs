//! The field in two halves: with φ = 2^224, p = φ^2 - φ - 1, so that φ^2 = φ + 1 and Karatsuba's three products fold
//! without more of them.

use super::bytes::{self, HALF_BITS};
use super::{BYTES, Field, LANES_MAX};
use crate::lanes::Lanes;
use std::hint::black_box;
use zeroize::Zeroizing;

/// The constant of the curve, (156326 - 2) / 4.
pub(super) const A24: u64 = 39_081;

/// `H` limbs for half an element, and what multiplies them.
///
/// A limb is *tight* after a carry. It is *loose* when it is the sum of two tight ones, or of a settled difference; sums
/// of two loose ones may be multiplied, too.
pub(super) trait Limbs<const H: usize>: Copy {
    /// Bits of a limb: `H · BITS` is 224, or one more.
    const BITS: u32;
    /// What holds limbs.
    type Lanes: Lanes;
    /// A column of a product.
    type Column: Copy;

    fn lanes(self) -> Self::Lanes;
    fn zero(self) -> Self::Column;
    fn add(self, a: Self::Column, b: Self::Column) -> Self::Column;
    fn sub(self, a: Self::Column, b: Self::Column) -> Self::Column;
    /// Takes a column `H` places up to one of the other half, which starts `H · BITS - 224` bits lower.
    fn raise(self, a: Self::Column) -> Self::Column;
    /// The lower and the upper columns of start + a · b.
    fn product(self, start: Columns<Self, H>, a: &Half<Self, H>, b: &Half<Self, H>) -> Columns<Self, H>;
    /// The same with b = a.
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H>;
    /// What the product of the upper halves starts from: zero modulo p.
    fn start(self) -> Columns<Self, H>;
    /// Does a whole multiplication of the ladder, where it stands or in a function of its own, whichever is faster.
    fn multiplication<T>(self, work: impl FnOnce() -> T) -> T;
    /// sum + 39081 · a
    fn mul_a24(self, sum: Limb<Self, H>, a: Limb<Self, H>) -> Self::Column;
    /// Tight limbs from the columns of both halves.
    fn carry(self, columns: Columns<Self, H>) -> [Half<Self, H>; 2];
    /// Carries in the difference of tight limbs as far as its products need it.
    fn settle(self, difference: &mut Half<Self, H>);
}

type Limb<M, const H: usize> = <<M as Limbs<H>>::Lanes as Lanes>::Vector;
/// The limbs of half an element.
pub(super) type Half<M, const H: usize> = [Limb<M, H>; H];
/// Columns of half products.
pub(super) type Columns<M, const H: usize> = [[<M as Limbs<H>>::Column; H]; 2];

/// The field over limbs.
#[derive(Clone, Copy)]
pub(super) struct Golden<M, const H: usize>(pub(super) M);

/// Limbs that may be multiplied.
#[derive(Clone, Copy)]
pub(super) struct Loose<V, const H: usize>([[V; H]; 2]);

/// Limbs after a carry, which may be multiplied, too.
#[derive(Clone, Copy)]
pub(super) struct Tight<V, const H: usize>(Loose<V, H>);

impl<const H: usize, M: Limbs<H>> Golden<M, H> {
    /// Folds the products of the lower halves, of the upper halves, and of the sums of halves, by φ^2 = φ + 1:
    /// lower + (sums - lower - upper)·φ + upper·φ^2 = (lower + upper) + (sums - lower)·φ, and the same once more with
    /// the upper columns of each.
    #[inline(always)]
    fn fold(self, lower: Columns<M, H>, upper: Columns<M, H>, sums: Columns<M, H>) -> Tight<Limb<M, H>, H> {
        let m = self.0;
        let mut columns = lower;
        for k in 0..H {
            let once = m.sub(sums[1][k], lower[1][k]);
            let twice = m.add(sums[1][k], upper[1][k]);
            columns[0][k] = m.add(m.add(lower[0][k], upper[0][k]), m.raise(once));
            columns[1][k] = m.add(m.sub(sums[0][k], lower[0][k]), m.raise(twice));
        }
        Tight(Loose(m.carry(columns)))
    }

    #[inline(always)]
    fn mul_here(self, a: &Loose<Limb<M, H>, H>, b: &Loose<Limb<M, H>, H>) -> Tight<Limb<M, H>, H> {
        let ([a_0, a_1], [b_0, b_1]) = (&a.0, &b.0);
        let zero = [[self.0.zero(); H]; 2];
        let (lower, upper) = (self.0.product(zero, a_0, b_0), self.0.product(self.0.start(), a_1, b_1));
        let sums = self.0.product(zero, &self.add_halves(a_0, a_1), &self.add_halves(b_0, b_1));
        self.fold(lower, upper, sums)
    }

    #[inline(always)]
    fn square_here(self, a: &Loose<Limb<M, H>, H>) -> Tight<Limb<M, H>, H> {
        let [a_0, a_1] = &a.0;
        let zero = [[self.0.zero(); H]; 2];
        let (lower, upper) = (self.0.square(zero, a_0), self.0.square(self.0.start(), a_1));
        self.fold(lower, upper, self.0.square(zero, &self.add_halves(a_0, a_1)))
    }

    #[inline(always)]
    fn add_halves(self, a: &Half<M, H>, b: &Half<M, H>) -> Half<M, H> {
        let mut sum = *a;
        for (sum, b) in sum.iter_mut().zip(b) {
            *sum = self.0.lanes().add(*sum, *b);
        }
        sum
    }

    /// A limb of 2p = (2φ - 2) + (2φ - 4)·φ, or of 4p when `H` limbs have a bit more than φ; each is above every tight
    /// limb.
    #[inline(always)]
    pub(super) fn bias(half: usize, limb: usize) -> u64 {
        let ones = (2 << M::BITS) - 2;
        match (limb, M::BITS * H as u32 - HALF_BITS) {
            (0, 0) => ones - 2 * half as u64,
            (0, _) => ones - 2 - 4 * half as u64,
            _ => ones,
        }
    }
}

impl<const H: usize, M: Limbs<H>> Field for Golden<M, H> {
    const LANES: usize = M::Lanes::LANES;
    type Tight = Tight<Limb<M, H>, H>;
    type Loose = Loose<Limb<M, H>, H>;
    type Words = Limb<M, H>;
    type Mask = Limb<M, H>;

    #[inline(always)]
    fn parse(self, bytes: &[[u8; BYTES]]) -> Self::Tight {
        let mut lanes = [[[0; LANES_MAX]; H]; 2];
        for (lane, bytes) in bytes.iter().take(Self::LANES).enumerate() {
            let halves = bytes::limbs::<H>(bytes, M::BITS);
            for (limbs, values) in lanes.as_flattened_mut().iter_mut().zip(halves.as_flattened()) {
                limbs[lane] = *values;
            }
        }
        let mut limbs = self.small(0).0.0;
        for (limb, lanes) in limbs.as_flattened_mut().iter_mut().zip(lanes.as_flattened()) {
            *limb = self.0.lanes().load(lanes);
        }
        Tight(Loose(limbs))
    }

    #[inline(always)]
    fn serialise(self, a: &Self::Tight, bytes: &mut [[u8; BYTES]]) {
        let mut lanes = Zeroizing::new([[[0; LANES_MAX]; H]; 2]);
        for (limb, lanes) in a.0.0.as_flattened().iter().zip(lanes.as_flattened_mut()) {
            self.0.lanes().store(*limb, lanes);
        }
        for (lane, bytes) in bytes.iter_mut().take(Self::LANES).enumerate() {
            let mut halves = [[0; H]; 2];
            for (value, limbs) in halves.as_flattened_mut().iter_mut().zip(lanes.as_flattened()) {
                *value = limbs[lane];
            }
            *bytes = bytes::least_residue(halves, M::BITS);
        }
    }

    #[inline(always)]
    fn small(self, value: u64) -> Self::Tight {
        let mut limbs = [[self.0.lanes().splat(0); H]; 2];
        limbs[0][0] = self.0.lanes().splat(value);
        Tight(Loose(limbs))
    }

    #[inline(always)]
    fn loosen(self, a: &Self::Tight) -> &Self::Loose {
        &a.0
    }

    #[inline(always)]
    fn add(self, a: &Self::Tight, b: &Self::Tight) -> Self::Loose {
        let (Loose([a_0, a_1]), Loose([b_0, b_1])) = (&a.0, &b.0);
        Loose([self.add_halves(a_0, b_0), self.add_halves(a_1, b_1)])
    }

    #[inline(always)]
    fn sub(self, a: &Self::Tight, b: &Self::Tight) -> Self::Loose {
        let l = self.0.lanes();
        let mut difference = a.0.0;
        for half in 0..2 {
            for index in 0..H {
                let biased = l.add(difference[half][index], l.splat(Self::bias(half, index)));
                difference[half][index] = l.sub(biased, b.0.0[half][index]);
            }
            self.0.settle(&mut difference[half]);
        }
        Loose(difference)
    }

    #[inline(always)]
    fn mul(self, a: &Self::Loose, b: &Self::Loose) -> Self::Tight {
        self.0.multiplication(
            #[inline(always)]
            || self.mul_here(a, b),
        )
    }

    #[inline(always)]
    fn square(self, a: &Self::Loose) -> Self::Tight {
        self.0.multiplication(
            #[inline(always)]
            || self.square_here(a),
        )
    }

    #[inline(always)]
    fn power(self, a: &Self::Tight, count: u32, b: &Self::Tight) -> Self::Tight {
        self.0.lanes().apart(
            #[inline(always)]
            || {
                let mut power = *a;
                for _ in 0..count {
                    power = self.square_here(&power.0);
                }
                self.mul_here(&power.0, &b.0)
            },
        )
    }

    #[inline(always)]
    fn mul_a24(self, sum: &Self::Tight, a: &Self::Loose) -> Self::Tight {
        let mut columns = [[self.0.mul_a24(sum.0.0[0][0], a.0[0][0]); H]; 2];
        for half in 0..2 {
            for index in 0..H {
                columns[half][index] = self.0.mul_a24(sum.0.0[half][index], a.0[half][index]);
            }
        }
        Tight(Loose(self.0.carry(columns)))
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: &Self::Loose, b: &Self::Loose) -> Self::Loose {
        let l = self.0.lanes();
        let mut selected = b.0;
        for (selected, a) in selected.as_flattened_mut().iter_mut().zip(a.0.as_flattened()) {
            *selected = l.select(mask, *a, *selected);
        }
        Loose(selected)
    }

    #[inline(always)]
    fn words(self, words: &[u64]) -> Self::Words {
        self.0.lanes().load(words)
    }

    #[inline(always)]
    fn next_bit(self, words: &mut Self::Words) -> Self::Mask {
        let l = self.0.lanes();
        let bit = l.shift_right::<63>(*words);
        *words = l.shift_left::<1>(*words);
        l.sub(l.splat(0), bit)
    }

    /// The compiler must not know that a mask is all or nothing: it could branch on it.
    #[inline(always)]
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        black_box(self.0.lanes().xor(a, b))
    }
}
