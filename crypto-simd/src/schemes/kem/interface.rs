//! Key encapsulation mechanisms (sphinx.md 11), used by KEM Sphinx and by the link handshake.

use crate::random::Random;
use crate::schemes::registry::same;
use crate::schemes::value::{SchemeError, SharedSecret};
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
    /// ML-KEM and Kyber: 32 bytes `m`; x25519: 32, x448: 56 bytes of ephemeral private key.
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
    /// length. ML-KEM and Kyber reject implicitly: a wrong ciphertext gives a secret that nobody knows.
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

/// Every registered KEM: name, then bytes of public key, private key, ciphertext, shared secret and seed
/// (sphinx.md 11.1).
pub(super) const ROWS: &[KemInfo] = &[
    row("x25519", 32, 32, 32, 32, 32),
    row("x448", 56, 56, 56, 56, 32),
    row("ctidh511", 64, 74, 64, 64, 32),
    row("ctidh512", 64, 74, 64, 64, 32),
    row("ctidh1024", 128, 130, 128, 128, 32),
    row("ctidh2048", 256, 231, 256, 256, 32),
    row("MLKEM768", 1184, 1248, 1088, 32, 64),
    row("XWING", 1216, 1248, 1120, 32, 32),
    row("sntrup4591761", 1218, 1600, 1047, 32, 32),
    row("FrodoKEM-640-SHAKE", 9616, 19888, 9720, 16, 48),
    row("mceliece348864", 261120, 6492, 96, 32, 32),
    row("mceliece348864f", 261120, 6492, 96, 32, 32),
    row("mceliece460896", 524160, 13608, 156, 32, 32),
    row("mceliece460896f", 524160, 13608, 156, 32, 32),
    row("mceliece6688128", 1044992, 13932, 208, 32, 32),
    row("mceliece6688128f", 1044992, 13932, 208, 32, 32),
    row("mceliece6960119", 1047319, 13948, 194, 32, 32),
    row("mceliece6960119f", 1047319, 13948, 194, 32, 32),
    row("mceliece8192128", 1357824, 14120, 208, 32, 32),
    row("mceliece8192128f", 1357824, 14120, 208, 32, 32),
    row("HQC-128", 2241, 2321, 4433, 32, 32),
    row("HQC-192", 4514, 4602, 8978, 32, 32),
    row("HQC-256", 7237, 7333, 14421, 32, 32),
    row("Kyber768-X25519", 1216, 2432, 1120, 32, 96),
    row("MLKEM768-X25519", 1216, 1280, 1120, 32, 96),
    row("MLKEM768-X448", 1240, 1304, 1144, 32, 96),
    row("FrodoKEM-640-SHAKE-X448", 9672, 19944, 9776, 32, 80),
    row("sntrup4591761-X448", 1274, 1656, 1103, 32, 64),
    row("mceliece348864-X25519", 261152, 6524, 128, 32, 64),
    row("mceliece348864f-X25519", 261152, 6524, 128, 32, 64),
    row("mceliece460896-X25519", 524192, 13640, 188, 32, 64),
    row("mceliece460896f-X25519", 524192, 13640, 188, 32, 64),
    row("mceliece6688128-X25519", 1045024, 13964, 240, 32, 64),
    row("mceliece6688128f-X25519", 1045024, 13964, 240, 32, 64),
    row("mceliece6960119-X25519", 1047351, 13980, 226, 32, 64),
    row("mceliece6960119f-X25519", 1047351, 13980, 226, 32, 64),
    row("mceliece8192128-X25519", 1357856, 14152, 240, 32, 64),
    row("mceliece8192128f-X25519", 1357856, 14152, 240, 32, 64),
    row("HQC-128-X25519", 2273, 2353, 4465, 32, 64),
    row("HQC-192-X25519", 4546, 4634, 9010, 32, 64),
    row("HQC-256-X25519", 7269, 7365, 14453, 32, 64),
    row("HQC-256-X448", 7293, 7389, 14477, 32, 64),
    row("CTIDH512-X25519", 96, 106, 96, 32, 64),
    row("CTIDH1024-X448", 184, 186, 184, 32, 64),
];

const fn row(
    name: &'static str,
    public_key_bytes: usize,
    private_key_bytes: usize,
    ciphertext_bytes: usize,
    shared_secret_bytes: usize,
    seed_bytes: usize,
) -> KemInfo {
    KemInfo { name, public_key_bytes, private_key_bytes, ciphertext_bytes, shared_secret_bytes, seed_bytes }
}

/// The row of a built-in scheme, found when compiling.
pub(in crate::schemes) const fn info(name: &str) -> &'static KemInfo {
    let mut index = 0;
    while !same(ROWS[index].name, name) {
        index += 1;
    }
    &ROWS[index]
}
