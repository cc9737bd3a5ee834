use super::*;
use crate::random::SeededRandom;

/// Batches of every size, of ciphertexts of which some are wrong in either part, degenerate or too short: each gives
/// what it gives alone.
#[test]
fn every_batch_is_one_by_one() {
    let mut random = SeededRandom::new(&[1; 32]);
    let key = XWING.load(&XWING.generate(&mut random)).unwrap();
    let (mut ciphertexts, mut expected) = (vec![], vec![]);
    for index in 0..64 {
        let (mut ciphertext, mut secret) = (vec![0; CIPHERTEXT_BYTES], SharedSecret::default());
        XWING.encapsulate(key.public_key(), &mut random, &mut ciphertext, &mut secret).unwrap();
        match index % 7 {
            1 => ciphertext[index] ^= 1,
            2 => ciphertext[mlkem::CIPHERTEXT_BYTES] ^= 1,
            3 => ciphertext[mlkem::CIPHERTEXT_BYTES..].fill(0),
            5 => ciphertext.truncate(CIPHERTEXT_BYTES - 1),
            _ => {}
        }
        let alone = key.decapsulate(&ciphertext).map(|secret| secret.as_bytes().to_vec());
        match index % 7 {
            1 | 2 => assert_ne!(alone, Ok(secret.as_bytes().to_vec())),
            3 => assert_eq!(alone, Err(SchemeError::Degenerate)),
            5 => assert_eq!(alone, Err(SchemeError::Length)),
            _ => assert_eq!(alone, Ok(secret.as_bytes().to_vec())),
        }
        ciphertexts.push(ciphertext);
        expected.push(alone);
    }
    let ciphertexts: Vec<&[u8]> = ciphertexts.iter().map(Vec::as_slice).collect();
    for count in 1..=64 {
        let (mut secrets, mut results) = (vec![SharedSecret::default(); count], vec![Ok(()); count]);
        key.decapsulate_batch(&ciphertexts[..count], &mut secrets, &mut results);
        for (index, (secret, result)) in secrets.iter().zip(results).enumerate() {
            let outcome = result.map(|()| secret.as_bytes().to_vec());
            assert_eq!(outcome, expected[index], "{index} of {count}");
        }
    }
}
