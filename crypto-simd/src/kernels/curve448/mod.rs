//! X448 for one packet and for several at once (RFC 7748): the ladder, written once over a batch of field elements.
//!
//! [`golden`] is the field over any limbs that can be multiplied; each level of CPU brings the limbs that suit it. Lanes
//! never mix: a degenerate point in one lane gives zeros there and changes no other.

mod bytes;
mod golden;
#[cfg(any(test, target_arch = "x86_64"))]
mod radix28;
#[cfg(any(test, target_arch = "x86_64"))]
mod radix45;
mod radix56;

use crate::cpu::Proof;
#[cfg(test)]
use crate::lanes::Emulated;
use golden::Golden;
#[cfg(any(test, target_arch = "x86_64"))]
use radix28::Radix28;
#[cfg(any(test, target_arch = "x86_64"))]
use radix45::Radix45;
use radix56::Radix56;
use zeroize::Zeroizing;

/// Bytes of a scalar and of a coordinate.
pub(crate) const BYTES: usize = 56;

/// Lanes of the widest kernel.
pub(crate) const LANES_MAX: usize = 8;

/// Scalars, points, products.
type Multiply = fn(&[[u8; BYTES]], &[[u8; BYTES]], &mut [[u8; BYTES]]);

/// Scalar multiplications, `lanes` at a time.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// How many one call does.
    pub(crate) lanes: usize,
    /// Multiplies each point by its scalar. All three slices hold `lanes` values, and an unused one may be anything. A
    /// degenerate point gives zeros.
    pub(crate) multiply: Multiply,
}

/// The twin, lane by lane, of the kernel for AVX-512.
#[cfg(test)]
const EMULATED_45: Kernel = Kernel {
    lanes: 8,
    multiply: |scalars, points, products| ladder(Golden(Radix45(Emulated::<8>)), scalars, points, products),
};

/// The twin, lane by lane, of the kernel for AVX2.
#[cfg(test)]
const EMULATED_28: Kernel = Kernel {
    lanes: 4,
    multiply: |scalars, points, products| ladder(Golden(Radix28::new(Emulated::<4>)), scalars, points, products),
};

/// One multiplication after the other.
pub(crate) const SINGLE: Kernel =
    Kernel { lanes: 1, multiply: |scalars, points, products| ladder(Golden(Radix56), scalars, points, products) };

/// The kernel for a level, where it is faster than one multiplication after the other.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        Proof::Portable => None,
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(avx2(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(avx2(token.into())),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(avx512(token)),
    }
}

/// The kernel for AVX2; the token is the proof that it may be called.
#[cfg(target_arch = "x86_64")]
fn avx2(_: crate::cpu::Avx2) -> Kernel {
    #[target_feature(enable = "avx2,bmi2")]
    fn inner(scalars: &[[u8; BYTES]], points: &[[u8; BYTES]], products: &mut [[u8; BYTES]]) {
        // SAFETY: this function is reached through the kernel only, which the token's owner made.
        let token = unsafe { crate::cpu::Avx2::assume() };
        ladder(Golden(Radix28::new(token)), scalars, points, products);
    }
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    Kernel { lanes: 4, multiply: |scalars, points, products| unsafe { inner(scalars, points, products) } }
}

/// The kernel for AVX-512 with IFMA; the token is the proof that it may be called.
#[cfg(target_arch = "x86_64")]
fn avx512(_: crate::cpu::Avx512) -> Kernel {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
    fn inner(scalars: &[[u8; BYTES]], points: &[[u8; BYTES]], products: &mut [[u8; BYTES]]) {
        // SAFETY: this function is reached through the kernel only, which the token's owner made.
        let token = unsafe { crate::cpu::Avx512::assume() };
        ladder(Golden(Radix45(token)), scalars, points, products);
    }
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    Kernel { lanes: 8, multiply: |scalars, points, products| unsafe { inner(scalars, points, products) } }
}

/// Integers modulo p = 2^448 - 2^224 - 1, one per lane.
///
/// Products are [`Field::Tight`] and can be added and subtracted once, which gives [`Field::Loose`] ones; these can only
/// be multiplied. A missing reduction does not compile.
trait Field: Copy {
    /// Elements at once.
    const LANES: usize;
    /// Elements that may be added.
    type Tight: Copy;
    /// Elements that may be multiplied.
    type Loose: Copy;
    /// A word per lane.
    type Words: Copy;
    /// All ones or all zeros in each lane.
    type Mask: Copy;

    /// The elements of 56 little-endian bytes; values of p and more are accepted.
    fn parse(self, bytes: &[[u8; BYTES]]) -> Self::Tight;
    /// The least residues.
    fn serialise(self, a: &Self::Tight, bytes: &mut [[u8; BYTES]]);
    /// The same small number in every lane.
    fn small(self, value: u64) -> Self::Tight;
    /// The same element, to be multiplied.
    fn loosen(self, a: &Self::Tight) -> &Self::Loose;
    fn add(self, a: &Self::Tight, b: &Self::Tight) -> Self::Loose;
    fn sub(self, a: &Self::Tight, b: &Self::Tight) -> Self::Loose;
    fn mul(self, a: &Self::Loose, b: &Self::Loose) -> Self::Tight;
    fn square(self, a: &Self::Loose) -> Self::Tight;
    /// a^(2^count) · b
    fn power(self, a: &Self::Tight, count: u32, b: &Self::Tight) -> Self::Tight;
    /// sum + 39081 · a
    fn mul_a24(self, sum: &Self::Tight, a: &Self::Loose) -> Self::Tight;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: &Self::Loose, b: &Self::Loose) -> Self::Loose;
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
fn ladder<F: Field>(f: F, scalars: &[[u8; BYTES]], points: &[[u8; BYTES]], products: &mut [[u8; BYTES]]) {
    let x_1 = &f.parse(points);
    let (one, zero) = (&f.small(1), &f.small(0));
    // Of x_2 : z_2 and x_3 : z_3 only the sums and the differences live from step to step.
    let (mut a, mut b) = (f.add(one, zero), f.sub(one, zero));
    let (mut c, mut d) = (f.add(x_1, one), f.sub(x_1, one));
    let mut last = f.next_bit(&mut f.words(&[0; LANES_MAX]));
    for words in scalar_words(scalars).iter().rev() {
        let mut words = f.words(words);
        for _ in 0..64 {
            let bit = f.next_bit(&mut words);
            let (da, cb) = (&f.mul(&d, &a), &f.mul(&c, &b));
            let swap = f.differ(bit, last);
            let (aa, bb) = (&f.square(&f.select(swap, &c, &a)), &f.square(&f.select(swap, &d, &b)));
            let e = &f.sub(aa, bb);
            let x_3 = &f.square(&f.add(da, cb));
            let z_3 = &f.mul(f.loosen(x_1), f.loosen(&f.square(&f.sub(da, cb))));
            let x_2 = &f.mul(f.loosen(aa), f.loosen(bb));
            let z_2 = &f.mul(e, f.loosen(&f.mul_a24(aa, e)));
            (a, b) = (f.add(x_2, z_2), f.sub(x_2, z_2));
            (c, d) = (f.add(x_3, z_3), f.sub(x_3, z_3));
            last = bit;
        }
    }
    // The last bit of a clamped scalar is zero: the doubled point, here with both coordinates doubled, is the result.
    let one = f.loosen(one);
    let (a, b) = (&f.mul(&a, one), &f.mul(&b, one));
    let (x, z) = (f.add(a, b), f.mul(&f.sub(a, b), one));
    f.serialise(&f.mul(&x, f.loosen(&invert(f, &z))), products);
}

/// The clamped scalars as seven words of each, lane by lane.
#[inline(always)]
fn scalar_words(scalars: &[[u8; BYTES]]) -> Zeroizing<[[u64; LANES_MAX]; 7]> {
    let mut words = Zeroizing::new([[0; LANES_MAX]; 7]);
    for (lane, scalar) in scalars.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(scalar.as_chunks::<8>().0) {
            word[lane] = u64::from_le_bytes(*bytes);
        }
        words[0][lane] &= !3;
        words[6][lane] |= 1 << 63;
    }
    words
}

/// The inverse, or zero of zero: the power p - 2 = 2^448 - 2^224 - 3.
#[inline(always)]
fn invert<F: Field>(f: F, z: &F::Tight) -> F::Tight {
    // `ones_n` is the power 2^n - 1.
    let ones_2 = &f.power(z, 1, z);
    let ones_3 = &f.power(ones_2, 1, z);
    let ones_6 = &f.power(ones_3, 3, ones_3);
    let ones_12 = &f.power(ones_6, 6, ones_6);
    let ones_24 = &f.power(ones_12, 12, ones_12);
    let ones_27 = &f.power(ones_24, 3, ones_3);
    let ones_54 = &f.power(ones_27, 27, ones_27);
    let ones_108 = &f.power(ones_54, 54, ones_54);
    let ones_111 = &f.power(ones_108, 3, ones_3);
    let ones_222 = &f.power(ones_111, 111, ones_111);
    let ones_223 = &f.power(ones_222, 1, z);
    // Bits of the exponent: 223 ones, a zero, 222 ones, then 01.
    f.power(&f.power(ones_223, 223, ones_222), 2, z)
}

#[cfg(test)]
mod tests;
