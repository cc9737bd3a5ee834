//! Halves of eight limbs of 28 bits over [`Lanes`], with products of 32-bit words.
//!
//! Ranges: tight limbs are below 2^28, but the second one of a half below 2^28 + 2^10. Loose ones are below twice that,
//! or, in a settled difference, below 2^28 in even places and 3 · 2^28 + 2^10 in odd ones; sums of four loose limbs are
//! below 2^32. Columns of half products may wrap; a folded column is not negative and so far below 2^64 that the carry
//! fits on top, which a test computes limb by limb.

use super::golden::{A24, Columns, Half, Limbs};
use crate::lanes::Lanes;
use std::hint::black_box;

const H: usize = 8;
const BITS: u32 = 28;
const MASK: u64 = (1 << BITS) - 1;

/// The limbs over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct Radix28<L: Lanes>(L, L::Vector);

impl<L: Lanes> Radix28<L> {
    /// The compiler must not know the mask: it would find out that the upper halves of words are zero, drop the masks of
    /// `mul_32`, not see it any more when it chooses instructions, and multiply 64 bits by 64 in parts.
    #[inline(always)]
    pub(super) fn new(lanes: L) -> Self {
        Self(lanes, lanes.splat(black_box(MASK)))
    }

    #[inline(always)]
    fn product_4(self, a: &[L::Vector; 4], b: &[L::Vector; 4]) -> [L::Vector; 7] {
        let l = self.0;
        let mut columns = [l.splat(0); 7];
        for i in 0..4 {
            for j in 0..4 {
                columns[i + j] = l.add(columns[i + j], l.mul_32(a[i], b[j]));
            }
        }
        columns
    }

    #[inline(always)]
    fn square_4(self, a: &[L::Vector; 4]) -> [L::Vector; 7] {
        let l = self.0;
        let mut columns = [l.splat(0); 7];
        for i in 0..4 {
            columns[2 * i] = l.add(columns[2 * i], l.mul_32(a[i], a[i]));
            let double = l.add(a[i], a[i]);
            for j in i + 1..4 {
                columns[i + j] = l.add(columns[i + j], l.mul_32(double, a[j]));
            }
        }
        columns
    }

    /// The columns of start + low + middle · 2^112 + high · 2^224.
    #[inline(always)]
    fn join(
        self,
        start: Columns<Self, H>,
        low: [L::Vector; 7],
        middle: [L::Vector; 7],
        high: [L::Vector; 7],
    ) -> Columns<Self, H> {
        let mut columns = start;
        for (at, part) in [(0, low), (4, middle), (8, high)] {
            for (index, value) in part.into_iter().enumerate() {
                let column = &mut columns.as_flattened_mut()[at + index];
                *column = self.0.add(*column, value);
            }
        }
        columns
    }

    /// Leaves `BITS` bits of a word, and gives what stands above.
    #[inline(always)]
    fn split(self, word: &mut L::Vector) -> L::Vector {
        let carry = self.0.shift_right::<BITS>(*word);
        *word = self.0.and(*word, self.1);
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

    /// By Karatsuba once more, with what is subtracted from one part and added to the next computed once.
    #[inline(always)]
    fn product(self, start: Columns<Self, H>, a: &Half<Self, H>, b: &Half<Self, H>) -> Columns<Self, H> {
        let l = self.0;
        let ([a_0, a_1], [b_0, b_1]) = (quarters(a), quarters(b));
        let (mut a, mut b) = (*a_0, *b_0);
        for index in 0..4 {
            (a[index], b[index]) = (l.add(a[index], a_1[index]), l.add(b[index], b_1[index]));
        }
        let (mut low, mut high) = (self.product_4(a_0, b_0), self.product_4(a_1, b_1));
        let mut middle = self.product_4(&a, &b);
        for index in 0..4 {
            middle[index] = l.sub(middle[index], low[index]);
        }
        for index in 4..7 {
            middle[index] = l.sub(middle[index], high[index]);
        }
        middle[3] = l.sub(middle[3], high[3]);
        for index in 0..3 {
            low[index + 4] = l.sub(low[index + 4], high[index]);
            high[index] = l.sub(l.splat(0), low[index + 4]);
        }
        self.join(start, low, middle, high)
    }

    /// By the binomial formula.
    #[inline(always)]
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H> {
        let [a_0, a_1] = quarters(a);
        let mut doubles = *a_0;
        for double in &mut doubles {
            *double = self.0.add(*double, *double);
        }
        self.join(start, self.square_4(a_0), self.product_4(&doubles, a_1), self.square_4(a_1))
    }

    #[inline(always)]
    fn start(self) -> Columns<Self, H> {
        [[self.0.splat(0); H]; 2]
    }

    #[inline(always)]
    fn multiplication<T>(self, work: impl FnOnce() -> T) -> T {
        self.0.apart(work)
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

#[inline(always)]
fn quarters<V>(half: &[V; H]) -> &[[V; 4]; 2] {
    half.as_chunks().0.as_array().expect("eight limbs are twice four")
}
