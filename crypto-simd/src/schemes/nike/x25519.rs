//! X25519 (RFC 7748) as a NIKE: private keys are kept unclamped, clamping happens inside the multiplication, bit 255
//! of a public key is ignored and non-canonical ones are accepted (sphinx.md 10.2).

use super::interface::{self, Nike, NikeInfo};
use super::montgomery::{Curve, MontgomeryNike, Operands};
use crate::dispatch::kernels;
use crate::kernels::curve25519::{BATCH_MAX, Kernel};
use crate::schemes::value::SchemeError;
use std::ops::Range;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of every X25519 value.
pub(in crate::schemes) const BYTES: usize = 32;

/// The scheme.
pub(in crate::schemes) static X25519: MontgomeryNike<Curve25519, BYTES> = MontgomeryNike(Curve25519);

pub(in crate::schemes) struct Curve25519;

impl Curve<BYTES> for Curve25519 {
    const INFO: &'static NikeInfo = interface::info("x25519");

    fn nike() -> &'static dyn Nike {
        &X25519
    }

    fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
        multiply_base(private)
    }

    fn multiply_batch<'a>(
        count: usize,
        operands: impl Fn(usize) -> Operands<'a, BYTES>,
        done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
    ) {
        multiply_batch(count, operands, done);
    }
}

/// Multiplies `count` points, many at a time where the CPU has a kernel for it. `operands` gives the scalar and the
/// point of an index, `done` takes its product.
pub(in crate::schemes) fn multiply_batch<'a>(
    count: usize,
    operands: impl Fn(usize) -> Operands<'a, BYTES>,
    mut done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
) {
    let mut next = 0;
    if let Some(kernel) = kernels().x25519 {
        while let filled @ 1.. = worth_a_call(kernel.lanes, count - next) {
            multiply_many(kernel, next..next + filled, &operands, &mut done);
            next += filled;
        }
    }
    for index in next..count {
        let mut product = Zeroizing::new([0; BYTES]);
        let outcome = operands(index).and_then(|(scalar, point)| multiply(scalar, point, &mut product));
        done(index, outcome.map(|()| &*product));
    }
}

/// How many of `count` multiplications the next call of a kernel does. A vector costs as much as one and a half single
/// multiplications, so one alone is left over.
fn worth_a_call(lanes: usize, count: usize) -> usize {
    let most = count.min(BATCH_MAX);
    if most % lanes == 1 { most - 1 } else { most }
}

/// One call of a kernel, for at most [`BATCH_MAX`] indices.
fn multiply_many<'a>(
    kernel: Kernel,
    indices: Range<usize>,
    operands: impl Fn(usize) -> Operands<'a, BYTES>,
    mut done: impl FnMut(usize, Result<&[u8; BYTES], SchemeError>),
) {
    let count = indices.len();
    let (mut scalars, mut points) = ([&[0; BYTES]; BATCH_MAX], [&[0; BYTES]; BATCH_MAX]);
    let mut products = [[0; BYTES]; BATCH_MAX];
    for (lane, index) in indices.clone().enumerate() {
        // An index without operands multiplies zeros; its error is told below.
        if let Ok((scalar, point)) = operands(index) {
            (scalars[lane], points[lane]) = (scalar, point);
        }
    }
    (kernel.multiply)(&scalars[..count], &points[..count], &mut products[..count]);
    for (product, index) in products.iter_mut().zip(indices) {
        let degenerate: bool = product.ct_eq(&[0; BYTES]).into();
        let outcome = if degenerate { Err(SchemeError::Degenerate) } else { Ok(&*product) };
        done(index, operands(index).and(outcome));
        product.zeroize();
    }
}

/// `private · public`; an all-zero product is the error.
pub(in crate::schemes) fn multiply(
    private: &[u8; BYTES],
    public: &[u8; BYTES],
    product: &mut [u8; BYTES],
) -> Result<(), SchemeError> {
    // SAFETY: all three pointers have 32 bytes.
    let contributory = unsafe { aws_lc_sys::X25519(product.as_mut_ptr(), private.as_ptr(), public.as_ptr()) };
    if contributory == 1 { Ok(()) } else { Err(SchemeError::Degenerate) }
}

/// `private · 9`, which is never degenerate.
pub(in crate::schemes) fn multiply_base(private: &[u8; BYTES]) -> [u8; BYTES] {
    let mut public = [0; BYTES];
    // SAFETY: both pointers have 32 bytes.
    unsafe { aws_lc_sys::X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) };
    public
}
