//! The field in five limbs of 51 bits over [`Lanes`], with products by 52-bit multiply-and-add.
//!
//! Ranges of limbs: [`Reduced`] below 2^51 + 2^18, so that all fits into the 52 bits that are multiplied;
//! [`Unreduced`] below 2^61: a product's column is at most 19 · 14 · 2^52 + 15 · 2^52.

use super::BYTES;
use super::ladder::{Arithmetic, Field, LANES_MAX};
use crate::lanes::MultiplyAdd52;

const LIMB_BITS: u32 = 51;
const MASK: u64 = (1 << LIMB_BITS) - 1;
const A24: u64 = 121_665;

/// 2^11 · p, limb by limb above every [`Unreduced`] limb: a difference plus this is not negative.
const BIAS: [u64; 5] = [(MASK - 18) << 11, MASK << 11, MASK << 11, MASK << 11, MASK << 11];

/// The field over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct Radix51<L>(pub(super) L);

/// Limbs that may be multiplied.
#[derive(Clone, Copy)]
pub(super) struct Reduced<V>([V; 5]);

/// Limbs that may be added once.
#[derive(Clone, Copy)]
pub(super) struct Unreduced<V>([V; 5]);

impl<L: MultiplyAdd52> Radix51<L> {
    /// Moves what stands above 51 bits to the next limb, all limbs at once. Limbs are below 2^64, so at most 2^13, and
    /// 19 times that in the first limb, is added.
    #[inline(always)]
    fn carry(self, limbs: [L::Vector; 5]) -> Reduced<L::Vector> {
        let l = self.0;
        let mask = l.splat(MASK);
        let carries = limbs.map(
            #[inline(always)]
            |limb| l.shift_right::<LIMB_BITS>(limb),
        );
        let low = limbs.map(
            #[inline(always)]
            |limb| l.and(limb, mask),
        );
        Reduced([
            l.add(low[0], self.times_19(carries[4])),
            l.add(low[1], carries[0]),
            l.add(low[2], carries[1]),
            l.add(low[3], carries[2]),
            l.add(low[4], carries[3]),
        ])
    }

    #[inline(always)]
    fn times_19(self, a: L::Vector) -> L::Vector {
        self.0.mul_low(a, self.0.splat(19))
    }

    /// low + 2 · high
    #[inline(always)]
    fn column(self, low: L::Vector, high: L::Vector) -> L::Vector {
        self.0.add(low, self.0.shift_left::<1>(high))
    }

    /// Folds ten columns by 2^255 = 19. `high` counts units of 2^52, twice the weight of its column.
    #[inline(always)]
    fn fold(self, low: [L::Vector; 10], high: [L::Vector; 10]) -> Unreduced<L::Vector> {
        let mut limbs = [self.0.splat(0); 5];
        for (index, limb) in limbs.iter_mut().enumerate() {
            let top = self.column(low[index + 5], high[index + 5]);
            *limb = self.0.add(self.column(low[index], high[index]), self.times_19(top));
        }
        Unreduced(limbs)
    }
}

impl<L: MultiplyAdd52> Arithmetic for Radix51<L> {
    type Reduced = Reduced<L::Vector>;
    type Difference = Reduced<L::Vector>;
    type Unreduced = Unreduced<L::Vector>;
    type Addend = Unreduced<L::Vector>;
    type Mask = L::Vector;
    type Words = L::Vector;

    #[inline(always)]
    fn reduce(self, a: Self::Unreduced) -> Self::Reduced {
        self.carry(a.0)
    }

    #[inline(always)]
    fn add(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced {
        let mut sum = a.0;
        for (sum, b) in sum.iter_mut().zip(b.0) {
            *sum = self.0.add(*sum, b);
        }
        self.carry(sum)
    }

    #[inline(always)]
    fn sub(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced {
        let mut difference = a.0;
        for (index, limb) in difference.iter_mut().enumerate() {
            *limb = self.0.sub(self.0.add(*limb, self.0.splat(BIAS[index])), b.0[index]);
        }
        self.carry(difference)
    }

    #[inline(always)]
    fn difference(self, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced {
        self.sub(Unreduced(a.0), Unreduced(b.0))
    }

    #[inline(always)]
    fn mul_to_add(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced {
        self.mul(a, b)
    }

    #[inline(always)]
    fn mul_difference(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced {
        self.mul(a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced {
        let l = self.0;
        let (mut low, mut high) = ([l.splat(0); 10], [l.splat(0); 10]);
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = l.madd52_low(low[i + j], a.0[i], b.0[j]);
                high[i + j + 1] = l.madd52_high(high[i + j + 1], a.0[i], b.0[j]);
            }
        }
        self.fold(low, high)
    }

    #[inline(always)]
    fn square(self, a: Self::Reduced) -> Self::Unreduced {
        let l = self.0;
        let (mut low, mut high) = ([l.splat(0); 10], [l.splat(0); 10]);
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = l.madd52_low(low[i + j], a.0[i], a.0[j]);
                high[i + j + 1] = l.madd52_high(high[i + j + 1], a.0[i], a.0[j]);
            }
        }
        for column in 1..9 {
            low[column] = l.shift_left::<1>(low[column]);
            high[column] = l.shift_left::<1>(high[column]);
        }
        for i in 0..5 {
            low[2 * i] = l.madd52_low(low[2 * i], a.0[i], a.0[i]);
            high[2 * i + 1] = l.madd52_high(high[2 * i + 1], a.0[i], a.0[i]);
        }
        self.fold(low, high)
    }

    #[inline(always)]
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Reduced) -> Self::Reduced {
        let l = self.0;
        let a24 = l.splat(A24);
        let mut limbs = sum.0;
        for index in 0..5 {
            limbs[index] = l.madd52_low(limbs[index], a.0[index], a24);
            let high = l.shift_left::<1>(l.madd52_high(l.splat(0), a.0[index], a24));
            let next = (index + 1) % 5;
            limbs[next] = l.add(limbs[next], if next == 0 { self.times_19(high) } else { high });
        }
        self.carry(limbs)
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced {
        let l = self.0;
        let mut selected = b.0;
        for (selected, a) in selected.iter_mut().zip(a.0) {
            *selected = l.xor(*selected, l.and(mask, l.xor(*selected, a)));
        }
        Reduced(selected)
    }

    #[inline(always)]
    fn top_bit(self, words: Self::Words) -> Self::Mask {
        self.0.sub(self.0.splat(0), self.0.shift_right::<63>(words))
    }

    #[inline(always)]
    fn next_bit(self, words: Self::Words) -> Self::Words {
        self.0.shift_left::<1>(words)
    }
}

impl<L: MultiplyAdd52> Field for Radix51<L> {
    const LANES: usize = L::LANES;

    #[inline(always)]
    fn parse(self, bytes: &[&[u8; BYTES]]) -> Self::Reduced {
        let mut limbs = [[0; LANES_MAX]; 5];
        for (lane, bytes) in bytes.iter().enumerate() {
            for (limb, value) in limbs.iter_mut().zip(super::parse_limbs(bytes)) {
                limb[lane] = value;
            }
        }
        Reduced(limbs.map(|limb| self.0.load(&limb)))
    }

    #[inline(always)]
    fn limbs(self, a: Self::Reduced) -> [[u64; 5]; LANES_MAX] {
        let mut limbs = [[0; 5]; LANES_MAX];
        for (index, vector) in a.0.into_iter().enumerate() {
            let mut words = [0; LANES_MAX];
            self.0.store(vector, &mut words);
            for (limbs, word) in limbs.iter_mut().zip(words) {
                limbs[index] = word;
            }
        }
        limbs
    }

    #[inline(always)]
    fn small(self, value: u32) -> Self::Reduced {
        let zero = self.0.splat(0);
        Reduced([self.0.splat(u64::from(value)), zero, zero, zero, zero])
    }

    #[inline(always)]
    fn add_sub(self, a: Self::Reduced, b: Self::Reduced) -> [Self::Reduced; 2] {
        let (a, b) = (Unreduced(a.0), Unreduced(b.0));
        [self.add(a, b), self.sub(a, b)]
    }

    #[inline(always)]
    fn words(self, words: &[u64; LANES_MAX]) -> Self::Words {
        self.0.load(words)
    }
}
