use super::*;
use crate::dispatch::Kernels;
use crate::random::SeededRandom;

/// Batches of every size, right and wrong ciphertexts mixed and one of the wrong length: at every level each gives what
/// libcrux gives for it alone.
#[test]
fn every_batch_is_one_by_one() {
    let seed = &[3; SEED_BYTES];
    let portable = LibraryKey::at_level(Level::Portable, seed);
    let mut random = SeededRandom::new(&[4; 32]);
    let mut ciphertexts = [[0; CIPHERTEXT_BYTES]; 64];
    for (index, ciphertext) in ciphertexts.iter_mut().enumerate() {
        let mut coins = [0; COINS_BYTES];
        random.fill(&mut coins);
        let secret = encapsulate(&portable.public_key(), &coins, ciphertext).unwrap();
        ciphertext[17 * index] ^= u8::from(index % 3 == 1);
        assert_eq!(portable.decapsulate(ciphertext) == secret, index % 3 != 1);
    }
    let expected = ciphertexts.each_ref().map(|ciphertext| *portable.decapsulate(ciphertext));
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        let key = ExpandedKey::for_kernels(&kernels, seed);
        assert_eq!(key.public_key(), portable.public_key(), "level {}", kernels.level);
        for count in 1..=64 {
            let of_wrong_length = count / 2;
            let mut outcomes = [None; 64];
            key.decapsulate_batch(
                count,
                |index| if index == of_wrong_length { Err(SchemeError::Length) } else { Ok(&ciphertexts[index]) },
                |index, outcome| assert_eq!(outcomes[index].replace(outcome.copied()), None),
            );
            for (index, outcome) in outcomes.into_iter().enumerate().take(count) {
                let expected = if index == of_wrong_length { Err(SchemeError::Length) } else { Ok(expected[index]) };
                assert_eq!(outcome, Some(expected), "level {}, {index} of {count}", kernels.level);
            }
            assert!(outcomes[count..].iter().all(Option::is_none));
        }
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
