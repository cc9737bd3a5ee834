//! A NIKE as a KEM: hashed ElGamal with BLAKE2Xb (sphinx.md 11.2).

use super::kem::{self, Kem, KemDecapsulationKey, KemInfo};
use super::nike::{Nike, NikePrivateKey};
use super::{SchemeError, SharedSecret, x448, x25519};
use crate::random::Random;
use crate::symmetric::{Blake2Xb, blake2b_256};
use zeroize::Zeroizing;

/// A NIKE seen as a KEM.
pub(super) struct Adapter {
    /// The static that this is, for the keys that it loads.
    itself: fn() -> &'static Self,
    nike: &'static dyn Nike,
    info: &'static KemInfo,
}

/// `x448` of the KEM registry.
pub(super) static X448: Adapter = Adapter { itself: || &X448, nike: &x448::X448, info: kem::info("x448") };

/// `x25519` of the KEM registry.
pub(super) static X25519: Adapter = Adapter { itself: || &X25519, nike: &x25519::X25519, info: kem::info("x25519") };

impl Kem for Adapter {
    fn info(&self) -> &'static KemInfo {
        self.info
    }

    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError> {
        if seed.len() != self.info.seed_bytes {
            return Err(SchemeError::Length);
        }
        let digest = Zeroizing::new(blake2b_256(seed));
        Ok(self.nike.generate(&mut Blake2Xb::new(Blake2Xb::UNKNOWN_LENGTH, &[], &[&*digest])))
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        self.nike.generate(random)
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        if public.len() == self.info.public_key_bytes { Ok(()) } else { Err(SchemeError::Length) }
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError> {
        Ok(Box::new(DecapsulationKey { adapter: (self.itself)(), nike_key: self.nike.load(private)? }))
    }

    fn encapsulate(
        &self,
        public: &[u8],
        random: &mut dyn Random,
        ciphertext: &mut [u8],
        secret: &mut SharedSecret,
    ) -> Result<(), SchemeError> {
        if ciphertext.len() != self.info.ciphertext_bytes {
            return Err(SchemeError::Length);
        }
        let ephemeral = self.nike.load(&self.nike.generate(random))?;
        *secret = ephemeral.derive(public)?;
        ciphertext.copy_from_slice(ephemeral.public_key());
        hash(secret, public, ciphertext);
        Ok(())
    }
}

struct DecapsulationKey {
    adapter: &'static Adapter,
    nike_key: Box<dyn NikePrivateKey>,
}

impl KemDecapsulationKey for DecapsulationKey {
    fn scheme(&self) -> &'static dyn Kem {
        self.adapter
    }

    fn public_key(&self) -> &[u8] {
        self.nike_key.public_key()
    }

    fn decapsulate_batch(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    ) {
        self.nike_key.derive_batch(ciphertexts, secrets, results);
        for ((ciphertext, secret), result) in ciphertexts.iter().zip(secrets).zip(results) {
            if result.is_ok() {
                hash(secret, self.public_key(), ciphertext);
            }
        }
    }
}

/// Replaces a Diffie-Hellman result by the hash of it and both public keys, the recipient's first.
fn hash(secret: &mut SharedSecret, recipient_public: &[u8], ephemeral_public: &[u8]) {
    let length = secret.as_bytes().len();
    let digest;
    let key = if length == 32 {
        secret.as_bytes()
    } else {
        digest = Zeroizing::new(blake2b_256(secret.as_bytes()));
        &digest[..]
    };
    let mut stream = Blake2Xb::new(recipient_public.len() as u32, key, &[recipient_public, ephemeral_public]);
    stream.fill(secret.reset(length));
}
