//! Vectors of 32-bit or 64-bit words, one word per message: what hashing several messages at once needs from a CPU.
//!
//! As for the vectors of packets above, the value of an implementing type is the proof that the CPU can do the operations, every
//! method is `#[inline(always)]`, and the types over [`Emulated`] are the twins with which the others are compared.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::Emulated;

/// 32-bit words over a token: 16 of them for AVX-512, 8 for AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words32<T>(pub T);

/// 64-bit words over a token: 8 of them for AVX-512, 4 for AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words64<T>(pub T);

/// Words that go through the same operations. Additions wrap.
pub(crate) trait Words: Copy {
    /// `u32` or `u64`.
    type Word: Copy;
    /// The words.
    type Vector: Copy;

    /// The same word in every lane.
    fn splat(self, word: Self::Word) -> Self::Vector;
    /// One word per lane; panics when there are fewer.
    fn load(self, words: &[Self::Word]) -> Self::Vector;
    /// Writes one word per lane; panics when there is room for fewer.
    fn store(self, vector: Self::Vector, words: &mut [Self::Word]);
    /// The 16 words that stand in each lane's input from `offset`, most significant byte first or last; panics when an
    /// input is too short.
    fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [Self::Vector; 16];
    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a + b, which the compiler does not regroup with other sums: for what stands on the longest chain.
    #[inline(always)]
    fn add_in_order(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.add(a, b)
    }
    /// a ^ b
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a ^ b ^ c
    fn xor3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The bits of `a` where `mask` has ones, those of `b` elsewhere.
    fn choose(self, mask: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The bits that at least two of the three have.
    fn majority(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a >> BITS
    fn shift_right<const BITS: u32>(self, a: Self::Vector) -> Self::Vector;
    /// a rotated right by BITS, which is neither 0 nor the width.
    fn rotate_right<const BITS: u32>(self, a: Self::Vector) -> Self::Vector;
}

/// The vectors of rows of words.
#[inline(always)]
pub(crate) fn load<W: Words, const LANES: usize, const ROWS: usize>(
    w: W,
    rows: &[[W::Word; LANES]; ROWS],
) -> [W::Vector; ROWS] {
    let mut vectors = [w.load(&rows[0]); ROWS];
    for row in 1..ROWS {
        vectors[row] = w.load(&rows[row]);
    }
    vectors
}

macro_rules! emulated {
    ($name:ident, $word:ty) => {
        impl<const N: usize> Words for $name<Emulated<N>> {
            type Word = $word;
            type Vector = [$word; N];

            fn splat(self, word: $word) -> [$word; N] {
                [word; N]
            }

            fn load(self, words: &[$word]) -> [$word; N] {
                std::array::from_fn(|lane| words[lane])
            }

            fn store(self, vector: [$word; N], words: &mut [$word]) {
                words[..N].copy_from_slice(&vector);
            }

            fn load_block<const BIG_ENDIAN: bool>(self, inputs: &[&[u8]], offset: usize) -> [[$word; N]; 16] {
                const BYTES: usize = size_of::<$word>();
                std::array::from_fn(|index| {
                    std::array::from_fn(|lane| {
                        let word = inputs[lane][offset + index * BYTES..].first_chunk().expect("a whole block");
                        if BIG_ENDIAN { <$word>::from_be_bytes(*word) } else { <$word>::from_le_bytes(*word) }
                    })
                })
            }

            fn add(self, a: [$word; N], b: [$word; N]) -> [$word; N] {
                std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
            }

            fn xor(self, a: [$word; N], b: [$word; N]) -> [$word; N] {
                std::array::from_fn(|lane| a[lane] ^ b[lane])
            }

            fn xor3(self, a: [$word; N], b: [$word; N], c: [$word; N]) -> [$word; N] {
                std::array::from_fn(|lane| a[lane] ^ b[lane] ^ c[lane])
            }

            fn choose(self, mask: [$word; N], a: [$word; N], b: [$word; N]) -> [$word; N] {
                std::array::from_fn(|lane| mask[lane] & a[lane] | !mask[lane] & b[lane])
            }

            fn majority(self, a: [$word; N], b: [$word; N], c: [$word; N]) -> [$word; N] {
                std::array::from_fn(|lane| a[lane] & b[lane] | a[lane] & c[lane] | b[lane] & c[lane])
            }

            fn shift_right<const BITS: u32>(self, a: [$word; N]) -> [$word; N] {
                a.map(|word| word >> BITS)
            }

            fn rotate_right<const BITS: u32>(self, a: [$word; N]) -> [$word; N] {
                a.map(|word| word.rotate_right(BITS))
            }
        }
    };
}

emulated!(Words32, u32);
emulated!(Words64, u64);

#[cfg(test)]
mod tests;
