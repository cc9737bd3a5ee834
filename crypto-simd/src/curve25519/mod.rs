//! X25519 for several packets at once (RFC 7748): the ladder, written once over a batch of field elements.
//!
//! Each level of CPU brings the representation of the field that suits it; `radix51` is the one over
//! [`crate::lanes::Lanes`]. Lanes never mix: a degenerate point in one lane gives zeros there and changes no other.

mod radix51;

use crate::cpu::Proof;
use crate::lanes::Emulated;
use radix51::Radix51;

/// Bytes of a scalar and of a coordinate.
pub(crate) const BYTES: usize = 32;

/// Scalar multiplications that one call of a kernel does.
pub(crate) const BATCH: usize = 8;

/// Multiplies each point by its scalar; an unused place may hold anything. A degenerate point gives zeros.
pub(crate) type Kernel = fn(&[[u8; BYTES]; BATCH], &[[u8; BYTES]; BATCH], &mut [[u8; BYTES]; BATCH]);

/// The kernel that runs everywhere, lane by lane: the twin with which the others are compared.
#[cfg_attr(not(test), expect(dead_code, reason = "one multiplication after the other is faster in aws-lc"))]
pub(crate) fn emulated(
    scalars: &[[u8; BYTES]; BATCH],
    points: &[[u8; BYTES]; BATCH],
    products: &mut [[u8; BYTES]; BATCH],
) {
    ladder(Radix51(Emulated::<BATCH>), scalars, points, products);
}

/// The kernel for a level, where it is faster than one multiplication after the other.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(avx512(token)),
        _ => None,
    }
}

/// The kernel for AVX-512 with IFMA; the token is the proof that it may be called.
#[cfg(target_arch = "x86_64")]
fn avx512(_: crate::cpu::Avx512) -> Kernel {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn inner(scalars: &[[u8; BYTES]; BATCH], points: &[[u8; BYTES]; BATCH], products: &mut [[u8; BYTES]; BATCH]) {
        // SAFETY: this function is reached through the kernel only, which the token's owner made.
        let token = unsafe { crate::cpu::Avx512::assume() };
        ladder(Radix51(token), scalars, points, products);
    }
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    |scalars, points, products| unsafe { inner(scalars, points, products) }
}

/// Integers modulo 2^255 - 19, one per lane.
///
/// Products are [`Field::Unreduced`] and can be added and subtracted once, which gives [`Field::Reduced`] ones; only
/// these can be multiplied. A missing reduction does not compile.
trait Field: Copy {
    /// Elements that may be multiplied.
    type Reduced: Copy;
    /// Elements that may be added.
    type Unreduced: Copy;
    /// A word per lane.
    type Words: Copy;
    /// All ones or all zeros in each lane.
    type Mask: Copy;

    /// The elements of 32 little-endian bytes, of which the last bit is ignored.
    fn parse(self, bytes: &[[u8; BYTES]]) -> Self::Reduced;
    /// The least residues.
    fn serialise(self, a: Self::Reduced, bytes: &mut [[u8; BYTES]]);
    /// The same small number in every lane.
    fn small(self, value: u64) -> Self::Unreduced;
    /// The number itself, not reduced.
    fn widen(self, a: Self::Reduced) -> Self::Unreduced;
    fn reduce(self, a: Self::Unreduced) -> Self::Reduced;
    fn add(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced;
    fn sub(self, a: Self::Unreduced, b: Self::Unreduced) -> Self::Reduced;
    fn mul(self, a: Self::Reduced, b: Self::Reduced) -> Self::Unreduced;
    fn square(self, a: Self::Reduced) -> Self::Unreduced;
    /// sum + 121665 · a
    fn mul_a24(self, sum: Self::Unreduced, a: Self::Reduced) -> Self::Reduced;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Reduced, b: Self::Reduced) -> Self::Reduced;
    fn words(self, words: &[u64]) -> Self::Words;
    /// The mask of the top bits, which are shifted out.
    fn next_bit(self, words: &mut Self::Words) -> Self::Mask;
    /// Which masks differ.
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
}

/// The Montgomery ladder of RFC 7748 5, in its names, with a fixed number of steps.
///
/// The sum of the two points does not depend on their order, so instead of exchanging them only the one to be doubled
/// is selected.
#[inline(always)]
fn ladder<F: Field>(
    f: F,
    scalars: &[[u8; BYTES]; BATCH],
    points: &[[u8; BYTES]; BATCH],
    products: &mut [[u8; BYTES]; BATCH],
) {
    let x_1 = f.parse(points);
    let (mut x_2, mut z_2) = (f.small(1), f.small(0));
    let (mut x_3, mut z_3) = (f.widen(x_1), f.small(1));
    let words = scalar_words(scalars);
    let mut last = f.next_bit(&mut f.words(&[0; BATCH]));
    for (index, words) in words.iter().rev().enumerate() {
        let mut words = f.words(words);
        // The clamped scalar has bit 254 set and bit 255 clear: the ladder starts below that one.
        let first = usize::from(index == 0);
        if first == 1 {
            f.next_bit(&mut words);
        }
        for _ in first..64 {
            let bit = f.next_bit(&mut words);
            let (a, b) = (f.add(x_2, z_2), f.sub(x_2, z_2));
            let (c, d) = (f.add(x_3, z_3), f.sub(x_3, z_3));
            let (da, cb) = (f.mul(d, a), f.mul(c, b));
            let swap = f.differ(bit, last);
            let (aa, bb) = (f.square(f.select(swap, c, a)), f.square(f.select(swap, d, b)));
            let e = f.sub(aa, bb);
            x_3 = f.square(f.add(da, cb));
            z_3 = f.mul(x_1, f.reduce(f.square(f.sub(da, cb))));
            x_2 = f.mul(f.reduce(aa), f.reduce(bb));
            z_2 = f.mul(e, f.mul_a24(aa, e));
            last = bit;
        }
    }
    // The last bit of a clamped scalar is zero: the doubled point is the result.
    let product = f.mul(f.reduce(x_2), invert(f, f.reduce(z_2)));
    f.serialise(f.reduce(product), products);
}

/// The clamped scalars as four words of each, lane by lane.
#[inline(always)]
fn scalar_words(scalars: &[[u8; BYTES]; BATCH]) -> zeroize::Zeroizing<[[u64; BATCH]; 4]> {
    let mut words = zeroize::Zeroizing::new([[0; BATCH]; 4]);
    for (lane, scalar) in scalars.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(scalar.as_chunks::<8>().0) {
            word[lane] = u64::from_le_bytes(*bytes);
        }
        words[0][lane] &= !7;
        words[3][lane] = words[3][lane] & (u64::MAX >> 1) | 1 << 62;
    }
    words
}

/// The inverse, or zero of zero: the power 2^255 - 21.
#[inline(always)]
fn invert<F: Field>(f: F, z: F::Reduced) -> F::Reduced {
    // `ones_n` is the power 2^n - 1.
    let z_2 = square_times(f, z, 1);
    let z_9 = mul(f, square_times(f, z_2, 2), z);
    let z_11 = mul(f, z_9, z_2);
    let ones_5 = mul(f, square_times(f, z_11, 1), z_9);
    let ones_10 = mul(f, square_times(f, ones_5, 5), ones_5);
    let ones_20 = mul(f, square_times(f, ones_10, 10), ones_10);
    let ones_40 = mul(f, square_times(f, ones_20, 20), ones_20);
    let ones_50 = mul(f, square_times(f, ones_40, 10), ones_10);
    let ones_100 = mul(f, square_times(f, ones_50, 50), ones_50);
    let ones_200 = mul(f, square_times(f, ones_100, 100), ones_100);
    let ones_250 = mul(f, square_times(f, ones_200, 50), ones_50);
    mul(f, square_times(f, ones_250, 5), z_11)
}

#[inline(always)]
fn mul<F: Field>(f: F, a: F::Reduced, b: F::Reduced) -> F::Reduced {
    f.reduce(f.mul(a, b))
}

#[inline(always)]
fn square_times<F: Field>(f: F, mut a: F::Reduced, count: u32) -> F::Reduced {
    for _ in 0..count {
        a = f.reduce(f.square(a));
    }
    a
}

#[cfg(test)]
mod tests;
