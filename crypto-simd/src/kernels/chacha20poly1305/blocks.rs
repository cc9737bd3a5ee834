//! What ChaCha20 needs of 32-bit words, one block per lane, besides [`crate::lanes::words`].

use super::text::Text;
use crate::lanes::Emulated;
use crate::lanes::words::{Words, Words32};

/// Words in a block.
pub(super) const BLOCK_WORDS: usize = 16;
/// Bytes in a block.
pub(super) const BLOCK_BYTES: usize = 64;

/// Words that become blocks.
pub(super) trait Blocks: Words<Word = u32> {
    /// Words in a vector: a divisor of 16.
    const LANES: usize;

    /// From one vector per word of a block, with a lane per block, to the blocks one after the other: `LANES` times 64
    /// bytes in as many vectors as before.
    fn transpose(self, words: [Self::Vector; BLOCK_WORDS]) -> [Self::Vector; BLOCK_WORDS];

    /// XORs a vector into as many bytes, the first ones of a text.
    ///
    /// # Panics
    /// When there are fewer bytes.
    fn xor_into(self, vector: Self::Vector, text: Text<'_>);
}

impl<const N: usize> Blocks for Words32<Emulated<N>> {
    const LANES: usize = N;

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
    fn xor_into(self, vector: [u32; N], mut text: Text<'_>) {
        text.part(0, 4 * N).xor(vector.map(u32::to_le_bytes).as_flattened());
    }
}
