//! Keccak (FIPS 202): SHA3-256 and SHAKE of one message over the `keccak` crate's permutation, without allocation, and
//! the permutation for several packets at once ([`lanes`]).

pub(crate) mod lanes;

use zeroize::Zeroize;

/// Bytes absorbed or squeezed per permutation; both functions have a capacity of 512 bits.
const RATE_BYTES: usize = 136;

/// Domain separation bits with the first padding bit.
const SHA3: u8 = 0x06;
const SHAKE: u8 = 0x1f;

/// SHA3-256 of the concatenated `parts`.
pub(crate) fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = [0; 32];
    Sponge::absorb(SHA3, parts).squeeze(&mut digest);
    digest
}

/// SHAKE256 of the concatenated `parts`, as many bytes as `output` holds.
pub(crate) fn shake256(parts: &[&[u8]], output: &mut [u8]) {
    Sponge::absorb(SHAKE, parts).squeeze(output);
}

struct Sponge([u64; 25]);

impl Sponge {
    fn absorb(domain: u8, parts: &[&[u8]]) -> Self {
        let mut sponge = Self([0; 25]);
        let mut at = 0;
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(RATE_BYTES - at));
                sponge.xor(at, now);
                at += now.len();
                rest = later;
                if at == RATE_BYTES {
                    sponge.permute();
                    at = 0;
                }
            }
        }
        sponge.xor(at, &[domain]);
        sponge.xor(RATE_BYTES - 1, &[0x80]);
        sponge.permute();
        sponge
    }

    fn xor(&mut self, mut at: usize, bytes: &[u8]) {
        let mut rest = bytes;
        if at.is_multiple_of(8) {
            let (words, tail) = rest.as_chunks::<8>();
            for word in words {
                self.0[at / 8] ^= u64::from_le_bytes(*word);
                at += 8;
            }
            rest = tail;
        }
        for byte in rest {
            self.0[at / 8] ^= u64::from(*byte) << (8 * (at % 8));
            at += 1;
        }
    }

    fn squeeze(&mut self, output: &mut [u8]) {
        let mut blocks = output.chunks_mut(RATE_BYTES).peekable();
        while let Some(block) = blocks.next() {
            for (bytes, word) in block.chunks_mut(8).zip(&self.0) {
                bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
            }
            if blocks.peek().is_some() {
                self.permute();
            }
        }
    }

    fn permute(&mut self) {
        ::keccak::Keccak::new().with_f1600(|f1600| f1600(&mut self.0));
    }
}

impl Drop for Sponge {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
