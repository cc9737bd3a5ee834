//! ML-KEM-768 (FIPS 203; sphinx.md 11.4): batches by the kernel of the CPU's level, everything else by libcrux. The
//! expanded key with its matrix is kept in the loaded key, in the form of either.

use super::interface::{self, Kem, KemDecapsulationKey, KemInfo};
use crate::cpu::Level;
use crate::dispatch::{Kernels, kernels};
use crate::kernels::mlkem::{self, BATCH_MAX, Kernel, Key, PRIVATE_KEY_BYTES};
use crate::random::Random;
use crate::schemes::value::{SchemeError, SharedSecret, array};
#[cfg(target_arch = "x86_64")]
use libcrux_ml_kem::mlkem768::avx2;
use libcrux_ml_kem::mlkem768::{MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey, portable};
use zeroize::{Zeroize, Zeroizing};

pub(super) const PUBLIC_KEY_BYTES: usize = 1184;
pub(super) const CIPHERTEXT_BYTES: usize = mlkem::CIPHERTEXT_BYTES;
pub(super) const SEED_BYTES: usize = 64;
pub(super) const COINS_BYTES: usize = 32;
pub(super) const SECRET_BYTES: usize = mlkem::SECRET_BYTES;

/// The scheme.
pub(super) struct MlKem768;

/// `MLKEM768` of the registry.
pub(super) static MLKEM768: MlKem768 = MlKem768;

impl Kem for MlKem768 {
    fn info(&self) -> &'static KemInfo {
        const INFO: &KemInfo = interface::info("MLKEM768");
        INFO
    }

    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError> {
        let seed: &[u8; SEED_BYTES] = array(seed)?;
        Ok(serialise(ExpandedKey::new(seed).public_key(), seed))
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(&mut *seed);
        serialise(ExpandedKey::new(&seed).public_key(), &seed)
    }

    /// Checks the length only, as the reference does: keys with coefficients that are not reduced are refused when
    /// somebody encapsulates to them.
    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        array::<PUBLIC_KEY_BYTES>(public).map(|_| ())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError> {
        if private.len() != self.info().private_key_bytes {
            return Err(SchemeError::Length);
        }
        let expanded = ExpandedKey::new(array(&private[PUBLIC_KEY_BYTES..])?);
        Ok(Box::new(DecapsulationKey { public: Box::new(expanded.public_key()), expanded }))
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
        let shared = encapsulate(array(public)?, &coins, ciphertext)?;
        secret.reset(SECRET_BYTES).copy_from_slice(&*shared);
        Ok(())
    }
}

/// The private key's encoding: encapsulation key, then the seed `d || z`.
fn serialise(public: [u8; PUBLIC_KEY_BYTES], seed: &[u8; SEED_BYTES]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&public[..], seed].concat())
}

struct DecapsulationKey {
    public: Box<[u8; PUBLIC_KEY_BYTES]>,
    expanded: ExpandedKey,
}

impl KemDecapsulationKey for DecapsulationKey {
    fn scheme(&self) -> &'static dyn Kem {
        &MLKEM768
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
                results[index] = outcome.map(|secret| secrets[index].reset(SECRET_BYTES).copy_from_slice(secret));
            },
        );
    }
}

/// Encapsulates with given coins `m`.
pub(super) fn encapsulate(
    public: &[u8; PUBLIC_KEY_BYTES],
    coins: &[u8; COINS_BYTES],
    ciphertext: &mut [u8; CIPHERTEXT_BYTES],
) -> Result<Zeroizing<[u8; SECRET_BYTES]>, SchemeError> {
    let validate: fn(&MlKem768PublicKey) -> bool = portable::validate_public_key;
    #[cfg(target_arch = "x86_64")]
    let validate = if kernels().level == Level::Portable { validate } else { avx2::validate_public_key };
    if !validate(&MlKem768PublicKey::from(public)) {
        return Err(SchemeError::Malformed);
    }
    Ok(encapsulate_unchecked(public, coins, ciphertext))
}

/// The same for a key whose coefficients are taken modulo q.
pub(super) fn encapsulate_unchecked(
    public: &[u8; PUBLIC_KEY_BYTES],
    coins: &[u8; COINS_BYTES],
    ciphertext: &mut [u8; CIPHERTEXT_BYTES],
) -> Zeroizing<[u8; SECRET_BYTES]> {
    let encapsulate: Encapsulate = portable::encapsulate;
    #[cfg(target_arch = "x86_64")]
    let encapsulate = if kernels().level == Level::Portable { encapsulate } else { avx2::encapsulate };
    let (encapsulated, secret) = encapsulate(&MlKem768PublicKey::from(public), *coins);
    ciphertext.copy_from_slice(encapsulated.as_slice());
    Zeroizing::new(secret)
}

type Encapsulate = fn(&MlKem768PublicKey, [u8; COINS_BYTES]) -> (MlKem768Ciphertext, [u8; SECRET_BYTES]);

/// The key of a seed, expanded.
pub(super) struct ExpandedKey {
    library: LibraryKey,
    /// The same for the kernel, where there is one.
    lanes: Option<(Kernel, Box<Key>)>,
}

impl ExpandedKey {
    /// Expands the seed `d || z`.
    pub(super) fn new(seed: &[u8; SEED_BYTES]) -> Self {
        Self::for_kernels(kernels(), seed)
    }

    fn for_kernels(kernels: &Kernels, seed: &[u8; SEED_BYTES]) -> Self {
        let library = LibraryKey::at_level(kernels.level, seed);
        let lanes = kernels.mlkem.map(|kernel| (kernel, Key::new(&library.private_key())));
        Self { library, lanes }
    }

    /// Expands a key that is encoded as FIPS 203 and Kyber encode it, with the hash that stands in it.
    pub(super) fn from_private(private: &[u8; PRIVATE_KEY_BYTES]) -> Self {
        let library = LibraryKey::from_private(kernels().level, private);
        Self { library, lanes: kernels().mlkem.map(|kernel| (kernel, Key::new(private))) }
    }

    /// The encapsulation key.
    pub(super) fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.library.public_key()
    }

    /// The secrets of `count` ciphertexts; a wrong ciphertext gives a secret that nobody knows. `ciphertext` gives the
    /// one of an index, `done` takes its secret.
    pub(super) fn decapsulate_batch<'a>(
        &self,
        count: usize,
        ciphertext: impl Fn(usize) -> Result<&'a [u8; CIPHERTEXT_BYTES], SchemeError>,
        mut done: impl FnMut(usize, Result<&[u8; SECRET_BYTES], SchemeError>),
    ) {
        let mut group = Group { indices: [0; BATCH_MAX], ciphertexts: [&[0; CIPHERTEXT_BYTES]; BATCH_MAX], count: 0 };
        for index in 0..count {
            match ciphertext(index) {
                Ok(ciphertext) => group.push(index, ciphertext),
                Err(error) => done(index, Err(error)),
            }
            let full = self.lanes.as_ref().map_or(1, |(kernel, _)| kernel.batch);
            if group.count == full || index + 1 == count {
                self.decapsulate_group(&mut group, &mut done);
            }
        }
    }

    fn decapsulate_group(
        &self,
        group: &mut Group<'_>,
        done: &mut impl FnMut(usize, Result<&[u8; SECRET_BYTES], SchemeError>),
    ) {
        let count = std::mem::take(&mut group.count);
        let mut secrets = Zeroizing::new([[0; SECRET_BYTES]; BATCH_MAX]);
        let (ciphertexts, secrets) = (&group.ciphertexts[..count], &mut secrets[..count]);
        match &self.lanes {
            Some((kernel, key)) if count >= kernel.least => (kernel.decapsulate)(key, ciphertexts, secrets),
            _ => {
                for (ciphertext, secret) in ciphertexts.iter().zip(secrets.iter_mut()) {
                    *secret = *self.library.decapsulate(ciphertext);
                }
            }
        }
        for (index, secret) in group.indices.iter().zip(secrets.iter()) {
            done(*index, Ok(secret));
        }
    }
}

/// The valid ciphertexts that go into one call of the kernel, with their places in the batch.
struct Group<'a> {
    indices: [usize; BATCH_MAX],
    ciphertexts: [&'a [u8; CIPHERTEXT_BYTES]; BATCH_MAX],
    count: usize,
}

impl<'a> Group<'a> {
    fn push(&mut self, index: usize, ciphertext: &'a [u8; CIPHERTEXT_BYTES]) {
        (self.indices[self.count], self.ciphertexts[self.count]) = (index, ciphertext);
        self.count += 1;
    }
}

/// libcrux's key in the form in which its best code for the CPU wants it.
enum LibraryKey {
    Portable(Box<portable::unpacked::MlKem768KeyPairUnpacked>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<avx2::unpacked::MlKem768KeyPairUnpacked>),
}

impl LibraryKey {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
    fn at_level(level: Level, seed: &[u8; SEED_BYTES]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if level >= Level::Avx2 {
            let mut key = Box::new(avx2::unpacked::init_key_pair());
            avx2::unpacked::generate_key_pair_mut(*seed, &mut key);
            return Self::Avx2(key);
        }
        let mut key = Box::new(portable::unpacked::init_key_pair());
        portable::unpacked::generate_key_pair_mut(*seed, &mut key);
        Self::Portable(key)
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
    fn from_private(level: Level, private: &[u8; PRIVATE_KEY_BYTES]) -> Self {
        let mut private = MlKem768PrivateKey::from(private);
        #[cfg(target_arch = "x86_64")]
        if level >= Level::Avx2 {
            let mut key = Box::new(avx2::unpacked::init_key_pair());
            avx2::unpacked::key_pair_from_private_mut(&private, &mut key);
            private[0..].zeroize();
            return Self::Avx2(key);
        }
        let mut key = Box::new(portable::unpacked::init_key_pair());
        portable::unpacked::key_pair_from_private_mut(&private, &mut key);
        private[0..].zeroize();
        Self::Portable(key)
    }

    fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        match self {
            Self::Portable(key) => portable::unpacked::key_pair_serialized_public_key(key).into(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(key) => avx2::unpacked::key_pair_serialized_public_key(key).into(),
        }
    }

    /// The key as FIPS 203 encodes it.
    fn private_key(&self) -> Zeroizing<[u8; PRIVATE_KEY_BYTES]> {
        let mut serialised = MlKem768PrivateKey::default();
        match self {
            Self::Portable(key) => portable::unpacked::key_pair_serialized_private_key_mut(key, &mut serialised),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(key) => avx2::unpacked::key_pair_serialized_private_key_mut(key, &mut serialised),
        }
        let private = Zeroizing::new(*serialised.as_slice());
        serialised[0..].zeroize();
        private
    }

    fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_BYTES]) -> Zeroizing<[u8; SECRET_BYTES]> {
        let ciphertext = MlKem768Ciphertext::from(ciphertext);
        Zeroizing::new(match self {
            Self::Portable(key) => portable::unpacked::decapsulate(key, &ciphertext),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(key) => avx2::unpacked::decapsulate(key, &ciphertext),
        })
    }
}

impl Drop for LibraryKey {
    fn drop(&mut self) {
        // SAFETY: both forms are arrays of integers or of vectors of integers without pointers or padding that
        // matters, so that all-zero bytes are a valid value; nothing reads them after this.
        unsafe {
            match self {
                Self::Portable(key) => zeroize::zeroize_flat_type(&raw mut **key),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2(key) => zeroize::zeroize_flat_type(&raw mut **key),
            }
        }
    }
}

#[cfg(test)]
mod tests;
