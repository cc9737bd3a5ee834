//! Signature schemes of the directory (sphinx.md 12).

use crate::random::Random;
use crate::schemes::registry::same;
use crate::schemes::value::SchemeError;
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

/// Every registered scheme: name, then bytes of public key, private key and signature (sphinx.md 12.1).
pub(super) const ROWS: &[SignatureInfo] = &[
    row("Ed25519", 32, 64, 64),
    row("Ed448", 57, 114, 114),
    row("Sphincs+", 64, 128, 49856),
    row("Ed25519-Sphincs+", 96, 192, 49920),
    row("Ed25519 Sphincs+", 96, 192, 49920),
    row("Ed448-Sphincs+", 121, 242, 49970),
    row("Ed25519-Dilithium2", 1344, 2560, 2484),
    row("Ed448-Dilithium3", 2009, 4057, 3407),
    row("Falcon-padded-512", 897, 1281, 666),
    row("Falcon-padded-1024", 1793, 2305, 1280),
    row("Falcon-padded-512-Ed25519", 929, 1345, 730),
    row("Falcon-padded-1024-Ed25519", 1825, 2369, 1344),
    row("ML-DSA-44", 1312, 32, 2420),
    row("ML-DSA-65", 1952, 32, 3309),
    row("ML-DSA-87", 2592, 32, 4627),
    row("ML-DSA-44-Ed25519", 1344, 96, 2484),
    row("ML-DSA-65-Ed25519", 1984, 96, 3373),
    row("ML-DSA-87-Ed25519", 2624, 96, 4691),
    row("SQIsign-lvl1", 65, 353, 148),
    row("SQIsign-lvl1-Ed25519", 97, 417, 212),
];

const fn row(
    name: &'static str,
    public_key_bytes: usize,
    private_key_bytes: usize,
    signature_bytes: usize,
) -> SignatureInfo {
    SignatureInfo { name, public_key_bytes, private_key_bytes, signature_bytes }
}

/// The row of a built-in scheme, found when compiling.
pub(in crate::schemes) const fn info(name: &str) -> &'static SignatureInfo {
    let mut index = 0;
    while !same(ROWS[index].name, name) {
        index += 1;
    }
    &ROWS[index]
}
