//! ChaCha20-Poly1305 (RFC 8439) over lanes: ChaCha20 with a block per lane, Poly1305 with every n-th block per lane.
//!
//! | module | what it holds |
//! |---|---|
//! | `blocks` | vectors of words that become blocks |
//! | `chacha20` | the keystream |
//! | `rows` | four blocks by themselves, where the library does the rest |
//! | `poly1305` | the authenticator |
//! | `radix44` | its arithmetic over lanes, by IFMA |
//! | `message` | sealing and opening of messages by the functions of a level |
//! | `text` | what is read and where it is written |
//! | `frame` | the same for the frames of the link, which are two messages and a new key |

mod blocks;
pub(crate) mod chacha20;
mod frame;
mod message;
mod poly1305;
mod radix44;
mod rows;
mod text;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::Proof;
use blocks::BLOCK_BYTES;
#[cfg(test)]
use chacha20::place;
pub(crate) use chacha20::{Place, wipe};
pub use frame::{FrameHeader, nonce_of};
pub(crate) use frame::{FrameStart, Nonces, open_header, seal_header, take_key};
use poly1305::Poly1305;
pub(crate) use rows::FrameBlocks;
pub(crate) use text::Text;

/// Blocks of a frame that are no keystream of its body.
pub(crate) const FRAME_SPECIAL: usize = 4;

/// Most blocks of a pass.
const PASS_BLOCKS_MAX: usize = 32;

pub(crate) type Block = [u8; BLOCK_BYTES];
type Tag = [u8; poly1305::BLOCK_BYTES];

type Start<const N: usize> = fn(&[u8; 32], &[Place; N], Place, &mut [Block; N], Text<'_>);

/// The functions of a level of CPU; `message` puts them together.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Blocks of a pass, which takes hardly longer than a part of one.
    pass_blocks: usize,
    /// XORs the keystream of a key from a block on.
    xor_keystream: fn(&[u8; 32], Place, Text<'_>),
    /// Writes one block of a key and XORs those from another on; no more than a pass.
    start_message: Start<1>,
    /// The same with the blocks of a frame.
    start_frame: Start<FRAME_SPECIAL>,
    /// XORs bytes into as many.
    xor: fn(&[u8], Text<'_>),
    /// Authenticates bytes and a block behind them.
    absorb: fn(&mut Poly1305, &[u8], Option<&Tag>),
}

/// The kernel whose passes are groups of vectors of words, and whose authenticator has lanes. Both are tokens that are
/// made inside of its functions, which carry the attribute.
macro_rules! kernel_of {
    ($(#[$attribute:meta])* $groups:literal groups of $words:expr, $word_lanes:literal words, $lanes:expr) => {{
        use crate::kernels::chacha20poly1305::{
            Block, Kernel, Place, Poly1305, Tag, Text, chacha20, poly1305, radix44,
        };

        $(#[$attribute])*
        fn xor_keystream(key: &[u8; 32], from: Place, text: Text<'_>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            let words = unsafe { $words };
            chacha20::xor_keystream::<_, $groups>(words, key, from, text);
        }
        $(#[$attribute])*
        fn start<const N: usize>(
            key: &[u8; 32],
            first: &[Place; N],
            then: Place,
            special: &mut [Block; N],
            text: Text<'_>,
        ) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            let words = unsafe { $words };
            chacha20::start::<_, $groups, N>(words, key, first, then, special, text);
        }
        $(#[$attribute])*
        fn xor(key: &[u8], text: Text<'_>) {
            text.xor(key);
        }
        $(#[$attribute])*
        fn absorb(state: &mut Poly1305, bytes: &[u8], end: Option<&Tag>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            let lanes = unsafe { $lanes };
            poly1305::absorb(radix44::Radix44(lanes), state, bytes, end);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        unsafe {
            Kernel {
                pass_blocks: $groups * $word_lanes,
                xor_keystream: |key, from, text| xor_keystream(key, from, text),
                start_message: |key, first, then, special, text| start(key, first, then, special, text),
                start_frame: |key, first, then, special, text| start(key, first, then, special, text),
                xor: |key, text| xor(key, text),
                absorb: |state, bytes, end| absorb(state, bytes, end),
            }
        }
    }};
}
#[cfg(target_arch = "x86_64")]
use kernel_of;

/// The kernel for a level, where it is faster than the library.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512(token)),
        // aws-lc's assembly for AVX2 is as fast as 256-bit vectors get.
        _ => None,
    }
}

/// The blocks of a frame for a level that leaves its body to the library, where that is slower for them.
pub(crate) fn frame_blocks(proof: Proof) -> Option<FrameBlocks> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::frame_blocks(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::frame_blocks(token.into())),
        _ => None,
    }
}

/// The kernel that runs everywhere: the twin of AVX-512's, with which that is compared.
#[cfg(test)]
#[allow(unused_unsafe, reason = "the twin needs no features")]
fn emulated() -> Kernel {
    use crate::lanes::{Emulated, words::Words32};
    kernel_of!(2 groups of Words32(Emulated::<16>), 16 words, Emulated::<8>)
}

/// The twin of AVX2's blocks.
#[cfg(test)]
pub(crate) const EMULATED_FRAME_BLOCKS: FrameBlocks = |key, places| {
    use crate::lanes::{Emulated, words::Words32};
    rows::four(Words32(Emulated::<8>), key, places)
};

#[cfg(test)]
pub(crate) mod tests;
