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
//! | [`dispatch`] | the table of kernels chosen for this CPU |
//! | `kernels` | the algorithms over lanes, one room each; they know levels and lanes, and nothing above |
//! | [`lanes`] | vectors of words, one lane per packet, and their emulated twin |
//! | [`cpu`] | levels of CPU, their tokens, and which one this process uses |
//! | `authentic` | the error of a wrong tag, and comparison in constant time |
//! | [`pem`] | the PEM encoding of keys |
//!
//! Each room uses those below it in this order: `cpu`, `lanes`, `kernels`, `dispatch`, `symmetric` and `aez`, `schemes`.
//! A new level of CPU begins in `cpu` and `lanes`, a new scheme in `schemes` with a row of its registry.

pub mod aez;
pub mod cpu;
pub mod dispatch;
pub mod lanes;
pub mod pem;
pub mod random;
pub mod schemes;
pub mod symmetric;

mod authentic;
mod kernels;
