//! Identity keys and their hashes, which name every node, replica and authority (pki.md 2.1, 2.2).

use crypto_simd::schemes::{SchemeError, Signature};
use std::fmt;

/// The BLAKE2b-256 hash of a binary identity key.
pub type NodeId = [u8; 32];

/// The one hash of the directory: BLAKE2b-256 without key or personalisation (pki.md 2.1).
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    let digest = blake2b_simd::Params::new().hash_length(32).hash(bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_bytes());
    out
}

/// A public identity key of a known scheme.
#[derive(Clone)]
pub struct VerifyingKey {
    scheme: &'static dyn Signature,
    bytes: Vec<u8>,
    id: NodeId,
}

impl VerifyingKey {
    /// A key from its binary encoding.
    pub fn new(scheme: &'static dyn Signature, bytes: &[u8]) -> Result<Self, SchemeError> {
        scheme.check_public_key(bytes)?;
        Ok(Self { scheme, bytes: bytes.into(), id: hash(bytes) })
    }

    /// The signature scheme that it is a key of.
    pub fn scheme(&self) -> &'static dyn Signature {
        self.scheme
    }

    /// The binary encoding, which is hashed to the node id.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash of the binary encoding.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        self.scheme.verify(&self.bytes, message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({}, ", self.scheme.info().name)?;
        self.id.iter().take(4).try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        formatter.write_str("…)")
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.scheme.info().name == other.scheme.info().name
    }
}

impl Eq for VerifyingKey {}

/// Whether two spellings mean one signature scheme in signed data: exact, or the older one with a space in hybrid
/// names (pki.md 2.2). Case counts, because the reference's authorities compare exactly (pki.md 5.2).
pub(crate) fn same_scheme_name(a: &str, b: &str) -> bool {
    a == b || (a.len() == b.len() && a.replace(' ', "-") == b.replace(' ', "-"))
}
