//! Integers modulo 2^130 - 5 as three limbs of 44, 44 and 42 bits, multiplied by IFMA.

use super::poly1305::{Limbs, MASK_42, MASK_44, Table, carry};
use crate::lanes::{Emulated, MultiplyAdd52};

/// Lanes that take blocks from memory.
pub(super) trait LoadBlocks: MultiplyAdd52 {
    /// The low and the high word of `LANES` blocks, in the order that [`Self::interleave`] gives.
    ///
    /// # Panics
    /// When there are fewer.
    fn load_blocks(self, bytes: &[u8]) -> (Self::Vector, Self::Vector);

    /// The lower half of the lanes to the even ones, the upper half to the odd ones.
    fn interleave(self, a: Self::Vector) -> Self::Vector;
}

impl<const N: usize> LoadBlocks for Emulated<N> {
    fn load_blocks(self, bytes: &[u8]) -> ([u64; N], [u64; N]) {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |index: usize| std::array::from_fn(|lane| u64::from_le_bytes(words[2 * lane + index]));
        (self.interleave(word(0)), self.interleave(word(1)))
    }

    fn interleave(self, a: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane / 2 + (lane % 2) * (N / 2)])
    }
}

/// Integers modulo 2^130 - 5, one per lane: eight lanes. What is multiplied is carried, or the sum of what is carried and
/// of a loaded block: no limb has more than 46 bits.
#[derive(Clone, Copy)]
pub(super) struct Radix44<L>(pub(super) L);

/// The limbs of a power, and 20 times the upper two: what goes beyond 2^132 comes back times 2^2 · 5.
#[derive(Clone, Copy)]
pub(super) struct Power<V> {
    limbs: [V; 3],
    wrapped: [V; 2],
}

/// The low 52 bits of the products that belong to each limb, and the bits above.
#[derive(Clone, Copy)]
pub(super) struct Products<V> {
    low: [V; 3],
    high: [V; 3],
}

impl<L: LoadBlocks> Radix44<L> {
    #[inline(always)]
    fn power(self, limbs: [L::Vector; 3]) -> Power<L::Vector> {
        let l = self.0;
        let mut wrapped = [limbs[1], limbs[2]];
        for limb in &mut wrapped {
            *limb = l.add(l.shift_left::<4>(*limb), l.shift_left::<2>(*limb));
        }
        Power { limbs, wrapped }
    }

    /// The blocks with the bit behind their last one.
    #[inline(always)]
    pub(super) fn load(self, bytes: &[u8]) -> [L::Vector; 3] {
        let l = self.0;
        let (low, high) = l.load_blocks(bytes);
        let middle = l.or(l.shift_right::<44>(low), l.shift_left::<20>(high));
        let top = l.or(l.shift_right::<24>(high), l.splat(1 << 40));
        [l.and(low, l.splat(MASK_44)), l.and(middle, l.splat(MASK_44)), top]
    }

    /// The number in the lane of the first block, zero in the others.
    #[inline(always)]
    pub(super) fn first(self, limbs: &Limbs) -> [L::Vector; 3] {
        let mut element = [self.0.splat(0); 3];
        for limb in 0..3 {
            element[limb] = self.0.load(&[limbs[limb], 0, 0, 0, 0, 0, 0, 0]);
        }
        element
    }

    #[inline(always)]
    pub(super) fn add(self, a: [L::Vector; 3], b: [L::Vector; 3]) -> [L::Vector; 3] {
        [self.0.add(a[0], b[0]), self.0.add(a[1], b[1]), self.0.add(a[2], b[2])]
    }

    /// The same power in each lane.
    #[inline(always)]
    pub(super) fn splat(self, power: &Limbs) -> Power<L::Vector> {
        self.power([self.0.splat(power[0]), self.0.splat(power[1]), self.0.splat(power[2])])
    }

    /// The powers that start at `at` of a table, for blocks in their order.
    #[inline(always)]
    pub(super) fn window(self, table: &Table, at: usize) -> Power<L::Vector> {
        let mut limbs = [self.0.splat(0); 3];
        for limb in 0..3 {
            limbs[limb] = self.0.interleave(self.0.load(&table[limb][at..]));
        }
        self.power(limbs)
    }

    /// Fills the first places of a table with `stride` times the next ones.
    #[inline(always)]
    pub(super) fn raise(self, table: &mut Table, stride: &Limbs) {
        let l = self.0;
        let mut lower = [l.splat(0); 3];
        for limb in 0..3 {
            lower[limb] = l.load(&table[limb][L::LANES..]);
        }
        let [a, b, c] = self.carry(self.mul_add(self.zero(), lower, self.splat(stride)));
        l.store(a, &mut table[0]);
        l.store(l.and(b, l.splat(MASK_44)), &mut table[1]);
        l.store(l.add(c, l.shift_right::<44>(b)), &mut table[2]);
    }

    #[inline(always)]
    pub(super) fn zero(self) -> Products<L::Vector> {
        let zeros = [self.0.splat(0); 3];
        Products { low: zeros, high: zeros }
    }

    /// sum + a · power, at most five times.
    #[inline(always)]
    pub(super) fn mul_add(
        self,
        sum: Products<L::Vector>,
        a: [L::Vector; 3],
        power: Power<L::Vector>,
    ) -> Products<L::Vector> {
        let l = self.0;
        let Power { limbs: b, wrapped: s } = power;
        let Products { mut low, mut high } = sum;
        let rows = [[b[0], s[1], s[0]], [b[1], b[0], s[1]], [b[2], b[1], b[0]]];
        for from in 0..3 {
            for limb in 0..3 {
                low[limb] = l.madd52_low(low[limb], a[from], rows[limb][from]);
                high[limb] = l.madd52_high(high[limb], a[from], rows[limb][from]);
            }
        }
        Products { low, high }
    }

    /// The bits above belong to the next limb, times 2^8; behind the last one, to 2^140 = 2^10 · 2^130.
    #[inline(always)]
    pub(super) fn carry(self, products: Products<L::Vector>) -> [L::Vector; 3] {
        let l = self.0;
        let Products { low, high } = products;
        let (mask_44, mask_42) = (l.splat(MASK_44), l.splat(MASK_42));
        let d_1 = l.add(l.add(low[1], l.shift_left::<8>(high[0])), l.shift_right::<44>(low[0]));
        let d_2 = l.add(l.add(low[2], l.shift_left::<8>(high[1])), l.shift_right::<44>(d_1));
        let around = l.add(l.shift_left::<10>(high[2]), l.shift_right::<42>(d_2));
        let h_0 = l.add(l.and(low[0], mask_44), l.add(around, l.shift_left::<2>(around)));
        let h_1 = l.add(l.and(d_1, mask_44), l.shift_right::<44>(h_0));
        [l.and(h_0, mask_44), h_1, l.and(d_2, mask_42)]
    }

    /// The sum of all lanes of what is carried.
    #[inline(always)]
    pub(super) fn sum(self, a: [L::Vector; 3]) -> Limbs {
        let mut sums = [0; 3];
        for limb in 0..3 {
            let mut words = [0; 8];
            self.0.store(a[limb], &mut words);
            sums[limb] = words.iter().sum();
        }
        carry(sums)
    }
}
