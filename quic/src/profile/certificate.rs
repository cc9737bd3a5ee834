//! The certificate of a listener: as the reference's, 178 bytes that name nobody (wire.md 8.3).

use super::ProfileError;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// What stands before the seed of an Ed25519 key in PKCS 8 (RFC 8410, 7).
const KEY_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The algorithm Ed25519 (RFC 8410, 3).
const ALGORITHM: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
/// The year 1, as the reference writes a time that was never set.
const NO_TIME: &[u8; 15] = b"00010101000000Z";
const TAG_SEQUENCE: u8 = 0x30;
const TAG_GENERALIZED_TIME: u8 = 0x18;
const TAG_BIT_STRING: u8 = 3;

/// A new key and its certificate. Nobody checks it; what matters is that it looks like the reference's.
pub fn generate() -> Result<CertifiedKey, ProfileError> {
    let mut pkcs8 = Zeroizing::new([0; KEY_PREFIX.len() + 32]);
    pkcs8[..KEY_PREFIX.len()].copy_from_slice(&KEY_PREFIX);
    getrandom::fill(&mut pkcs8[KEY_PREFIX.len()..]).map_err(|_| ProfileError::Random)?;
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).map_err(ProfileError::Certificate)?;
    let public = key.public_key().ok_or(ProfileError::NoPublicKey)?;
    let tbs = to_be_signed(public.as_ref());
    let signer = key.choose_scheme(&[SignatureScheme::ED25519]).ok_or(ProfileError::NoPublicKey)?;
    let signature = signer.sign(&tbs).map_err(ProfileError::Certificate)?;
    let mut signature_bits = vec![0];
    signature_bits.extend(signature);
    let der = sequence(&[&tbs, &ALGORITHM, &tagged(TAG_BIT_STRING, &signature_bits)]);
    Ok(CertifiedKey::new(vec![CertificateDer::from(der)], key))
}

/// Version 3, serial number 1, no names, no validity, no extensions.
fn to_be_signed(public_key_info: &[u8]) -> Vec<u8> {
    const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
    const SERIAL_1: [u8; 3] = [2, 1, 1];
    const NO_NAME: [u8; 2] = [TAG_SEQUENCE, 0];
    let never = tagged(TAG_GENERALIZED_TIME, NO_TIME);
    let validity = sequence(&[&never, &never]);
    sequence(&[&VERSION_3, &SERIAL_1, &ALGORITHM, &NO_NAME, &validity, &NO_NAME, public_key_info])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(TAG_SEQUENCE, &parts.concat())
}

/// DER of contents up to 255 bytes: no part of a certificate is longer.
fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len() as u8;
    let mut der = if contents.len() < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    der.extend_from_slice(contents);
    der
}
