//! Key encapsulation mechanisms (sphinx.md 11), used by KEM Sphinx and by the link handshake.

use super::{LookupError, SchemeError, SharedSecret};
use crate::random::Random;
use zeroize::Zeroizing;

/// Name and sizes of a registered KEM, whether or not it is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KemInfo {
    /// Canonical name.
    pub name: &'static str,
    /// Bytes of a public key.
    pub public_key_bytes: usize,
    /// Bytes of a serialised private key.
    pub private_key_bytes: usize,
    /// Bytes of a ciphertext; the element of a KEM Sphinx packet.
    pub ciphertext_bytes: usize,
    /// Bytes of a shared secret.
    pub shared_secret_bytes: usize,
    /// Bytes of the seed of deterministic derivation.
    pub seed_bytes: usize,
}

/// A KEM that is built in.
pub trait Kem: Send + Sync {
    /// Name and sizes.
    fn info(&self) -> &'static KemInfo;

    /// The serialised private key of a seed of `seed_bytes`.
    fn derive_private_key(&self, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SchemeError>;

    /// A new private key in its serialised form.
    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>>;

    /// Whether `public` is an acceptable encoding.
    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError>;

    /// A private key prepared for use: what does not change per packet is computed here.
    fn load(&self, private: &[u8]) -> Result<Box<dyn KemDecapsulationKey>, SchemeError>;

    /// A fresh secret and its ciphertext for the holder of `public`. The draws from `random` are, in component order:
    /// ML-KEM: 32 bytes `m`; x25519: 32, x448: 56 bytes of ephemeral private key.
    fn encapsulate(
        &self,
        public: &[u8],
        random: &mut dyn Random,
        ciphertext: &mut [u8],
        secret: &mut SharedSecret,
    ) -> Result<(), SchemeError>;
}

/// A private key prepared for use.
pub trait KemDecapsulationKey: Send + Sync {
    /// The scheme.
    fn scheme(&self) -> &'static dyn Kem;

    /// The public key, computed once.
    fn public_key(&self) -> &[u8];

    /// Secrets of a batch of ciphertexts. An error stands in `results[i]` alone; all three slices have the same
    /// length. ML-KEM rejects implicitly: a wrong ciphertext gives a secret that nobody knows.
    fn decapsulate_batch(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    );

    /// One secret.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedSecret, SchemeError> {
        let mut secrets = [SharedSecret::default()];
        let mut results = [Ok(())];
        self.decapsulate_batch(&[ciphertext], &mut secrets, &mut results);
        let [secret] = secrets;
        results[0].map(|()| secret)
    }
}

/// The sizes of every registered KEM (sphinx.md 11.1), built in or not.
pub fn registered() -> &'static [KemInfo] {
    &[]
}

/// The KEM of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Kem, LookupError> {
    Err(LookupError::Unknown { kind: "KEM", name: name.into(), known: String::new() })
}
