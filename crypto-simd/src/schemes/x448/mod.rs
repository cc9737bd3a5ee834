//! X448 (RFC 7748) as a NIKE: private keys are kept unclamped, low-order points are errors (sphinx.md 10.3).

mod field;

use super::nike::{self, Nike, NikeInfo, NikePrivateKey};
use super::{SchemeError, SharedSecret, array};
use crate::random::Random;
use field::Element;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// Bytes of every X448 value.
const BYTES: usize = 56;

/// The scheme.
pub(super) struct X448;

impl Nike for X448 {
    fn info(&self) -> &'static NikeInfo {
        const INFO: &NikeInfo = nike::info("x448");
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
    *blinded = *multiply(array(factor)?, array(public)?)?;
    Ok(())
}

struct PrivateKey {
    private: Zeroizing<[u8; BYTES]>,
    public: [u8; BYTES],
}

impl NikePrivateKey for PrivateKey {
    fn scheme(&self) -> &'static dyn Nike {
        &X448
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn derive_batch(&self, publics: &[&[u8]], secrets: &mut [SharedSecret], results: &mut [Result<(), SchemeError>]) {
        for ((public, secret), result) in publics.iter().zip(secrets).zip(results) {
            *result = array(public).and_then(|public| multiply(&self.private, public)).map(|shared| {
                secret.reset(BYTES).copy_from_slice(&*shared);
            });
        }
    }
}

fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
    let mut base = [0; BYTES];
    base[0] = 5;
    *ladder(private, &base)
}

/// `private · public`. The product of a low-order point, whose u is 0, 1 or -1, is zero: an error.
fn multiply(private: &[u8; BYTES], public: &[u8; BYTES]) -> Result<Zeroizing<[u8; BYTES]>, SchemeError> {
    let product = ladder(private, public);
    if product.ct_eq(&[0; BYTES]).into() { Err(SchemeError::Degenerate) } else { Ok(product) }
}

/// The Montgomery ladder of RFC 7748 5, in its names, with a fixed number of steps.
fn ladder(private: &[u8; BYTES], public: &[u8; BYTES]) -> Zeroizing<[u8; BYTES]> {
    const A24: u64 = 39_081;
    let mut k = Zeroizing::new(*private);
    k[0] &= 0xfc;
    k[55] |= 0x80;

    let x_1 = Element::from_bytes(public);
    let (mut x_2, mut z_2) = (Element::ONE, Element::ZERO);
    let (mut x_3, mut z_3) = (x_1, Element::ONE);
    let mut swap = Choice::from(0);
    for t in (0..448).rev() {
        let bit = Choice::from(k[t / 8] >> (t % 8) & 1);
        swap ^= bit;
        Element::swap(swap, &mut x_2, &mut x_3);
        Element::swap(swap, &mut z_2, &mut z_3);
        swap = bit;

        let (a, b) = (x_2.add(&z_2), x_2.sub(&z_2));
        let (aa, bb) = (a.square(), b.square());
        let e = aa.sub(&bb);
        let (da, cb) = (x_3.sub(&z_3).mul(&a), x_3.add(&z_3).mul(&b));
        x_3 = da.add(&cb).square();
        z_3 = x_1.mul(&da.sub(&cb).square());
        x_2 = aa.mul(&bb);
        z_2 = e.mul(&aa.add(&e.mul_small(A24)));
    }
    Element::swap(swap, &mut x_2, &mut x_3);
    Element::swap(swap, &mut z_2, &mut z_3);
    Zeroizing::new(x_2.mul(&z_2.invert()).to_bytes())
}

#[cfg(test)]
mod tests;
