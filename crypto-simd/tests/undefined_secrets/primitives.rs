//! What runs under valgrind: each primitive with its secrets concealed. The results are revealed and compared with those
//! of the same call without valgrind's knowledge of secrets, so that nothing is tested that computes something else.

use super::memcheck::{conceal, reveal};
use crypto_simd::aez;
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{KemDecapsulationKey, SchemeError, SharedSecret, kem, nike};
use crypto_simd::symmetric::{self, Blake2Xb, ChaChaPoly, FrameOpening};
use std::hint::black_box;

/// Functions that valgrind must report.
pub const CANARIES: [&str; 3] = ["canary_early_exit", "canary_branch_on_bit", "canary_table_look_up"];

/// Sizes of batches: alone, a full kernel, a full one and a rest.
const BATCHES: [usize; 3] = [1, 8, 13];

pub fn run() {
    println!("level {}", super::level_name());
    let mut random = SeededRandom::new(&[0x51; 32]);
    canaries(&mut random);
    for count in BATCHES {
        for (name, bytes) in [("x25519", 32), ("x448", 56)] {
            blind(&mut random, name, bytes, count);
            derive(&mut random, name, bytes, count);
        }
        for name in ["MLKEM768", "XWING", "Kyber768-X25519", "MLKEM768-X25519", "MLKEM768-X448"] {
            decapsulate(&mut random, name, count);
        }
    }
    ciphers(&mut random);
    hashes(&mut random);
}

/// Runs `compute` on the bytes as they are and on concealed ones.
fn twice<T: PartialEq>(what: &str, secret: &[u8], compute: impl Fn(&[u8]) -> T, revealed: impl Fn(&T)) {
    let open = compute(secret);
    let mut concealed = secret.to_vec();
    conceal(&mut concealed);
    let result = compute(&concealed);
    revealed(&result);
    reveal(&concealed[..]);
    assert!(result == open, "{what}");
}

#[inline(never)]
fn canaries(random: &mut SeededRandom) {
    let mut secret = [0; 32];
    random.fill(&mut secret);
    conceal(&mut secret);
    let findings = [
        canary_early_exit(&secret, &[7; 32]),
        canary_branch_on_bit(&secret),
        canary_table_look_up(&secret, &std::array::from_fn(|index| index as u8)),
    ];
    reveal(&findings);
    black_box(findings);
}

#[inline(never)]
fn canary_early_exit(secret: &[u8; 32], other: &[u8; 32]) -> u8 {
    for (index, (a, b)) in secret.iter().zip(other).enumerate() {
        if black_box(a) != black_box(b) {
            return index as u8;
        }
    }
    32
}

#[inline(never)]
fn canary_branch_on_bit(secret: &[u8; 32]) -> u8 {
    if secret[0] & 1 == 1 { black_box(3) } else { black_box(5) }
}

#[inline(never)]
fn canary_table_look_up(secret: &[u8; 32], table: &[u8; 256]) -> u8 {
    black_box(table)[usize::from(secret[1])]
}

fn points(random: &mut SeededRandom, bytes: usize, count: usize) -> Vec<Vec<u8>> {
    let points = (0..count).map(|index| {
        let mut point = vec![0; bytes];
        // One of small order among them, once there are several.
        if index != 5 {
            random.fill(&mut point);
        }
        point
    });
    points.collect()
}

#[inline(never)]
fn blind(random: &mut SeededRandom, name: &str, bytes: usize, count: usize) {
    let scheme = nike::by_name(name).unwrap();
    let points = points(random, bytes, count);
    let points: Vec<&[u8]> = points.iter().map(Vec::as_slice).collect();
    let mut factors = vec![0; bytes * count];
    random.fill(&mut factors);
    let compute = |factors: &[u8]| {
        let factors: Vec<&[u8]> = factors.chunks(bytes).collect();
        let mut blinded = vec![vec![0; bytes]; count];
        let mut slices: Vec<&mut [u8]> = blinded.iter_mut().map(Vec::as_mut_slice).collect();
        let mut results = vec![Ok(()); count];
        scheme.blind_batch(&factors, &points, &mut slices, &mut results);
        (blinded, results)
    };
    twice(name, &factors, compute, |(blinded, results)| {
        blinded.iter().for_each(|bytes| reveal(&bytes[..]));
        reveal(&results[..]);
    });
}

type Secrets = (Vec<SharedSecret>, Vec<Result<(), SchemeError>>);

fn reveal_secrets((secrets, results): &Secrets) {
    reveal(&secrets[..]);
    reveal(&results[..]);
}

fn bytes_of((secrets, results): Secrets) -> Vec<Result<Vec<u8>, SchemeError>> {
    results.iter().zip(&secrets).map(|(result, secret)| result.map(|()| secret.as_bytes().to_vec())).collect()
}

#[inline(never)]
fn derive(random: &mut SeededRandom, name: &str, bytes: usize, count: usize) {
    let scheme = nike::by_name(name).unwrap();
    let points = points(random, bytes, count);
    let points: Vec<&[u8]> = points.iter().map(Vec::as_slice).collect();
    let private = scheme.generate(random);
    twice(
        name,
        &private,
        |private| {
            let key = scheme.load(private).unwrap();
            reveal(key.public_key());
            let (mut secrets, mut results) = (vec![SharedSecret::default(); count], vec![Ok(()); count]);
            key.derive_batch(&points, &mut secrets, &mut results);
            let secrets = (secrets, results);
            reveal_secrets(&secrets);
            bytes_of(secrets)
        },
        |_| (),
    );
}

/// Authentic ciphertexts and rejected ones in turn; the seed is the secret.
#[inline(never)]
fn decapsulate(random: &mut SeededRandom, name: &str, count: usize) {
    let scheme = kem::by_name(name).unwrap();
    let mut seed = vec![0; scheme.info().seed_bytes];
    random.fill(&mut seed);
    let load = |seed: &[u8]| -> Box<dyn KemDecapsulationKey> {
        let private = scheme.derive_private_key(seed).unwrap();
        let key = scheme.load(&private).unwrap();
        reveal(key.public_key());
        key
    };
    let public = load(&seed).public_key().to_vec();
    let ciphertexts: Vec<_> = (0..count)
        .map(|index| {
            let (mut ciphertext, mut secret) = (vec![0; scheme.info().ciphertext_bytes], SharedSecret::default());
            scheme.encapsulate(&public, random, &mut ciphertext, &mut secret).unwrap();
            // Within the ML-KEM part of every scheme.
            ciphertext[500 + index] ^= (index % 2) as u8;
            ciphertext
        })
        .collect();
    let ciphertexts: Vec<&[u8]> = ciphertexts.iter().map(Vec::as_slice).collect();
    twice(
        name,
        &seed,
        |seed| {
            let key = load(seed);
            let (mut secrets, mut results) = (vec![SharedSecret::default(); count], vec![Ok(()); count]);
            key.decapsulate_batch(&ciphertexts, &mut secrets, &mut results);
            let secrets = (secrets, results);
            reveal_secrets(&secrets);
            bytes_of(secrets)
        },
        |_| (),
    );
    encapsulate(random, name, &public);
}

/// The coins are the secret.
#[inline(never)]
fn encapsulate(random: &mut SeededRandom, name: &str, public: &[u8]) {
    let scheme = kem::by_name(name).unwrap();
    let mut coins = [0; 96];
    random.fill(&mut coins);
    twice(
        name,
        &coins,
        |coins| {
            let (mut ciphertext, mut secret) = (vec![0; scheme.info().ciphertext_bytes], SharedSecret::default());
            let result = scheme.encapsulate(public, &mut Coins(coins), &mut ciphertext, &mut secret);
            reveal(&ciphertext[..]);
            reveal(&secret);
            reveal(&result);
            (result, ciphertext, secret.as_bytes().to_vec())
        },
        |_| (),
    );
}

struct Coins<'a>(&'a [u8]);

impl Random for Coins<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        let (now, rest) = self.0.split_at(bytes.len());
        bytes.copy_from_slice(now);
        self.0 = rest;
    }
}

/// The first bytes are the key, the rest is the message: both are secret.
#[inline(never)]
fn ciphers(random: &mut SeededRandom) {
    for length in [1, 15, 16, 31, 32, 47, 64, 100, 255, 256, 513, 1000, 2000, 2033] {
        let mut secret = vec![0; 48 + length];
        random.fill(&mut secret);
        let reveal_bytes = |bytes: &Vec<u8>| reveal(&bytes[..]);
        let parts = |secret: &[u8]| (<[u8; 48]>::try_from(&secret[..48]).unwrap(), secret[48..].to_vec());
        let encipher = |secret: &[u8]| {
            let (key, mut data) = parts(secret);
            aez::encipher_in_place(&key, &[1; 16], &mut data);
            data
        };
        twice("AEZ, encipher", &secret, encipher, reveal_bytes);
        let decipher = |secret: &[u8]| {
            let (key, mut data) = parts(secret);
            aez::decipher_in_place(&key, &[1; 16], &mut data);
            data
        };
        twice("AEZ, decipher", &secret, decipher, reveal_bytes);
        let stream = |secret: &[u8]| {
            let (key, mut data) = parts(secret);
            symmetric::aes256_ctr_xor(key[..32].try_into().unwrap(), &[0xff; 16], &mut data);
            data
        };
        twice("AES-CTR", &secret, stream, reveal_bytes);
        let seal_and_open = |secret: &[u8]| {
            let (key, mut data) = parts(secret);
            let key = key[..32].try_into().unwrap();
            let mut tag = [0; 16];
            ChaChaPoly::seal_in_place(key, &[1; 12], &[2; 7], &mut data, &mut tag);
            reveal(&data[..]);
            reveal(&tag);
            let sealed = data.clone();
            let opened = ChaChaPoly::open_in_place(key, &[1; 12], &[2; 7], &mut data, &tag);
            reveal(&opened);
            assert!(opened.is_ok());
            data = sealed.clone();
            tag[3] ^= 1;
            let opened = ChaChaPoly::open_in_place(key, &[1; 12], &[2; 7], &mut data, &tag);
            reveal(&opened);
            assert!(opened.is_err());
            sealed
        };
        twice("ChaCha20-Poly1305", &secret, seal_and_open, reveal_bytes);
        twice("link frame", &secret, |secret| frame(&secret[..32], &secret[48..]), reveal_bytes);
    }
    let block = |key: &[u8]| symmetric::chacha20_block(key.try_into().unwrap(), 7, &[1; 12]);
    twice("ChaCha20", &[9; 32], block, reveal);
    let streams = |seed: &[u8]| {
        let mut streams = [[0; 32]; 17];
        let seed = seed.try_into().unwrap();
        SeededRandom::batch(&[&seed; 17], |index, random| random.fill(&mut streams[index]));
        streams
    };
    twice("batch of streams", &[9; 32], streams, reveal);
}

/// Sealed under a key and opened again; gives the sealed body.
fn frame(key: &[u8], body: &[u8]) -> Vec<u8> {
    let (mut sealing_key, mut opening_key): ([u8; 32], [u8; 32]) = (key.try_into().unwrap(), key.try_into().unwrap());
    let (mut header, mut body) = ([7; 4], body.to_vec());
    let tags = symmetric::seal_frame(&mut sealing_key, 5, &mut header, &mut body);
    reveal(&tags);
    reveal(&header);
    reveal(&body[..]);
    let sealed = body.clone();
    let mut opening = FrameOpening::new();
    let opened = opening.open_header(&opening_key, 5, &mut header, &tags[0]);
    reveal(&opened);
    let opened = opened.and(opening.open_body(&mut opening_key, &mut body, &tags[1]));
    reveal(&opened);
    assert!(opened.is_ok());
    reveal(&sealing_key);
    reveal(&opening_key);
    assert!(sealing_key == opening_key);
    sealed
}

#[inline(never)]
fn hashes(random: &mut SeededRandom) {
    for length in [0, 32, 111, 128, 476, 1088] {
        let mut secret = vec![0; 64 + length];
        random.fill(&mut secret);
        twice("HMAC-SHA-256", &secret, |secret| symmetric::hmac_sha256(&secret[..32], &[&secret[64..]]), reveal);
        let expand = |secret: &[u8]| {
            let mut output = [0; 200];
            symmetric::hkdf_expand_sha256(&secret[..32], &secret[64..], &mut output);
            output
        };
        twice("HKDF", &secret, expand, reveal);
        let hash_batch = |secret: &[u8]| {
            let mut digests = [[0; 32]; 9];
            symmetric::sha512_256_batch(&[secret; 9], &mut digests);
            digests
        };
        twice("SHA-512/256", &secret, hash_batch, reveal);
        batches(&secret);
        twice("BLAKE2b", &secret, symmetric::blake2b_512, reveal);
        let keyed = |secret: &[u8]| symmetric::blake2b_256_keyed(&secret[..64], &[&secret[64..]]);
        twice("keyed BLAKE2b", &secret, keyed, reveal);
        let chain = |secret: &[u8]| symmetric::hkdf_blake2b_512::<2>(&secret[..64], &secret[64..]).map(|key| *key);
        twice("HKDF over BLAKE2b", &secret, chain, reveal);
        let mut tag = [3; 32];
        let equal = |secret: &[u8]| symmetric::equal(&secret[..32], black_box(&tag));
        twice("comparison", &secret, equal, reveal);
        tag.copy_from_slice(&secret[..32]);
        let equal = |secret: &[u8]| symmetric::equal(&secret[..32], black_box(&tag));
        twice("comparison", &secret, equal, reveal);
    }
}

/// The batches of multi-buffer kernels; the first 32 bytes are the key.
#[inline(never)]
fn batches(secret: &[u8]) {
    fn key(secret: &[u8]) -> &[u8; 32] {
        secret.first_chunk().unwrap()
    }
    let macs = |secret: &[u8]| {
        let mut tags = [[0; 32]; 17];
        symmetric::hmac_sha256_batch(&[key(secret); 17], &[secret; 17], &mut tags);
        tags
    };
    twice("batch of HMAC-SHA-256", secret, macs, reveal);
    let expand = |secret: &[u8]| {
        let mut outputs = [[0; 256]; 17];
        let mut slices = outputs.each_mut().map(|output| &mut output[..]);
        symmetric::hkdf_expand_sha256_batch(&[&secret[..32]; 17], b"info", &mut slices);
        outputs
    };
    twice("batch of HKDF", secret, expand, reveal);
    let hashes = |secret: &[u8]| {
        let mut digests = [[0; 32]; 17];
        symmetric::blake2b_256_keyed_batch(&[key(secret); 17], &[secret; 17], &mut digests);
        digests
    };
    twice("batch of BLAKE2b", secret, hashes, reveal);
    let streams = |secret: &[u8]| {
        let mut outputs = [[0; 56]; 17];
        let mut slices = outputs.each_mut().map(|output| &mut output[..]);
        Blake2Xb::batch(&[key(secret); 17], &[secret; 17], &mut slices);
        outputs
    };
    twice("batch of BLAKE2Xb", secret, streams, reveal);
}
