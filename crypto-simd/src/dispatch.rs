//! The table of kernels, chosen once per process: the roof over all rooms of `kernels`, which know nothing of it.

use crate::cpu::{Level, Proof, level};
use crate::kernels::multibuffer::{blake2b, chacha, sha2};
use crate::kernels::{aes, aez, chacha20poly1305, curve448, curve25519, keccak, mlkem};
use std::sync::OnceLock;

/// The functions of one level. Each module of kernels gives its own for the proof of a level; `None` where one operation after
/// the other is as fast.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// The level.
    pub level: Level,
    pub(crate) aez: aez::Kernel,
    pub(crate) aes256_ctr: aes::ctr::Kernel,
    /// Eight at a time, where that is faster than one after the other.
    pub(crate) x25519: Option<curve25519::Kernel>,
    pub(crate) mlkem: Option<mlkem::Kernel>,
    pub(crate) sha3_256: Option<keccak::batch::Kernel>,
    /// As many at a time as it has lanes.
    pub(crate) x448: Option<curve448::Kernel>,
    /// Widest first.
    pub(crate) sha256: [Option<sha2::Sha256>; 2],
    pub(crate) sha512: Option<sha2::Sha512>,
    pub(crate) blake2b: Option<blake2b::Blake2b>,
    pub(crate) chacha20: Option<chacha::ChaCha20>,
    /// Of the link, where it is faster than the library.
    pub(crate) chacha20poly1305: Option<chacha20poly1305::Kernel>,
    /// Where that is none: the blocks of a frame of the link, where these are faster than the library's.
    pub(crate) frame_blocks: Option<chacha20poly1305::FrameBlocks>,
}

impl Kernels {
    /// The kernels of a level, when the CPU has it.
    pub fn of(level: Level) -> Option<Self> {
        let proof = Proof::of(level)?;
        Some(Self {
            level,
            aez: aez::kernel(proof),
            x25519: curve25519::kernel(proof),
            mlkem: mlkem::kernel(proof),
            sha3_256: keccak::batch::kernel(proof),
            aes256_ctr: aes::ctr::kernel(proof),
            x448: curve448::kernel(proof),
            sha256: sha2::kernels_256(proof),
            sha512: sha2::kernel_512(proof),
            blake2b: blake2b::kernel(proof),
            chacha20: chacha::kernel(proof),
            chacha20poly1305: chacha20poly1305::kernel(proof),
            frame_blocks: chacha20poly1305::frame_blocks(proof),
        })
    }
}

/// The kernels of this process, chosen at the first call.
///
/// # Panics
/// When `KATZENSPRUNG_SIMD` is wrong and the program has not asked for [`level`] first.
pub fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| {
        let level = level().unwrap_or_else(|error| panic!("{error}"));
        Kernels::of(level).expect("a chosen level has kernels")
    })
}

#[cfg(test)]
mod tests;
