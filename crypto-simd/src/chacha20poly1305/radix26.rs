//! Integers modulo 2^130 - 5 as five limbs of 26 bits, multiplied by products of 32 bits.

use super::poly1305::{Blocks, Field, Limbs, Table, carry, split};

const MASK_26: u64 = (1 << 26) - 1;

/// The field over any lanes.
#[derive(Clone, Copy)]
pub(super) struct Radix26<L>(pub(super) L);

/// The limbs of a power, and 5 times the upper four: what goes beyond 2^130 comes back times 5.
#[derive(Clone, Copy)]
pub(super) struct Power<V> {
    limbs: [V; 5],
    wrapped: [V; 4],
}

impl<L: Blocks> Radix26<L> {
    /// From three limbs, which are within their bits but the last.
    #[inline(always)]
    fn power(self, [a, b, c]: [L::Vector; 3]) -> Power<L::Vector> {
        let l = self.0;
        let mask = l.splat(MASK_26);
        let limbs = [
            l.and(a, mask),
            l.and(l.or(l.shift_right::<26>(a), l.shift_left::<18>(b)), mask),
            l.and(l.shift_right::<8>(b), mask),
            l.and(l.or(l.shift_right::<34>(b), l.shift_left::<10>(c)), mask),
            l.shift_right::<16>(c),
        ];
        let mut wrapped = [limbs[1], limbs[2], limbs[3], limbs[4]];
        for limb in &mut wrapped {
            *limb = l.add(*limb, l.shift_left::<2>(*limb));
        }
        Power { limbs, wrapped }
    }
}

impl<L: Blocks> Field for Radix26<L> {
    const LANES: usize = L::LANES;
    type Element = [L::Vector; 5];
    type Power = Power<L::Vector>;
    type Products = [L::Vector; 5];

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> [L::Vector; 5] {
        let l = self.0;
        let mask = l.splat(MASK_26);
        let (low, high) = l.load_blocks(bytes);
        [
            l.and(low, mask),
            l.and(l.shift_right::<26>(low), mask),
            l.and(l.or(l.shift_right::<52>(low), l.shift_left::<12>(high)), mask),
            l.and(l.shift_right::<14>(high), mask),
            l.or(l.shift_right::<40>(high), l.splat(1 << 24)),
        ]
    }

    #[inline(always)]
    fn first(self, limbs: &Limbs) -> [L::Vector; 5] {
        let mut element = [self.0.splat(0); 3];
        for limb in 0..3 {
            element[limb] = self.0.load(&[limbs[limb], 0, 0, 0, 0, 0, 0, 0]);
        }
        self.power(element).limbs
    }

    #[inline(always)]
    fn add(self, a: [L::Vector; 5], b: [L::Vector; 5]) -> [L::Vector; 5] {
        let mut sums = a;
        for limb in 0..5 {
            sums[limb] = self.0.add(a[limb], b[limb]);
        }
        sums
    }

    #[inline(always)]
    fn splat(self, power: &Limbs) -> Power<L::Vector> {
        self.power([self.0.splat(power[0]), self.0.splat(power[1]), self.0.splat(power[2])])
    }

    #[inline(always)]
    fn window(self, table: &Table, at: usize) -> Power<L::Vector> {
        let mut limbs = [self.0.splat(0); 3];
        for limb in 0..3 {
            limbs[limb] = self.0.interleave(self.0.load(&table[limb][at..]));
        }
        self.power(limbs)
    }

    #[inline(always)]
    fn zero(self) -> [L::Vector; 5] {
        [self.0.splat(0); 5]
    }

    #[inline(always)]
    fn mul_add(self, mut sum: [L::Vector; 5], a: [L::Vector; 5], power: Power<L::Vector>) -> [L::Vector; 5] {
        let Power { limbs: b, wrapped: s } = power;
        let rows = [
            [b[0], s[3], s[2], s[1], s[0]],
            [b[1], b[0], s[3], s[2], s[1]],
            [b[2], b[1], b[0], s[3], s[2]],
            [b[3], b[2], b[1], b[0], s[3]],
            [b[4], b[3], b[2], b[1], b[0]],
        ];
        for from in 0..5 {
            for limb in 0..5 {
                sum[limb] = self.0.add(sum[limb], self.0.mul_32(a[from], rows[limb][from]));
            }
        }
        sum
    }

    /// Two chains, of which neither waits for the other.
    #[inline(always)]
    fn carry(self, mut d: [L::Vector; 5]) -> [L::Vector; 5] {
        let l = self.0;
        for from in [3, 0, 4, 1, 0, 2, 3] {
            let up = l.shift_right::<26>(d[from]);
            d[from] = l.and(d[from], l.splat(MASK_26));
            let up = if from == 4 { l.add(up, l.shift_left::<2>(up)) } else { up };
            d[(from + 1) % 5] = l.add(d[(from + 1) % 5], up);
        }
        d
    }

    #[inline(always)]
    fn sum(self, a: [L::Vector; 5]) -> Limbs {
        let mut sums = [0; 5];
        for limb in 0..5 {
            let mut words = [0; 8];
            self.0.store(a[limb], &mut words);
            sums[limb] = u128::from(words.iter().sum::<u64>());
        }
        let low = sums[0] + (sums[1] << 26) + (sums[2] << 52) + (sums[3] << 78);
        let [a, b, c] = split(low, 0);
        carry([a, b, c + (sums[4] << 16) as u64])
    }
}
