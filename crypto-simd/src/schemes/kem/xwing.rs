//! X-Wing (draft-connolly-cfrg-xwing-kem-07; sphinx.md 11.5), with all-zero X25519 results rejected on both sides.

use super::interface::{self, Kem, KemDecapsulationKey, KemInfo};
use super::mlkem::{self, ExpandedKey};
use crate::dispatch::kernels;
use crate::kernels::keccak::{self, batch::sha3_256_batch};
use crate::random::Random;
use crate::schemes::nike::x25519;
use crate::schemes::value::{SchemeError, SharedSecret, array};
use zeroize::Zeroizing;

const LABEL: &[u8] = br"\.//^\";
const SEED_BYTES: usize = 32;
const PUBLIC_KEY_BYTES: usize = mlkem::PUBLIC_KEY_BYTES + x25519::BYTES;
const CIPHERTEXT_BYTES: usize = mlkem::CIPHERTEXT_BYTES + x25519::BYTES;
const SECRET_BYTES: usize = 32;
/// Bytes that the combiner hashes: both secrets, the X25519 parts of ciphertext and public key, the label.
const MESSAGE_BYTES: usize = 4 * 32 + LABEL.len();
/// Ciphertexts are handed to the components in groups of this many, so that what belongs to them fits on the stack.
const GROUP: usize = 32;

/// The scheme.
pub(super) struct XWing;

/// `XWING` of the registry.
pub(super) static XWING: XWing = XWing;

impl Kem for XWing {
    fn info(&self) -> &'static KemInfo {
        const INFO: &KemInfo = interface::info("XWING");
        INFO
    }

    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError> {
        let seed: &[u8; SEED_BYTES] = array(seed)?;
        Ok(serialise(seed))
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(&mut *seed);
        serialise(&seed)
    }

    /// Checks the length only; see `MLKEM768`.
    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        array::<PUBLIC_KEY_BYTES>(public).map(|_| ())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError> {
        if private.len() != self.info().private_key_bytes {
            return Err(SchemeError::Length);
        }
        Ok(Box::new(DecapsulationKey::new(array(&private[PUBLIC_KEY_BYTES..])?)))
    }

    fn encapsulate(
        &self,
        public: &[u8],
        random: &mut dyn Random,
        ciphertext: &mut [u8],
        secret: &mut SharedSecret,
    ) -> Result<(), SchemeError> {
        let public: &[u8; PUBLIC_KEY_BYTES] = array(public)?;
        let ciphertext: &mut [u8; CIPHERTEXT_BYTES] = ciphertext.try_into().map_err(|_| SchemeError::Length)?;
        let (public_m, public_x) = public.split_at(mlkem::PUBLIC_KEY_BYTES);
        let (ciphertext_m, ciphertext_x) = ciphertext.split_at_mut(mlkem::CIPHERTEXT_BYTES);
        let ciphertext_m = ciphertext_m.try_into().map_err(|_| SchemeError::Length)?;

        let mut coins = Zeroizing::new([0; mlkem::COINS_BYTES]);
        random.fill(&mut *coins);
        let mut ephemeral = Zeroizing::new([0; x25519::BYTES]);
        random.fill(&mut *ephemeral);

        let secret_m = mlkem::encapsulate(array(public_m)?, &coins, ciphertext_m)?;
        let mut secret_x = Zeroizing::new([0; x25519::BYTES]);
        x25519::multiply(&ephemeral, array(public_x)?, &mut secret_x)?;
        ciphertext_x.copy_from_slice(&x25519::multiply_base(&ephemeral));
        let message = Zeroizing::new(message(&*secret_m, &*secret_x, ciphertext_x, public_x));
        let digest = Zeroizing::new(keccak::sha3_256(&[&*message]));
        secret.reset(SECRET_BYTES).copy_from_slice(&*digest);
        Ok(())
    }
}

/// The private key's encoding: public key, then seed.
fn serialise(seed: &[u8; SEED_BYTES]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&DecapsulationKey::new(seed).public[..], seed].concat())
}

struct DecapsulationKey {
    public: Box<[u8; PUBLIC_KEY_BYTES]>,
    private_m: ExpandedKey,
    private_x: Zeroizing<[u8; x25519::BYTES]>,
}

impl DecapsulationKey {
    fn new(seed: &[u8; SEED_BYTES]) -> Self {
        let mut seed_m = Zeroizing::new([0; mlkem::SEED_BYTES]);
        let mut private_x = Zeroizing::new([0; x25519::BYTES]);
        let mut expanded = Zeroizing::new([0; mlkem::SEED_BYTES + x25519::BYTES]);
        keccak::shake256(&[seed], &mut *expanded);
        seed_m.copy_from_slice(&expanded[..mlkem::SEED_BYTES]);
        private_x.copy_from_slice(&expanded[mlkem::SEED_BYTES..]);

        let private_m = ExpandedKey::new(&seed_m);
        let mut public = Box::new([0; PUBLIC_KEY_BYTES]);
        public[..mlkem::PUBLIC_KEY_BYTES].copy_from_slice(&private_m.public_key());
        public[mlkem::PUBLIC_KEY_BYTES..].copy_from_slice(&x25519::multiply_base(&private_x));
        Self { public, private_m, private_x }
    }
}

impl KemDecapsulationKey for DecapsulationKey {
    fn scheme(&self) -> &'static dyn Kem {
        &XWING
    }

    fn public_key(&self) -> &[u8] {
        &*self.public
    }

    fn decapsulate_batch(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    ) {
        let groups = ciphertexts.chunks(GROUP).zip(secrets.chunks_mut(GROUP)).zip(results.chunks_mut(GROUP));
        for ((ciphertexts, secrets), results) in groups {
            self.decapsulate_group(ciphertexts, secrets, results);
        }
    }
}

impl DecapsulationKey {
    /// At most [`GROUP`] ciphertexts. The parts of those that have no error so far stand in the combiner's messages.
    fn decapsulate_group(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    ) {
        let count = ciphertexts.len();
        let mut messages = Zeroizing::new([[0; MESSAGE_BYTES]; GROUP]);
        x25519::multiply_batch(
            count,
            |index| Ok((&*self.private_x, array(split(ciphertexts[index])?.1)?)),
            |index, outcome| {
                results[index] = outcome.and_then(|secret_x| {
                    let (_, ciphertext_x) = split(ciphertexts[index])?;
                    messages[index] = message(&[0; SECRET_BYTES], secret_x, ciphertext_x, self.public_x());
                    Ok(())
                });
            },
        );
        self.private_m.decapsulate_batch(
            count,
            |index| array(split(ciphertexts[index])?.0),
            |index, outcome| {
                results[index] = results[index].and(outcome.map(|secret_m| {
                    messages[index][..SECRET_BYTES].copy_from_slice(secret_m);
                }));
            },
        );
        let mut digests = Zeroizing::new([[0; SECRET_BYTES]; GROUP]);
        sha3_256_batch(kernels().sha3_256, &messages[..count], &mut digests[..count]);
        for ((secret, digest), result) in secrets.iter_mut().zip(digests.iter()).zip(results) {
            if result.is_ok() {
                secret.reset(SECRET_BYTES).copy_from_slice(digest);
            }
        }
    }

    fn public_x(&self) -> &[u8] {
        &self.public[mlkem::PUBLIC_KEY_BYTES..]
    }
}

/// The ML-KEM and the X25519 part of a ciphertext.
fn split(ciphertext: &[u8]) -> Result<(&[u8], &[u8]), SchemeError> {
    Ok(array::<CIPHERTEXT_BYTES>(ciphertext)?.split_at(mlkem::CIPHERTEXT_BYTES))
}

/// What the combiner hashes.
fn message(secret_m: &[u8], secret_x: &[u8], ciphertext_x: &[u8], public_x: &[u8]) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    let parts = [secret_m, secret_x, ciphertext_x, public_x, LABEL];
    let mut at = 0;
    for part in parts {
        message[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    message
}

#[cfg(test)]
mod tests;
