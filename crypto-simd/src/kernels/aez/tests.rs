use super::*;
use crate::aez::{decrypt_in_place, encrypt_in_place, extract_key};
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};
use serde_json::Value;
use vectors::{Tally, hex};
use zears::Aez;

/// Runs `test` with the kernel of every level of this host.
fn each_level(test: impl Fn(Level, &Kernel)) {
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        test(kernels.level, &kernels.aez);
    }
}

fn key_of(row: &Value) -> [u8; KEY_BYTES] {
    *extract_key(&hex(&row["k"]))
}

fn strings_of(row: &Value) -> Vec<Vec<u8>> {
    row["data"].as_array().into_iter().flatten().map(hex).collect()
}

fn rows(file: &Value) -> &[Value] {
    file.as_array().expect("an array of rows")
}

fn check(same: bool, what: &str, row: &Value) -> Result<(), String> {
    if same { Ok(()) } else { Err(format!("{what} differs in {row}")) }
}

fn encrypt_rows(kernel: &Kernel, file: &Value, tally: &mut Tally) -> Result<(), String> {
    for row in rows(file) {
        let (key, nonce, strings) = (key_of(row), hex(&row["nonce"]), strings_of(row));
        let ad: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        let tau = row["tau"].as_u64().unwrap() as usize;
        let message = hex(&row["m"]);
        let mut buffer = [&message[..], &vec![0xaa; tau]].concat();
        kernel.encrypt(&key, &nonce, &ad, tau, &mut buffer);
        check(buffer == hex(&row["c"]), "ciphertext", row)?;
        let opened = kernel.decrypt(&key, &nonce, &ad, tau, &mut buffer);
        check(opened.is_ok() && buffer[..message.len()] == message[..], "plaintext", row)?;
        tally.assert_case();
    }
    Ok(())
}

#[test]
fn encrypt_vectors() {
    for file in ["encrypt", "encrypt_no_ad", "encrypt_16_byte_key", "encrypt_33_byte_ad"] {
        each_level(|level, kernel| {
            println!("level {level}");
            vectors::verify(&format!("aez/{file}.json"), "/1/c", |file, tally| encrypt_rows(kernel, file, tally));
        });
    }
}

#[test]
fn hash_vectors() {
    each_level(|_, kernel| {
        vectors::verify("aez/hash.json", "/3/v", |file, tally| {
            for row in rows(file) {
                let strings = strings_of(row);
                let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
                let (nonce, ad) = strings.split_first().expect("the nonce comes first");
                let tweak = Tweak { tau_bits: row["tau"].as_u64().unwrap().into(), nonce, ad };
                check((kernel.hash)(&key_of(row), &tweak)[..] == hex(&row["v"]), "hash", row)?;
                tally.assert_case();
            }
            Ok(())
        });
    });
}

#[test]
fn prf_vectors() {
    each_level(|_, kernel| {
        vectors::verify("aez/prf.json", "/0/r", |file, tally| {
            for row in rows(file) {
                let mut output = vec![0; row["tau"].as_u64().unwrap() as usize];
                (kernel.prf)(&key_of(row), &hex(&row["delta"]).try_into().unwrap(), &mut output);
                check(output == hex(&row["r"]), "output", row)?;
                tally.assert_case();
            }
            Ok(())
        });
    });
}

#[test]
fn extract_vectors() {
    vectors::verify("aez/extract.json", "/1/b", |file, tally| {
        for row in rows(file) {
            check(extract_key(&hex(&row["a"]))[..] == hex(&row["b"]), "key", row)?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn every_length_agrees_with_zears() {
    each_level(|level, kernel| {
        for length in (1..700).chain(1900..2060).chain([1000, 2574, 4095, 30_000, 30_574, 32_768, 33_000]) {
            let (mut key, mut iv, mut message) = ([0; KEY_BYTES], [0; IV_BYTES], vec![0; length]);
            let mut random = SeededRandom::new(&[length as u8; 32]);
            random.fill(&mut key);
            random.fill(&mut iv);
            random.fill(&mut message);
            let expected = Aez::new(&key).encrypt(&iv, &[], 0, &message);
            let mut data = message.clone();
            kernel.cipher(&key, Delta::Of(&iv), &mut data, Direction::Encipher);
            assert!(data == expected, "level {level}, {length} bytes: encipher");
            kernel.cipher(&key, Delta::Of(&iv), &mut data, Direction::Decipher);
            assert!(data == message, "level {level}, {length} bytes: decipher");
        }
    });
}

/// The fast form of the usual offset is the general one's.
#[test]
fn the_offset_of_a_nonce_is_its_hash() {
    each_level(|level, kernel| {
        for length in [1, 17, 40, 300] {
            let (key, iv) = ([7; KEY_BYTES], [length as u8; IV_BYTES]);
            let (mut data, mut expected) = (vec![9; length], vec![9; length]);
            let hashed = (kernel.hash)(&key, &Tweak { tau_bits: 0, nonce: &iv, ad: &[] });
            kernel.cipher(&key, Delta::Of(&iv), &mut data, Direction::Encipher);
            kernel.cipher(&key, Delta::Hashed(hashed), &mut expected, Direction::Encipher);
            assert!(data == expected, "level {level}, {length} bytes");
        }
    });
}

/// Nothing in front of the message or behind it changes, wherever it lies.
#[test]
fn neighbours_of_a_message_stay() {
    each_level(|level, kernel| {
        for length in (1..300).step_by(7) {
            for start in [0, 1, 16, 33] {
                let mut room = vec![0xa5; start + length + 70];
                kernel.cipher(
                    &[1; KEY_BYTES],
                    Delta::Of(&[2; 16]),
                    &mut room[start..start + length],
                    Direction::Decipher,
                );
                let neighbours = room[..start].iter().chain(&room[start + length..]);
                assert!(neighbours.copied().all(|byte| byte == 0xa5), "level {level}, {length} bytes");
            }
        }
    });
}

#[test]
fn a_wrong_authenticator_wipes_the_buffer() {
    for length in [0, 1, 40] {
        let mut buffer = vec![7; length + 16];
        encrypt_in_place(&[1; KEY_BYTES], &[2; 12], &[b"ad"], 16, &mut buffer);
        buffer[0] ^= 1;
        assert_eq!(decrypt_in_place(&[1; KEY_BYTES], &[2; 12], &[b"ad"], 16, &mut buffer), Err(OpenError));
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
    assert_eq!(decrypt_in_place(&[1; KEY_BYTES], &[], &[], 16, &mut [1; 15]), Err(OpenError));
}
