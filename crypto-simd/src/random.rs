//! Randomness comes in as an argument: the operating system's, or a stream from a seed for tests and simulations.

use crate::dispatch::kernels;
use crate::kernels::multibuffer::chacha::{self, ChaCha20};
use crate::kernels::multibuffer::groups;
use crate::symmetric::aead::chacha20_block;
use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A source of random bytes.
pub trait Random {
    /// Overwrites `bytes` with random ones.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // Without randomness no key may be made; there is nothing sensible to go on with.
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

const BLOCK_BYTES: usize = 64;

/// The ChaCha20 keystream of a 32-byte seed (original variant, zero nonce): the reference's deterministic reader
/// (sphinx.md 2.4). Reads are continuous: unused bytes of a block serve the next read.
pub struct SeededRandom {
    seed: [u8; 32],
    /// The first block, of which the last `unread` bytes are still to be given. Most streams end with it.
    block: [u8; BLOCK_BYTES],
    unread: usize,
    rest: Option<ChaCha20Legacy>,
}

impl SeededRandom {
    /// A stream that starts at block 0 of `seed`.
    pub fn new(seed: &[u8; 32]) -> Self {
        // The variants differ where the counter ends and the nonce begins, and both are zero.
        Self { seed: *seed, block: chacha20_block(seed, 0, &[0; 12]), unread: BLOCK_BYTES, rest: None }
    }

    /// Calls `read` with the number and the stream of each seed, in order; the first blocks are made together.
    pub fn batch(seeds: &[&[u8; 32]], read: impl FnMut(usize, &mut Self)) {
        Self::batch_by(kernels().chacha20, seeds, read);
    }

    fn batch_by(kernel: Option<ChaCha20>, seeds: &[&[u8; 32]], mut read: impl FnMut(usize, &mut Self)) {
        for (kernel, group) in groups(&[kernel], seeds.len(), |_| 1) {
            let blocks = kernel.map(|kernel| kernel.blocks(&seeds[group.clone()]));
            for (lane, index) in group.enumerate() {
                let seed = *seeds[index];
                read(
                    index,
                    &mut match &blocks {
                        Some(blocks) => {
                            Self { seed, block: chacha::lane(blocks, lane), unread: BLOCK_BYTES, rest: None }
                        }
                        None => Self::new(&seed),
                    },
                );
            }
        }
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        let (first, later) = bytes.split_at_mut(bytes.len().min(self.unread));
        first.copy_from_slice(&self.block[BLOCK_BYTES - self.unread..][..first.len()]);
        self.unread -= first.len();
        if !later.is_empty() {
            let rest = self.rest.get_or_insert_with(|| {
                let mut stream = ChaCha20Legacy::new(&self.seed.into(), &[0; 8].into());
                stream.seek(BLOCK_BYTES);
                stream
            });
            later.fill(0);
            rest.apply_keystream(later);
        }
    }
}

impl Drop for SeededRandom {
    fn drop(&mut self) {
        self.seed.as_mut_slice().zeroize();
        self.block.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for SeededRandom {}

#[cfg(test)]
mod tests;
