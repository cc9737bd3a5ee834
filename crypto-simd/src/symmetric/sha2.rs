//! SHA-512/256 for replay tags; HMAC-SHA-256 and HKDF-Expand for packet keys (sphinx.md 2.2, 2.3).

use crate::dispatch::kernels;
use crate::kernels::multibuffer::sha2::{Sha256 as Sha256Lanes, Sha512 as Sha512Lanes};
use crate::kernels::multibuffer::{groups, messages};
use ::sha2::{Digest, Sha256, Sha512_256};
use zeroize::Zeroize;

const BLOCK_BYTES: usize = 64;
const DIGEST_BYTES: usize = 32;
const HKDF_BYTES_MAX: usize = 255 * DIGEST_BYTES;

/// SHA-512/256 (FIPS 180-4), which is not a truncated SHA-512.
pub fn sha512_256(bytes: &[u8]) -> [u8; 32] {
    Sha512_256::digest(bytes).into()
}

/// SHA-512/256 of each input; both slices have the same length.
pub fn sha512_256_batch(inputs: &[&[u8]], digests: &mut [[u8; 32]]) {
    sha512_256_by(kernels().sha512, inputs, digests);
}

fn sha512_256_by(kernel: Option<Sha512Lanes>, inputs: &[&[u8]], digests: &mut [[u8; 32]]) {
    for (kernel, group) in groups(&[kernel], inputs.len(), |index| inputs[index].len() / 128 + 1) {
        match kernel {
            Some(kernel) => (kernel.call)(&inputs[group.clone()], &mut digests[group]),
            None => digests[group.start] = sha512_256(inputs[group.start]),
        }
    }
}

/// HMAC-SHA-256 of each message under its key; all slices have the same length. Messages of equal length are fastest.
pub fn hmac_sha256_batch(keys: &[&[u8; 32]], messages: &[&[u8]], tags: &mut [[u8; 32]]) {
    hmac_sha256_by(&kernels().sha256, keys, messages, tags);
}

fn hmac_sha256_by(kernels: &[Option<Sha256Lanes>], keys: &[&[u8; 32]], messages: &[&[u8]], tags: &mut [[u8; 32]]) {
    // Besides the message, both padded keys and the inner digest are hashed.
    for (kernel, group) in groups(kernels, messages.len(), |index| messages[index].len() / BLOCK_BYTES + 4) {
        let (keys, messages, tags) = (&keys[group.clone()], &messages[group.clone()], &mut tags[group]);
        match kernel {
            Some(kernel) => (kernel.call.hmac)(keys, messages, tags),
            None => tags[0] = hmac_sha256(&keys[0][..], &[messages[0]]),
        }
    }
}

/// [`hkdf_expand_sha256`] under each pseudorandom key; both slices have the same length.
///
/// # Panics
/// As [`hkdf_expand_sha256`].
pub fn hkdf_expand_sha256_batch(prks: &[&[u8]], info: &[u8], outputs: &mut [&mut [u8]]) {
    hkdf_expand_sha256_by(&kernels().sha256, prks, info, outputs);
}

fn hkdf_expand_sha256_by(kernels: &[Option<Sha256Lanes>], prks: &[&[u8]], info: &[u8], outputs: &mut [&mut [u8]]) {
    assert!(outputs.iter().all(|output| output.len() <= HKDF_BYTES_MAX), "HKDF gives at most 8160 bytes");
    let kernels = if messages::expands(prks, info) { kernels } else { &[] };
    // Outputs are equally long where time matters.
    for (kernel, group) in groups(kernels, prks.len(), |_| 1) {
        let (prks, outputs) = (&prks[group.clone()], &mut outputs[group]);
        match kernel {
            Some(kernel) => (kernel.call.hkdf_expand)(prks, info, outputs),
            None => hkdf_expand_sha256(prks[0], info, outputs[0]),
        }
    }
}

/// An HMAC-SHA-256 key with the padded key blocks already hashed.
#[derive(Clone)]
pub struct HmacSha256Key {
    inner: Sha256,
    outer: Sha256,
}

impl HmacSha256Key {
    /// A key of any length; one longer than a block is hashed first.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        if key.len() > BLOCK_BYTES {
            block[..DIGEST_BYTES].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let mut padded = block.map(|byte| byte ^ 0x36);
        let inner = Sha256::new_with_prefix(padded);
        padded.copy_from_slice(&block.map(|byte| byte ^ 0x5c));
        let outer = Sha256::new_with_prefix(padded);
        block.as_mut_slice().zeroize();
        padded.as_mut_slice().zeroize();
        Self { inner, outer }
    }

    /// The tag of the concatenated `parts`.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

/// HMAC-SHA-256 of the concatenated `parts` under a key of any length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    HmacSha256Key::new(key).tag(parts)
}

/// HKDF-Expand with SHA-256 (RFC 5869 2.3) under a pseudorandom key of any length, without the Extract step.
///
/// # Panics
/// When more than 255 · 32 bytes are asked for: the length is the caller's constant.
pub fn hkdf_expand_sha256(prk: &[u8], info: &[u8], output: &mut [u8]) {
    assert!(output.len() <= HKDF_BYTES_MAX, "HKDF gives at most 8160 bytes");
    let key = HmacSha256Key::new(prk);
    let mut block = [0; DIGEST_BYTES];
    for (index, chunk) in output.chunks_mut(DIGEST_BYTES).enumerate() {
        let previous = if index == 0 { &[][..] } else { &block[..] };
        block = key.tag(&[previous, info, &[index as u8 + 1]]);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    block.as_mut_slice().zeroize();
}

#[cfg(test)]
mod tests;
