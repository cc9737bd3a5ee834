//! What others have: the fastest library for each operation that builds from a registry on any machine, and one packet's
//! way through them. Nothing here serves a node.
//!
//! | module | what it holds |
//! |---|---|
//! | [`aws_lc`] | raw calls of aws-lc, the only `unsafe` of this crate |
//! | [`rust`] | pure Rust: hashes, X448, ML-KEM |
//! | [`kem`] | decapsulation of all schemes, one after the other |
//! | [`unwrap`] | one packet's unwrap in the order of sphinx.md 6.3 |
//! | [`implementations`] | other implementations of Sphinx, in their own formats |
//! | [`frame`] | one frame of the link protocol, sealed and opened |

#[allow(unsafe_code, reason = "foreign functions; aws-lc's safe wrappers allocate or import a key per call")]
pub mod aws_lc;
pub mod frame;
pub mod implementations;
pub mod kem;
pub mod rust;
pub mod unwrap;

#[cfg(test)]
mod tests;
