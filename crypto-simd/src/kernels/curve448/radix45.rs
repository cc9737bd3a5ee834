//! Halves of five limbs of 45 bits over [`Lanes`], with products by 52-bit multiply-and-add.
//!
//! Ranges: tight limbs are below 2^45 + 2^19, loose ones below 2^47 and sums of two of them below 2^48, so that all, even
//! doubled, fit into the 52 bits that are multiplied. A column of a half product is below 2^55, a folded one below 2^58.

use super::golden::{A24, Columns, Golden, Half, Limbs};
use crate::lanes::MultiplyAdd52;

const H: usize = 5;
const BITS: u32 = 45;
/// A high half of a 104-bit product counts units of 2^52 = 2^7 · 2^45.
const HIGH_SHIFT: u32 = 52 - BITS;

/// The limbs over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct Radix45<L>(pub(super) L);

impl<L: MultiplyAdd52> Radix45<L> {
    #[inline(always)]
    fn columns(self, low: Columns<Self, H>, high: [L::Vector; 2 * H]) -> Columns<Self, H> {
        let mut columns = low;
        for (column, high) in columns.as_flattened_mut().iter_mut().zip(high) {
            *column = self.0.add(*column, self.0.shift_left::<HIGH_SHIFT>(high));
        }
        columns
    }
}

impl<L: MultiplyAdd52> Limbs<H> for Radix45<L> {
    const BITS: u32 = BITS;
    type Lanes = L;
    type Column = L::Vector;

    #[inline(always)]
    fn lanes(self) -> L {
        self.0
    }

    #[inline(always)]
    fn zero(self) -> L::Vector {
        self.0.splat(0)
    }

    #[inline(always)]
    fn add(self, a: L::Vector, b: L::Vector) -> L::Vector {
        self.0.add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: L::Vector, b: L::Vector) -> L::Vector {
        self.0.sub(a, b)
    }

    #[inline(always)]
    fn raise(self, a: L::Vector) -> L::Vector {
        self.0.add(a, a)
    }

    #[inline(always)]
    fn product(self, start: Columns<Self, H>, a: &Half<Self, H>, b: &Half<Self, H>) -> Columns<Self, H> {
        let l = self.0;
        let (mut low, mut high) = (start, [l.splat(0); 2 * H]);
        for i in 0..H {
            for j in 0..H {
                let low = &mut low.as_flattened_mut()[i + j];
                *low = l.madd52_low(*low, a[i], b[j]);
                high[i + j + 1] = l.madd52_high(high[i + j + 1], a[i], b[j]);
            }
        }
        self.columns(low, high)
    }

    #[inline(always)]
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H> {
        let l = self.0;
        let (mut low, mut high) = (start, [l.splat(0); 2 * H]);
        for i in 0..H {
            let diagonal = &mut low.as_flattened_mut()[2 * i];
            *diagonal = l.madd52_low(*diagonal, a[i], a[i]);
            high[2 * i + 1] = l.madd52_high(high[2 * i + 1], a[i], a[i]);
            let double = l.add(a[i], a[i]);
            for j in i + 1..H {
                let low = &mut low.as_flattened_mut()[i + j];
                *low = l.madd52_low(*low, double, a[j]);
                high[i + j + 1] = l.madd52_high(high[i + j + 1], double, a[j]);
            }
        }
        self.columns(low, high)
    }

    /// A multiple of p: it keeps folded columns, of which the subtracted low and high parts can be greater than those
    /// that they are subtracted from, above zero. What is in the upper columns counts twice.
    #[inline(always)]
    fn start(self) -> Columns<Self, H> {
        let mut start = [[self.0.splat(0); H]; 2];
        for half in 0..2 {
            for index in 0..H {
                start[half][index] = self.0.splat(Golden::<Self, H>::bias(half, index) << (10 - half));
            }
        }
        start
    }

    #[inline(always)]
    fn multiplication<T>(self, work: impl FnOnce() -> T) -> T {
        self.0.apart(work)
    }

    #[inline(always)]
    fn mul_a24(self, sum: L::Vector, a: L::Vector) -> L::Vector {
        self.0.add(sum, self.0.mul_low(a, self.0.splat(A24)))
    }

    /// All limbs at once. What stands above the 225 bits of a half counts twice in the next one.
    #[inline(always)]
    fn carry(self, columns: Columns<Self, H>) -> [Half<Self, H>; 2] {
        let l = self.0;
        let mask = l.splat((1 << BITS) - 1);
        let mut limbs = columns;
        let mut out = [l.splat(0); 2];
        for half in 0..2 {
            for index in 0..H {
                limbs[half][index] = l.and(columns[half][index], mask);
                if index > 0 {
                    let carry = l.shift_right::<BITS>(columns[half][index - 1]);
                    limbs[half][index] = l.add(limbs[half][index], carry);
                }
            }
            out[half] = self.raise(l.shift_right::<BITS>(columns[half][H - 1]));
        }
        limbs[0][0] = l.add(limbs[0][0], out[1]);
        limbs[1][0] = l.add(limbs[1][0], l.add(out[0], out[1]));
        limbs
    }

    #[inline(always)]
    fn settle(self, _: &mut Half<Self, H>) {}
}
