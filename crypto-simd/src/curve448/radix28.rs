//! Halves of eight limbs of 28 bits over [`Lanes`], with products of 32-bit words.

use super::golden::{A24, Columns, Half, Limbs};
use crate::lanes::Lanes;

const H: usize = 8;
const BITS: u32 = 28;
const MASK: u64 = (1 << BITS) - 1;

/// The limbs over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct Radix28<L>(pub(super) L);

impl<L: Lanes> Radix28<L> {
    /// Leaves `BITS` bits of a word, and gives what stands above.
    #[inline(always)]
    fn split(self, word: &mut L::Vector) -> L::Vector {
        let carry = self.0.shift_right::<BITS>(*word);
        *word = self.0.and(*word, self.0.splat(MASK));
        carry
    }
}

impl<L: Lanes> Limbs<H> for Radix28<L> {
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
        a
    }

    #[inline(always)]
    fn product(self, start: Columns<Self, H>, a: &Half<Self, H>, b: &Half<Self, H>) -> Columns<Self, H> {
        let mut columns = start;
        for i in 0..H {
            for j in 0..H {
                let column = &mut columns.as_flattened_mut()[i + j];
                *column = self.0.add(*column, self.0.mul_32(a[i], b[j]));
            }
        }
        columns
    }

    #[inline(always)]
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H> {
        let mut columns = start;
        for i in 0..H {
            let column = &mut columns.as_flattened_mut()[2 * i];
            *column = self.0.add(*column, self.0.mul_32(a[i], a[i]));
            let double = self.0.add(a[i], a[i]);
            for j in i + 1..H {
                let column = &mut columns.as_flattened_mut()[i + j];
                *column = self.0.add(*column, self.0.mul_32(double, a[j]));
            }
        }
        columns
    }

    #[inline(always)]
    fn start(self) -> Columns<Self, H> {
        [[self.0.splat(0); H]; 2]
    }

    #[inline(always)]
    fn mul_a24(self, sum: L::Vector, a: L::Vector) -> L::Vector {
        self.0.add(sum, self.0.mul_32(a, self.0.splat(A24)))
    }

    /// Limb by limb, both halves side by side; then the carries of the halves, as far as the second limbs.
    #[inline(always)]
    fn carry(self, columns: Columns<Self, H>) -> [Half<Self, H>; 2] {
        let l = self.0;
        let mut limbs = columns;
        let mut carries = [l.splat(0); 2];
        for index in 0..H {
            for half in 0..2 {
                limbs[half][index] = l.add(limbs[half][index], carries[half]);
                carries[half] = self.split(&mut limbs[half][index]);
            }
        }
        limbs[0][0] = l.add(limbs[0][0], carries[1]);
        limbs[1][0] = l.add(limbs[1][0], l.add(carries[0], carries[1]));
        for half in 0..2 {
            let carry = self.split(&mut limbs[half][0]);
            limbs[half][1] = l.add(limbs[half][1], carry);
        }
        limbs
    }

    /// From the even limbs to the odd ones.
    #[inline(always)]
    fn settle(self, difference: &mut Half<Self, H>) {
        for index in (0..H).step_by(2) {
            let carry = self.split(&mut difference[index]);
            difference[index + 1] = self.0.add(difference[index + 1], carry);
        }
    }
}
