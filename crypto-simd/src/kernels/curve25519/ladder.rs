//! The Montgomery ladder of RFC 7748 5, in its names, written once over a representation of the field.

use super::BYTES;
use zeroize::Zeroizing;

/// Lanes of the widest vector.
pub(super) const LANES_MAX: usize = 8;

/// Integers modulo 2^255 - 19, one per lane.
///
/// Products are [`Arithmetic::Unreduced`]; one to which, or from which, another is added or taken is reduced in the same
/// call. Only [`Arithmetic::Reduced`] ones can be multiplied, by one that may be an [`Arithmetic::Difference`] of such. A
/// missing reduction does not compile.
pub(super) trait Arithmetic: Copy {
    /// Elements that may be multiplied.
    type Reduced: Copy;
    /// Elements that may be one of the factors.
    type Difference: Copy;
    /// Elements that may be reduced.
    type Unreduced: Copy;
    /// Elements that may be added to one that is to be reduced.
    type Addend: Copy;
    /// The choice of one of two in each lane.
    type Mask: Copy;
    /// A word per lane.
    type Words: Copy;

    fn reduce(self, a: Self::Unreduced) -> Self::Reduced;
    fn add(self, a: Self::Unreduced, b: Self::Addend) -> Self::Reduced;
    fn sub(self, a: Self::Unreduced, b: Self::Addend) -> Self::Reduced;
    fn difference(self, a: Self::Reduced, b: Self::Reduced) -> Self::Difference;
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced;
    /// The same, to be added or taken.
    fn mul_to_add(self, a: Self::Reduced, b: Self::Reduced) -> Self::Addend;
    fn mul_difference(self, a: Self::Difference, b: Self::Reduced) -> Self::Addend;
    fn square(self, a: Self::Reduced) -> Self::Unreduced;
    /// sum + 121665 · a
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Difference) -> Self::Reduced;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced;
    /// The mask of the top bits.
    fn top_bit(self, words: Self::Words) -> Self::Mask;
    /// The words with the next bits at the top.
    fn next_bit(self, words: Self::Words) -> Self::Words;
}

/// The same with what goes in and comes out.
pub(super) trait Field: Arithmetic {
    /// Elements in a vector, at most [`LANES_MAX`].
    const LANES: usize;

    /// The elements of 32 little-endian bytes each, of which the last bit is ignored; zeros in the lanes left over.
    fn parse(self, bytes: &[&[u8; BYTES]]) -> Self::Reduced;
    /// Five limbs of 51 bits in each lane, each limb below 2^52.
    fn limbs(self, a: Self::Reduced) -> [[u64; 5]; LANES_MAX];
    /// The same small number in every lane.
    fn small(self, value: u32) -> Self::Reduced;
    /// a + b and a - b
    fn add_sub(self, a: Self::Reduced, b: Self::Reduced) -> [Self::Reduced; 2];
    fn words(self, words: &[u64; LANES_MAX]) -> Self::Words;
}

/// What a step of the ladder reads and changes.
#[repr(C)]
pub(super) struct Points<F: Arithmetic> {
    pub(super) x_1: F::Reduced,
    /// x_2 + z_2
    pub(super) a: F::Reduced,
    /// x_2 - z_2
    pub(super) b: F::Reduced,
    /// x_3 + z_3
    pub(super) c: F::Reduced,
    /// x_3 - z_3
    pub(super) d: F::Reduced,
    /// Whether the point that the last step did not double is doubled now: in the top bit, and for the steps that follow
    /// in those below. It is the step that shifts them, as a vector: whoever stores single words before every step makes it
    /// wait until they are in the cache.
    pub(super) swaps: F::Words,
}

/// One step. The sum of the two points does not depend on their order, so instead of exchanging them only the one to
/// be doubled is selected.
#[inline(always)]
pub(super) fn step<F: Arithmetic>(f: F, points: &mut Points<F>) {
    let Points { x_1, a, b, c, d, swaps } = *points;
    let swap = f.top_bit(swaps);
    // In an order in which neighbours do not wait for each other.
    let aa_unreduced = f.square(f.select(swap, c, a));
    let bb_unreduced = f.square(f.select(swap, d, b));
    let aa = f.reduce(aa_unreduced);
    let da = f.mul(d, a);
    let bb = f.reduce(bb_unreduced);
    let cb = f.mul_to_add(c, b);
    let e = f.difference(aa, bb);
    let x_2 = f.mul(aa, bb);
    let (sum, difference) = (f.add(da, cb), f.sub(da, cb));
    let aa_and_a24_e = f.mul_a24(aa_unreduced, e);
    let squared_difference = f.square(difference);
    let z_2 = f.mul_difference(e, aa_and_a24_e);
    let squared_difference = f.reduce(squared_difference);
    let x_3 = f.square(sum);
    let z_3 = f.mul_to_add(x_1, squared_difference);
    points.swaps = f.next_bit(swaps);
    (points.a, points.b) = (f.add(x_2, z_2), f.sub(x_2, z_2));
    (points.c, points.d) = (f.add(x_3, z_3), f.sub(x_3, z_3));
}

/// The products of up to `LANES` points as quotients x/z, with a fixed number of steps; (numerator, denominator).
#[inline(always)]
pub(super) fn ladder<F: Field>(
    f: F,
    mut step: impl FnMut(&mut Points<F>),
    scalars: &[&[u8; BYTES]],
    points: &[&[u8; BYTES]],
) -> (F::Reduced, F::Reduced) {
    let x_1 = f.parse(points);
    let one = f.small(1);
    let [c, d] = f.add_sub(x_1, one);
    // (1 : 0) and (x_1 : 1)
    let mut points = Points { x_1, a: one, b: one, c, d, swaps: f.words(&[0; LANES_MAX]) };
    let words = scalar_changes(scalars);
    for (index, words) in words.iter().rev().enumerate() {
        points.swaps = f.words(words);
        // The clamped scalar has bit 254 set and bit 255 clear: the ladder starts below that one.
        let first = usize::from(index == 0);
        if first == 1 {
            points.swaps = f.next_bit(points.swaps);
        }
        for _ in first..64 {
            step(&mut points);
        }
    }
    // The last bit of a clamped scalar is zero: the doubled point is the result.
    // The sum of x_2 + z_2 and x_2 - z_2 is twice x_2, their difference twice z_2: the quotient is the same.
    let [x, z] = f.add_sub(points.a, points.b);
    points = Points { x_1, a: one, b: one, c: one, d: one, swaps: f.words(&[0; LANES_MAX]) };
    zeroize::optimization_barrier(&points);
    (x, z)
}

/// Which bits of the clamped scalars differ from the one above, as four words of each, lane by lane.
#[inline(always)]
fn scalar_changes(scalars: &[&[u8; BYTES]]) -> Zeroizing<[[u64; LANES_MAX]; 4]> {
    let mut words = Zeroizing::new([[0; LANES_MAX]; 4]);
    for (lane, scalar) in scalars.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(scalar.as_chunks::<8>().0) {
            word[lane] = u64::from_le_bytes(*bytes);
        }
        words[0][lane] &= !7;
        words[3][lane] = words[3][lane] & (u64::MAX >> 1) | 1 << 62;
        for index in 0..4 {
            let above = words.get(index + 1).map_or(0, |word| word[lane] << 63);
            words[index][lane] ^= words[index][lane] >> 1 | above;
        }
    }
    words
}
