//! Non-interactive key exchanges (sphinx.md 10): Diffie-Hellman with blinding.

use crate::random::Random;
use crate::schemes::registry::same;
use crate::schemes::value::{SchemeError, SharedSecret};
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

    /// Writes a new private key in its serialised form (not clamped, `private_key_bytes`), read from `random` as the
    /// reference reads it (sphinx.md 2.4), so that a seeded stream gives the blinding factor.
    fn generate_into(&self, random: &mut dyn Random, private: &mut [u8]);

    /// A new private key in its serialised form.
    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut private = Zeroizing::new(vec![0; self.info().private_key_bytes]);
        self.generate_into(random, &mut private);
        private
    }

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

/// Every registered NIKE: name, then bytes of public key, private key and shared secret (sphinx.md 10.1).
pub(super) const ROWS: &[NikeInfo] = &[
    row("x25519", 32, 32, 32),
    row("x448", 56, 56, 56),
    row("ctidh511", 64, 74, 64),
    row("ctidh512", 64, 74, 64),
    row("ctidh1024", 128, 130, 128),
    row("ctidh2048", 256, 231, 256),
    row("CTIDH512-X25519", 96, 106, 96),
    row("CTIDH512-X448", 120, 130, 120),
    row("CTIDH1024-X25519", 160, 162, 160),
    row("X25519-CTIDH1024", 160, 162, 160),
    row("CTIDH1024-X448", 184, 186, 184),
    row("CTIDH2048-X448", 312, 287, 312),
];

const fn row(
    name: &'static str,
    public_key_bytes: usize,
    private_key_bytes: usize,
    shared_secret_bytes: usize,
) -> NikeInfo {
    NikeInfo { name, public_key_bytes, private_key_bytes, shared_secret_bytes }
}

/// The row of a built-in scheme, found when compiling.
pub(in crate::schemes) const fn info(name: &str) -> &'static NikeInfo {
    let mut index = 0;
    while !same(ROWS[index].name, name) {
        index += 1;
    }
    &ROWS[index]
}
