//! Hashing several messages at once, one per lane of a vector.
//!
//! | module | what it holds |
//! |---|---|
//! | [`runs`] | messages of any lengths cut into runs of whole blocks that all lanes absorb together |
//! | [`messages`] | SHA-512/256, HMAC-SHA-256 and HKDF-Expand on top |
//! | [`sha2`] | the compression functions of SHA-256 and SHA-512 |
//! | `sha_ni` | SHA-256 of two messages with the SHA instructions |
//! | [`blake2b`] | the compression function of BLAKE2b |
//! | [`chacha`] | first blocks of ChaCha20 keystreams |
//!
//! [`groups`] decides which messages are hashed by which kernel, or one by one by a library.

pub(crate) mod blake2b;
pub(crate) mod chacha;
pub(crate) mod messages;
pub(crate) mod runs;
pub(crate) mod sha2;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use std::ops::{Deref, DerefMut, Range};
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

/// `ROWS` vectors of one word per lane, as they lie in memory. Wiped when dropped.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Rows<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize>([[W; LANES]; ROWS]);

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Rows<W, LANES, ROWS> {
    /// The same word in all lanes of a row.
    #[inline(always)]
    pub(crate) fn splat(words: [W; ROWS]) -> Self {
        Self(words.map(|word| [word; LANES]))
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Drop for Rows<W, LANES, ROWS> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> Deref for Rows<W, LANES, ROWS> {
    type Target = [[W; LANES]; ROWS];

    #[inline(always)]
    fn deref(&self) -> &[[W; LANES]; ROWS] {
        &self.0
    }
}

impl<W: DefaultIsZeroes, const LANES: usize, const ROWS: usize> DerefMut for Rows<W, LANES, ROWS> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [[W; LANES]; ROWS] {
        &mut self.0
    }
}

/// Blocks for all lanes.
pub(crate) enum Blocks<'a, W: DefaultIsZeroes, const LANES: usize> {
    /// The inputs of the lanes, equally many whole blocks each.
    Bytes(&'a [&'a [u8]; LANES]),
    /// One block that is the same for all lanes, but for the digests, if there are any, that take the place of its first
    /// half.
    Shared(&'a [u8], Option<&'a Rows<W, LANES, 8>>),
}

/// What hashes several messages with one call.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<F> {
    /// Messages at once.
    pub(crate) lanes: usize,
    /// How many messages, hashed by what comes after this kernel, cost as much as one call.
    pub(crate) worth: usize,
    /// The function, or several; each takes up to `lanes` messages.
    pub(crate) call: F,
}

/// Cuts `count` messages into groups, each with the kernel that hashes it fastest, or one message without a kernel.
/// The kernels come widest first; `blocks` gives the length of a message, which is public.
pub(crate) fn groups<F>(
    kernels: &[Option<Kernel<F>>],
    count: usize,
    blocks: impl Fn(usize) -> usize,
) -> impl Iterator<Item = (Option<&Kernel<F>>, Range<usize>)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        if next == count {
            return None;
        }
        let chosen = kernels.iter().flatten().find_map(|kernel| {
            let group = next..count.min(next + kernel.lanes);
            let longest = group.clone().map(&blocks).max().unwrap_or_default();
            let pays = group.len() > 1 && group.clone().map(&blocks).sum::<usize>() >= kernel.worth * longest;
            pays.then_some((Some(kernel), group))
        });
        let group = chosen.unwrap_or((None, next..next + 1));
        next = group.1.end;
        Some(group)
    })
}

#[cfg(test)]
mod tests;
