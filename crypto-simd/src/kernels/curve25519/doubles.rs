//! The field in five signed limbs of 51 bits that are doubles, with products split exactly by two fused
//! multiply-and-adds.
//!
//! A product's high part is what a multiply-and-add to [`HIGH`] gives, whose size makes it round to a multiple of 2^51;
//! its low part is what was rounded off, plus [`LOW`]. Both are then as good as integers: bits of doubles between two
//! powers of two count in steps of the last place. So columns are sums of bits, modulo 2^64, in which the bits of `HIGH`
//! and `LOW` add up to an offset that is known and goes when the column is carried. Adding integers takes one cycle and
//! any unit, adding doubles three or four and one of two.
//!
//! The test of intervals proves that nothing else rounds, that every sum of bits is of doubles within a power of two,
//! and that no column with its offset wraps.

use super::BYTES;
use super::ladder::{Arithmetic, Field, LANES_MAX};
use crate::lanes::{Array, Doubles, Emulated};

const MASK: u64 = (1 << 51) - 1;
const A24: f64 = 121_665.0;

/// Half of a limb's modulus, which a column's offset holds so that a carry rounds to the nearest.
const HALF: u64 = 1 << 50;

/// 1.5 times 2^103: neighbouring doubles are 2^51 apart, with room for 2^102 to be added or taken.
const HIGH: f64 = (3u128 << 102) as f64;
/// [`HIGH`] with [`HALF`] in units of the next column: room for 2^101.
const HIGH_AND_HALF: f64 = (7u128 << 101) as f64;
/// 1.5 times 2^52: neighbouring doubles are 1 apart, with room for 2^51.
const LOW: f64 = (3u64 << 51) as f64;
/// How far from zero, modulo 2^64, an offset must be, so that nothing wraps.
const AWAY_FROM_ZERO: u64 = 1 << 59;
/// The least double with 1 as unit.
const UNIT: f64 = (1u64 << 52) as f64;

/// The field over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct FieldDoubles<D>(pub(super) D);

/// Limbs of at most 2^50 and a little: they may be multiplied.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Reduced<V>(pub(super) [V; 5]);

/// Limbs of at most 2^51 and a little: one factor of a product may have them.
#[derive(Clone, Copy)]
pub(super) struct Difference<V>([V; 5]);

/// Limbs that are integers of at most 2^58, each plus an offset modulo 2^64, which has [`HALF`] in its lowest 51 bits.
#[derive(Clone, Copy)]
pub(super) struct Unreduced<V> {
    limbs: [V; 5],
    offsets: [u64; 5],
}

/// The same with an offset that has zero in its lowest 51 bits.
#[derive(Clone, Copy)]
pub(super) struct Addend<V>(Unreduced<V>);

/// The columns of a product: integers plus offsets.
struct Columns<D: Doubles> {
    d: D,
    sums: [Option<D::Vector>; 10],
    offsets: [u64; 10],
}

impl<D: Doubles> Columns<D> {
    #[inline(always)]
    fn new(d: D) -> Self {
        Self { d, sums: [None; 10], offsets: [0; 10] }
    }

    /// Adds to a column the bits of doubles that are near to `offset`.
    #[inline(always)]
    fn add(&mut self, column: usize, addend: D::Vector, offset: f64) {
        self.sums[column] = Some(match self.sums[column] {
            Some(sum) => self.d.add_bits(sum, addend),
            None => addend,
        });
        self.offsets[column] = self.offsets[column].wrapping_add(offset.to_bits());
    }

    /// Adds up to two products to a column; their high parts, which are one sum that starts at `high`, go to the next.
    #[inline(always)]
    fn add_products(&mut self, column: usize, high: f64, products: &[(D::Vector, D::Vector)]) {
        let d = self.d;
        let (a, b) = products[0];
        let (mut sum, mut low) = d.split_product(d.splat(high), d.splat(high + LOW), a, b);
        for (a, b) in &products[1..] {
            let (next, rest) = d.split_product(sum, sum, *a, *b);
            (sum, low) = (next, d.add(low, rest));
        }
        self.add(column, low, LOW);
        self.add(column + 1, sum, high);
    }

    /// Folds a column by 2^255 = 19 to the one that is five below.
    #[inline(always)]
    fn fold(&mut self, column: usize) {
        let d = self.d;
        let top = self.sums[column].expect("each column has a product");
        let low = self.sums[column - 5].expect("each column has a product");
        let rest = d.add_bits(d.add_bits(top, top), d.shift_left_bits::<4>(top));
        self.sums[column - 5] = Some(d.add_bits(d.add_bits(low, top), rest));
        self.offsets[column - 5] = self.offsets[column - 5].wrapping_add(self.offsets[column].wrapping_mul(19));
    }

    #[inline(always)]
    fn unreduced(self) -> Unreduced<D::Vector> {
        Unreduced {
            limbs: std::array::from_fn(
                #[inline(always)]
                |limb| self.sums[limb].expect("each column has a product"),
            ),
            offsets: std::array::from_fn(|limb| self.offsets[limb]),
        }
    }
}

impl<D: Doubles> FieldDoubles<D> {
    /// The product, in which up to `together` products of limbs are split together. A column with an odd number of
    /// products has a last one of its own; it starts at `high_last`. These go to one of the columns 1, 3, 0, 2, 4 each.
    #[inline(always)]
    fn product(self, a: &[D::Vector; 5], b: &[D::Vector; 5], together: usize, high_last: f64) -> Unreduced<D::Vector> {
        let mut columns = Columns::new(self.0);
        for column in 0..9 {
            let (first, end) = (usize::saturating_sub(column, 4), 5.min(column + 1));
            for i in (first..end).step_by(together) {
                let pair = |i: usize| (a[i], b[column - i]);
                if i + 1 < end && together == 2 {
                    columns.add_products(column, HIGH, &[pair(i), pair(i + 1)]);
                } else {
                    columns.add_products(column, if column % 2 == 0 { high_last } else { HIGH }, &[pair(i)]);
                }
            }
            if column >= 5 {
                columns.fold(column);
            }
        }
        columns.fold(9);
        columns.unreduced()
    }

    /// Takes from every limb the multiple of 2^51 that is nearest, which goes to the next limb, and the offset.
    #[inline(always)]
    fn carry(self, Unreduced { limbs, offsets }: Unreduced<D::Vector>) -> Reduced<D::Vector> {
        let d = self.0;
        let (mut digits, mut carries, mut offset_carries) = (limbs, limbs, offsets);
        for limb in 0..5 {
            let (mut value, mut offset) = (limbs[limb], offsets[limb]);
            debug_assert_eq!(offset & MASK, HALF, "a carry rounds to the nearest");
            if (offset as i64).unsigned_abs() < AWAY_FROM_ZERO {
                (value, offset) = (d.add_bits(value, d.splat_bits(1 << 63)), offset.wrapping_add(1 << 63));
            }
            carries[limb] = d.shift_right_bits::<51>(value);
            digits[limb] = d.or_bits(d.and_bits(value, d.splat_bits(MASK)), d.splat(UNIT));
            offset_carries[limb] = offset >> 51;
        }
        carries.rotate_right(1);
        offset_carries.rotate_right(1);
        carries[0] = d.multiply_words(carries[0], d.splat_bits(19));
        offset_carries[0] *= 19;
        Reduced(std::array::from_fn(
            #[inline(always)]
            |limb| {
                let start = UNIT + (HALF + offset_carries[limb]) as f64;
                d.sub(d.add_bits(digits[limb], carries[limb]), d.splat(start))
            },
        ))
    }

    /// Both limb by limb, integers and their offsets.
    #[inline(always)]
    fn combine(
        self,
        a: Unreduced<D::Vector>,
        b: Addend<D::Vector>,
        vectors: impl Fn(D::Vector, D::Vector) -> D::Vector,
        offsets: impl Fn(u64, u64) -> u64,
    ) -> Reduced<D::Vector> {
        let mut sum = a;
        for limb in 0..5 {
            sum.limbs[limb] = vectors(a.limbs[limb], b.0.limbs[limb]);
            sum.offsets[limb] = offsets(a.offsets[limb], b.0.offsets[limb]);
        }
        self.carry(sum)
    }
}

impl<D: Doubles> Arithmetic for FieldDoubles<D> {
    type Reduced = Reduced<D::Vector>;
    type Difference = Difference<D::Vector>;
    type Unreduced = Unreduced<D::Vector>;
    type Addend = Addend<D::Vector>;
    type Mask = D::Vector;
    type Words = D::Vector;

    #[inline(always)]
    fn reduce(self, a: Self::Unreduced) -> Self::Reduced {
        self.carry(a)
    }

    #[inline(always)]
    fn add(self, a: Self::Unreduced, b: Self::Addend) -> Self::Reduced {
        self.combine(
            a,
            b,
            #[inline(always)]
            |a, b| self.0.add_bits(a, b),
            u64::wrapping_add,
        )
    }

    #[inline(always)]
    fn sub(self, a: Self::Unreduced, b: Self::Addend) -> Self::Reduced {
        self.combine(
            a,
            b,
            #[inline(always)]
            |a, b| self.0.sub_bits(a, b),
            u64::wrapping_sub,
        )
    }

    #[inline(always)]
    fn difference(self, a: Self::Reduced, b: Self::Reduced) -> Self::Difference {
        Difference(std::array::from_fn(
            #[inline(always)]
            |limb| self.0.sub(a.0[limb], b.0[limb]),
        ))
    }

    #[inline(always)]
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced {
        self.product(&a.0, &b.0, 2, HIGH_AND_HALF)
    }

    #[inline(always)]
    fn mul_to_add(self, a: Self::Reduced, b: Self::Reduced) -> Self::Addend {
        Addend(self.product(&a.0, &b.0, 2, HIGH))
    }

    /// Two products with a limb of a difference are too large for one high part.
    #[inline(always)]
    fn mul_difference(self, a: Self::Difference, b: Self::Reduced) -> Self::Addend {
        Addend(self.product(&a.0, &b.0, 1, HIGH))
    }

    /// The squares of limbs go to one of the columns 1, 3, 0, 2, 4 each; products with twice a limb leave no room for
    /// another in their high parts.
    #[inline(always)]
    fn square(self, a: Self::Reduced) -> Self::Unreduced {
        let mut columns = Columns::new(self.0);
        let twice = a.0.map(
            #[inline(always)]
            |limb| self.0.add(limb, limb),
        );
        for column in 0..9usize {
            for i in column.saturating_sub(4)..column.div_ceil(2) {
                columns.add_products(column, HIGH, &[(twice[i], a.0[column - i])]);
            }
            if column % 2 == 0 {
                columns.add_products(column, HIGH_AND_HALF, &[(a.0[column / 2], a.0[column / 2])]);
            }
            if column >= 5 {
                columns.fold(column);
            }
        }
        columns.fold(9);
        columns.unreduced()
    }

    #[inline(always)]
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Difference) -> Self::Reduced {
        let d = self.0;
        let mut columns = Columns::new(d);
        for limb in 0..5 {
            (columns.sums[limb], columns.offsets[limb]) = (Some(sum.limbs[limb]), sum.offsets[limb]);
        }
        for limb in 0..5 {
            columns.add_products(limb, HIGH, &[(a.0[limb], d.splat(A24))]);
        }
        // The high part of the last limb is small: 19 times as much, still near to a double, goes to the first.
        let top = columns.sums[5].expect("it is the last high part");
        let scaled_high = 19.0 * HIGH / (1u64 << 51) as f64;
        columns.add(0, d.scale_add::<51>(top, 19.0, d.splat(LOW - scaled_high)), LOW);
        self.carry(columns.unreduced())
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced {
        let mut selected = b.0;
        for (selected, a) in selected.iter_mut().zip(a.0) {
            *selected = self.0.select(mask, a, *selected);
        }
        Reduced(selected)
    }

    /// Of a mask only the sign bit counts.
    #[inline(always)]
    fn top_bit(self, words: Self::Words) -> Self::Mask {
        words
    }

    #[inline(always)]
    fn next_bit(self, words: Self::Words) -> Self::Words {
        self.0.add_bits(words, words)
    }
}

impl<D: Doubles> FieldDoubles<D> {
    /// Doubles as integers that can be added.
    #[inline(always)]
    pub(super) fn widen(self, a: [D::Vector; 5]) -> Addend<D::Vector> {
        let limbs = a.map(
            #[inline(always)]
            |limb| self.0.add(limb, self.0.splat(LOW)),
        );
        Addend(Unreduced { limbs, offsets: [LOW.to_bits(); 5] })
    }

    /// The same such that they can be reduced.
    #[inline(always)]
    pub(super) fn widen_to_reduce(self, a: [D::Vector; 5]) -> Unreduced<D::Vector> {
        let Addend(mut wide) = self.widen(a);
        for limb in 0..5 {
            wide.limbs[limb] = self.0.add_bits(wide.limbs[limb], self.0.splat_bits(HALF));
            wide.offsets[limb] += HALF;
        }
        wide
    }
}

impl Field for FieldDoubles<Emulated<4>> {
    const LANES: usize = 4;

    #[inline(always)]
    fn parse(self, bytes: &[&[u8; BYTES]]) -> Self::Reduced {
        let mut limbs = [Array([0.0; 4]); 5];
        for (lane, bytes) in bytes.iter().enumerate() {
            for (limb, value) in limbs.iter_mut().zip(super::parse_limbs(bytes)) {
                limb.0[lane] = value as f64;
            }
        }
        self.carry(self.widen_to_reduce(limbs))
    }

    #[inline(always)]
    fn limbs(self, a: Self::Reduced) -> [[u64; 5]; LANES_MAX] {
        let mut limbs = [[0; 5]; LANES_MAX];
        for lane in 0..4 {
            for index in 0..5 {
                // A limb of p is twice as large as a negative limb can be.
                let bias = if index == 0 { MASK - 18 } else { MASK };
                limbs[lane][index] = bias.wrapping_add_signed(a.0[index].0[lane] as i64);
            }
        }
        limbs
    }

    #[inline(always)]
    fn small(self, value: u32) -> Self::Reduced {
        let zero = self.0.splat(0.0);
        Reduced([self.0.splat(f64::from(value)), zero, zero, zero, zero])
    }

    #[inline(always)]
    fn add_sub(self, a: Self::Reduced, b: Self::Reduced) -> [Self::Reduced; 2] {
        let (a, b) = (self.widen_to_reduce(a.0), self.widen(b.0));
        [self.add(a, b), self.sub(a, b)]
    }

    #[inline(always)]
    fn words(self, words: &[u64; LANES_MAX]) -> Self::Words {
        Array(std::array::from_fn(|lane| f64::from_bits(words[lane])))
    }
}
