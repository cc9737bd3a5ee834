//! The ranges that the representations state, computed limb by limb from the greatest operands.
//!
//! Folded columns are sums of products of limbs that are not negative, so the greatest limbs give the greatest column.

use super::super::golden::{A24, Golden, Limbs};
use super::*;

/// Limbs of an element, at their greatest.
type Limbs2<const H: usize> = [[u128; H]; 2];

/// The columns of a product as the field folds them: (lower + upper) + (middle + upper)·φ, with the upper columns of
/// each raised into the other half.
fn folded<const H: usize>(a: &Limbs2<H>, b: &Limbs2<H>, raise: u128) -> Limbs2<H> {
    let mut columns = [[0; H]; 2];
    for i in 0..H {
        for j in 0..H {
            let both = a[0][i] * b[0][j] + a[1][i] * b[1][j];
            let middle = a[0][i] * b[1][j] + a[1][i] * b[0][j] + a[1][i] * b[1][j];
            let k = (i + j) % H;
            if i + j < H {
                columns[0][k] += both;
                columns[1][k] += middle;
            } else {
                columns[0][k] += raise * middle;
                columns[1][k] += raise * (both + middle);
            }
        }
    }
    columns
}

/// The tight limbs and the greatest loose ones: sums, and settled differences.
fn operands<M: Limbs<H>, const H: usize>(tight: Limbs2<H>, settle: impl Fn(&mut [u128; H])) -> [Limbs2<H>; 3] {
    let (mut sum, mut difference) = (tight, tight);
    for half in 0..2 {
        for limb in 0..H {
            let bias = u128::from(Golden::<M, H>::bias(half, limb));
            assert!(bias >= tight[half][limb], "a difference of limb {limb} is not negative");
            sum[half][limb] *= 2;
            difference[half][limb] += bias;
        }
        settle(&mut difference[half]);
    }
    [tight, sum, difference]
}

fn a24_columns<const H: usize>(tight: &Limbs2<H>, loose: &Limbs2<H>) -> Limbs2<H> {
    let mut columns = *tight;
    for (column, limb) in columns.as_flattened_mut().iter_mut().zip(loose.as_flattened()) {
        *column += limb * u128::from(A24);
    }
    columns
}

/// Carries chained in words of `word_bits` bits: nothing is lost, and the limbs are tight again.
fn chained_carry<const H: usize>(columns: &Limbs2<H>, tight: &Limbs2<H>, bits: u32, word_bits: u32) {
    let mask = (1u128 << bits) - 1;
    let mut carries = [0u128; 2];
    for (half, columns) in columns.iter().enumerate() {
        for column in columns {
            let sum = column.checked_add(carries[half]).expect("a column with its carry fits");
            assert!(sum >> (word_bits - 1) <= 1, "a column with its carry fits");
            carries[half] = sum >> bits;
        }
        assert!(carries[half] < 1 << 64, "a carry is a word");
    }
    for first in [mask + carries[1], mask + carries[0] + carries[1]] {
        assert!(mask + (first >> bits) <= tight[0][1]);
    }
    assert!(tight.as_flattened().iter().all(|limb| *limb >= mask));
}

fn chained_ranges<const H: usize>(tight: Limbs2<H>, operands: [Limbs2<H>; 3], bits: u32, word_bits: u32) {
    for a in &operands {
        for b in &operands {
            chained_carry(&folded(a, b, 1), &tight, bits, word_bits);
        }
        chained_carry(&a24_columns(&tight, a), &tight, bits, word_bits);
    }
}

/// Limbs of `bits` ones, with `excess` more in the second of each half.
fn tight_limbs<const H: usize>(bits: u32, excess: u128) -> Limbs2<H> {
    let mut half = [(1 << bits) - 1; H];
    half[1] += excess;
    [half; 2]
}

#[test]
fn radix_28() {
    type M = Radix28<Emulated<4>>;
    let tight = tight_limbs::<8>(28, 1 << 10);
    let operands = operands::<M, 8>(tight, |half| {
        for even in (0..8).step_by(2) {
            half[even + 1] += half[even] >> 28;
            half[even] = (1 << 28) - 1;
        }
    });
    // Karatsuba twice: four loose limbs are added before they are multiplied, in 32 bits.
    for element in &operands {
        for limb in 0..4 {
            let sum: u128 = element.iter().map(|half| half[limb] + half[limb + 4]).sum();
            assert!(sum < 1 << 32);
        }
        // And two loose ones are added and doubled.
        assert!((0..8).all(|limb| 2 * (element[0][limb] + element[1][limb]) < 1 << 32));
    }
    chained_ranges(tight, operands, 28, 64);
}

#[test]
fn radix_56() {
    let tight = tight_limbs::<4>(56, 1 << 10);
    let operands = operands::<Radix56, 4>(tight, |_| ());
    assert!(operands.as_flattened().as_flattened().iter().all(|limb| 4 * limb < 1 << 64));
    chained_ranges(tight, operands, 56, 128);
}

/// Here low and high parts of products are summed apart, so that differences of columns can be negative.
#[test]
fn radix_45() {
    type M = Radix45<Emulated<8>>;
    let mask = (1u128 << 45) - 1;
    let tight = [[mask + (1 << 19); 5]; 2];
    let operands = operands::<M, 5>(tight, |_| ());
    let loose = *operands.as_flattened().as_flattened().iter().max().unwrap();
    let sum = 2 * loose;
    assert!(2 * sum < 1 << 52, "doubled sums of halves are multiplied in 52 bits");
    // Five products at most, of which the high parts come from one column below.
    let column = 5 * ((1 << 52) - 1) + ((5 * ((sum * sum) >> 52)) << 7);
    let f = Radix45(Emulated::<8>);
    let start = f.start();
    for k in 0..5 {
        let starts = [u128::from(start[0][k][0]), 2 * u128::from(start[1][k][0])];
        // lower + upper + 2 (sums - lower), and sums - lower + 2 (sums + upper)
        assert!(starts[0] >= 2 * column && starts[1] >= column, "folded columns are not negative");
        for greatest in [4 * column + starts[0], 5 * column + starts[1], a24_columns(&tight, &[[loose; 5]; 2])[0][k]] {
            assert!(greatest < 1 << 63);
            // A half's carry out counts twice, and that of the upper half comes to both halves.
            assert!(mask + 4 * (greatest >> 45) <= tight[0][0]);
        }
    }
}
