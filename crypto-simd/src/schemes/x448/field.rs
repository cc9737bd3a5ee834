//! Integers modulo p = 2^448 - 2^224 - 1 in eight limbs of 56 bits.
//!
//! Ranges: products, squares and parsed elements have limbs below 2^56 + 2^9 ("carried"). Sums and differences of
//! carried elements have limbs below 2^58 and may be multiplied, but not added or subtracted again.

use subtle::{Choice, ConditionallySelectable};

const LIMB_BITS: u32 = 56;
const MASK: u64 = (1 << LIMB_BITS) - 1;

/// A residue, not necessarily the least one.
#[derive(Clone, Copy)]
pub(super) struct Element([u64; 8]);

impl Element {
    pub(super) const ZERO: Self = Self([0; 8]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0]);

    /// Little-endian; values of p and more are accepted.
    pub(super) fn from_bytes(bytes: &[u8; 56]) -> Self {
        let (chunks, _) = bytes.as_chunks::<7>();
        Self(std::array::from_fn(|limb| {
            let mut word = [0; 8];
            word[..7].copy_from_slice(&chunks[limb]);
            u64::from_le_bytes(word)
        }))
    }

    /// The least residue of a carried element, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 56] {
        let mut limbs = self.carry().carry().0;
        // Now the value is below 2p: subtract p, and keep the difference unless it is negative.
        let mut borrow = 0i128;
        let mut reduced = [0; 8];
        for limb in 0..8 {
            let difference = i128::from(limbs[limb]) - i128::from(Self::modulus(limb)) + borrow;
            reduced[limb] = difference as u64 & MASK;
            borrow = difference >> LIMB_BITS;
        }
        let negative = Choice::from((borrow & 1) as u8);
        let mut bytes = [0; 56];
        for (limb, chunk) in bytes.as_chunks_mut::<7>().0.iter_mut().enumerate() {
            limbs[limb] = u64::conditional_select(&reduced[limb], &limbs[limb], negative);
            chunk.copy_from_slice(&limbs[limb].to_le_bytes()[..7]);
        }
        bytes
    }

    /// A limb of p.
    const fn modulus(limb: usize) -> u64 {
        if limb == 4 { MASK - 1 } else { MASK }
    }

    /// Moves what stands above 56 bits to the next limb, and from the last one to the first and the fifth.
    fn carry(self) -> Self {
        let mut limbs = self.0;
        let mut carry = 0;
        for limb in &mut limbs {
            *limb += carry;
            carry = *limb >> LIMB_BITS;
            *limb &= MASK;
        }
        limbs[0] += carry;
        limbs[4] += carry;
        Self(limbs)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|limb| self.0[limb] + other.0[limb]))
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        // Twice p has limbs above those of any carried element.
        Self(std::array::from_fn(|limb| self.0[limb] + 2 * Self::modulus(limb) - other.0[limb]))
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut columns = [0u128; 16];
        for i in 0..8 {
            for j in 0..8 {
                columns[i + j] += u128::from(a[i]) * u128::from(b[j]);
            }
        }
        Self::reduce(columns)
    }

    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let mut columns = [0u128; 16];
        for i in 0..8 {
            columns[2 * i] += u128::from(a[i]) * u128::from(a[i]);
            for j in i + 1..8 {
                columns[i + j] += u128::from(2 * a[i]) * u128::from(a[j]);
            }
        }
        Self::reduce(columns)
    }

    pub(super) fn mul_small(&self, factor: u64) -> Self {
        let mut columns = [0; 16];
        for (column, limb) in columns.iter_mut().zip(self.0) {
            *column = u128::from(limb) * u128::from(factor);
        }
        Self::reduce(columns)
    }

    /// Folds columns of weight 2^448 and more by 2^448 = 2^224 + 1, then carries. Columns below 2^120 stay below 2^123.
    fn reduce(mut columns: [u128; 16]) -> Self {
        for high in (8..16).rev() {
            columns[high - 8] += columns[high];
            columns[high - 4] += columns[high];
        }
        let mut limbs = [0; 8];
        let mut carry = 0u128;
        for (limb, column) in limbs.iter_mut().zip(columns) {
            let sum = column + carry;
            *limb = sum as u64 & MASK;
            carry = sum >> LIMB_BITS;
        }
        // The carry has up to 68 bits: it is folded and carried once more.
        let mut again = 0u128;
        for (index, limb) in limbs.iter_mut().enumerate() {
            let folded = if index == 0 || index == 4 { carry } else { 0 };
            let sum = u128::from(*limb) + folded + again;
            *limb = sum as u64 & MASK;
            again = sum >> LIMB_BITS;
        }
        limbs[0] += again as u64;
        limbs[4] += again as u64;
        Self(limbs)
    }

    fn square_times(mut self, count: u32) -> Self {
        for _ in 0..count {
            self = self.square();
        }
        self
    }

    /// The inverse, or zero of zero: the power p - 2 = 2^448 - 2^224 - 3.
    pub(super) fn invert(&self) -> Self {
        // `ones_n` is the power 2^n - 1.
        let ones_2 = self.square().mul(self);
        let ones_3 = ones_2.square().mul(self);
        let ones_6 = ones_3.square_times(3).mul(&ones_3);
        let ones_12 = ones_6.square_times(6).mul(&ones_6);
        let ones_24 = ones_12.square_times(12).mul(&ones_12);
        let ones_27 = ones_24.square_times(3).mul(&ones_3);
        let ones_54 = ones_27.square_times(27).mul(&ones_27);
        let ones_108 = ones_54.square_times(54).mul(&ones_54);
        let ones_111 = ones_108.square_times(3).mul(&ones_3);
        let ones_222 = ones_111.square_times(111).mul(&ones_111);
        let ones_223 = ones_222.square().mul(self);
        // Bits of the exponent: 223 ones, a zero, 222 ones, then 01.
        ones_223.square_times(223).mul(&ones_222).square_times(2).mul(self)
    }

    /// Exchanges `a` and `b` when `choice` is set.
    pub(super) fn swap(choice: Choice, a: &mut Self, b: &mut Self) {
        for (a, b) in a.0.iter_mut().zip(&mut b.0) {
            u64::conditional_swap(a, b, choice);
        }
    }
}
