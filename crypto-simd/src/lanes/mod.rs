//! Vectors of 64-bit words, one word per packet: what an algorithm over lanes needs from a CPU.
//!
//! The value of an implementing type is the proof that the CPU can do the operations; for the real ones it is a token
//! of [`crate::cpu`]. [`Emulated`] is a plain array with the same number of lanes: it runs everywhere, and what is right
//! for it is right for the others, which the tests compare with it operation by operation.
//!
//! Every method, and every function generic over [`Lanes`], is `#[inline(always)]`: target features stand on the
//! outermost function only, and reach the instructions by inlining.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod doubles;

pub(crate) use doubles::{Array, Doubles};
pub(crate) mod words;
mod words16;

pub use words16::Words16;

/// `LANES` words that go through the same operations. Additions and shifts wrap, as the instructions do.
pub trait Lanes: Copy {
    /// Words in a vector.
    const LANES: usize;

    /// The words.
    type Vector: Copy;

    /// The same word in every lane.
    fn splat(self, word: u64) -> Self::Vector;

    /// One word per lane.
    ///
    /// # Panics
    /// When there are fewer words than lanes.
    fn load(self, words: &[u64]) -> Self::Vector;

    /// Writes one word per lane.
    ///
    /// # Panics
    /// When there is room for fewer words than lanes.
    fn store(self, vector: Self::Vector, words: &mut [u64]);

    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a - b
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a & b
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a ^ b
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a << BITS
    fn shift_left<const BITS: u32>(self, a: Self::Vector) -> Self::Vector;

    /// a >> BITS
    fn shift_right<const BITS: u32>(self, a: Self::Vector) -> Self::Vector;

    /// a | b
    fn or(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// !a & b
    fn and_not(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a` where the mask, all ones or all zeros in each lane, is set, else `b`.
    fn select(self, mask: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a rotated left by BITS, which is neither 0 nor 64.
    fn rotate_left<const BITS: u32>(self, a: Self::Vector) -> Self::Vector;

    /// The product of the low 32 bits of a and b.
    fn mul_32(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a ^ b ^ c
    #[inline(always)]
    fn xor_3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.xor(self.xor(a, b), c)
    }

    /// a ^ (!b & c), the step chi of Keccak.
    #[inline(always)]
    fn xor_and_not(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.xor(a, self.and_not(b, c))
    }

    /// Exchanges rows and columns of the first `LANES` rows.
    ///
    /// # Panics
    /// When there are fewer rows than lanes.
    fn transpose(self, rows: &mut [Self::Vector]);

    /// Does the work in a function of its own: what is long and done in many places is in the program once, and stays
    /// in the CPU's caches of instructions.
    fn apart<T>(self, work: impl FnOnce() -> T) -> T;
}

/// Multiply-and-add of 52 bits (IFMA).
pub trait MultiplyAdd52: Lanes {
    /// The low 64 bits of a · b.
    fn mul_low(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// sum + the low 52 bits of the product of the low 52 bits of a and b.
    fn madd52_low(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// sum + bits 52 to 103 of the product of the low 52 bits of a and b.
    fn madd52_high(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

/// `N` lanes as a plain array.
#[derive(Clone, Copy, Debug)]
pub struct Emulated<const N: usize>;

const MASK_32: u64 = (1 << 32) - 1;
const MASK_52: u64 = (1 << 52) - 1;

#[inline(always)]
fn product_52(a: u64, b: u64) -> u128 {
    u128::from(a & MASK_52) * u128::from(b & MASK_52)
}

impl<const N: usize> Lanes for Emulated<N> {
    const LANES: usize = N;
    type Vector = [u64; N];

    #[inline(always)]
    fn splat(self, word: u64) -> [u64; N] {
        [word; N]
    }

    #[inline(always)]
    fn load(self, words: &[u64]) -> [u64; N] {
        std::array::from_fn(|lane| words[lane])
    }

    #[inline(always)]
    fn store(self, vector: [u64; N], words: &mut [u64]) {
        words[..N].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn add(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn sub(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane].wrapping_sub(b[lane]))
    }

    #[inline(always)]
    fn and(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn xor(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: [u64; N]) -> [u64; N] {
        a.map(|word| word << BITS)
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: [u64; N]) -> [u64; N] {
        a.map(|word| word >> BITS)
    }

    #[inline(always)]
    fn or(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn and_not(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| !a[lane] & b[lane])
    }

    #[inline(always)]
    fn select(self, mask: [u64; N], a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| b[lane] ^ mask[lane] & (a[lane] ^ b[lane]))
    }

    #[inline(always)]
    fn rotate_left<const BITS: u32>(self, a: [u64; N]) -> [u64; N] {
        a.map(|word| word.rotate_left(BITS))
    }

    #[inline(always)]
    fn mul_32(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| (a[lane] & MASK_32) * (b[lane] & MASK_32))
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [[u64; N]]) {
        let rows: &mut [[u64; N]; N] = rows.first_chunk_mut().expect("a row for each lane");
        *rows = std::array::from_fn(|row| std::array::from_fn(|lane| rows[lane][row]));
    }

    #[inline(never)]
    fn apart<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl<const N: usize> MultiplyAdd52 for Emulated<N> {
    #[inline(always)]
    fn mul_low(self, a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane].wrapping_mul(b[lane]))
    }

    #[inline(always)]
    fn madd52_low(self, sum: [u64; N], a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| sum[lane].wrapping_add(product_52(a[lane], b[lane]) as u64 & MASK_52))
    }

    #[inline(always)]
    fn madd52_high(self, sum: [u64; N], a: [u64; N], b: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| sum[lane].wrapping_add((product_52(a[lane], b[lane]) >> 52) as u64))
    }
}

#[cfg(test)]
mod tests;
