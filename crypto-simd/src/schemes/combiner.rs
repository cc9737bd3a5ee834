//! Two KEMs as one: keys and ciphertexts are concatenated, secrets combined by `splitprf-v1` (sphinx.md 11.3).

use super::kem::{self, Kem, KemDecapsulationKey, KemInfo};
use super::{SchemeError, SharedSecret, adapter, mlkem};
use crate::random::Random;
use crate::symmetric::blake2::{KeyedBlake2b256, blake2b_256};
use zeroize::Zeroizing;

const LABEL: &[u8] = b"splitprf-v1";
const SECRET_BYTES: usize = 32;
/// Ciphertexts are handed to the components in groups of this many, so that the slices fit on the stack.
const GROUP: usize = 32;

/// A pair of KEMs in the order of the registry.
pub(super) struct Combiner {
    /// The static that this is, for the keys that it loads.
    itself: fn() -> &'static Self,
    info: &'static KemInfo,
    first: &'static dyn Kem,
    second: &'static dyn Kem,
}

/// `MLKEM768-X448` of the registry.
pub(super) static MLKEM768_X448: Combiner = Combiner {
    itself: || &MLKEM768_X448,
    info: kem::info("MLKEM768-X448"),
    first: &adapter::X448,
    second: &mlkem::MLKEM768,
};

/// `MLKEM768-X25519` of the registry.
pub(super) static MLKEM768_X25519: Combiner = Combiner {
    itself: || &MLKEM768_X25519,
    info: kem::info("MLKEM768-X25519"),
    first: &adapter::X25519,
    second: &mlkem::MLKEM768,
};

impl Kem for Combiner {
    fn info(&self) -> &'static KemInfo {
        self.info
    }

    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError> {
        let (first, second) = split(seed, self.first.info().seed_bytes, self.second.info().seed_bytes)?;
        let first = self.first.derive_private_key(first)?;
        Ok(join(&first, &self.second.derive_private_key(second)?))
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let first = self.first.generate(random);
        join(&first, &self.second.generate(random))
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        let (first, second) = split(public, self.first.info().public_key_bytes, self.second.info().public_key_bytes)?;
        self.first.check_public_key(first)?;
        self.second.check_public_key(second)
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError> {
        let (first, second) =
            split(private, self.first.info().private_key_bytes, self.second.info().private_key_bytes)?;
        let (first, second) = (self.first.load(first)?, self.second.load(second)?);
        let public = [first.public_key(), second.public_key()].concat();
        Ok(Box::new(DecapsulationKey { combiner: (self.itself)(), first, second, public }))
    }

    fn encapsulate(
        &self,
        public: &[u8],
        random: &mut dyn Random,
        ciphertext: &mut [u8],
        secret: &mut SharedSecret,
    ) -> Result<(), SchemeError> {
        let (public_1, public_2) =
            split(public, self.first.info().public_key_bytes, self.second.info().public_key_bytes)?;
        if ciphertext.len() != self.info.ciphertext_bytes {
            return Err(SchemeError::Length);
        }
        let (ciphertext_1, ciphertext_2) = ciphertext.split_at_mut(self.first.info().ciphertext_bytes);
        let (mut secret_1, mut secret_2) = (SharedSecret::default(), SharedSecret::default());
        self.first.encapsulate(public_1, random, ciphertext_1, &mut secret_1)?;
        self.second.encapsulate(public_2, random, ciphertext_2, &mut secret_2)?;
        split_prf(&[(&secret_1, ciphertext_1), (&secret_2, ciphertext_2)], secret)
    }
}

struct DecapsulationKey {
    combiner: &'static Combiner,
    first: Box<dyn KemDecapsulationKey>,
    second: Box<dyn KemDecapsulationKey>,
    public: Vec<u8>,
}

impl KemDecapsulationKey for DecapsulationKey {
    fn scheme(&self) -> &'static dyn Kem {
        self.combiner
    }

    fn public_key(&self) -> &[u8] {
        &self.public
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
    /// At most [`GROUP`] ciphertexts; the first component's secrets are kept in `secrets` until both are there. A
    /// ciphertext of the wrong length goes to the components as an empty one, which they refuse.
    fn decapsulate_group(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    ) {
        let count = ciphertexts.len();
        let (mut first, mut second) = ([&[][..]; GROUP], [&[][..]; GROUP]);
        for (index, ciphertext) in ciphertexts.iter().enumerate() {
            if ciphertext.len() == self.combiner.info.ciphertext_bytes {
                (first[index], second[index]) = ciphertext.split_at(self.combiner.first.info().ciphertext_bytes);
            }
        }
        let mut secrets_2 = [const { SharedSecret::EMPTY }; GROUP];
        let mut results_2 = [Ok(()); GROUP];
        self.first.decapsulate_batch(&first[..count], secrets, results);
        self.second.decapsulate_batch(&second[..count], &mut secrets_2[..count], &mut results_2[..count]);
        for index in 0..count {
            results[index] = results[index].and(results_2[index]).and_then(|()| {
                let secret_1 = secrets[index].clone();
                let components = [(&secret_1, first[index]), (&secrets_2[index], second[index])];
                split_prf(&components, &mut secrets[index])
            });
        }
    }
}

fn split(bytes: &[u8], first_bytes: usize, second_bytes: usize) -> Result<(&[u8], &[u8]), SchemeError> {
    if bytes.len() == first_bytes + second_bytes { Ok(bytes.split_at(first_bytes)) } else { Err(SchemeError::Length) }
}

fn join(first: &[u8], second: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([first, second].concat())
}

/// The combined secret of the components' secrets and ciphertexts.
fn split_prf(components: &[(&SharedSecret, &[u8])], secret: &mut SharedSecret) -> Result<(), SchemeError> {
    if components.is_empty()
        || components.iter().any(|(secret, ciphertext)| secret.as_bytes().is_empty() || ciphertext.is_empty())
    {
        return Err(SchemeError::Length);
    }
    let count = (components.len() as u32).to_be_bytes();
    let mut combined = Zeroizing::new([0; SECRET_BYTES]);
    for (component_secret, _) in components {
        let key = Zeroizing::new(blake2b_256(component_secret.as_bytes()));
        let mut mac = KeyedBlake2b256::new(&*key);
        mac.update(LABEL).update(&count);
        for (_, ciphertext) in components {
            mac.update(&(ciphertext.len() as u32).to_be_bytes()).update(ciphertext);
        }
        for (byte, other) in combined.iter_mut().zip(Zeroizing::new(mac.finish()).iter()) {
            *byte ^= other;
        }
    }
    secret.reset(SECRET_BYTES).copy_from_slice(&*combined);
    Ok(())
}

#[cfg(test)]
mod tests;
