use super::*;
use crate::random::SeededRandom;

#[test]
fn names_are_found_whatever_their_case() {
    assert_eq!(kem::by_name("xwing").unwrap().info().name, "XWING");
    assert_eq!(nike::by_name("X25519").unwrap().info().name, "x25519");
    assert_eq!(signature::by_name("ed25519").unwrap().info().name, "Ed25519");
    assert_eq!(kem::registered().len(), 44);
    assert_eq!(nike::registered().len(), 12);
    assert_eq!(signature::registered().len(), 20);
}

#[test]
fn names_without_code_are_told_from_unknown_ones() {
    let Err(LookupError::NotBuiltIn { name, built_in, .. }) = nike::by_name("ctidh1024-x25519") else { panic!() };
    assert_eq!(name, "CTIDH1024-X25519");
    assert!(built_in.contains("x25519"));
    let Err(LookupError::Unknown { built_in, .. }) = kem::by_name("MLKEM512") else { panic!() };
    let named: Vec<&str> = built_in.split(", ").collect();
    let has_code = |name: &&str| kem::by_name(name).is_ok();
    let all: Vec<&str> = kem::registered().iter().map(|info| info.name).filter(has_code).collect();
    assert!(named.iter().all(has_code) && named.len() == all.len(), "{built_in}");
}

#[test]
fn every_kem_agrees_with_itself() {
    for info in kem::registered() {
        let Ok(scheme) = kem::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[3; 32]);
        let private = scheme.derive_private_key(&vec![5; info.seed_bytes]).unwrap();
        let key = scheme.load(&private).unwrap();
        assert_eq!(private.len(), info.private_key_bytes);
        assert_eq!(key.public_key().len(), info.public_key_bytes);
        assert_eq!(key.scheme().info(), info);
        let mut ciphertext = vec![0; info.ciphertext_bytes];
        let mut secret = SharedSecret::default();
        scheme.encapsulate(key.public_key(), &mut random, &mut ciphertext, &mut secret).unwrap();
        assert_eq!(secret.as_bytes().len(), info.shared_secret_bytes);
        assert_eq!(key.decapsulate(&ciphertext).unwrap().as_bytes(), secret.as_bytes());
        assert_eq!(key.decapsulate(&ciphertext[1..]).map(|_| ()), Err(SchemeError::Length));
        assert!(scheme.load(&private[1..]).is_err());
        assert!(scheme.check_public_key(key.public_key()).is_ok());
        assert!(scheme.check_public_key(&key.public_key()[1..]).is_err());
        let generated = scheme.generate(&mut random);
        assert_eq!(generated.len(), info.private_key_bytes);
    }
}

#[test]
fn every_nike_agrees_with_itself() {
    for info in nike::registered() {
        let Ok(scheme) = nike::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[4; 32]);
        let (a, b, factor) = (scheme.generate(&mut random), scheme.generate(&mut random), scheme.generate(&mut random));
        let (a, b) = (scheme.load(&a).unwrap(), scheme.load(&b).unwrap());
        assert_eq!(a.public_key().len(), info.public_key_bytes);
        let secret = a.derive(b.public_key()).unwrap();
        assert_eq!(secret.as_bytes(), b.derive(a.public_key()).unwrap().as_bytes());
        assert_eq!(secret.as_bytes().len(), info.shared_secret_bytes);
        let blinded = scheme.blind(&factor, a.public_key()).unwrap();
        assert_eq!(
            b.derive(&blinded).unwrap().as_bytes(),
            scheme.blind(&factor, a.derive(b.public_key()).unwrap().as_bytes()).unwrap()
        );
        let zero = vec![0; info.public_key_bytes];
        assert_eq!(a.derive(&zero).map(|_| ()), Err(SchemeError::Degenerate));
        assert_eq!(scheme.blind(&factor, &zero), Err(SchemeError::Degenerate));
        assert_eq!(scheme.blind(&factor, &zero[1..]), Err(SchemeError::Length));
    }
}

#[test]
fn every_signature_scheme_agrees_with_itself() {
    for info in signature::registered() {
        let Ok(scheme) = signature::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[5; 32]);
        let private = scheme.generate(&mut random);
        assert_eq!(private.len(), info.private_key_bytes);
        let key = scheme.load(&private).unwrap();
        assert_eq!(key.public_key().len(), info.public_key_bytes);
        assert!(scheme.check_public_key(key.public_key()).is_ok());
        let mut signature = key.sign(b"message", &mut random);
        assert_eq!(signature.len(), info.signature_bytes);
        assert_eq!(scheme.verify(key.public_key(), b"message", &signature), Ok(()));
        assert_eq!(scheme.verify(key.public_key(), b"massage", &signature), Err(SchemeError::BadSignature));
        assert_eq!(scheme.verify(key.public_key(), b"message", &signature[1..]), Err(SchemeError::Length));
        for index in [0, info.signature_bytes / 2, info.signature_bytes - 1] {
            signature[index] ^= 1;
            assert_eq!(scheme.verify(key.public_key(), b"message", &signature), Err(SchemeError::BadSignature));
            signature[index] ^= 1;
        }
    }
}

/// Every length of batch up to three kernels' worth, with a degenerate and a short key among good ones: each result is
/// that of the single operation.
#[test]
fn batches_agree_with_single_operations() {
    let scheme = nike::by_name("x25519").unwrap();
    let mut random = SeededRandom::new(&[6; 32]);
    let key = scheme.load(&scheme.generate(&mut random)).unwrap();
    for count in 0..=24 {
        let factors: Vec<_> = (0..count).map(|_| scheme.generate(&mut random)).collect();
        let mut publics: Vec<_> =
            (0..count).map(|_| scheme.public_key(&scheme.generate(&mut random)).unwrap()).collect();
        if count > 2 {
            publics[1] = vec![0; 32];
            publics[count - 1].pop();
        }
        let factors: Vec<&[u8]> = factors.iter().map(|factor| &factor[..]).collect();
        let publics: Vec<&[u8]> = publics.iter().map(Vec::as_slice).collect();

        let mut secrets = vec![SharedSecret::default(); count];
        let mut results = vec![Ok(()); count];
        key.derive_batch(&publics, &mut secrets, &mut results);
        for index in 0..count {
            let batch = results[index].map(|()| secrets[index].as_bytes().to_vec());
            assert_eq!(batch, key.derive(publics[index]).map(|secret| secret.as_bytes().to_vec()));
        }

        let mut blinded = vec![vec![0; 32]; count];
        let mut slices: Vec<&mut [u8]> = blinded.iter_mut().map(Vec::as_mut_slice).collect();
        scheme.blind_batch(&factors, &publics, &mut slices, &mut results);
        for index in 0..count {
            let batch = results[index].map(|()| blinded[index].clone());
            assert_eq!(batch, scheme.blind(factors[index], publics[index]));
        }
    }
}

/// The same for KEMs, whose combiners hash in groups.
#[test]
fn decapsulated_batches_agree_with_single_operations() {
    for info in kem::registered() {
        let Ok(scheme) = kem::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[8; 32]);
        let key = scheme.load(&scheme.generate(&mut random)).unwrap();
        let (mut ciphertexts, mut expected) = (Vec::new(), Vec::new());
        for index in 0..41 {
            let (mut ciphertext, mut secret) = (vec![0; info.ciphertext_bytes], SharedSecret::default());
            scheme.encapsulate(key.public_key(), &mut random, &mut ciphertext, &mut secret).unwrap();
            if index % 7 == 3 {
                ciphertext.pop();
            }
            expected.push(if index % 7 == 3 { Err(SchemeError::Length) } else { Ok(secret.as_bytes().to_vec()) });
            ciphertexts.push(ciphertext);
        }
        let ciphertexts: Vec<&[u8]> = ciphertexts.iter().map(Vec::as_slice).collect();
        for count in (0..12).chain([31, 32, 33, 40, 41]) {
            let (mut secrets, mut results) = (vec![SharedSecret::default(); count], vec![Ok(()); count]);
            key.decapsulate_batch(&ciphertexts[..count], &mut secrets, &mut results);
            for (index, (secret, result)) in secrets.iter().zip(results).enumerate() {
                let found = result.map(|()| secret.as_bytes().to_vec());
                assert_eq!(found, expected[index], "{}: {index} of {count}", info.name);
            }
        }
    }
}

/// All-zero X25519 results end the operation on both sides (sphinx.md 18), alone in their place of a batch.
#[test]
fn degenerate_halves_are_refused() {
    for (name, x25519_at) in [("XWING", 1088), ("Kyber768-X25519", 0), ("MLKEM768-X25519", 0)] {
        let scheme = kem::by_name(name).unwrap();
        let mut random = SeededRandom::new(&[7; 32]);
        let key = scheme.load(&scheme.generate(&mut random)).unwrap();
        let (mut ciphertext, mut secret) = (vec![0; scheme.info().ciphertext_bytes], SharedSecret::default());
        scheme.encapsulate(key.public_key(), &mut random, &mut ciphertext, &mut secret).unwrap();
        let mut degenerate = ciphertext.clone();
        degenerate[x25519_at..x25519_at + 32].fill(0);

        let mut secrets = vec![SharedSecret::default(); 3];
        let mut results = vec![Ok(()); 3];
        key.decapsulate_batch(&[&ciphertext, &degenerate, &ciphertext], &mut secrets, &mut results);
        assert_eq!(results, [Ok(()), Err(SchemeError::Degenerate), Ok(())]);
        assert_eq!(secrets[2].as_bytes(), secret.as_bytes());

        let mut public = key.public_key().to_vec();
        let x25519_at = if x25519_at == 0 { 0 } else { 1184 };
        public[x25519_at..x25519_at + 32].fill(0);
        let refused = scheme.encapsulate(&public, &mut random, &mut ciphertext, &mut secret);
        assert_eq!(refused, Err(SchemeError::Degenerate));
    }
}

#[test]
fn wrong_halves_of_an_ed25519_key_are_refused() {
    let scheme = signature::by_name("Ed25519").unwrap();
    let mut private = scheme.generate(&mut SeededRandom::new(&[8; 32]));
    private[32] ^= 1;
    assert_eq!(scheme.load(&private).map(|_| ()), Err(SchemeError::Malformed));
}
