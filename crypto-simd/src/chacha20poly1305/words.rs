//! Vectors of 32-bit words, one ChaCha20 block per lane.

use crate::lanes::Emulated;

/// Words in a block.
pub(super) const BLOCK_WORDS: usize = 16;
/// Bytes in a block.
pub(super) const BLOCK_BYTES: usize = 64;

/// `LANES` 32-bit words that go through the same operations.
pub(super) trait Words: Copy {
    /// Words in a vector: 8 or 16.
    const LANES: usize;

    /// The words.
    type Vector: Copy;

    /// The same word in every lane.
    fn splat(self, word: u32) -> Self::Vector;

    /// One word per lane.
    fn load(self, words: &[u32; BLOCK_WORDS]) -> Self::Vector;

    /// a + b, wrapping
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a ^ b
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a rotated left by BITS, which is neither 0 nor 32.
    fn rotate_left<const BITS: i32>(self, a: Self::Vector) -> Self::Vector;

    /// From one vector per word of a block, with a lane per block, to the blocks one after the other: `LANES` times 64
    /// bytes in as many vectors as before.
    fn transpose(self, words: [Self::Vector; BLOCK_WORDS]) -> [Self::Vector; BLOCK_WORDS];

    /// XORs a vector into as many bytes.
    ///
    /// # Panics
    /// When there are fewer bytes.
    fn xor_into(self, vector: Self::Vector, bytes: &mut [u8]);
}

impl<const N: usize> Words for Emulated<N> {
    const LANES: usize = N;
    type Vector = [u32; N];

    #[inline(always)]
    fn splat(self, word: u32) -> [u32; N] {
        [word; N]
    }

    #[inline(always)]
    fn load(self, words: &[u32; BLOCK_WORDS]) -> [u32; N] {
        std::array::from_fn(|lane| words[lane])
    }

    #[inline(always)]
    fn add(self, a: [u32; N], b: [u32; N]) -> [u32; N] {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn xor(self, a: [u32; N], b: [u32; N]) -> [u32; N] {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn rotate_left<const BITS: i32>(self, a: [u32; N]) -> [u32; N] {
        a.map(|word| word.rotate_left(BITS as u32))
    }

    #[inline(always)]
    fn transpose(self, words: [[u32; N]; BLOCK_WORDS]) -> [[u32; N]; BLOCK_WORDS] {
        std::array::from_fn(|vector| {
            std::array::from_fn(|lane| {
                let word = vector * N + lane;
                words[word % BLOCK_WORDS][word / BLOCK_WORDS]
            })
        })
    }

    #[inline(always)]
    fn xor_into(self, vector: [u32; N], bytes: &mut [u8]) {
        let (words, _) = bytes[..4 * N].as_chunks_mut::<4>();
        for (bytes, word) in words.iter_mut().zip(vector) {
            *bytes = (u32::from_le_bytes(*bytes) ^ word).to_le_bytes();
        }
    }
}
