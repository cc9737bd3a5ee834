//! BLAKE2b: plain, keyed, as HMAC and HKDF (wire.md 2.2) and as the BLAKE2Xb output stream (sphinx.md 11.2).

use crate::dispatch::kernels;
use crate::kernels::multibuffer::blake2b::{Blake2b, Parameters, State as Lanes};
use crate::kernels::multibuffer::groups;
use crate::random::Random;
use blake2b_simd::{Params, State};
use zeroize::{Zeroize, Zeroizing};

const BLOCK_BYTES: usize = 128;
const DIGEST_BYTES: usize = 64;

/// BLAKE2b with a 64-byte digest.
pub fn blake2b_512(bytes: &[u8]) -> [u8; 64] {
    blake2b_512_parts(&[bytes])
}

/// BLAKE2b with a 64-byte digest of the concatenated `parts`.
pub fn blake2b_512_parts(parts: &[&[u8]]) -> [u8; 64] {
    let mut state = State::new();
    for part in parts {
        state.update(part);
    }
    *state.finalize().as_array()
}

/// BLAKE2b with a 32-byte digest.
pub fn blake2b_256(bytes: &[u8]) -> [u8; 32] {
    digest_32(&Params::new().hash_length(32).hash(bytes))
}

/// BLAKE2b in its keyed mode (key of at most 64 bytes) with a 32-byte digest of the concatenated `parts`.
pub fn blake2b_256_keyed(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut state = KeyedBlake2b256::new(key);
    for part in parts {
        state.update(part);
    }
    state.finish()
}

/// BLAKE2b with a 32-byte digest of each message; both slices have the same length.
pub fn blake2b_256_batch(messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    blake2b_256_by(kernels().blake2b, None, messages, digests);
}

/// BLAKE2b in its keyed mode with a 32-byte digest of each message under its key; all slices have the same length.
pub fn blake2b_256_keyed_batch(keys: &[&[u8; 32]], messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    blake2b_256_by(kernels().blake2b, Some(keys), messages, digests);
}

fn blake2b_256_by(kernel: Option<Blake2b>, keys: Option<&[&[u8; 32]]>, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    let key_bytes = if keys.is_some() { 32 } else { 0 };
    for (kernel, group) in groups(&[kernel], messages.len(), |index| Blake2b::blocks(messages[index])) {
        let keys = keys.map(|keys| &keys[group.clone()]);
        let (messages, digests) = (&messages[group.clone()], &mut digests[group]);
        match (kernel, keys) {
            (Some(kernel), _) => {
                let state = kernel.hash(Parameters::sequential(32, key_bytes), keys, messages);
                digests.iter_mut().enumerate().for_each(|(lane, digest)| write(&state, lane, digest));
            }
            (None, Some(keys)) => digests[0] = blake2b_256_keyed(keys[0], &[messages[0]]),
            (None, None) => digests[0] = blake2b_256(messages[0]),
        }
    }
}

/// The first bytes of a lane's digest.
fn write(state: &Lanes, lane: usize, bytes: &mut [u8]) {
    for (bytes, row) in bytes.chunks_mut(8).zip(&**state) {
        bytes.copy_from_slice(&row[lane].to_le_bytes()[..bytes.len()]);
    }
}

/// BLAKE2b in its keyed mode with a 32-byte digest, fed piece by piece.
pub(crate) struct KeyedBlake2b256(State);

impl KeyedBlake2b256 {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Params::new().hash_length(32).key(key).to_state())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(&self) -> [u8; 32] {
        digest_32(&self.0.finalize())
    }
}

fn digest_32(hash: &blake2b_simd::Hash) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.as_bytes());
    digest
}

/// An HMAC key over BLAKE2b-512 (RFC 2104 with a 128-byte block; not BLAKE2b's keyed mode).
#[derive(Clone)]
pub struct HmacBlake2b512Key {
    inner: State,
    outer: State,
}

impl HmacBlake2b512Key {
    /// A key of any length; one longer than a block is hashed first.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        if key.len() > BLOCK_BYTES {
            block[..DIGEST_BYTES].copy_from_slice(&blake2b_512(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let (mut inner, mut outer) = (State::new(), State::new());
        let mut padded = block.map(|byte| byte ^ 0x36);
        inner.update(&padded);
        padded.copy_from_slice(&block.map(|byte| byte ^ 0x5c));
        outer.update(&padded);
        block.as_mut_slice().zeroize();
        padded.as_mut_slice().zeroize();
        Self { inner, outer }
    }

    /// The tag of the concatenated `parts`.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 64] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        *self.outer.clone().update(inner.finalize().as_bytes()).finalize().as_array()
    }
}

/// HMAC over BLAKE2b-512 of the concatenated `parts` under a key of any length.
pub fn hmac_blake2b_512(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    HmacBlake2b512Key::new(key).tag(parts)
}

/// Noise's HKDF (wire.md 2.2): `N` outputs of 64 bytes from a chaining key and input key material, which may be empty.
pub fn hkdf_blake2b_512<const N: usize>(chaining_key: &[u8], input_key_material: &[u8]) -> [Zeroizing<[u8; 64]>; N] {
    let mut prk = hmac_blake2b_512(chaining_key, &[input_key_material]);
    let key = HmacBlake2b512Key::new(&prk);
    prk.zeroize();
    let mut previous = Zeroizing::new([0; DIGEST_BYTES]);
    std::array::from_fn(|index| {
        let chained = if index == 0 { &[][..] } else { &previous[..] };
        previous = Zeroizing::new(key.tag(&[chained, &[index as u8 + 1]]));
        previous.clone()
    })
}

/// The BLAKE2Xb output stream as golang.org/x/crypto has it (sphinx.md 11.2). Reads are continuous.
pub struct Blake2Xb {
    root: Zeroizing<[u8; DIGEST_BYTES]>,
    xof_bytes: u32,
    next_block: u32,
    remaining: u64,
    block: Zeroizing<[u8; DIGEST_BYTES]>,
    unread: usize,
}

impl Blake2Xb {
    /// The `output_bytes` of a stream of unknown length.
    pub const UNKNOWN_LENGTH: u32 = u32::MAX;

    /// The stream of `output_bytes` over the concatenated `parts`, keyed by at most 64 bytes (an empty key is none).
    /// The length is part of the input: the first half of a 64-byte stream is not a 32-byte stream.
    pub fn new(output_bytes: u32, key: &[u8], parts: &[&[u8]]) -> Self {
        let mut state = Params::new().key(key).node_offset(u64::from(output_bytes) << 32).to_state();
        for part in parts {
            state.update(part);
        }
        let unknown = output_bytes == Self::UNKNOWN_LENGTH;
        Self {
            root: Zeroizing::new(*state.finalize().as_array()),
            xof_bytes: output_bytes,
            next_block: 0,
            // 2^32 blocks of 64 bytes is the most that the node offset can count.
            remaining: if unknown { 1 << 38 } else { u64::from(output_bytes) },
            block: Zeroizing::new([0; DIGEST_BYTES]),
            unread: 0,
        }
    }

    /// Streams of equal lengths of at most 64 bytes, each over its message under its key, read to their ends.
    pub fn batch(keys: &[&[u8; 32]], messages: &[&[u8]], outputs: &mut [&mut [u8]]) {
        Self::batch_by(kernels().blake2b, keys, messages, outputs);
    }

    fn batch_by(kernel: Option<Blake2b>, keys: &[&[u8; 32]], messages: &[&[u8]], outputs: &mut [&mut [u8]]) {
        for (kernel, group) in groups(&[kernel], messages.len(), |index| Blake2b::blocks(messages[index])) {
            let (keys, messages, outputs) = (&keys[group.clone()], &messages[group.clone()], &mut outputs[group]);
            let length = outputs[0].len();
            match kernel {
                Some(kernel) => {
                    let roots = kernel.hash(Parameters::xof_root(32, length as u32), Some(keys), messages);
                    let parameters = Parameters::xof_block(length as u8, 0, length as u32);
                    let blocks = kernel.hash_digests(parameters, &roots);
                    outputs.iter_mut().enumerate().for_each(|(lane, output)| write(&blocks, lane, output));
                }
                None => Self::new(length as u32, keys[0], &[messages[0]]).fill(outputs[0]),
            }
        }
    }

    fn next_block(&mut self) {
        let length = self.remaining.min(DIGEST_BYTES as u64) as usize;
        // A stream that has given all its bytes gives zeros; no caller of fixed size reads past the end.
        self.block.as_mut_slice().zeroize();
        if length == 0 {
            self.unread = DIGEST_BYTES;
            return;
        }
        let hash = Params::new()
            .hash_length(length)
            .fanout(0)
            .max_depth(0)
            .max_leaf_length(DIGEST_BYTES as u32)
            .node_offset(u64::from(self.next_block) | u64::from(self.xof_bytes) << 32)
            .inner_hash_length(DIGEST_BYTES)
            .hash(&*self.root);
        // A short last block stands at the end, where `fill` reads.
        self.block[DIGEST_BYTES - length..].copy_from_slice(hash.as_bytes());
        self.unread = length;
        self.next_block = self.next_block.wrapping_add(1);
        self.remaining -= length as u64;
    }
}

impl Random for Blake2Xb {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.unread == 0 {
                self.next_block();
            }
            let take = rest.len().min(self.unread);
            let at = DIGEST_BYTES - self.unread;
            let (now, later) = rest.split_at_mut(take);
            now.copy_from_slice(&self.block[at..at + take]);
            self.unread -= take;
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests;
