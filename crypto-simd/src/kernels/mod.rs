//! Algorithms over lanes, one room for each: what a level of CPU is asked for through its proof, and what the table of
//! [`crate::dispatch`] holds. Nothing here knows which level the process uses.
//!
//! | module | what it holds |
//! |---|---|
//! | [`aes`] | vectors of AES blocks, and the counter mode |
//! | [`aez`] | AEZ v5 over them |
//! | [`chacha20poly1305`] | messages and frames of the link |
//! | [`curve25519`] | X25519 of several pairs |
//! | [`curve448`] | X448 of several pairs |
//! | [`keccak`] | SHA-3 and SHAKE, of one message and of several |
//! | [`mlkem`] | decapsulation of several ciphertexts |
//! | [`multibuffer`] | SHA-2, BLAKE2b and ChaCha20 of several messages |

pub(crate) mod aes;
pub(crate) mod aez;
pub(crate) mod chacha20poly1305;
pub(crate) mod curve25519;
pub(crate) mod curve448;
pub(crate) mod keccak;
pub(crate) mod mlkem;
pub(crate) mod multibuffer;
