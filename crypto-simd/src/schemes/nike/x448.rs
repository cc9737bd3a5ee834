//! X448 (RFC 7748) as a NIKE: private keys are kept unclamped, low-order points are errors (sphinx.md 10.3).

use super::interface::{self, Nike, NikeInfo};
use super::montgomery::{Curve, MontgomeryNike, Operands};
use crate::dispatch::kernels;
use crate::kernels::curve448::{BYTES, Kernel, LANES_MAX, SINGLE};
use crate::schemes::value::SchemeError;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The scheme.
pub(in crate::schemes) static X448: MontgomeryNike<Curve448, BYTES> = MontgomeryNike(Curve448);

pub(in crate::schemes) struct Curve448;

impl Curve<BYTES> for Curve448 {
    const INFO: &'static NikeInfo = interface::info("x448");

    fn nike() -> &'static dyn Nike {
        &X448
    }

    fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
        multiply_base(private)
    }

    fn multiply_batch<'a>(
        count: usize,
        operands: impl Fn(usize) -> Operands<'a, BYTES>,
        done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
    ) {
        multiply_batch(kernels().x448, count, operands, done);
    }
}

/// Multiplies `count` points, as many at a time as the kernel has lanes. `operands` gives the scalar and the point of an
/// index, `done` takes its product.
fn multiply_batch<'a>(
    kernel: Option<Kernel>,
    count: usize,
    operands: impl Fn(usize) -> Operands<'a, BYTES>,
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
