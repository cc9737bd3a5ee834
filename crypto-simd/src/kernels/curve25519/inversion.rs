//! One inversion for a whole batch: x/z of every lane of every group (Montgomery's trick), one element after the other
//! in five limbs of 51 bits.
//!
//! An inversion in vectors is a chain of 254 squares that depend on each other, so it takes as long for eight elements
//! as the scalar one for all. A denominator that is zero would make the product of all denominators zero; it is
//! replaced by one, in constant time, and the quotient is zero.

use super::{BATCH_MAX, BYTES};
use zeroize::Zeroize;

const LIMB_BITS: u32 = 51;
const MASK: u64 = (1 << LIMB_BITS) - 1;

/// An element; limbs below 2^51.7 where it is multiplied.
pub(super) type Element = [u64; 5];

/// Little-endian bytes of numerators / denominators, one per place in `bytes`; zero where the denominator is zero. The
/// numerators and denominators are zero afterwards.
#[inline(always)]
pub(super) fn quotients(numerators: &mut [Element], denominators: &mut [Element], bytes: &mut [[u8; BYTES]]) {
    // `before[i]` is the product of the denominators before i.
    let mut before = [[0; 5]; BATCH_MAX];
    let mut product: Element = [1, 0, 0, 0, 0];
    for index in 0..bytes.len() {
        replace_zero(&mut numerators[index], &mut denominators[index]);
        before[index] = product;
        product = mul(&product, &denominators[index]);
    }
    let mut inverse = invert(&product);
    for index in (0..bytes.len()).rev() {
        let quotient = mul(&mul(&inverse, &before[index]), &numerators[index]);
        inverse = mul(&inverse, &denominators[index]);
        bytes[index] = least_residue(&quotient);
        for element in [&mut numerators[index], &mut denominators[index], &mut before[index]] {
            element.zeroize();
        }
    }
}

/// 0/1 in place of x/0.
fn replace_zero(numerator: &mut Element, denominator: &mut Element) {
    let bits =
        least_residue(denominator).as_chunks::<8>().0.iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word));
    // The top bit of `bits | -bits` is set exactly when a bit is.
    let is_zero = std::hint::black_box(((bits | bits.wrapping_neg()) >> 63) ^ 1);
    denominator[0] += is_zero;
    for limb in numerator {
        *limb &= is_zero.wrapping_sub(1);
    }
}

/// The power 2^255 - 21.
#[inline(always)]
fn invert(z: &Element) -> Element {
    // `ones_n` is the power 2^n - 1.
    let z_2 = square_times(z, 1);
    let z_9 = mul(&square_times(&z_2, 2), z);
    let z_11 = mul(&z_9, &z_2);
    let ones_5 = mul(&square_times(&z_11, 1), &z_9);
    let ones_10 = mul(&square_times(&ones_5, 5), &ones_5);
    let ones_20 = mul(&square_times(&ones_10, 10), &ones_10);
    let ones_40 = mul(&square_times(&ones_20, 20), &ones_20);
    let ones_50 = mul(&square_times(&ones_40, 10), &ones_10);
    let ones_100 = mul(&square_times(&ones_50, 50), &ones_50);
    let ones_200 = mul(&square_times(&ones_100, 100), &ones_100);
    let ones_250 = mul(&square_times(&ones_200, 50), &ones_50);
    mul(&square_times(&ones_250, 5), &z_11)
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

#[inline(always)]
fn mul(a: &Element, b: &Element) -> Element {
    let b_19 = b.map(|limb| 19 * limb);
    let mut columns = [0; 5];
    for (column, sum) in columns.iter_mut().enumerate() {
        for i in 0..5 {
            *sum += if i <= column { wide(a[i], b[column - i]) } else { wide(a[i], b_19[5 + column - i]) };
        }
    }
    carry(columns)
}

#[inline(always)]
fn square(a: &Element) -> Element {
    let [a_0, a_1, a_2, a_3, a_4] = *a;
    let (twice_0, twice_1) = (2 * a_0, 2 * a_1);
    let (a_3_19, a_4_19) = (19 * a_3, 19 * a_4);
    carry([
        wide(a_0, a_0) + wide(2 * a_4_19, a_1) + wide(2 * a_3_19, a_2),
        wide(twice_0, a_1) + wide(2 * a_4_19, a_2) + wide(a_3_19, a_3),
        wide(twice_0, a_2) + wide(a_1, a_1) + wide(2 * a_4_19, a_3),
        wide(twice_0, a_3) + wide(twice_1, a_2) + wide(a_4_19, a_4),
        wide(twice_0, a_4) + wide(twice_1, a_3) + wide(a_2, a_2),
    ])
}

#[inline(always)]
fn square_times(a: &Element, count: u32) -> Element {
    let mut power = *a;
    for _ in 0..count {
        power = square(&power);
    }
    power
}

/// Two rounds of carries, each for all limbs at once. Columns are below 2^110, so that 19 times the first carry fits
/// into a word; limbs come out below 2^51 + 2^17.
#[inline(always)]
fn carry(columns: [u128; 5]) -> Element {
    let once =
        carry_once(columns.map(|column| column as u64 & MASK), columns.map(|column| (column >> LIMB_BITS) as u64));
    carry_once(once.map(|limb| limb & MASK), once.map(|limb| limb >> LIMB_BITS))
}

#[inline(always)]
fn carry_once(limbs: Element, carries: Element) -> Element {
    let [c_0, c_1, c_2, c_3, c_4] = carries;
    [limbs[0] + 19 * c_4, limbs[1] + c_0, limbs[2] + c_1, limbs[3] + c_2, limbs[4] + c_3]
}

/// The least residue, little-endian.
fn least_residue(element: &Element) -> [u8; BYTES] {
    let mut limbs = *element;
    // Twice, so that every limb is below 2^51 and the value below 2^255.
    for _ in 0..2 {
        let mut carry = 0;
        for limb in &mut limbs {
            *limb += carry;
            carry = *limb >> LIMB_BITS;
            *limb &= MASK;
        }
        limbs[0] += 19 * carry;
    }
    // The value is at least p exactly when adding 19 carries out of 255 bits; then 19 is what subtracting p adds.
    let mut carry = 19;
    for limb in limbs {
        carry = (limb + carry) >> LIMB_BITS;
    }
    limbs[0] += 19 * carry;
    let mut carry = 0;
    for limb in &mut limbs {
        *limb += carry;
        carry = *limb >> LIMB_BITS;
        *limb &= MASK;
    }
    let words = [
        limbs[0] | limbs[1] << 51,
        limbs[1] >> 13 | limbs[2] << 38,
        limbs[2] >> 26 | limbs[3] << 25,
        limbs[3] >> 39 | limbs[4] << 12,
    ];
    let mut bytes = [0; BYTES];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}
