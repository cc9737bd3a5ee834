//! ChaCha20-Poly1305 (RFC 8439) over lanes: ChaCha20 with a block per lane, Poly1305 with every n-th block per lane.
//!
//! | module | what it holds |
//! |---|---|
//! | `words` | vectors of 32-bit words |
//! | `chacha20` | the keystream |
//! | `poly1305` | the authenticator, over a field |
//! | `radix44` | the field by IFMA |
//! | `radix26` | the field by products of 32 bits |
//! | `message` | sealing and opening of messages and of frames by the functions of a level |

mod chacha20;
mod message;
mod poly1305;
mod radix26;
mod radix44;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::Proof;
use chacha20::Place;
use poly1305::Poly1305;
use words::BLOCK_BYTES;

/// Places of a frame's blocks that are no keystream of its body.
const FRAME_SPECIAL: usize = 4;

/// Most blocks of a pass.
const PASS_BLOCKS_MAX: usize = 32;

type Block = [u8; BLOCK_BYTES];

/// The functions of a level of CPU; `message` puts them together.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Blocks of a pass, which takes hardly longer than a part of one.
    pass_blocks: usize,
    /// XORs the keystream of a key from a block on.
    xor_keystream: fn(&[u8; 32], Place, &mut [u8]),
    /// Writes one block of a key and XORs those from another on; no more than a pass.
    start_message: fn(&[u8; 32], &[Place; 1], Place, &mut [Block; 1], &mut [u8]),
    /// The same with the blocks of a frame.
    start_frame: fn(&[u8; 32], &[Place; FRAME_SPECIAL], Place, &mut [Block; FRAME_SPECIAL], &mut [u8]),
    /// XORs the same block of many keys, one after the other.
    xor_keys: fn(&[[u8; 32]], Place, &mut [u8]),
    /// XORs bytes into as many.
    xor: fn(&[u8], &mut [u8]),
    /// Authenticates bytes and a block behind them.
    absorb: fn(&mut Poly1305, &[u8], Option<&[u8; poly1305::BLOCK_BYTES]>),
}

/// A kernel whose functions are those of `$words` and `$field`, which are made inside of them.
macro_rules! kernel_of {
    ($(#[$attribute:meta])* $groups:literal groups of $words:expr, $lanes:literal lanes, $field:expr) => {{
        use crate::chacha20poly1305::{Block, Kernel, Place, Poly1305, chacha20, poly1305};

        $(#[$attribute])*
        fn xor_keystream(key: &[u8; 32], from: Place, bytes: &mut [u8]) {
            chacha20::xor_keystream::<_, $groups>($words, key, from, bytes);
        }
        $(#[$attribute])*
        fn start<const N: usize>(
            key: &[u8; 32],
            first: &[Place; N],
            then: Place,
            special: &mut [Block; N],
            bytes: &mut [u8],
        ) {
            chacha20::start::<_, $groups, N>($words, key, first, then, special, bytes);
        }
        $(#[$attribute])*
        fn xor_keys(keys: &[[u8; 32]], place: Place, bytes: &mut [u8]) {
            chacha20::xor_keys($words, keys, place, bytes);
        }
        $(#[$attribute])*
        fn xor(from: &[u8], bytes: &mut [u8]) {
            from.iter().zip(bytes).for_each(|(from, byte)| *byte ^= from);
        }
        $(#[$attribute])*
        fn absorb(state: &mut Poly1305, bytes: &[u8], end: Option<&[u8; poly1305::BLOCK_BYTES]>) {
            poly1305::absorb($field, state, bytes, end);
        }
        // SAFETY: whoever makes a kernel has the proof that the CPU has the features; the twin needs none.
        #[allow(unused_unsafe)]
        unsafe {
            Kernel {
                pass_blocks: $groups * $lanes,
                xor_keystream: |key, from, bytes| xor_keystream(key, from, bytes),
                start_message: |key, first, then, special, bytes| start(key, first, then, special, bytes),
                start_frame: |key, first, then, special, bytes| start(key, first, then, special, bytes),
                xor_keys: |keys, place, bytes| xor_keys(keys, place, bytes),
                xor: |from, bytes| xor(from, bytes),
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
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2(token.into())),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2(token)),
        Proof::Portable => None,
    }
}

/// The kernels that run everywhere: the twins of AVX-512's and of AVX2's, with which these are compared.
#[cfg(test)]
fn emulated() -> [Kernel; 2] {
    use crate::lanes::Emulated;
    [
        kernel_of!(2 groups of Emulated::<16>, 16 lanes, radix44::Radix44(Emulated::<8>)),
        kernel_of!(1 groups of Emulated::<8>, 8 lanes, radix26::Radix26(Emulated::<4>)),
    ]
}

#[cfg(test)]
mod tests;
