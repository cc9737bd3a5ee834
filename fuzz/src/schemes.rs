//! Public keys, ciphertexts and signatures that others sent, in every built-in scheme but SPHINCS+, which is too slow.

use crate::{Target, Verdict};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, Nike, SharedSecret, Signature, kem, nike, signature};

/// One byte that picks a scheme, then a key, a ciphertext or a signature and its message.
pub const KEYS: Target = Target { name: "crypto_keys", run: keys, seeds };

const NIKES: [&str; 2] = ["x25519", "x448"];
const KEMS: [&str; 7] = ["x25519", "x448", "MLKEM768", "XWING", "Kyber768-X25519", "MLKEM768-X25519", "MLKEM768-X448"];

fn random() -> SeededRandom {
    SeededRandom::new(&[21; 32])
}

/// Another key than the one under fire.
fn other() -> SeededRandom {
    SeededRandom::new(&[22; 32])
}

fn nikes() -> impl Iterator<Item = &'static dyn Nike> {
    NIKES.into_iter().map(|name| nike::by_name(name).expect("built in"))
}

fn kems() -> impl Iterator<Item = &'static dyn Kem> {
    KEMS.into_iter().map(|name| kem::by_name(name).expect("built in"))
}

fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("built in")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for nike in nikes() {
        seeds.push(nike.public_key(&nike.generate(&mut other())).expect("a fresh key"));
    }
    for kem in kems() {
        let key = kem.load(&kem.generate(&mut random())).expect("a fresh key");
        let mut ciphertext = vec![0; kem.info().ciphertext_bytes];
        let mut secret = SharedSecret::default();
        kem.encapsulate(key.public_key(), &mut other(), &mut ciphertext, &mut secret).expect("a fresh key");
        seeds.push([key.public_key(), &ciphertext].concat());
    }
    let signer = ed25519().load(&ed25519().generate(&mut random())).expect("a fresh key");
    seeds.push([signer.public_key(), &signer.sign(b"message", &mut random()), b"message"].concat());
    seeds.into_iter().zip(0..).map(|(seed, number): (_, u8)| [vec![number], seed].concat()).collect()
}

fn keys(data: &[u8]) -> Verdict {
    let Some((&scheme, data)) = data.split_first() else { return Verdict::Refused };
    let scheme = usize::from(scheme) % (NIKES.len() + KEMS.len() + 1);
    if let Some(nike) = nikes().nth(scheme) {
        return exchange(nike, data);
    }
    match kems().nth(scheme - NIKES.len()) {
        Some(kem) => encapsulate(kem, data),
        None => verify(data),
    }
}

fn exchange(nike: &dyn Nike, public: &[u8]) -> Verdict {
    let private = nike.generate(&mut random());
    let key = nike.load(&private).expect("a fresh key");
    let derived = key.derive(public);
    if let Ok(secret) = &derived {
        assert_eq!(secret.as_bytes().len(), nike.info().shared_secret_bytes);
        assert!(secret.as_bytes().iter().any(|byte| *byte != 0), "a secret that everybody knows");
    }
    if let Ok(blinded) = nike.blind(&private, public) {
        assert_eq!(blinded.len(), nike.info().public_key_bytes);
    }
    Verdict::of(derived.is_ok())
}

fn encapsulate(kem: &dyn Kem, data: &[u8]) -> Verdict {
    let info = kem.info();
    let (public, sent) = data.split_at(info.public_key_bytes.min(data.len()));
    let mut ciphertext = vec![0; info.ciphertext_bytes];
    let mut secret = SharedSecret::default();
    let checked = kem.check_public_key(public);
    let encapsulated = kem.encapsulate(public, &mut other(), &mut ciphertext, &mut secret);
    assert!(checked.is_ok() || encapsulated.is_err(), "a refused key was used");
    let key = kem.load(&kem.generate(&mut random())).expect("a fresh key");
    let decapsulated = key.decapsulate(sent);
    if let Ok(secret) = &decapsulated {
        assert_eq!(secret.as_bytes().len(), info.shared_secret_bytes);
    }
    Verdict::of(encapsulated.is_ok() && decapsulated.is_ok())
}

fn verify(data: &[u8]) -> Verdict {
    let info = ed25519().info();
    let (public, rest) = data.split_at(info.public_key_bytes.min(data.len()));
    let (signature, message) = rest.split_at(info.signature_bytes.min(rest.len()));
    let verified = ed25519().verify(public, message, signature);
    assert!(verified.is_err() || ed25519().check_public_key(public).is_ok(), "a refused key verified");
    Verdict::of(verified.is_ok())
}
