//! X448 (RFC 7748) as a NIKE: private keys are kept unclamped, low-order points are errors (sphinx.md 10.3).

use super::nike::{self, Nike, NikeInfo, NikePrivateKey};
use super::{SchemeError, SharedSecret, array};
use crate::cpu::kernels;
use crate::curve448::{BYTES, Kernel, LANES_MAX, SINGLE};
use crate::random::Random;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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
        multiply_batch(
            kernels().x448,
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
        multiply_batch(
            kernels().x448,
            publics.len(),
            |index| Ok((&*self.private, array(publics[index])?)),
            |index, outcome| {
                results[index] = outcome.map(|product| secrets[index].reset(BYTES).copy_from_slice(product));
            },
        );
    }
}

/// Multiplies `count` points, as many at a time as the kernel has lanes. `operands` gives the scalar and the point of an
/// index, `done` takes its product.
fn multiply_batch<'a>(
    kernel: Option<Kernel>,
    count: usize,
    operands: impl Fn(usize) -> Result<(&'a [u8; BYTES], &'a [u8; BYTES]), SchemeError>,
    mut done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
) {
    let mut scalars = Zeroizing::new([[0; BYTES]; LANES_MAX]);
    let mut points = [[0; BYTES]; LANES_MAX];
    let mut products = Zeroizing::new([[0; BYTES]; LANES_MAX]);
    let mut first = 0;
    while first < count {
        // One call of a kernel costs less than two single multiplications, however few of its lanes are needed.
        let kernel = kernel.filter(|_| count - first > 1).unwrap_or(SINGLE);
        let indices = first..count.min(first + kernel.lanes);
        first = indices.end;
        for (lane, index) in indices.clone().enumerate() {
            if let Ok((scalar, point)) = operands(index) {
                (scalars[lane], points[lane]) = (*scalar, *point);
            }
        }
        let lanes = ..kernel.lanes;
        (kernel.multiply)(&scalars[lanes], &points[lanes], &mut products[lanes]);
        for (product, index) in products.iter().zip(indices) {
            // The product of a low-order point, whose u is 0, 1 or -1, is zero.
            let degenerate: bool = product.ct_eq(&[0; BYTES]).into();
            let product = if degenerate { Err(SchemeError::Degenerate) } else { Ok(product) };
            done(index, operands(index).and(product));
        }
    }
}

/// `private · 5`, which is never degenerate.
fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
    let (mut base, mut public) = ([0; BYTES], [0; BYTES]);
    base[0] = 5;
    (SINGLE.multiply)(&[*private], &[base], std::slice::from_mut(&mut public));
    public
}

#[cfg(test)]
mod tests;
