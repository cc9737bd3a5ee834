//! Signature schemes of the directory (sphinx.md 12).

use super::{LookupError, SchemeError};
use crate::random::Random;
use zeroize::Zeroizing;

/// Name and sizes of a registered signature scheme, whether or not it is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureInfo {
    /// Canonical name.
    pub name: &'static str,
    /// Bytes of a public key.
    pub public_key_bytes: usize,
    /// Bytes of a serialised private key.
    pub private_key_bytes: usize,
    /// Bytes of a signature.
    pub signature_bytes: usize,
}

/// A signature scheme that is built in.
pub trait Signature: Send + Sync {
    /// Name and sizes.
    fn info(&self) -> &'static SignatureInfo;

    /// A new private key in its serialised form.
    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>>;

    /// A private key prepared for signing.
    fn load(&self, private: &[u8]) -> Result<Box<dyn SignatureSigningKey>, SchemeError>;

    /// Whether `public` is an acceptable encoding.
    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError>;

    /// Whether `signature` is `public`'s over `message`.
    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SchemeError>;
}

/// A private key prepared for signing.
pub trait SignatureSigningKey: Send + Sync {
    /// The scheme.
    fn scheme(&self) -> &'static dyn Signature;

    /// The public key.
    fn public_key(&self) -> &[u8];

    /// A signature over `message`.
    fn sign(&self, message: &[u8], random: &mut dyn Random) -> Vec<u8>;
}

/// The sizes of every registered scheme (sphinx.md 12.1), built in or not.
pub fn registered() -> &'static [SignatureInfo] {
    &[]
}

/// The scheme of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Signature, LookupError> {
    Err(LookupError::Unknown { kind: "signature", name: name.into(), known: String::new() })
}
