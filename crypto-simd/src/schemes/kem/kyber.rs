//! Kyber768 of the competition's third round, the half of `Kyber768-X25519` (sphinx.md 11.6), on ML-KEM-768's code.
//!
//! Both encrypt alike. Kyber's keys come from G(d) where FIPS 203 has G(d || k); its message is the hash of the coins;
//! and its secret is KDF(K || H(c)) of what ML-KEM would give, or KDF(z || H(c)) of a ciphertext that is rejected.
//! Coefficients of a public key that are not reduced are accepted, as the third round and the reference do.

use super::interface::{Kem, KemDecapsulationKey, KemInfo};
use super::mlkem::{self, CIPHERTEXT_BYTES, COINS_BYTES, ExpandedKey, PUBLIC_KEY_BYTES, SECRET_BYTES, SEED_BYTES};
use crate::kernels::keccak::{sha3_256, shake256};
use crate::kernels::mlkem::PRIVATE_KEY_BYTES;
use crate::random::Random;
use crate::schemes::value::{SchemeError, SharedSecret, array};
use libcrux_ml_kem::mlkem768::portable::kyber_generate_key_pair;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// Where the parts of an encoded private key begin: the secret vector, the public key, its hash, and z.
const PUBLIC_KEY_AT: usize = 1152;
const HASH_AT: usize = PUBLIC_KEY_AT + PUBLIC_KEY_BYTES;
const Z_AT: usize = HASH_AT + 32;

/// The scheme, which is registered as a part of a hybrid only.
pub(super) struct Kyber768;

const INFO: KemInfo = KemInfo {
    name: "Kyber768",
    public_key_bytes: PUBLIC_KEY_BYTES,
    private_key_bytes: PRIVATE_KEY_BYTES,
    ciphertext_bytes: CIPHERTEXT_BYTES,
    shared_secret_bytes: SECRET_BYTES,
    seed_bytes: SEED_BYTES,
};

impl Kem for Kyber768 {
    fn info(&self) -> &'static KemInfo {
        &INFO
    }

    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError> {
        let (mut private, _) = kyber_generate_key_pair(*array(seed)?).into_parts();
        let serialised = Zeroizing::new(private.as_slice().to_vec());
        private[0..].zeroize();
        Ok(serialised)
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(&mut *seed);
        self.derive_private_key(&*seed).expect("the seed has its length")
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        array::<PUBLIC_KEY_BYTES>(public).map(|_| ())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError> {
        let private: &[u8; PRIVATE_KEY_BYTES] = array(private)?;
        let public: &[u8; PUBLIC_KEY_BYTES] = array(&private[PUBLIC_KEY_AT..HASH_AT])?;
        let is_whole: bool = sha3_256(&[public]).ct_eq(&private[HASH_AT..Z_AT]).into();
        if !is_whole {
            return Err(SchemeError::Malformed);
        }
        Ok(Box::new(DecapsulationKey {
            public: Box::new(*public),
            expanded: ExpandedKey::from_private(private),
            z: Zeroizing::new(*array(&private[Z_AT..])?),
        }))
    }

    fn encapsulate(
        &self,
        public: &[u8],
        random: &mut dyn Random,
        ciphertext: &mut [u8],
        secret: &mut SharedSecret,
    ) -> Result<(), SchemeError> {
        let ciphertext: &mut [u8; CIPHERTEXT_BYTES] = ciphertext.try_into().map_err(|_| SchemeError::Length)?;
        let mut coins = Zeroizing::new([0; COINS_BYTES]);
        random.fill(&mut *coins);
        let message = Zeroizing::new(sha3_256(&[&*coins]));
        let shared = mlkem::encapsulate_unchecked(array(public)?, &message, ciphertext);
        derive(&shared, ciphertext, secret);
        Ok(())
    }
}

struct DecapsulationKey {
    public: Box<[u8; PUBLIC_KEY_BYTES]>,
    expanded: ExpandedKey,
    z: Zeroizing<[u8; SECRET_BYTES]>,
}

impl KemDecapsulationKey for DecapsulationKey {
    fn scheme(&self) -> &'static dyn Kem {
        &Kyber768
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
        self.expanded.decapsulate_batch(
            ciphertexts.len(),
            |index| array(ciphertexts[index]),
            |index, outcome| {
                results[index] = outcome.map(|shared| {
                    let shared = self.unless_rejected(shared, ciphertexts[index]);
                    derive(&shared, ciphertexts[index], &mut secrets[index]);
                });
            },
        );
    }
}

impl DecapsulationKey {
    /// ML-KEM's secret of a valid ciphertext; z instead of the secret that ML-KEM gives for one that it rejects.
    fn unless_rejected(&self, shared: &[u8; SECRET_BYTES], ciphertext: &[u8]) -> Zeroizing<[u8; SECRET_BYTES]> {
        let mut of_rejected = Zeroizing::new([0; SECRET_BYTES]);
        shake256(&[&*self.z, ciphertext], &mut *of_rejected);
        let rejected = shared.ct_eq(&*of_rejected);
        Zeroizing::new(<[u8; SECRET_BYTES]>::conditional_select(shared, &self.z, rejected))
    }
}

/// KDF of a secret and the hash of its ciphertext.
fn derive(shared: &[u8; SECRET_BYTES], ciphertext: &[u8], secret: &mut SharedSecret) {
    shake256(&[shared, &sha3_256(&[ciphertext])], secret.reset(SECRET_BYTES));
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
