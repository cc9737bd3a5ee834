//! Keccak (FIPS 202): SHA3-256 and SHAKE of one message over the `keccak` crate's permutation, without allocation, and
//! the permutation ([`lanes`]) and SHA3-256 ([`batch`]) for several packets at once.

pub(crate) mod batch;
pub(crate) mod lanes;

use zeroize::Zeroize;

/// Bytes absorbed or squeezed per permutation by SHA3-256 and SHAKE256, which have a capacity of 512 bits.
const RATE_BYTES: usize = 136;

/// The same for SHAKE128, with a capacity of 256 bits.
const SHAKE128_RATE_BYTES: usize = 168;

/// Domain separation bits with the first padding bit.
const SHA3: u8 = 0x06;
const SHAKE: u8 = 0x1f;

/// SHA3-256 of the concatenated `parts`.
pub(crate) fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = [0; 32];
    Sponge::absorb(RATE_BYTES, SHA3, parts).squeeze(&mut digest);
    digest
}

/// SHAKE256 of the concatenated `parts`, as many bytes as `output` holds.
pub(crate) fn shake256(parts: &[&[u8]], output: &mut [u8]) {
    Sponge::absorb(RATE_BYTES, SHAKE, parts).squeeze(output);
}

/// SHAKE128 as a stream.
pub(crate) struct Shake128 {
    sponge: Sponge,
    block: [u8; SHAKE128_RATE_BYTES],
}

impl Shake128 {
    /// The stream of the concatenated `parts`.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self { sponge: Sponge::absorb(SHAKE128_RATE_BYTES, SHAKE, parts), block: [0; _] }
    }

    /// The next bytes.
    pub(crate) fn next_block(&mut self) -> &[u8; SHAKE128_RATE_BYTES] {
        self.sponge.squeeze(&mut self.block);
        self.sponge.permute();
        &self.block
    }
}

struct Sponge {
    state: [u64; lanes::STATE_WORDS],
    rate_bytes: usize,
}

impl Sponge {
    fn absorb(rate_bytes: usize, domain: u8, parts: &[&[u8]]) -> Self {
        let mut sponge = Self { state: [0; _], rate_bytes };
        let mut at = 0;
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(rate_bytes - at));
                sponge.xor(at, now);
                at += now.len();
                rest = later;
                if at == rate_bytes {
                    sponge.permute();
                    at = 0;
                }
            }
        }
        sponge.xor(at, &[domain]);
        sponge.xor(rate_bytes - 1, &[0x80]);
        sponge.permute();
        sponge
    }

    fn xor(&mut self, mut at: usize, bytes: &[u8]) {
        let mut rest = bytes;
        if at.is_multiple_of(8) {
            let (words, tail) = rest.as_chunks::<8>();
            for word in words {
                self.state[at / 8] ^= u64::from_le_bytes(*word);
                at += 8;
            }
            rest = tail;
        }
        for byte in rest {
            self.state[at / 8] ^= u64::from(*byte) << (8 * (at % 8));
            at += 1;
        }
    }

    fn squeeze(&mut self, output: &mut [u8]) {
        let mut blocks = output.chunks_mut(self.rate_bytes).peekable();
        while let Some(block) = blocks.next() {
            for (bytes, word) in block.chunks_mut(8).zip(&self.state) {
                bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
            }
            if blocks.peek().is_some() {
                self.permute();
            }
        }
    }

    fn permute(&mut self) {
        ::keccak::Keccak::new().with_f1600(|f1600| f1600(&mut self.state));
    }
}

impl Drop for Sponge {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}
