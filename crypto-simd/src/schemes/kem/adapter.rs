//! A NIKE as a KEM: hashed ElGamal with BLAKE2Xb (sphinx.md 11.2).

use super::interface::{self, Kem, KemDecapsulationKey, KemInfo};
use crate::kernels::curve448;
use crate::random::Random;
use crate::schemes::nike::interface::{Nike, NikePrivateKey};
use crate::schemes::nike::{x448, x25519};
use crate::schemes::value::{SchemeError, SharedSecret};
use crate::symmetric::{Blake2Xb, blake2b_256, blake2b_256_batch};
use zeroize::{Zeroize, Zeroizing};

/// Secrets are hashed in groups of this many, so that everything fits on the stack.
const GROUP: usize = 8;
/// Bytes of the longest public key; shared secrets and ciphertexts are as long as public keys.
const PUBLIC_KEY_BYTES_MAX: usize = curve448::BYTES;
const KEY_BYTES: usize = 32;

/// A NIKE seen as a KEM.
pub(super) struct Adapter {
    /// The static that this is, for the keys that it loads.
    itself: fn() -> &'static Self,
    nike: &'static dyn Nike,
    info: &'static KemInfo,
}

/// `x448` of the KEM registry.
pub(super) static X448: Adapter = Adapter { itself: || &X448, nike: &x448::X448, info: interface::info("x448") };

/// `x25519` of the KEM registry.
pub(super) static X25519: Adapter =
    Adapter { itself: || &X25519, nike: &x25519::X25519, info: interface::info("x25519") };

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
        let groups = ciphertexts.chunks(GROUP).zip(secrets.chunks_mut(GROUP)).zip(results.chunks(GROUP));
        for ((ciphertexts, secrets), results) in groups {
            hash_group(self.public_key(), ciphertexts, secrets, results);
        }
    }
}

/// [`hash`] of the secrets of at most [`GROUP`] ciphertexts, without those that have an error.
fn hash_group(
    recipient_public: &[u8],
    ciphertexts: &[&[u8]],
    secrets: &mut [SharedSecret],
    results: &[Result<(), SchemeError>],
) {
    let (count, bytes) = (ciphertexts.len(), recipient_public.len());
    let mut keys = [[0; KEY_BYTES]; GROUP];
    let mut messages = [[0; 2 * PUBLIC_KEY_BYTES_MAX]; GROUP];
    let mut outputs = [[0; PUBLIC_KEY_BYTES_MAX]; GROUP];
    if bytes == KEY_BYTES {
        for ((key, secret), _) in keys.iter_mut().zip(&*secrets).zip(results).filter(|(_, result)| result.is_ok()) {
            key.copy_from_slice(secret.as_bytes());
        }
    } else {
        let unhashed: [&[u8]; GROUP] =
            std::array::from_fn(|index| secrets.get(index).map_or(&[][..], |s| s.as_bytes()));
        blake2b_256_batch(&unhashed[..count], &mut keys[..count]);
    }
    for ((message, ciphertext), _) in
        messages.iter_mut().zip(ciphertexts).zip(results).filter(|(_, result)| result.is_ok())
    {
        message[..bytes].copy_from_slice(recipient_public);
        message[bytes..2 * bytes].copy_from_slice(ciphertext);
    }
    let messages = messages.each_ref().map(|message| &message[..2 * bytes]);
    let mut hashed = outputs.each_mut().map(|output| &mut output[..bytes]);
    Blake2Xb::batch(&keys.each_ref()[..count], &messages[..count], &mut hashed[..count]);
    for ((secret, output), _) in secrets.iter_mut().zip(&outputs).zip(results).filter(|(_, result)| result.is_ok()) {
        secret.reset(bytes).copy_from_slice(&output[..bytes]);
    }
    keys.as_flattened_mut().zeroize();
    outputs.as_flattened_mut().zeroize();
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
