use super::*;
use crate::fixture::{ed25519, key, random, signer};
use proptest::prelude::*;
use serde_json::Value as Json;
use vectors::{hex, verify};

fn number(value: &Json) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("not a number: {value}"))
}

fn array<'a>(value: &'a Json, name: &str) -> Result<&'a Vec<Json>, String> {
    value[name].as_array().ok_or_else(|| format!("no array {name}"))
}

#[test]
fn keys_and_certificates_of_the_reference() {
    verify("pki_cert.json", "/certificates/1/cert_after_n_signers/3", |file, tally| {
        let mut keys = Vec::new();
        for case in array(file, "keys")? {
            let seed = hex(&case["seed"]);
            let signer = signer(seed[0]);
            let key = VerifyingKey::new(ed25519(), signer.public_key()).map_err(|error| error.to_string())?;
            assert_eq!(key.bytes(), hex(&case["public"]));
            assert_eq!(key.id()[..], hex(&case["blake2b256_of_public"]));
            let private = [&seed[..], key.bytes()].concat();
            for (block, bytes) in [("PUBLIC", key.bytes()), ("PRIVATE", &private)] {
                let text =
                    crypto_simd::pem::encode(&format!("ED25519 {block} KEY"), bytes).map_err(|e| e.to_string())?;
                assert_eq!(case[format!("{}_pem", block.to_lowercase())], text);
            }
            keys.push((signer, key));
            tally.assert_case();
        }
        for case in array(file, "certificates")? {
            check_signers(case, &keys)?;
            tally.assert_case();
        }
        let signature = &file["signature_struct"];
        let read = Signature::decode(&hex(&signature["cbor"])).map_err(|error| error.to_string())?;
        assert_eq!(read.payload, hex(&signature["payload"]));
        assert_eq!(read.public_key_sum256[..], hex(&signature["sum"]));
        assert_eq!(read.encode(), hex(&signature["cbor"]));
        tally.assert_case();
        Ok(())
    });
}

type Keys = [(Box<dyn SignatureSigningKey>, VerifyingKey)];

fn check_signers(case: &Json, keys: &Keys) -> Result<(), String> {
    let now = Epoch(1_000_000);
    let key_type = case["key_type"].as_str().ok_or("no key type")?;
    let mut certificate = Certificate::new(key_type, hex(&case["certified"]), Epoch(number(&case["expiration"])?));
    assert_eq!(certificate.message(), hex(&case["signed_message"]));
    let mut expected = Vec::new();
    for (index, encoded) in array(case, "cert_after_n_signers")?.iter().enumerate() {
        certificate.sign(&*keys[index].0, now, &mut random()).map_err(|error| error.to_string())?;
        expected = hex(encoded);
        if certificate.encode() != expected {
            return Err(format!("other bytes with {} signers", index + 1));
        }
        let read = Certificate::decode(&expected).map_err(|error| error.to_string())?;
        assert_eq!(read, certificate);
        let all: Vec<_> = keys.iter().map(|(_, key)| key.clone()).collect();
        let (payload, signers) = read.verify_threshold(&all, index + 1, now).map_err(|error| error.to_string())?;
        assert_eq!(payload, hex(&case["certified"]));
        assert_eq!((signers.good.len(), signers.bad.len()), (index + 1, keys.len() - index - 1));
        let error = read.verify_threshold(&all, index + 2, now);
        assert_eq!(error, Err(CertificateError::BelowThreshold { good: index + 1, needed: index + 2 }));
        assert_eq!(read.verify(&all[index], now), Ok(&hex(&case["certified"])[..]));
        assert!(read.verify_all(&all[..=index], now).is_ok());
    }
    // A signature made elsewhere comes to the same bytes.
    let last = &keys[keys.len() - 1].1;
    let signature = certificate.signatures.remove(last.id()).ok_or("no signature")?;
    certificate.add_signature(last, signature.clone(), now).map_err(|error| error.to_string())?;
    assert_eq!(certificate.encode(), expected);
    assert_eq!(certificate.add_signature(last, signature, now), Err(CertificateError::Duplicate));
    Ok(())
}

#[test]
fn historical_signatures_hold_over_the_signed_message() {
    verify("pki_cert_historical.json", "/cases/3/signatures/0/signature", |file, tally| {
        for case in array(file, "cases")? {
            let key_type = case["key_type"].as_str().ok_or("no key type")?;
            let expiration = Epoch(number(&case["expiration"])?);
            let mut certificate = Certificate::new(key_type, hex(&case["certified"]), expiration);
            assert_eq!(certificate.message(), hex(&case["signed_message"]));
            // Keys and signatures are listed in different orders.
            let mut signers = Vec::new();
            for private in array(case, "private_keys_64")? {
                signers.push(ed25519().load(&hex(private)).map_err(|error| error.to_string())?);
            }
            let signatures = array(case, "signatures")?;
            assert_eq!(signers.len(), signatures.len());
            for signature in signatures {
                let key = VerifyingKey::new(ed25519(), &hex(&signature["public_key"])).map_err(|e| e.to_string())?;
                let signer =
                    signers.iter().find(|signer| signer.public_key() == key.bytes()).ok_or("no private key")?;
                assert_eq!(signer.sign(&certificate.message(), &mut random()), hex(&signature["signature"]));
                let signature = Signature { payload: hex(&signature["signature"]), public_key_sum256: *key.id() };
                certificate.add_signature(&key, signature, Epoch(0)).map_err(|error| error.to_string())?;
            }
            // The envelope of that time, with signatures as an array, must not be taken for a certificate.
            assert!(Certificate::decode(&hex(&case["old_envelope"])).is_err());
            tally.assert_case();
        }
        Ok(())
    });
}

fn signed() -> Certificate {
    let mut certificate = Certificate::new("Ed25519", b"payload".to_vec(), Epoch(10));
    certificate.sign(&*signer(1), Epoch(9), &mut random()).unwrap();
    certificate
}

#[test]
fn checks_come_before_every_use() {
    let good = signed();
    let expired = CertificateError::Expired { expiration: Epoch(10), now: Epoch(10) };
    assert_eq!(good.verify(&key(1), Epoch(10)), Err(expired));
    let version = Certificate { version: 1, ..good.clone() };
    assert_eq!(version.verify(&key(1), Epoch(1)), Err(CertificateError::Version(1)));
    let no_type = Certificate { key_type: String::new(), ..good.clone() };
    assert_eq!(no_type.verify(&key(1), Epoch(1)), Err(CertificateError::KeyType));
    let empty = Certificate { certified: vec![], ..good.clone() };
    assert_eq!(empty.verify(&key(1), Epoch(1)), Err(CertificateError::NoPayload));
    let other = Certificate { certified: b"other".to_vec(), ..good.clone() };
    assert_eq!(other.verify(&key(1), Epoch(1)), Err(CertificateError::BadSignature));
    assert_eq!(good.verify(&key(2), Epoch(1)), Err(CertificateError::NotSigned));
    let mut lower = Certificate::new("ed25519", b"payload".to_vec(), Epoch(10));
    assert!(matches!(lower.sign(&*signer(1), Epoch(1), &mut random()), Err(CertificateError::OtherScheme { .. })));
}

#[test]
fn one_key_listed_twice_counts_once() {
    let good = signed();
    let error = good.verify_threshold(&[key(1), key(1)], 2, Epoch(1));
    assert_eq!(error, Err(CertificateError::BelowThreshold { good: 1, needed: 2 }));
}

#[test]
fn a_signature_under_a_false_hash_counts_for_nobody_and_costs_nobody_anything() {
    let mut certificate = signed();
    let signature = certificate.signatures[key(1).id()].clone();
    assert_eq!(certificate.add_signature(&key(2), signature, Epoch(1)), Err(CertificateError::Misfiled));
    certificate.sign(&*signer(2), Epoch(1), &mut random()).unwrap();
    let honest = certificate.clone();
    certificate.sign(&*signer(3), Epoch(1), &mut random()).unwrap();
    for lie in [[7; 32], *key(2).id(), *key(4).id()] {
        certificate.signatures.get_mut(key(3).id()).unwrap().public_key_sum256 = lie;
        let read = Certificate::decode(&certificate.encode()).unwrap();
        assert_eq!(read, honest);
        let all = [1, 2, 3, 4].map(key);
        let (_, signers) = read.verify_threshold(&all, 2, Epoch(1)).unwrap();
        assert_eq!((signers.good.len(), signers.bad.len()), (2, 2));
        assert_eq!(read.verify(&all[2], Epoch(1)), Err(CertificateError::NotSigned));
    }
}

proptest! {
    #[test]
    fn random_and_damaged_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte: u8) {
        let _ = Certificate::decode(&noise);
        let _ = Signature::decode(&noise);
        let mut bytes = signed().encode();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(certificate) = Certificate::decode(&bytes) {
            let _ = certificate.verify_threshold(&[key(1)], 1, Epoch(1));
        }
    }
}
