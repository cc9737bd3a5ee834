//! Halves of four limbs of 56 bits, one element at a time, with 128-bit products.
//!
//! Ranges: tight limbs below 2^56 + 2^10, loose ones below 2^58; a column of a folded product is below 18 times the
//! square of a loose limb, 2^120.

use super::golden::{A24, Columns, Half, Limbs};
use crate::lanes::Emulated;

const H: usize = 4;
const BITS: u32 = 56;
const MASK: u64 = (1 << BITS) - 1;

/// The limbs of one element.
#[derive(Clone, Copy)]
pub(super) struct Radix56;

impl Limbs<H> for Radix56 {
    const BITS: u32 = BITS;
    type Lanes = Emulated<1>;
    type Column = u128;

    #[inline(always)]
    fn lanes(self) -> Emulated<1> {
        Emulated
    }

    #[inline(always)]
    fn zero(self) -> u128 {
        0
    }

    #[inline(always)]
    fn add(self, a: u128, b: u128) -> u128 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn sub(self, a: u128, b: u128) -> u128 {
        a.wrapping_sub(b)
    }

    #[inline(always)]
    fn raise(self, a: u128) -> u128 {
        a
    }

    #[inline(always)]
    fn product(self, start: Columns<Self, H>, a: &Half<Self, H>, b: &Half<Self, H>) -> Columns<Self, H> {
        let mut columns = start;
        for i in 0..H {
            for j in 0..H {
                columns.as_flattened_mut()[i + j] += u128::from(a[i][0]) * u128::from(b[j][0]);
            }
        }
        columns
    }

    #[inline(always)]
    fn square(self, start: Columns<Self, H>, a: &Half<Self, H>) -> Columns<Self, H> {
        let mut columns = start;
        for i in 0..H {
            columns.as_flattened_mut()[2 * i] += u128::from(a[i][0]) * u128::from(a[i][0]);
            for j in i + 1..H {
                columns.as_flattened_mut()[i + j] += u128::from(2 * a[i][0]) * u128::from(a[j][0]);
            }
        }
        columns
    }

    #[inline(always)]
    fn start(self) -> Columns<Self, H> {
        [[0; H]; 2]
    }

    #[inline(always)]
    fn multiplication<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    #[inline(always)]
    fn mul_a24(self, sum: [u64; 1], a: [u64; 1]) -> u128 {
        u128::from(sum[0]) + u128::from(a[0]) * u128::from(A24)
    }

    #[inline(always)]
    fn carry(self, columns: Columns<Self, H>) -> [Half<Self, H>; 2] {
        let mut limbs = [[[0]; H]; 2];
        let mut carries = [0u64; 2];
        for index in 0..H {
            for half in 0..2 {
                let column = columns[half][index] + u128::from(carries[half]);
                limbs[half][index] = [column as u64 & MASK];
                carries[half] = (column >> BITS) as u64;
            }
        }
        // The carries have up to 64 bits.
        let mut lower = u128::from(limbs[0][0][0]) + u128::from(carries[1]);
        let mut upper = u128::from(limbs[1][0][0]) + u128::from(carries[0]) + u128::from(carries[1]);
        for (half, sum) in [&mut lower, &mut upper].into_iter().enumerate() {
            limbs[half][0] = [*sum as u64 & MASK];
            limbs[half][1][0] += (*sum >> BITS) as u64;
        }
        limbs
    }

    #[inline(always)]
    fn settle(self, _: &mut Half<Self, H>) {}
}
