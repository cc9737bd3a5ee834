//! The Montgomery ladder of RFC 7748 5, in its names, written once over a representation of the field.

use super::BYTES;
use zeroize::Zeroizing;

/// Lanes of the widest vector.
pub(super) const LANES_MAX: usize = 8;

/// Integers modulo 2^255 - 19, one per lane.
///
/// Products are [`Arithmetic::Unreduced`] and can be added and subtracted once, which gives [`Arithmetic::Reduced`]
/// ones; only these can be multiplied. A missing reduction does not compile.
pub(super) trait Arithmetic: Copy {
    /// Elements that may be multiplied.
    type Reduced: Copy;
    /// Elements that may be added.
    type Unreduced: Copy;
    /// The choice of one of two in each lane.
    type Mask: Copy;

    /// The number itself, not reduced.
    fn widen(self, a: Self::Reduced) -> Self::Unreduced;
    fn reduce(self, a: Self::Unreduced) -> Self::Reduced;
    fn add(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced;
    fn sub(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced;
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced;
    fn square(self, a: Self::Reduced) -> Self::Unreduced;
    #[inline(always)]
    fn square_reduced(self, a: Self::Reduced) -> Self::Reduced {
        self.reduce(self.square(a))
    }
    /// sum + 121665 · a
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Reduced) -> Self::Reduced;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced;
}

/// The same with what goes in and comes out.
pub(super) trait Field: Arithmetic {
    /// Elements in a vector, at most [`LANES_MAX`].
    const LANES: usize;
    /// A word per lane.
    type Words: Copy;

    /// The elements of 32 little-endian bytes each, of which the last bit is ignored; zeros in the lanes left over.
    fn parse(self, bytes: &[&[u8; BYTES]]) -> Self::Reduced;
    /// Five limbs of 51 bits in each lane, each limb below 2^52.
    fn limbs(self, a: Self::Reduced) -> [[u64; 5]; LANES_MAX];
    /// The same small number in every lane.
    fn small(self, value: u32) -> Self::Unreduced;
    fn words(self, words: &[u64; LANES_MAX]) -> Self::Words;
    /// The mask of the top bits, which are shifted out.
    fn next_bit(self, words: &mut Self::Words) -> Self::Mask;
    /// Which masks differ.
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
}

/// What a step of the ladder reads and changes.
#[repr(C)]
pub(super) struct Points<F: Arithmetic> {
    pub(super) x_1: F::Reduced,
    pub(super) x_2: F::Unreduced,
    pub(super) z_2: F::Unreduced,
    pub(super) x_3: F::Unreduced,
    pub(super) z_3: F::Unreduced,
    /// Whether the point that the last step did not double is doubled now.
    pub(super) swap: F::Mask,
}

/// One step. The sum of the two points does not depend on their order, so instead of exchanging them only the one to
/// be doubled is selected.
#[inline(always)]
pub(super) fn step<F: Arithmetic>(f: F, points: &mut Points<F>) {
    let (x_2, z_2, x_3, z_3) = (points.x_2, points.z_2, points.x_3, points.z_3);
    let (a, b) = (f.add(x_2, z_2), f.sub(x_2, z_2));
    let (c, d) = (f.add(x_3, z_3), f.sub(x_3, z_3));
    let (da, cb) = (f.mul(d, a), f.mul(c, b));
    let (aa, bb) = (f.square_reduced(f.select(points.swap, c, a)), f.square_reduced(f.select(points.swap, d, b)));
    // In an order in which neighbours do not wait for each other.
    let difference = f.square_reduced(f.sub(da, cb));
    points.x_2 = f.mul(aa, bb);
    points.z_3 = f.mul(points.x_1, difference);
    let e = f.sub(f.widen(aa), f.widen(bb));
    points.x_3 = f.square(f.add(da, cb));
    points.z_2 = f.mul(e, f.mul_a24(f.widen(aa), e));
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
    let (one, zero) = (f.small(1), f.small(0));
    let mut last = f.next_bit(&mut f.words(&[0; LANES_MAX]));
    let mut points = Points { x_1, x_2: one, z_2: zero, x_3: f.widen(x_1), z_3: one, swap: last };
    let words = scalar_words(scalars);
    for (index, words) in words.iter().rev().enumerate() {
        let mut words = f.words(words);
        // The clamped scalar has bit 254 set and bit 255 clear: the ladder starts below that one.
        let first = usize::from(index == 0);
        if first == 1 {
            f.next_bit(&mut words);
        }
        for _ in first..64 {
            let bit = f.next_bit(&mut words);
            points.swap = f.differ(bit, last);
            step(&mut points);
            last = bit;
        }
    }
    // The last bit of a clamped scalar is zero: the doubled point is the result.
    let quotient = (f.reduce(points.x_2), f.reduce(points.z_2));
    points = Points { x_1, x_2: one, z_2: zero, x_3: one, z_3: zero, swap: last };
    zeroize::optimization_barrier(&points);
    quotient
}

/// The clamped scalars as four words of each, lane by lane.
#[inline(always)]
fn scalar_words(scalars: &[&[u8; BYTES]]) -> Zeroizing<[[u64; LANES_MAX]; 4]> {
    let mut words = Zeroizing::new([[0; LANES_MAX]; 4]);
    for (lane, scalar) in scalars.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(scalar.as_chunks::<8>().0) {
            word[lane] = u64::from_le_bytes(*bytes);
        }
        words[0][lane] &= !7;
        words[3][lane] = words[3][lane] & (u64::MAX >> 1) | 1 << 62;
    }
    words
}
