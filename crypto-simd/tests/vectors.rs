//! The recorded vectors of schemes and primitives, through the public interface. AEZ's and the combiner's stand beside
//! their code.

use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{LookupError, SharedSecret, kem, nike};
use crypto_simd::symmetric::{Blake2Xb, aes256_ctr_keystream, aes256_ctr_xor, hkdf_expand_sha256, sha512_256};
use serde_json::Value;
use vectors::{hex, verify};

/// A stream that gives recorded bytes, for schemes that draw what a vector records.
struct Recorded(Vec<u8>);

impl Random for Recorded {
    fn fill(&mut self, bytes: &mut [u8]) {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

fn rows<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no rows in {key}"))
}

fn same(actual: &[u8], expected: &Value, what: &str) -> Result<(), String> {
    if actual == hex(expected) { Ok(()) } else { Err(format!("{what}: expected {expected}")) }
}

/// Encapsulates with recorded coins and decapsulates again: ciphertext and secret are the recorded ones.
fn check_kem(name: &str, private: &[u8], coins: Vec<u8>, expected: Expected<'_>) -> Result<(), String> {
    let scheme = kem::by_name(name).map_err(|error| error.to_string())?;
    let key = scheme.load(private).map_err(|error| error.to_string())?;
    if let Some(public) = expected.public {
        same(key.public_key(), public, "public key")?;
    }
    let mut ciphertext = vec![0; scheme.info().ciphertext_bytes];
    let mut secret = SharedSecret::default();
    let encapsulated = scheme.encapsulate(key.public_key(), &mut Recorded(coins), &mut ciphertext, &mut secret);
    encapsulated.map_err(|error| error.to_string())?;
    if let Some(recorded) = expected.ciphertext {
        same(&ciphertext, recorded, "ciphertext")?;
    }
    same(secret.as_bytes(), expected.secret, "encapsulated secret")?;
    let secret = key.decapsulate(&ciphertext).map_err(|error| error.to_string())?;
    same(secret.as_bytes(), expected.secret, "decapsulated secret")
}

struct Expected<'a> {
    public: Option<&'a Value>,
    ciphertext: Option<&'a Value>,
    secret: &'a Value,
}

#[test]
fn adapter() {
    verify("hpqc/adapter_test_vectors.json", "/vectors/0/shared_secret_hex", |file, tally| {
        for row in rows(file, "vectors") {
            if row["prf"] != "blake2b-xof" {
                tally.except(format!("{}: no registered scheme uses the PRF {}", row["name"], row["prf"]));
                continue;
            }
            let expected = Expected {
                public: Some(&row["static_public_key_hex"]),
                ciphertext: Some(&row["ciphertext_hex"]),
                secret: &row["shared_secret_hex"],
            };
            let name = row["nike_name"].as_str().unwrap();
            check_kem(name, &hex(&row["static_private_key_hex"]), hex(&row["ephemeral_private_key_hex"]), expected)?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn blake2xb() {
    verify("hpqc/blake2b_xof.json", "/vectors/3/out_hex", |file, tally| {
        for row in rows(file, "vectors") {
            let size = match row["xof_size"].as_u64().unwrap() as u32 {
                0 => Blake2Xb::UNKNOWN_LENGTH,
                size => size,
            };
            let mut output = vec![0; row["length"].as_u64().unwrap() as usize];
            Blake2Xb::new(size, &hex(&row["key_hex"]), &[&hex(&row["msg_hex"])]).fill(&mut output);
            same(&output, &row["out_hex"], "stream")?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn mlkem768_x25519() {
    verify("hpqc/mlkem768_x25519_combiner.json", "/vectors/0/combined_shared_secret_hex", |file, tally| {
        for row in rows(file, "vectors") {
            let get = |name: &str| hex(&row[format!("{name}_hex")]);
            let mlkem_private = [get("mlkem_encapsulation_key"), get("mlkem_d"), get("mlkem_z")].concat();
            let mlkem = Expected {
                public: Some(&row["mlkem_encapsulation_key_hex"]),
                ciphertext: Some(&row["mlkem_ciphertext_hex"]),
                secret: &row["mlkem_shared_secret_hex"],
            };
            check_kem("MLKEM768", &mlkem_private, get("mlkem_m"), mlkem)?;
            let x25519 = Expected {
                public: Some(&row["x25519_static_public_key_hex"]),
                ciphertext: Some(&row["x25519_ciphertext_hex"]),
                secret: &row["x25519_shared_secret_hex"],
            };
            check_kem("x25519", &get("x25519_static_private_key"), get("x25519_ephemeral_private_key"), x25519)?;
            let private = [get("x25519_static_private_key"), mlkem_private].concat();
            let coins = [get("x25519_ephemeral_private_key"), get("mlkem_m")].concat();
            let combined = Expected {
                public: None,
                ciphertext: Some(&row["combined_ciphertext_hex"]),
                secret: &row["combined_shared_secret_hex"],
            };
            check_kem("MLKEM768-X25519", &private, coins, combined)?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn xwing_draft() {
    verify("xwing/xwing_draft_vector.json", "/vectors/0/ss", |file, tally| {
        for row in rows(file, "vectors") {
            let scheme = kem::by_name("XWING").unwrap();
            let private = scheme.derive_private_key(&hex(&row["seed"])).unwrap();
            same(&private, &row["hpqc_private_key_encoding"], "private key")?;
            let key = scheme.load(&private).unwrap();
            same(key.public_key(), &row["pk"], "public key")?;
            let secret = key.decapsulate(&hex(&row["ct"])).map_err(|error| error.to_string())?;
            same(secret.as_bytes(), &row["ss"], "secret")?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn wire_kems() {
    verify("wire_kem_vectors.json", "/xwing/1/shared_secret", |file, tally| {
        for row in rows(file, "adapter_x25519") {
            let expected = Expected {
                public: Some(&row["static_public_key"]),
                ciphertext: Some(&row["ciphertext"]),
                secret: &row["shared_secret"],
            };
            check_kem("x25519", &hex(&row["static_private_key"]), hex(&row["ephemeral_private_key"]), expected)?;
            tally.assert_case();
        }
        for row in rows(file, "combiner_mlkem768_x25519") {
            let scheme = kem::by_name("MLKEM768").unwrap();
            let seed = [hex(&row["mlkem_d"]), hex(&row["mlkem_z"])].concat();
            let mlkem_private = scheme.derive_private_key(&seed).unwrap();
            let part = |secret| Expected { public: None, ciphertext: None, secret };
            let (static_key, ephemeral) =
                (hex(&row["x25519_static_private_key"]), hex(&row["x25519_ephemeral_private_key"]));
            check_kem("MLKEM768", &mlkem_private, hex(&row["mlkem_m"]), part(&row["mlkem_shared_secret"]))?;
            check_kem("x25519", &static_key, ephemeral.clone(), part(&row["x25519_shared_secret"]))?;
            let coins = [ephemeral, hex(&row["mlkem_m"])].concat();
            let private = [&static_key[..], &mlkem_private].concat();
            check_kem("MLKEM768-X25519", &private, coins, part(&row["combined_shared_secret"]))?;
            tally.assert_case();
        }
        for row in rows(file, "xwing") {
            let private = kem::by_name("XWING").unwrap().derive_private_key(&hex(&row["seed"])).unwrap();
            let expected = Expected {
                public: Some(&row["public_key"]),
                ciphertext: Some(&row["ciphertext"]),
                secret: &row["shared_secret"],
            };
            check_kem("XWING", &private, hex(&row["encapsulation_coins"]), expected)?;
            tally.assert_case();
        }
        Ok(())
    });
}

/// sphinx.md 2.1: what the key derivation of Sphinx is expanded with.
const KDF_INFO: &[u8] = b"katzenpost-kdf-v0-hkdf-sha256";

#[test]
fn sphinx_primitives() {
    verify("katzenpost/sphinx_crypto_vectors.json", "/kdf_x25519_blinding_factor", |file, tally| {
        same(&sha512_256(&hex(&file["hash_msg"])), &file["hash_out"], "hash")?;
        tally.assert_case();

        let key: [u8; 32] = hex(&file["stream_key"]).try_into().unwrap();
        let iv: [u8; 16] = hex(&file["stream_iv"]).try_into().unwrap();
        let mut stream = vec![0; 2048];
        aes256_ctr_keystream(&key, &iv, &mut stream);
        same(&stream[..1024], &file["stream_keystream_1024"], "keystream")?;
        // The second kilobyte is XORed into the first one's bytes.
        let mut text = [hex(&file["stream_keystream_1024"]), hex(&file["stream_keystream_1024"])].concat();
        aes256_ctr_xor(&key, &iv, &mut text);
        same(&text[1024..], &file["stream_xor_second_1024"], "second kilobyte")?;
        tally.assert_case();

        let mut okm = [0; 160];
        hkdf_expand_sha256(&hex(&file["kdf_ikm"]), KDF_INFO, &mut okm);
        same(&okm[..32], &file["kdf_header_mac"], "header MAC key")?;
        same(&okm[32..64], &file["kdf_header_encryption"], "header encryption key")?;
        same(&okm[64..80], &file["kdf_header_iv"], "header IV")?;
        same(&okm[80..128], &file["kdf_payload_encryption"], "payload key")?;
        let mut stream = SeededRandom::new(okm[128..].try_into().unwrap());
        let factor = nike::by_name("x25519").unwrap().generate(&mut stream);
        same(&factor, &file["kdf_x25519_blinding_factor"], "blinding factor")?;
        tally.assert_case();
        Ok(())
    });
}

#[test]
fn blinding_factors() {
    let is_x25519 = |file: &Value| rows(file, "vectors").iter().position(|row| row["scheme"] == "x25519");
    let Some(first) = vectors::load("derived/blinding_factors.json").as_ref().and_then(is_x25519) else { return };
    let canary = format!("/vectors/{first}/blinding_factor");
    verify("derived/blinding_factors.json", &canary, |file, tally| {
        for row in rows(file, "vectors") {
            match nike::by_name(row["scheme"].as_str().unwrap()) {
                Err(LookupError::NotBuiltIn { name, .. }) => tally.except(format!("{name} is not built in")),
                Err(error) => return Err(error.to_string()),
                Ok(scheme) => {
                    let mut stream = SeededRandom::new(&hex(&row["kdf_seed"]).try_into().unwrap());
                    let factor = scheme.generate(&mut stream);
                    same(&factor, &row["blinding_factor"], "blinding factor")?;
                    if row["stream_bytes_consumed"] != factor.len() {
                        return Err(format!("consumed other than {}", row["stream_bytes_consumed"]));
                    }
                    tally.assert_case();
                }
            }
        }
        Ok(())
    });
}

/// The X25519 halves; there is no code for the others. The canary is the text that states the order of the halves: the
/// middle of a key belongs to the other half.
#[test]
fn ctidh1024_x25519_key_pairs() {
    verify("katzenpost/ctidh1024_x25519_keypairs.json", "/scheme", |file, tally| {
        if file["scheme"] != "CTIDH1024-X25519 (hybrid NIKE: X25519 part first, then CTIDH1024)" {
            return Err("halves in another order".into());
        }
        for row in rows(file, "keypairs") {
            let (private, public) = (hex(&row["private_key_hex"]), hex(&row["public_key_hex"]));
            check_sizes("CTIDH1024-X25519", &private, &public)?;
            if nike::by_name("x25519").unwrap().public_key(&private[..32]).unwrap() != public[..32] {
                return Err(format!("X25519 half differs in {row}"));
            }
            tally.assert_case();
            tally.except("the CTIDH1024 half is not built in");
        }
        Ok(())
    });
}

/// CTIDH is not built in: only that the registry knows the sizes of its keys can be compared.
#[test]
fn ctidh() {
    verify("highctidh/ctidh_vectors.json", "/sets/0/bits", |file, tally| {
        for row in rows(file, "sets") {
            let name = format!("ctidh{}", row["bits"]);
            for party in ["alice", "bob"] {
                let get = |what: &str| hex(&row[format!("{party}{what}KeyHex")]);
                check_sizes(&name, &get("Private"), &get("Public"))?;
            }
            tally.assert_case();
            tally.except(format!("{}: {name} is not built in", row["name"]));
        }
        Ok(())
    });
}

fn check_sizes(name: &str, private: &[u8], public: &[u8]) -> Result<(), String> {
    let Err(LookupError::NotBuiltIn { name, .. }) = nike::by_name(name) else { return Err(format!("{name} is known")) };
    let info = nike::registered().iter().find(|info| info.name == name).expect("its name is from the registry");
    if (info.private_key_bytes, info.public_key_bytes) == (private.len(), public.len()) {
        Ok(())
    } else {
        Err(format!("sizes of {name}: {} and {}", private.len(), public.len()))
    }
}
