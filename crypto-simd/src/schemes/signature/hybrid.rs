//! Two signature schemes as one: keys and signatures are concatenated, both sign the same message (sphinx.md 12.2).

use super::interface::{self, Signature, SignatureInfo, SignatureSigningKey};
use super::{ed25519, sphincs};
use crate::random::Random;
use crate::schemes::value::SchemeError;
use zeroize::Zeroizing;

/// A pair of schemes in the order of the registry.
pub(super) struct Hybrid {
    /// The static that this is, for the keys that it loads.
    itself: fn() -> &'static Self,
    info: &'static SignatureInfo,
    first: &'static dyn Signature,
    second: &'static dyn Signature,
}

/// `Ed25519-Sphincs+` of the registry.
pub(super) static ED25519_SPHINCS: Hybrid = Hybrid {
    itself: || &ED25519_SPHINCS,
    info: interface::info("Ed25519-Sphincs+"),
    first: &ed25519::Ed25519,
    second: &sphincs::SPHINCS,
};

/// `Ed25519 Sphincs+`, the older name of the same: the bytes are equal, the PEM headers differ.
pub(super) static ED25519_SPHINCS_LEGACY: Hybrid = Hybrid {
    itself: || &ED25519_SPHINCS_LEGACY,
    info: interface::info("Ed25519 Sphincs+"),
    first: &ed25519::Ed25519,
    second: &sphincs::SPHINCS,
};

impl Signature for Hybrid {
    fn info(&self) -> &'static SignatureInfo {
        self.info
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let first = self.first.generate(random);
        Zeroizing::new([&first[..], &self.second.generate(random)].concat())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn SignatureSigningKey>, SchemeError> {
        let (first, second) = self.split(private, |info| info.private_key_bytes)?;
        let (first, second) = (self.first.load(first)?, self.second.load(second)?);
        let public = [first.public_key(), second.public_key()].concat();
        Ok(Box::new(SigningKey { scheme: (self.itself)(), first, second, public }))
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        let (first, second) = self.split(public, |info| info.public_key_bytes)?;
        self.first.check_public_key(first)?;
        self.second.check_public_key(second)
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        let (public_1, public_2) = self.split(public, |info| info.public_key_bytes)?;
        let (signature_1, signature_2) = self.split(signature, |info| info.signature_bytes)?;
        self.first.verify(public_1, message, signature_1)?;
        self.second.verify(public_2, message, signature_2)
    }
}

impl Hybrid {
    /// Both components' parts of `bytes`, whose total length must be exact.
    fn split<'a>(
        &self,
        bytes: &'a [u8],
        part_bytes: fn(&SignatureInfo) -> usize,
    ) -> Result<(&'a [u8], &'a [u8]), SchemeError> {
        if bytes.len() != part_bytes(self.info) {
            return Err(SchemeError::Length);
        }
        Ok(bytes.split_at(part_bytes(self.first.info())))
    }
}

struct SigningKey {
    scheme: &'static Hybrid,
    first: Box<dyn SignatureSigningKey>,
    second: Box<dyn SignatureSigningKey>,
    public: Vec<u8>,
}

impl SignatureSigningKey for SigningKey {
    fn scheme(&self) -> &'static dyn Signature {
        self.scheme
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8], random: &mut dyn Random) -> Vec<u8> {
        let mut signature = self.first.sign(message, random);
        signature.extend(self.second.sign(message, random));
        signature
    }
}
