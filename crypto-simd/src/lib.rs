//! Cryptography for batches of packets: kernels over lanes, and the registry of schemes.
//!
//! It never reads a clock or a file, never makes keys without a [`random::Random`] from its caller, and never chooses a
//! kernel by the input's value.
//!
//! | module | what it holds |
//! |---|---|
//! | [`random`] | randomness as an argument: the operating system's, or a seeded stream |
//! | [`schemes`] | NIKE, KEM and signature schemes by the names of configuration files |
//! | [`symmetric`] | hashes, MACs, key derivation, stream cipher and AEAD of Sphinx and of the link protocol |
//! | [`aez`] | AEZ v5, the wide-block cipher of packet payloads |
//! | [`cpu`] | levels of CPU and the kernels chosen for this one |
//! | [`lanes`] | vectors of words, one lane per packet, and their emulated twin |
//! | [`pem`] | the PEM encoding of keys |
//! | `aes`, `chacha20poly1305`, `keccak`, `multibuffer` | kernels of the ciphers and hashes |
//! | `curve25519`, `curve448`, `mlkem` | kernels of the key exchanges |
//! | `words` | vectors of words, one message per word: hashing several messages at once |

pub mod aez;
pub mod cpu;
pub mod lanes;
pub mod pem;
pub mod random;
pub mod schemes;
pub mod symmetric;

mod aes;
mod chacha20poly1305;
mod curve25519;
mod curve448;
mod keccak;
mod mlkem;
mod multibuffer;
mod words;
