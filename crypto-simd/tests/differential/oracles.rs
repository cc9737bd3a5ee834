//! The independent libraries behind one signature per primitive.

use super::source::Outcome;
use blake2::digest::{KeyInit, Mac, consts::U32};
use blake2::{Blake2b512, Blake2bMac, Digest};
use crypto_simd::schemes::SchemeError;
use libcrux_ml_kem::kyber768;
use ml_kem::{Decapsulate, EncapsulationKey, KeyExport, MlKem768};

/// `scalar · point` by x25519-dalek.
pub fn x25519(scalar: &[u8], point: &[u8]) -> Outcome {
    let point = point.try_into().map_err(|_| SchemeError::Length)?;
    not_zero(&x25519_dalek::x25519(scalar.try_into().unwrap(), point))
}

/// `scalar · point` by the x448 package.
pub fn x448(scalar: &[u8], point: &[u8]) -> Outcome {
    let point = point.try_into().map_err(|_| SchemeError::Length)?;
    not_zero(&x448::x448_unchecked(scalar.try_into().unwrap(), point))
}

fn not_zero(product: &[u8]) -> Outcome {
    if product.iter().all(|byte| *byte == 0) { Err(SchemeError::Degenerate) } else { Ok(product.to_vec()) }
}

/// ML-KEM-768 by the ml-kem package.
pub struct Mlkem(ml_kem::DecapsulationKey<MlKem768>);

impl Mlkem {
    pub fn from_seed(seed: &[u8]) -> Self {
        Self(ml_kem::DecapsulationKey::from_seed(seed.try_into().unwrap()))
    }

    pub fn public(&self) -> Vec<u8> {
        self.0.encapsulation_key().to_bytes().to_vec()
    }

    pub fn encapsulate(&self, coins: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
        let (ciphertext, secret) = self.0.encapsulation_key().encapsulate_deterministic(&(*coins).into());
        (ciphertext.to_vec(), secret.to_vec())
    }

    pub fn decapsulate(&self, ciphertext: &[u8]) -> Outcome {
        let ciphertext: &[u8; 1088] = ciphertext.try_into().map_err(|_| SchemeError::Length)?;
        Ok(self.0.decapsulate(&(*ciphertext).into()).to_vec())
    }
}

/// Ciphertext and secret for somebody's encapsulation key, which is refused when a coefficient is not reduced.
pub fn mlkem_encapsulate(public: &[u8], coins: &[u8; 32]) -> Result<(Vec<u8>, Vec<u8>), SchemeError> {
    let public = public.try_into().map_err(|_| SchemeError::Length)?;
    let key = EncapsulationKey::<MlKem768>::new(&public).map_err(|_| SchemeError::Malformed)?;
    let (ciphertext, secret) = key.encapsulate_deterministic(&(*coins).into());
    Ok((ciphertext.to_vec(), secret.to_vec()))
}

/// The public and the private key of a seed of 64 bytes: Kyber768 by libcrux.
pub fn kyber_key(seed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (private, public) = kyber768::generate_key_pair(seed.try_into().unwrap()).into_parts();
    (public.as_slice().to_vec(), private.as_slice().to_vec())
}

pub fn kyber_encapsulate(public: &[u8], coins: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
    let (ciphertext, secret) = kyber768::encapsulate(&public.try_into().unwrap(), *coins);
    (ciphertext.as_slice().to_vec(), secret.to_vec())
}

pub fn kyber_decapsulate(private: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    kyber768::decapsulate(&private.try_into().unwrap(), &ciphertext.try_into().unwrap()).to_vec()
}

/// HMAC-SHA-256 by aws-lc.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    // SAFETY: every pointer comes with its own length, the tag has room for SHA-256's 32 bytes.
    unsafe {
        let digest = aws_lc_sys::EVP_sha256();
        let (key_bytes, message_bytes) = (key.len(), message.len());
        let mut tag_bytes = 0;
        let key = key.as_ptr().cast();
        aws_lc_sys::HMAC(digest, key, key_bytes, message.as_ptr(), message_bytes, tag.as_mut_ptr(), &mut tag_bytes);
    }
    tag
}

/// HKDF-Expand with SHA-256 by aws-lc.
pub fn hkdf_expand_sha256(prk: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mut output = vec![0; length];
    // SAFETY: every pointer comes with its own length.
    let expanded = unsafe {
        let digest = aws_lc_sys::EVP_sha256();
        let output = output.as_mut_ptr();
        aws_lc_sys::HKDF_expand(output, length, digest, prk.as_ptr(), prk.len(), info.as_ptr(), info.len())
    };
    assert_eq!(expanded, 1);
    output
}

/// SHA-512/256 by aws-lc.
pub fn sha512_256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    // SAFETY: the input comes with its length, the digest has 32 bytes.
    unsafe { aws_lc_sys::SHA512_256(bytes.as_ptr(), bytes.len(), digest.as_mut_ptr()) };
    digest
}

/// BLAKE2b in its keyed mode with 32 bytes, by the blake2 package; the key is not empty.
pub fn blake2b_256_keyed(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// HMAC over BLAKE2b-512 by its definition (RFC 2104), on the blake2 package.
pub fn hmac_blake2b_512(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 128];
    if key.len() > block.len() {
        block[..64].copy_from_slice(&Blake2b512::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Blake2b512::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Blake2b512::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).to_vec()
}
