//! Hashing several messages at once, one per lane of a vector (design 7).
//!
//! | module | what it holds |
//! |---|---|
//! | [`runs`] | messages of any lengths cut into runs of whole blocks that all lanes absorb together |
//! | [`messages`] | SHA-512/256, HMAC-SHA-256 and HKDF-Expand on top |
//! | [`sha2`] | the compression functions of SHA-256 and SHA-512 |
//! | [`blake2b`] | the compression function of BLAKE2b |
//! | [`chacha`] | first blocks of ChaCha20 keystreams |
//!
//! A kernel holds how many lanes it has and from how many messages on it is faster than the library, one message after
//! the other; [`pays`] decides by the messages' lengths, which are public.

pub(crate) mod blake2b;
pub(crate) mod chacha;
pub(crate) mod messages;
pub(crate) mod runs;
pub(crate) mod sha2;

use std::ops::{Deref, DerefMut};
use zeroize::{DefaultIsZeroes, Zeroize};

/// The first 64 bits of the fractional parts of the square roots of the first eight primes: where SHA-512 and BLAKE2b
/// start, and, with the first halves of the words, SHA-256.
pub(crate) const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// `ROWS` vectors of one word per lane, as they lie in memory; a kernel with fewer lanes uses the first ones of each
/// row. Wiped when dropped.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Rows<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize>([[W; LANES]; ROWS]);

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Rows<W, LANES, ROWS> {
    /// The same word in all lanes of a row.
    pub(crate) fn splat(words: [W; ROWS]) -> Self {
        Self(words.map(|word| [word; LANES]))
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Drop for Rows<W, LANES, ROWS> {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Deref for Rows<W, LANES, ROWS> {
    type Target = [[W; LANES]; ROWS];

    fn deref(&self) -> &[[W; LANES]; ROWS] {
        &self.0
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> DerefMut for Rows<W, LANES, ROWS> {
    fn deref_mut(&mut self) -> &mut [[W; LANES]; ROWS] {
        &mut self.0
    }
}

/// Blocks for all lanes.
pub(crate) enum Blocks<'a, W: DefaultIsZeroes, const LANES: usize> {
    /// The inputs of the lanes, equally many whole blocks each.
    Bytes(&'a [&'a [u8]; LANES]),
    /// One block, already as rows of words.
    Words(&'a Rows<W, LANES, 16>),
}

/// A Merkle-Damgård hash of up to `LANES` messages at once.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<W: DefaultIsZeroes, const LANES: usize> {
    /// Messages that are hashed at once.
    pub(crate) lanes: usize,
    /// From how many equally long messages on this is faster than the library, one after the other.
    pub(crate) worth: usize,
    /// Takes blocks into the states.
    pub(crate) absorb: fn(&mut Rows<W, LANES, 8>, Blocks<'_, W, LANES>),
}

impl<W: DefaultIsZeroes, const LANES: usize> Kernel<W, LANES> {
    /// Whether messages of these lengths, in blocks, are hashed faster together.
    pub(crate) fn pays(&self, blocks: impl Iterator<Item = usize>) -> bool {
        pays(self.worth, blocks)
    }
}

/// Whether messages of these lengths, in blocks, are hashed faster together than one after the other, which a call
/// costs as much as `worth` of.
fn pays(worth: usize, blocks: impl Iterator<Item = usize>) -> bool {
    let (sum, longest) = blocks.fold((0, 0), |(sum, longest), blocks| (sum + blocks, blocks.max(longest)));
    sum >= worth * longest
}
