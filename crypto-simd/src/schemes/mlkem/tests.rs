use super::*;
use crate::cpu::Kernels;
use crate::random::SeededRandom;

/// Both forms of key give the same public key and the same secret, also when they reject implicitly.
#[test]
fn every_level_agrees_with_the_portable_one() {
    let seed = &[3; SEED_BYTES];
    let portable = ExpandedKey::at_level(Level::Portable, seed);
    let public = portable.public_key();
    let mut ciphertext = [0; CIPHERTEXT_BYTES];
    let secret = encapsulate(&public, &[4; COINS_BYTES], &mut ciphertext).unwrap();
    let mut wrong = ciphertext;
    wrong[1000] ^= 1;
    let rejected = portable.decapsulate(&wrong);
    assert_ne!(rejected, secret);
    for level in Level::ALL.into_iter().filter(|level| Kernels::of(*level).is_some()) {
        let key = ExpandedKey::at_level(level, seed);
        assert_eq!(key.public_key(), public, "level {level}");
        assert_eq!(key.decapsulate(&ciphertext), secret, "level {level}");
        assert_eq!(key.decapsulate(&wrong), rejected, "level {level}");
    }
}

/// sphinx.md 11.4: a coefficient of q or more passes the length check and is refused when somebody encapsulates.
#[test]
fn public_keys_that_are_not_reduced_are_refused() {
    let mut public = ExpandedKey::new(&[5; SEED_BYTES]).public_key();
    public[..3].fill(0xff);
    assert_eq!(MLKEM768.check_public_key(&public), Ok(()));
    let (mut ciphertext, mut secret) = ([0; CIPHERTEXT_BYTES], SharedSecret::default());
    let refused = MLKEM768.encapsulate(&public, &mut SeededRandom::new(&[6; 32]), &mut ciphertext, &mut secret);
    assert_eq!(refused, Err(SchemeError::Malformed));
}
