//! The field in five signed limbs of 51 bits that are doubles, with products split exactly by two fused
//! multiply-and-adds.
//!
//! A column of a product is the sum of its products. Its high part is a chain of multiply-and-adds that starts at
//! [`HIGH`], whose size makes every link round to a multiple of 2^51; its low part is the sum of what was rounded off.
//! The test of intervals proves that nothing else rounds: every other sum and product is an integer of at most 53
//! bits, or of more with as many zeros at its end.

use super::BYTES;
use super::ladder::{Arithmetic, Field, LANES_MAX};
use crate::lanes::{Array, Doubles, Emulated};

const MASK: u64 = (1 << 51) - 1;
const A24: f64 = 121_665.0;

/// Where the high part of a column starts: between 2^103 and 2^104, where neighbouring doubles are 2^51 apart, with
/// room for four products of 2^100 and a little to be taken. Above 2^104 they are 2^52 apart, which only makes more to
/// be rounded off.
const HIGH: f64 = (49u128 << 98) as f64;
/// The same in units of the next limb.
const HIGH_SCALED: f64 = (49u64 << 47) as f64;

/// The field over the lanes of a backend.
#[derive(Clone, Copy)]
pub(super) struct FieldDoubles<D>(pub(super) D);

/// Limbs of at most 2^50 and a little: they may be multiplied.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Reduced<V>(pub(super) [V; 5]);

/// Limbs of at most 2^52 and a little: they may be added once.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Unreduced<V>(pub(super) [V; 5]);

/// The columns of a product.
struct Columns<V> {
    /// Column 4 has up to five products, more than one high part holds: its odd ones are in another.
    high: [V; 9],
    high_odd: V,
    low: [Option<V>; 9],
}

impl<D: Doubles> FieldDoubles<D> {
    #[inline(always)]
    fn columns(self) -> Columns<D::Vector> {
        let high = self.0.splat(HIGH);
        Columns { high: [high; 9], high_odd: high, low: [None; 9] }
    }

    /// Adds the product of the limbs i and column - i to a column.
    #[inline(always)]
    fn add_product(self, columns: &mut Columns<D::Vector>, column: usize, i: usize, a: D::Vector, b: D::Vector) {
        let high = if column == 4 && i % 2 == 1 { &mut columns.high_odd } else { &mut columns.high[column] };
        let (next, low) = self.0.split_product(*high, a, b);
        *high = next;
        columns.low[column] = Some(match columns.low[column] {
            Some(sum) => self.0.add(sum, low),
            None => low,
        });
    }

    /// What the high part of a column adds to the next column.
    #[inline(always)]
    fn carry_out(self, columns: &Columns<D::Vector>, column: usize) -> D::Vector {
        let d = self.0;
        let mut carry = d.splat(-HIGH_SCALED);
        if column == 4 {
            carry = d.scale_add::<51>(columns.high_odd, 1.0, d.splat(-2.0 * HIGH_SCALED));
        }
        d.scale_add::<51>(columns.high[column], 1.0, carry)
    }

    /// The product of limbs by limbs; `add_product` adds the product of limb i and another to a column, if there is one.
    ///
    /// The order is for the generated step, which needs few columns at a time and other products to do while a column
    /// is folded: column 4 is first, because its high part goes to column 5. If the product
    /// `is_added`, low parts of more than two products are split once more: they leave no room.
    #[inline(always)]
    fn product(self, add_product: impl Fn(&mut Columns<D::Vector>, usize, usize), is_added: bool) -> [D::Vector; 5] {
        let columns = &mut self.columns();
        let add_columns = |columns: &mut _, pair: [usize; 2]| {
            for i in 0..5 {
                add_product(columns, pair[0], i);
                add_product(columns, pair[1], i);
            }
        };
        add_columns(columns, [8, 4]);
        add_columns(columns, [5, 0]);
        self.fold(columns, 4, is_added);
        add_columns(columns, [6, 1]);
        self.fold(columns, 0, is_added);
        add_columns(columns, [7, 2]);
        self.fold(columns, 1, is_added);
        add_columns(columns, [3, 9]);
        self.fold(columns, 2, is_added);
        self.fold(columns, 3, is_added);
        std::array::from_fn(
            #[inline(always)]
            |column| match column {
                0 => self.low(columns, 0),
                _ => self.0.add(self.low(columns, column), self.carry_out(columns, column - 1)),
            },
        )
    }

    #[inline(always)]
    fn low(self, columns: &Columns<D::Vector>, column: usize) -> D::Vector {
        columns.low[column].expect("each column has a product")
    }

    /// Folds the column that is five above by 2^255 = 19: it is one more product, by 19.
    #[inline(always)]
    fn fold(self, columns: &mut Columns<D::Vector>, column: usize, is_added: bool) {
        let d = self.0;
        let carry = self.carry_out(columns, column + 4);
        let top = if column == 4 { carry } else { d.add(self.low(columns, column + 5), carry) };
        self.add_product(columns, column, 1, top, d.splat(19.0));
        if is_added && column >= 2 {
            let low = self.low(columns, column);
            let high = if column == 4 { &mut columns.high_odd } else { &mut columns.high[column] };
            let (next, rest) = d.split(*high, low);
            (*high, columns.low[column]) = (next, Some(rest));
        }
    }

    #[inline(always)]
    fn square_limbs(self, a: Reduced<D::Vector>, is_added: bool) -> [D::Vector; 5] {
        let twice = a.0.map(
            #[inline(always)]
            |limb| self.0.add(limb, limb),
        );
        self.product(
            #[inline(always)]
            |columns, column, i| match column.checked_sub(i) {
                Some(j) if i < j && j < 5 => self.add_product(columns, column, i, twice[i], a.0[j]),
                Some(j) if i == j => self.add_product(columns, column, i, a.0[i], a.0[i]),
                _ => {}
            },
            is_added,
        )
    }

    /// Rounds every limb to a multiple of 2^51, which goes to the next limb.
    #[inline(always)]
    fn carry(self, limbs: [D::Vector; 5]) -> Reduced<D::Vector> {
        let d = self.0;
        let (mut carried, mut carries) = (limbs, limbs);
        for limb in 0..5 {
            (carries[limb], carried[limb]) = d.round::<51>(limbs[limb]);
        }
        carried[0] = d.multiply_add(carries[4], d.splat(19.0), carried[0]);
        for limb in 1..5 {
            carried[limb] = d.add(carried[limb], carries[limb - 1]);
        }
        Reduced(carried)
    }
}

impl<D: Doubles> Arithmetic for FieldDoubles<D> {
    type Reduced = Reduced<D::Vector>;
    type Unreduced = Unreduced<D::Vector>;
    type Mask = D::Vector;

    #[inline(always)]
    fn widen(self, a: Self::Reduced) -> Self::Unreduced {
        Unreduced(a.0)
    }

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
        for (difference, b) in difference.iter_mut().zip(b.0) {
            *difference = self.0.sub(*difference, b);
        }
        self.carry(difference)
    }

    #[inline(always)]
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced {
        Unreduced(self.product(
            #[inline(always)]
            |columns, column, i| {
                if let Some(b) = column.checked_sub(i).and_then(|j| b.0.get(j)) {
                    self.add_product(columns, column, i, a.0[i], *b);
                }
            },
            true,
        ))
    }

    #[inline(always)]
    fn square(self, a: Self::Reduced) -> Self::Unreduced {
        Unreduced(self.square_limbs(a, true))
    }

    #[inline(always)]
    fn square_reduced(self, a: Self::Reduced) -> Self::Reduced {
        self.carry(self.square_limbs(a, false))
    }

    #[inline(always)]
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Reduced) -> Self::Reduced {
        let d = self.0;
        let (mut high, mut low) = (a.0, a.0);
        for limb in 0..5 {
            let (product, rounded_off) = d.split_product(d.splat(HIGH), a.0[limb], d.splat(A24));
            (high[limb], low[limb]) = d.split(product, d.add(sum.0[limb], rounded_off));
        }
        let mut limbs = low;
        for limb in 0..5 {
            let (next, factor) = if limb == 4 { (0, 19.0) } else { (limb + 1, 1.0) };
            limbs[next] = d.scale_add::<51>(d.sub(high[limb], d.splat(HIGH)), factor, limbs[next]);
        }
        Reduced(limbs)
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced {
        let mut selected = b.0;
        for (selected, a) in selected.iter_mut().zip(a.0) {
            *selected = self.0.select(mask, a, *selected);
        }
        Reduced(selected)
    }
}

impl Field for FieldDoubles<Emulated<4>> {
    const LANES: usize = 4;
    type Words = [u64; 4];

    #[inline(always)]
    fn parse(self, bytes: &[&[u8; BYTES]]) -> Self::Reduced {
        let mut limbs = [Array([0.0; 4]); 5];
        for (lane, bytes) in bytes.iter().enumerate() {
            for (limb, value) in limbs.iter_mut().zip(super::parse_limbs(bytes)) {
                limb.0[lane] = value as f64;
            }
        }
        self.carry(limbs)
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
    fn small(self, value: u32) -> Self::Unreduced {
        let zero = self.0.splat(0.0);
        Unreduced([self.0.splat(f64::from(value)), zero, zero, zero, zero])
    }

    #[inline(always)]
    fn words(self, words: &[u64; LANES_MAX]) -> Self::Words {
        std::array::from_fn(|lane| words[lane])
    }

    /// Of a mask only the sign bit counts.
    #[inline(always)]
    fn next_bit(self, words: &mut Self::Words) -> Self::Mask {
        let bits = words.map(f64::from_bits);
        *words = words.map(|word| word << 1);
        Array(bits)
    }

    #[inline(always)]
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        Array(std::array::from_fn(|lane| f64::from_bits(a.0[lane].to_bits() ^ b.0[lane].to_bits())))
    }
}
