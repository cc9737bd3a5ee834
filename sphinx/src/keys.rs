//! The keys of one packet at one hop (sphinx.md 2.3), and the payload cipher under them (2.5).

#[cfg(test)]
mod tests;

use crate::MAC_BYTES;
use crypto_simd::aez;
use crypto_simd::schemes::SharedSecret;
use crypto_simd::symmetric::{
    aes256_ctr_xor, hkdf_expand_sha256, hkdf_expand_sha256_batch, hmac_sha256, hmac_sha256_batch,
};
use std::ops::Range;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Packets that go through the stages together. Longer batches are cut.
pub const BATCH_MAX: usize = 64;
/// Bytes of key and IV of the payload cipher.
pub(crate) const SPRP_MATERIAL_BYTES: usize = SPRP_KEY_BYTES + IV_BYTES;
const SPRP_KEY_BYTES: usize = 48;
const IV_BYTES: usize = 16;

const KDF_INFO: &[u8] = b"katzenpost-kdf-v0-hkdf-sha256";
const MAC_KEY: Range<usize> = 0..32;
const STREAM_KEY: Range<usize> = 32..64;
const IV: Range<usize> = 64..80;
const SPRP_KEY: Range<usize> = 80..128;
const BLINDING_SEED: Range<usize> = 128..160;

/// Everything derived from one shared secret.
#[derive(Clone)]
pub(crate) struct PacketKeys {
    bytes: [u8; 160],
}

impl Zeroize for PacketKeys {
    fn zeroize(&mut self) {
        // As a slice: an array is wiped byte by byte.
        self.bytes.as_mut_slice().zeroize();
    }
}

impl Drop for PacketKeys {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for PacketKeys {}

impl Default for PacketKeys {
    fn default() -> Self {
        Self { bytes: [0; 160] }
    }
}

impl PacketKeys {
    pub fn new(shared_secret: &[u8]) -> Self {
        let mut keys = Self::default();
        hkdf_expand_sha256(shared_secret, KDF_INFO, &mut keys.bytes);
        keys
    }

    /// Overwrites the keys with those of a batch of shared secrets (at most [`BATCH_MAX`]).
    pub fn derive_batch<'a>(secrets: impl Iterator<Item = &'a SharedSecret>, keys: &mut [Self]) {
        let mut prks: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        let mut outputs: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        let count = keys.len();
        prks.iter_mut().zip(secrets).for_each(|(prk, secret)| *prk = secret.as_bytes());
        outputs.iter_mut().zip(keys).for_each(|(output, keys)| *output = &mut keys.bytes);
        hkdf_expand_sha256_batch(&prks[..count], KDF_INFO, &mut outputs[..count]);
    }

    /// MAC of the concatenated parts of a header.
    pub fn header_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&self.bytes[MAC_KEY], parts)
    }

    /// MACs of a batch of headers (at most [`BATCH_MAX`]), each under its keys.
    pub fn header_mac_batch<'a>(headers: impl Iterator<Item = (&'a Self, &'a [u8])>, macs: &mut [[u8; MAC_BYTES]]) {
        let mut keys: [&[u8; 32]; BATCH_MAX] = [&[0; 32]; BATCH_MAX];
        let mut messages: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        for ((key, message), (packet_keys, header)) in keys.iter_mut().zip(&mut messages).zip(headers) {
            (*key, *message) = (array(&packet_keys.bytes[MAC_KEY]), header);
        }
        hmac_sha256_batch(&keys[..macs.len()], &messages[..macs.len()], macs);
    }

    /// XORs the header's keystream, from its start, into `data`.
    pub fn xor_header_stream(&self, data: &mut [u8]) {
        aes256_ctr_xor(array(&self.bytes[STREAM_KEY]), array(&self.bytes[IV]), data);
    }

    /// Key and IV of the payload. The IV is the header stream's, on purpose.
    pub fn sprp(&self) -> SprpRef<'_> {
        SprpRef { key: array(&self.bytes[SPRP_KEY]), iv: array(&self.bytes[IV]) }
    }

    /// The seed of the blinding factor.
    pub fn blinding_seed(&self) -> &[u8; 32] {
        array(&self.bytes[BLINDING_SEED])
    }
}

/// Key and IV of the payload cipher, wherever they are kept.
#[derive(Clone, Copy)]
pub(crate) struct SprpRef<'a> {
    key: &'a [u8; SPRP_KEY_BYTES],
    iv: &'a [u8; IV_BYTES],
}

impl<'a> SprpRef<'a> {
    /// Splits key ‖ IV, as reply blocks hold them.
    pub fn from_material(material: &'a [u8; SPRP_MATERIAL_BYTES]) -> Self {
        Self { key: array(&material[..SPRP_KEY_BYTES]), iv: array(&material[SPRP_KEY_BYTES..]) }
    }

    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.iv);
    }

    pub fn encrypt(&self, block: &mut [u8]) {
        // The cipher is not defined for no bytes at all; the reference leaves them alone.
        if !block.is_empty() {
            aez::encipher_in_place(self.key, self.iv, block);
        }
    }

    pub fn decrypt(&self, block: &mut [u8]) {
        if !block.is_empty() {
            aez::decipher_in_place(self.key, self.iv, block);
        }
    }
}

/// A range of known length as an array.
fn array<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.try_into().expect("the ranges above have these lengths")
}
