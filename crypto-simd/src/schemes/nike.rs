//! Non-interactive key exchanges (sphinx.md 10): Diffie-Hellman with blinding.

use super::{LookupError, SchemeError, SharedSecret};
use crate::random::Random;
use zeroize::Zeroizing;

/// Name and sizes of a registered NIKE, whether or not it is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NikeInfo {
    /// Canonical name.
    pub name: &'static str,
    /// Bytes of a public key; the group element of a Sphinx packet.
    pub public_key_bytes: usize,
    /// Bytes of a private key.
    pub private_key_bytes: usize,
    /// Bytes of a shared secret.
    pub shared_secret_bytes: usize,
}

/// A NIKE that is built in.
pub trait Nike: Send + Sync {
    /// Name and sizes.
    fn info(&self) -> &'static NikeInfo;

    /// A new private key in its serialised form (not clamped), read from `random` as the reference reads it
    /// (sphinx.md 2.4), so that a seeded stream gives the blinding factor.
    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>>;

    /// The public key of a serialised private key.
    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError>;

    /// A private key prepared for use: what does not change per packet is computed here.
    fn load(&self, private: &[u8]) -> Result<Box<dyn NikePrivateKey>, SchemeError>;

    /// `blinded[i] = factors[i] · publics[i]` for a batch. `blinded[i]` has the public key's length. A degenerate
    /// result is an error in `results[i]` alone. All four slices have the same length.
    fn blind_batch(
        &self,
        factors: &[&[u8]],
        publics: &[&[u8]],
        blinded: &mut [&mut [u8]],
        results: &mut [Result<(), SchemeError>],
    );

    /// One blinding.
    fn blind(&self, factor: &[u8], public: &[u8]) -> Result<Vec<u8>, SchemeError> {
        let mut blinded = vec![0; self.info().public_key_bytes];
        let mut result = [Ok(())];
        self.blind_batch(&[factor], &[public], &mut [&mut blinded], &mut result);
        result[0].map(|()| blinded)
    }
}

/// A private key prepared for use.
pub trait NikePrivateKey: Send + Sync {
    /// The scheme.
    fn scheme(&self) -> &'static dyn Nike;

    /// The public key, computed once.
    fn public_key(&self) -> &[u8];

    /// Shared secrets with a batch of peers' public keys. An error stands in `results[i]` alone; all three slices
    /// have the same length.
    fn derive_batch(&self, publics: &[&[u8]], secrets: &mut [SharedSecret], results: &mut [Result<(), SchemeError>]);

    /// One shared secret.
    fn derive(&self, public: &[u8]) -> Result<SharedSecret, SchemeError> {
        let mut secrets = [SharedSecret::default()];
        let mut results = [Ok(())];
        self.derive_batch(&[public], &mut secrets, &mut results);
        let [secret] = secrets;
        results[0].map(|()| secret)
    }
}

/// The sizes of every registered NIKE (sphinx.md 10.1), built in or not.
pub fn registered() -> &'static [NikeInfo] {
    &[]
}

/// The NIKE of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Nike, LookupError> {
    Err(LookupError::Unknown { kind: "NIKE", name: name.into(), known: String::new() })
}
