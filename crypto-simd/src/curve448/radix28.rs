//! Halves of eight limbs of 28 bits over [`Lanes`], with products of 32-bit words.

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
    /// The compiler must not know the mask: from it, it would derive that words are short enough for a multiplication, and
    /// then forget it and multiply in four parts.
    #[inline(always)]
    pub(super) fn new(lanes: L) -> Self {
        Self(lanes, lanes.splat(black_box(MASK)))
    }

    #[inline(always)]
    fn product_column<const K: usize>(self, start: L::Vector, a: &Half<Self, H>, b: &Half<Self, H>) -> L::Vector {
        let mut column = start;
        for i in 0..H {
            if i <= K && K - i < H {
                column = self.0.add(column, self.0.mul_32(a[i], b[K - i]));
            }
        }
        column
    }

    #[inline(always)]
    fn square_column<const K: usize>(self, start: L::Vector, a: &Half<Self, H>, doubles: &Half<Self, H>) -> L::Vector {
        let mut column = start;
        for i in 0..H {
            if i < K && K - i < H && i < K - i {
                column = self.0.add(column, self.0.mul_32(doubles[i], a[K - i]));
            }
        }
        if K % 2 == 0 { self.0.add(column, self.0.mul_32(a[K / 2], a[K / 2])) } else { column }
    }

    /// Leaves `BITS` bits of a word, and gives what stands above.
    #[inline(always)]
    fn split(self, word: &mut L::Vector) -> L::Vector {
        let carry = self.0.shift_right::<BITS>(*word);
        *word = self.0.and(*word, self.1);
        carry
    }
}

/// Column by column, each with its own code: a loop over them would not be unrolled.
macro_rules! each_column {
    ($k:ident => $body:expr) => {
        each_column!(@ $k $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $k:ident $body:expr; $($value:literal)*) => {
        $({ const $k: usize = $value; $body; })*
    };
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
        each_column!(k => columns[k / H][k % H] = self.product_column::<k>(columns[k / H][k % H], a, b));
        columns
    }

    #[inline(always)]
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H> {
        let l = self.0;
        let mut doubles = *a;
        for double in &mut doubles {
            *double = l.add(*double, *double);
        }
        let mut columns = start;
        each_column!(k => columns[k / H][k % H] = self.square_column::<k>(columns[k / H][k % H], a, &doubles));
        columns
    }

    #[inline(always)]
    fn multiplication<T>(self, work: impl FnOnce() -> T) -> T {
        self.0.apart(work)
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
