//! Libraries in pure Rust, where they are the fastest.

use blake2b_simd::Params;
use libcrux_ml_kem::mlkem768::{MlKem768Ciphertext, portable};
use sha2::{Digest, Sha256, Sha512_256};

#[cfg(target_arch = "x86_64")]
use libcrux_ml_kem::mlkem768::avx2;

const SHA256_BLOCK_BYTES: usize = 64;

/// SHA-512/256 of `sha2`.
pub fn sha512_256(message: &[u8]) -> [u8; 32] {
    Sha512_256::digest(message).into()
}

/// HMAC-SHA-256 over `sha2`, which uses the SHA extensions.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let (inner, outer) = hmac_states(key);
    hmac_finish(inner, outer, &[message])
}

/// HKDF-Expand over `sha2`; the key's blocks are hashed once for all outputs.
pub fn hkdf_expand_sha256(prk: &[u8], info: &[u8], output: &mut [u8]) {
    let (inner, outer) = hmac_states(prk);
    let mut block = [0; 32];
    for (index, chunk) in output.chunks_mut(32).enumerate() {
        let previous = if index == 0 { &[][..] } else { &block[..] };
        block = hmac_finish(inner.clone(), outer.clone(), &[previous, info, &[index as u8 + 1]]);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

fn hmac_states(key: &[u8]) -> (Sha256, Sha256) {
    let mut block = [0; SHA256_BLOCK_BYTES];
    if key.len() > SHA256_BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
    (padded(0x36), padded(0x5c))
}

fn hmac_finish(mut inner: Sha256, mut outer: Sha256, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| inner.update(part));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// BLAKE2b with a 32-byte digest, keyed unless the key is empty.
pub fn blake2b_256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Params::new().hash_length(32).key(key).to_state();
    for part in parts {
        state.update(part);
    }
    state.finalize().as_bytes().try_into().expect("32 bytes were asked for")
}

/// The whole BLAKE2Xb stream of at most 64 bytes (sphinx.md 11.2): its root and its only block.
pub fn blake2xb(key: &[u8], parts: &[&[u8]], output: &mut [u8]) {
    let size = output.len() as u64;
    assert!(size <= 64, "one block");
    let mut root = Params::new().key(key).node_offset(size << 32).to_state();
    for part in parts {
        root.update(part);
    }
    let block = Params::new()
        .hash_length(output.len())
        .fanout(0)
        .max_depth(0)
        .max_leaf_length(64)
        .node_offset(size << 32)
        .inner_hash_length(64)
        .hash(root.finalize().as_bytes());
    output.copy_from_slice(block.as_bytes());
}

/// SHA3-256 of at most one block (135 bytes).
pub fn sha3_256(message: &[u8]) -> [u8; 32] {
    keccak_one_block(0x06, message)
}

/// The first `N` bytes (at most 136) of SHAKE256 of at most one block.
pub fn shake256<const N: usize>(message: &[u8]) -> [u8; N] {
    keccak_one_block(0x1f, message)
}

fn keccak_one_block<const N: usize>(domain: u8, message: &[u8]) -> [u8; N] {
    const RATE_BYTES: usize = 136;
    let mut block = [0; RATE_BYTES];
    block[..message.len()].copy_from_slice(message);
    block[message.len()] = domain;
    block[RATE_BYTES - 1] |= 0x80;
    let mut state = [0; 25];
    for (word, bytes) in state.iter_mut().zip(block.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    keccak::Keccak::new().with_f1600(|f1600| f1600(&mut state));
    for (bytes, word) in block.chunks_mut(8).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    std::array::from_fn(|index| block[index])
}

/// `private · public` on Curve448; none if the product is zero.
pub fn x448(private: &[u8; 56], public: &[u8; 56]) -> Option<[u8; 56]> {
    let product = crrl::x448::x448(public, private);
    (product != [0; 56]).then_some(product)
}

/// An expanded ML-KEM-768 key of libcrux, for the best code of this CPU.
pub enum MlKem768 {
    /// Any CPU.
    Portable(Box<portable::unpacked::MlKem768KeyPairUnpacked>),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<avx2::unpacked::MlKem768KeyPairUnpacked>),
}

impl MlKem768 {
    /// Expands the seed `d || z`.
    pub fn new(seed: &[u8; 64]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            let mut key = Box::new(avx2::unpacked::init_key_pair());
            avx2::unpacked::generate_key_pair_mut(*seed, &mut key);
            return Self::Avx2(key);
        }
        let mut key = Box::new(portable::unpacked::init_key_pair());
        portable::unpacked::generate_key_pair_mut(*seed, &mut key);
        Self::Portable(key)
    }

    /// The secret of a ciphertext.
    pub fn decapsulate(&self, ciphertext: &[u8; 1088]) -> [u8; 32] {
        let ciphertext = MlKem768Ciphertext::from(ciphertext);
        match self {
            Self::Portable(key) => portable::unpacked::decapsulate(key, &ciphertext),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(key) => avx2::unpacked::decapsulate(key, &ciphertext),
        }
    }
}
