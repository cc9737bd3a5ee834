//! Two KEMs as one: keys and ciphertexts are concatenated, secrets combined by `splitprf-v1` (sphinx.md 11.3).

use super::interface::{self, Kem, KemDecapsulationKey, KemInfo};
use super::kyber::Kyber768;
use super::{adapter, mlkem};
use crate::kernels::curve448;
use crate::random::Random;
use crate::schemes::value::{SchemeError, SharedSecret};
use crate::symmetric::blake2::{KeyedBlake2b256, blake2b_256, blake2b_256_batch, blake2b_256_keyed_batch};
use zeroize::{Zeroize, Zeroizing};

const LABEL: &[u8] = b"splitprf-v1";
const SECRET_BYTES: usize = 32;
/// Ciphertexts are handed to the components in groups of this many, so that the slices fit on the stack.
const GROUP: usize = 32;
/// Secrets are combined this many at a time: two hashes for each fill the lanes of a vector.
const PAIRS: usize = 4;

/// A pair of KEMs in the order of the registry.
pub(super) struct Combiner {
    /// The static that this is, for the keys that it loads.
    itself: fn() -> &'static Self,
    info: &'static KemInfo,
    first: &'static dyn Kem,
    second: &'static dyn Kem,
}

/// `Kyber768-X25519` of the registry.
pub(super) static KYBER768_X25519: Combiner = Combiner {
    itself: || &KYBER768_X25519,
    info: interface::info("Kyber768-X25519"),
    first: &adapter::X25519,
    second: &Kyber768,
};

/// `MLKEM768-X448` of the registry.
pub(super) static MLKEM768_X448: Combiner = Combiner {
    itself: || &MLKEM768_X448,
    info: interface::info("MLKEM768-X448"),
    first: &adapter::X448,
    second: &mlkem::MLKEM768,
};

/// `MLKEM768-X25519` of the registry.
pub(super) static MLKEM768_X25519: Combiner = Combiner {
    itself: || &MLKEM768_X25519,
    info: interface::info("MLKEM768-X25519"),
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
        let mut live = [0; GROUP];
        let mut live_count = 0;
        for index in 0..count {
            results[index] = results[index].and(results_2[index]);
            if results[index].is_ok() {
                live[live_count] = index;
                live_count += 1;
            }
        }
        let mut messages = Messages::default();
        for indices in live[..live_count].chunks(PAIRS) {
            messages.combine(indices, [&first, &second], secrets, &secrets_2);
        }
    }
}

/// Bytes of the longest message that [`split_prf`] hashes for a pair of the registry.
const MESSAGE_BYTES_MAX: usize = LABEL.len() + 3 * size_of::<u32>() + curve448::BYTES + mlkem::CIPHERTEXT_BYTES;

/// What [`split_prf`] hashes, for several pairs.
struct Messages([[u8; MESSAGE_BYTES_MAX]; PAIRS]);

impl Default for Messages {
    fn default() -> Self {
        Self([[0; MESSAGE_BYTES_MAX]; PAIRS])
    }
}

impl Messages {
    /// [`split_prf`] of at most [`PAIRS`] pairs with these indices: `secrets` holds the first components' secrets, then
    /// the combined ones.
    fn combine(
        &mut self,
        indices: &[usize],
        ciphertexts: [&[&[u8]]; 2],
        secrets: &mut [SharedSecret],
        secrets_2: &[SharedSecret],
    ) {
        let mut parts: [&[u8]; 2 * PAIRS] = [&[]; 2 * PAIRS];
        let mut messages: [&[u8]; 2 * PAIRS] = [&[]; 2 * PAIRS];
        let buffers = self.0.iter_mut().zip(parts.as_chunks_mut().0).zip(messages.as_chunks_mut().0);
        for (index, ((buffer, parts), messages)) in indices.iter().zip(buffers) {
            *parts = [secrets[*index].as_bytes(), secrets_2[*index].as_bytes()];
            *messages = [write_message(buffer, ciphertexts.map(|ciphertexts| ciphertexts[*index])); 2];
        }
        let count = 2 * indices.len();
        let (mut keys, mut digests) = ([[0; SECRET_BYTES]; 2 * PAIRS], [[0; SECRET_BYTES]; 2 * PAIRS]);
        blake2b_256_batch(&parts[..count], &mut keys[..count]);
        blake2b_256_keyed_batch(&keys.each_ref()[..count], &messages[..count], &mut digests[..count]);
        for (index, [first, second]) in indices.iter().zip(digests.as_chunks().0) {
            let combined = secrets[*index].reset(SECRET_BYTES);
            combined.iter_mut().zip(first.iter().zip(second)).for_each(|(byte, (a, b))| *byte = a ^ b);
        }
        keys.as_flattened_mut().zeroize();
        digests.as_flattened_mut().zeroize();
    }
}

/// The message of a pair of ciphertexts.
fn write_message<'a>(buffer: &'a mut [u8; MESSAGE_BYTES_MAX], ciphertexts: [&[u8]; 2]) -> &'a [u8] {
    let mut written = 0;
    let mut write = |bytes: &[u8]| {
        buffer[written..written + bytes.len()].copy_from_slice(bytes);
        written += bytes.len();
    };
    write(LABEL);
    write(&(ciphertexts.len() as u32).to_be_bytes());
    for ciphertext in ciphertexts {
        write(&(ciphertext.len() as u32).to_be_bytes());
        write(ciphertext);
    }
    &buffer[..written]
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
