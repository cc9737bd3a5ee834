//! First blocks of ChaCha20 keystreams (original variant, zero nonce), one seed per lane: what the reference's
//! deterministic reader gives first (sphinx.md 2.4).

use super::{Kernel, Rows};
use crate::cpu::Proof;
use crate::kernels::chacha20poly1305::chacha20::{CONSTANTS, blocks};
use crate::lanes::words::{Words, Words32, load};

/// First blocks of up to 16 keystreams: turns the rows of key words, 4 to 11, into the rows of the blocks.
pub(crate) type ChaCha20 = Kernel<fn(&mut Rows<u32, 16, 16>)>;

impl ChaCha20 {
    /// The first blocks of at most `lanes` keystreams.
    pub(crate) fn blocks(&self, seeds: &[&[u8; 32]]) -> Rows<u32, 16, 16> {
        let mut rows = Rows::splat([0; 16]);
        for (lane, seed) in seeds.iter().enumerate() {
            for (row, word) in rows[4..].iter_mut().zip(seed.as_chunks().0) {
                row[lane] = u32::from_le_bytes(*word);
            }
        }
        (self.call)(&mut rows);
        rows
    }
}

/// The block of one lane.
pub(crate) fn lane(rows: &Rows<u32, 16, 16>, lane: usize) -> [u8; 64] {
    let mut block = [0; 64];
    for (bytes, row) in block.as_chunks_mut().0.iter_mut().zip(&**rows) {
        *bytes = row[lane].to_le_bytes();
    }
    block
}

/// The twin with which the others are compared.
#[cfg(test)]
pub(crate) const EMULATED: ChaCha20 =
    Kernel { lanes: 16, worth: 1, call: |rows| block(Words32(crate::lanes::Emulated::<16>), rows) };

/// The kernel for a level.
pub(crate) fn kernel(proof: Proof) -> Option<ChaCha20> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2(token.into())),
        Proof::Portable => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::cpu::{Avx2, Avx512};

    pub(super) fn avx512(_: Avx512) -> ChaCha20 {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn inner(rows: &mut Rows<u32, 16, 16>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            block(Words32(unsafe { Avx512::assume() }), rows);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 16, worth: 3, call: |rows| unsafe { inner(rows) } }
    }

    pub(super) fn avx2(_: Avx2) -> ChaCha20 {
        #[target_feature(enable = "avx2")]
        fn inner(rows: &mut Rows<u32, 16, 16>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            block(Words32(unsafe { Avx2::assume() }), rows);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 8, worth: 3, call: |rows| unsafe { inner(rows) } }
    }
}

/// The first block of each lane, whose key stands in rows 4 to 11. Counter and nonce are zero.
#[inline(always)]
fn block<W: Words<Word = u32>>(w: W, rows: &mut Rows<u32, 16, 16>) {
    let mut start = load(w, rows);
    for row in 0..4 {
        (start[row], start[row + 12]) = (w.splat(CONSTANTS[row]), w.splat(0));
    }
    let [block] = blocks(w, [start]);
    for (row, words) in rows.iter_mut().enumerate() {
        w.store(block[row], words);
    }
}
