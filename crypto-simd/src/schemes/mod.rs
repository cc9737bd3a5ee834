//! Schemes by the names that configuration files use (sphinx.md 10 to 13). Look-up is case-insensitive; `name` is the
//! canonical spelling that enters hashes, PEM headers and the link protocol's name.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kem`] | key encapsulation: the interface, one file per scheme, the list of them |
//! | [`nike`] | Diffie-Hellman with blinding, likewise |
//! | [`signature`] | signatures of the directory, likewise |
//! | `registry` | looking up by name |
//! | `value` | errors and shared secrets |
//!
//! A scheme is a file beside its kind's `interface`, a row of sizes there, and an entry in the list of its kind's `mod`.

pub mod kem;
pub mod nike;
pub mod signature;

mod registry;
mod value;

pub use kem::{Kem, KemDecapsulationKey};
pub use nike::{Nike, NikePrivateKey};
pub use registry::LookupError;
pub use signature::{Signature, SignatureSigningKey};
pub use value::{SHARED_SECRET_BYTES_MAX, SchemeError, SharedSecret};

#[cfg(test)]
mod tests;
