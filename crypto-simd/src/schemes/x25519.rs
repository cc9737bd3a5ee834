//! X25519 (RFC 7748) as a NIKE: private keys are kept unclamped, clamping happens inside the multiplication, bit 255
//! of a public key is ignored and non-canonical ones are accepted (sphinx.md 10.2).

use super::nike::{self, Nike, NikeInfo, NikePrivateKey};
use super::{SchemeError, SharedSecret, array};
use crate::random::Random;
use zeroize::Zeroizing;

/// Bytes of every X25519 value.
pub(super) const BYTES: usize = 32;

/// The scheme.
pub(super) struct X25519;

impl Nike for X25519 {
    fn info(&self) -> &'static NikeInfo {
        const INFO: &NikeInfo = nike::info("x25519");
        INFO
    }

    fn generate_into(&self, random: &mut dyn Random, private: &mut [u8]) {
        random.fill(private);
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        Ok(multiply_base(array(private)?).to_vec())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn NikePrivateKey>, SchemeError> {
        let private: &[u8; BYTES] = array(private)?;
        Ok(Box::new(PrivateKey { private: Zeroizing::new(*private), public: multiply_base(private) }))
    }

    fn blind_batch(
        &self,
        factors: &[&[u8]],
        publics: &[&[u8]],
        blinded: &mut [&mut [u8]],
        results: &mut [Result<(), SchemeError>],
    ) {
        for (((factor, public), blinded), result) in factors.iter().zip(publics).zip(blinded).zip(results) {
            *result = blind_one(factor, public, blinded);
        }
    }
}

fn blind_one(factor: &[u8], public: &[u8], blinded: &mut [u8]) -> Result<(), SchemeError> {
    let blinded: &mut [u8; BYTES] = blinded.try_into().map_err(|_| SchemeError::Length)?;
    multiply(array(factor)?, array(public)?, blinded)
}

struct PrivateKey {
    private: Zeroizing<[u8; BYTES]>,
    public: [u8; BYTES],
}

impl NikePrivateKey for PrivateKey {
    fn scheme(&self) -> &'static dyn Nike {
        &X25519
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn derive_batch(&self, publics: &[&[u8]], secrets: &mut [SharedSecret], results: &mut [Result<(), SchemeError>]) {
        for ((public, secret), result) in publics.iter().zip(secrets).zip(results) {
            *result = derive_one(&self.private, public, secret);
        }
    }
}

fn derive_one(private: &[u8; BYTES], public: &[u8], secret: &mut SharedSecret) -> Result<(), SchemeError> {
    let mut shared = Zeroizing::new([0; BYTES]);
    multiply(private, array(public)?, &mut shared)?;
    secret.reset(BYTES).copy_from_slice(&*shared);
    Ok(())
}

/// `private · public`; an all-zero product is the error.
pub(super) fn multiply(
    private: &[u8; BYTES],
    public: &[u8; BYTES],
    product: &mut [u8; BYTES],
) -> Result<(), SchemeError> {
    // SAFETY: all three pointers have 32 bytes.
    let contributory = unsafe { aws_lc_sys::X25519(product.as_mut_ptr(), private.as_ptr(), public.as_ptr()) };
    if contributory == 1 { Ok(()) } else { Err(SchemeError::Degenerate) }
}

/// `private · 9`, which is never degenerate.
pub(super) fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
    let mut public = [0; BYTES];
    // SAFETY: both pointers have 32 bytes.
    unsafe { aws_lc_sys::X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) };
    public
}
