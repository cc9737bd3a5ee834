//! The symmetric primitives of Sphinx (sphinx.md 2.2, 2.3) and of the link protocol (wire.md 2).
//!
//! | module | what it holds |
//! |---|---|
//! | [`aead`] | ChaCha20-Poly1305 in place, one ChaCha20 block |
//! | [`blake2`] | BLAKE2b, its keyed mode, HMAC and HKDF over it, the BLAKE2Xb output stream |
//! | [`frame`] | whole frames of the link |
//! | [`sha2`] | SHA-512/256, HMAC-SHA-256, HKDF-Expand |
//! | [`stream`] | AES-256 in counter mode |

pub mod aead;
pub mod blake2;
pub mod frame;
pub mod sha2;
pub mod stream;

pub use aead::{ChaChaPoly, chacha20_block};
pub use blake2::{
    Blake2Xb, HmacBlake2b512Key, blake2b_256, blake2b_256_batch, blake2b_256_keyed, blake2b_256_keyed_batch,
    blake2b_512, blake2b_512_parts, hkdf_blake2b_512, hmac_blake2b_512,
};
pub use frame::{FrameHeader, FrameOpening, seal_frame, seal_frame_onto};
pub use sha2::{
    HmacSha256Key, hkdf_expand_sha256, hkdf_expand_sha256_batch, hmac_sha256, hmac_sha256_batch, sha512_256,
    sha512_256_batch,
};
pub use stream::{aes256_ctr_keystream, aes256_ctr_xor};

pub use crate::authentic::{OpenError, equal};

#[cfg(test)]
mod tests;
