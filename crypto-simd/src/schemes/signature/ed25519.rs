//! Ed25519 (RFC 8032; sphinx.md 12.1, 12.3): the cofactorless equation, canonical S, public keys that are points.

use super::interface::{self, Signature, SignatureInfo, SignatureSigningKey};
use crate::random::Random;
use crate::schemes::value::{SchemeError, array};
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};
use zeroize::Zeroizing;

const SEED_BYTES: usize = 32;
const PRIVATE_KEY_BYTES: usize = 64;

/// The scheme.
pub(super) struct Ed25519;

impl Signature for Ed25519 {
    fn info(&self) -> &'static SignatureInfo {
        const INFO: &SignatureInfo = interface::info("Ed25519");
        INFO
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(&mut *seed);
        let key = SigningKey::from_bytes(&seed);
        Zeroizing::new([&seed[..], key.verifying_key().as_bytes()].concat())
    }

    /// The public half must belong to the seed: signing with another one would give the key away.
    fn load(&self, private: &[u8]) -> Result<Box<dyn SignatureSigningKey>, SchemeError> {
        let private: &[u8; PRIVATE_KEY_BYTES] = array(private)?;
        let key = SigningKey::from_keypair_bytes(private).map_err(|_| SchemeError::Malformed)?;
        Ok(Box::new(LoadedKey { public: key.verifying_key().to_bytes(), key }))
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        parse(public).map(|_| ())
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        let public = parse(public)?;
        let signature = ed25519_dalek::Signature::from_bytes(array(signature)?);
        public.verify(message, &signature).map_err(|_| SchemeError::BadSignature)
    }
}

fn parse(public: &[u8]) -> Result<VerifyingKey, SchemeError> {
    VerifyingKey::from_bytes(array(public)?).map_err(|_| SchemeError::Malformed)
}

struct LoadedKey {
    key: SigningKey,
    public: [u8; 32],
}

impl SignatureSigningKey for LoadedKey {
    fn scheme(&self) -> &'static dyn Signature {
        &Ed25519
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &mut dyn Random) -> Vec<u8> {
        self.key.sign(message).to_bytes().to_vec()
    }
}
