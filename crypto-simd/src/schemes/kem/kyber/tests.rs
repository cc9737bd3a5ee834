use super::golden::{Case, KYBER768, KYBER768_X25519, UNREDUCED};
use super::*;
use crate::random::SeededRandom;
use crate::schemes::kem::{self, by_name};
use crate::symmetric::blake2::blake2b_256;

const Q: u16 = 3329;

/// Randomness that was drawn before.
struct Recorded(Vec<u8>);

impl Random for Recorded {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.drain(..bytes.len()).collect::<Vec<_>>());
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(blake2b_256(bytes))
}

/// Ciphertext and secret, of which all coins were drawn.
fn encapsulate(scheme: &dyn Kem, public: &[u8], coins: &str) -> (Vec<u8>, SharedSecret) {
    let (mut ciphertext, mut secret) = (vec![0; scheme.info().ciphertext_bytes], SharedSecret::default());
    let mut coins = Recorded(bytes(coins));
    scheme.encapsulate(public, &mut coins, &mut ciphertext, &mut secret).unwrap();
    assert!(coins.0.is_empty());
    (ciphertext, secret)
}

fn agrees(scheme: &dyn Kem, case: &Case) {
    let private = scheme.derive_private_key(&bytes(case.seed)).unwrap();
    let key = scheme.load(&private).unwrap();
    assert_eq!(digest(key.public_key()), case.public_digest);
    assert_eq!(digest(&private), case.private_digest);
    let (mut ciphertext, secret) = encapsulate(scheme, key.public_key(), case.coins);
    assert_eq!(digest(&ciphertext), case.ciphertext_digest);
    assert_eq!(hex::encode(secret.as_bytes()), case.secret);
    let alone = key.decapsulate(&ciphertext).unwrap();
    assert_eq!(alone.as_bytes(), secret.as_bytes());
    let good = ciphertext.clone();
    ciphertext[case.changed_at] ^= 1;
    for batch in [1, 2, 9, 17] {
        let ciphertexts: Vec<&[u8]> = (0..batch).map(|i| if i % 2 == 0 { &ciphertext[..] } else { &good }).collect();
        let (mut secrets, mut results) = (vec![SharedSecret::default(); batch], vec![Ok(()); batch]);
        key.decapsulate_batch(&ciphertexts, &mut secrets, &mut results);
        for (index, secret) in secrets.iter().enumerate() {
            let expected = if index % 2 == 0 { case.of_changed } else { case.secret };
            assert_eq!((results[index], &*hex::encode(secret.as_bytes())), (Ok(()), expected), "{index} of {batch}");
        }
    }
}

#[test]
fn kyber_is_that_of_the_reference_s_library() {
    KYBER768.iter().for_each(|case| agrees(&Kyber768, case));
}

#[test]
fn the_hybrid_is_the_combiner_of_both_parts() {
    KYBER768_X25519.iter().for_each(|case| agrees(by_name("KYBER768-X25519").unwrap(), case));
}

/// The third round takes coefficients modulo q and hashes the key as it came; FIPS 203 refuses such keys.
#[test]
fn coefficients_that_are_not_reduced_are_reduced() {
    let private = Kyber768.derive_private_key(&bytes(UNREDUCED.seed)).unwrap();
    assert_eq!(digest(&private), UNREDUCED.private_digest);
    let mut public = Kyber768.load(&private).unwrap().public_key().to_vec();
    let coefficient = |pair: &[u8; 3]| u16::from(pair[0]) | u16::from(pair[1] & 15) << 8;
    let pairs = public.as_chunks_mut::<3>().0;
    let pair = pairs.iter_mut().find(|pair| coefficient(pair) < 4096 - Q).unwrap();
    let [low, high] = (coefficient(pair) + Q).to_le_bytes();
    (pair[0], pair[1]) = (low, pair[1] & 0xf0 | high);
    assert_eq!(digest(&public), UNREDUCED.public_digest);
    assert_eq!(Kyber768.check_public_key(&public), Ok(()));
    let (ciphertext, secret) = encapsulate(&Kyber768, &public, UNREDUCED.coins);
    assert_eq!(digest(&ciphertext), UNREDUCED.ciphertext_digest);
    assert_eq!(hex::encode(secret.as_bytes()), UNREDUCED.secret);
}

/// A private key that was damaged on disk is told from one that works.
#[test]
fn damaged_private_keys_are_refused() {
    let private = Kyber768.generate(&mut SeededRandom::new(&[9; 32]));
    for at in [PUBLIC_KEY_AT, HASH_AT - 1, HASH_AT, Z_AT - 1] {
        let mut private = private.clone();
        private[at] ^= 1;
        assert_eq!(Kyber768.load(&private).map(|_| ()), Err(SchemeError::Malformed), "byte {at}");
    }
    assert_eq!(Kyber768.load(&private[1..]).map(|_| ()), Err(SchemeError::Length));
}

/// Alone it is a part, not a scheme that a configuration may name (sphinx.md 11.1).
#[test]
fn kyber_alone_has_no_name() {
    assert!(by_name("Kyber768").is_err());
    assert_eq!(kem::registered().iter().filter(|info| info.name.contains("yber")).count(), 1);
}
