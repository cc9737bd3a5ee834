//! SHA3-256 of several messages of less than a block each.

use super::lanes::{Permute, RATE_WORDS, STATE_WORDS};
use super::{RATE_BYTES, SHA3, sha3_256};
use crate::cpu::Proof;
use crate::lanes::Emulated;
use zeroize::Zeroizing;

/// Bytes of a digest.
pub(crate) const DIGEST_BYTES: usize = 32;

/// Lanes of any kernel, at most.
const LANES_MAX: usize = 8;

/// A kernel and for what it is good.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    lanes: usize,
    /// Fewer messages than this are faster one by one in a library.
    least: usize,
    /// Hashes at least one message and at most one per lane.
    hash: fn(&[Block], &mut [[u8; DIGEST_BYTES]]),
}

/// A message with its padding.
type Block = [u8; RATE_BYTES];

/// The digests of messages of `MESSAGE_BYTES` (less than a block) each.
pub(crate) fn sha3_256_batch<const MESSAGE_BYTES: usize>(
    kernel: Option<Kernel>,
    messages: &[[u8; MESSAGE_BYTES]],
    digests: &mut [[u8; DIGEST_BYTES]],
) {
    let lanes = kernel.map_or(1, |kernel| kernel.lanes);
    for (messages, digests) in messages.chunks(lanes).zip(digests.chunks_mut(lanes)) {
        match kernel {
            Some(kernel) if messages.len() >= kernel.least => {
                let mut blocks = Zeroizing::new([[0; RATE_BYTES]; LANES_MAX]);
                for (block, message) in blocks.iter_mut().zip(messages) {
                    block[..MESSAGE_BYTES].copy_from_slice(message);
                    block[MESSAGE_BYTES] = SHA3;
                    block[RATE_BYTES - 1] |= 0x80;
                }
                (kernel.hash)(&blocks[..messages.len()], digests);
            }
            _ => {
                for (message, digest) in messages.iter().zip(digests) {
                    *digest = sha3_256(&[message]);
                }
            }
        }
    }
}

/// The kernel for a level, where it is faster than the library.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        Proof::Portable => None,
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2(token.into())),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512(token)),
    }
}

/// The kernels' twin, which runs everywhere.
#[cfg_attr(not(test), expect(dead_code, reason = "the library is faster than the twin"))]
pub(crate) fn emulated<const LANES: usize>() -> Kernel {
    Kernel { lanes: LANES, least: 1, hash: |blocks, digests| hash(Emulated::<LANES>, blocks, digests) }
}

#[inline(always)]
fn hash<L: Permute>(l: L, blocks: &[Block], digests: &mut [[u8; DIGEST_BYTES]]) {
    let mut state = [l.splat(0); STATE_WORDS];
    for (index, vector) in state.iter_mut().enumerate().take(RATE_WORDS) {
        let word = |block: &Block| u64::from_le_bytes(block.as_chunks::<8>().0[index]);
        let words: [u64; LANES_MAX] = std::array::from_fn(|lane| blocks.get(lane).map_or(0, word));
        *vector = l.load(&words);
    }
    l.permute(&mut state);
    for (index, vector) in state.iter().enumerate().take(DIGEST_BYTES / 8) {
        let mut words = [0; LANES_MAX];
        l.store(*vector, &mut words);
        for (digest, word) in digests.iter_mut().zip(words) {
            digest.as_chunks_mut::<8>().0[index] = word.to_le_bytes();
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, DIGEST_BYTES, Kernel, hash};
    use crate::cpu::{Avx2, Avx512};

    macro_rules! kernel {
        ($(#[$doc:meta])* $name:ident, $token:ident, $features:literal, $lanes:literal, $least:literal) => {
            $(#[$doc])*
            pub(super) fn $name(_: $token) -> Kernel {
                #[target_feature(enable = $features)]
                fn inner(blocks: &[Block], digests: &mut [[u8; DIGEST_BYTES]]) {
                    // SAFETY: this function is reached through the kernel only, which the token's owner made.
                    hash(unsafe { $token::assume() }, blocks, digests);
                }
                // SAFETY: whoever has the kernel had the token, so the CPU has the features.
                Kernel { lanes: $lanes, least: $least, hash: |blocks, digests| unsafe { inner(blocks, digests) } }
            }
        };
    }

    kernel!(
        /// The kernel for AVX2; the token is the proof that it may be called.
        avx2, Avx2, "avx2", 4, 2
    );
    kernel!(
        /// The kernel for AVX-512; the token is the proof that it may be called.
        avx512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl", 8, 1
    );
}

#[cfg(test)]
mod tests;
