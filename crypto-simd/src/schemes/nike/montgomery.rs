//! Diffie-Hellman over the u-coordinates of a Montgomery curve as a NIKE (sphinx.md 10.2, 10.3): what X25519 and X448 have
//! in common. Private keys are kept unclamped, products that are zero are errors.

use super::interface::{Nike, NikeInfo, NikePrivateKey};
use crate::random::Random;
use crate::schemes::value::{SchemeError, SharedSecret, array};
use std::marker::PhantomData;
use zeroize::Zeroizing;

/// A scalar and a point, or why there are none.
pub(in crate::schemes) type Operands<'a, const BYTES: usize> = Result<(&'a [u8; BYTES], &'a [u8; BYTES]), SchemeError>;

/// A curve whose scalars and coordinates have `BYTES` bytes.
pub(in crate::schemes) trait Curve<const BYTES: usize>: Send + Sync + 'static {
    /// Name and sizes of its NIKE.
    const INFO: &'static NikeInfo;

    /// Its NIKE, for the keys that it loads.
    fn nike() -> &'static dyn Nike;

    /// `private` times the base point, which is never degenerate.
    fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES];

    /// Multiplies `count` points, many at a time where the CPU has a kernel for it. `operands` gives the scalar and the
    /// point of an index, `done` takes its product.
    fn multiply_batch<'a>(
        count: usize,
        operands: impl Fn(usize) -> Operands<'a, BYTES>,
        done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
    );
}

/// The NIKE over a curve.
pub(in crate::schemes) struct MontgomeryNike<C, const BYTES: usize>(pub(in crate::schemes) C);

impl<C: Curve<BYTES>, const BYTES: usize> Nike for MontgomeryNike<C, BYTES> {
    fn info(&self) -> &'static NikeInfo {
        C::INFO
    }

    fn generate_into(&self, random: &mut dyn Random, private: &mut [u8]) {
        random.fill(private);
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        Ok(C::multiply_base(array(private)?).to_vec())
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn NikePrivateKey>, SchemeError> {
        let private: &[u8; BYTES] = array(private)?;
        let public = C::multiply_base(private);
        Ok(Box::new(PrivateKey::<C, BYTES> { private: Zeroizing::new(*private), public, curve: PhantomData }))
    }

    fn blind_batch(
        &self,
        factors: &[&[u8]],
        publics: &[&[u8]],
        blinded: &mut [&mut [u8]],
        results: &mut [Result<(), SchemeError>],
    ) {
        C::multiply_batch(
            publics.len(),
            |index| Ok((array(factors[index])?, array(publics[index])?)),
            |index, outcome| {
                results[index] = outcome.and_then(|product| {
                    let blinded: &mut [u8; BYTES] =
                        blinded[index].as_mut().try_into().map_err(|_| SchemeError::Length)?;
                    *blinded = *product;
                    Ok(())
                });
            },
        );
    }
}

struct PrivateKey<C, const BYTES: usize> {
    private: Zeroizing<[u8; BYTES]>,
    public: [u8; BYTES],
    curve: PhantomData<C>,
}

impl<C: Curve<BYTES>, const BYTES: usize> NikePrivateKey for PrivateKey<C, BYTES> {
    fn scheme(&self) -> &'static dyn Nike {
        C::nike()
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn derive_batch(&self, publics: &[&[u8]], secrets: &mut [SharedSecret], results: &mut [Result<(), SchemeError>]) {
        C::multiply_batch(
            publics.len(),
            |index| Ok((&*self.private, array(publics[index])?)),
            |index, outcome| {
                results[index] = outcome.map(|product| secrets[index].reset(BYTES).copy_from_slice(product));
            },
        );
    }
}
