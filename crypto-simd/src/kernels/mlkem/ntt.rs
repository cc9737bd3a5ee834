//! The number-theoretic transform (FIPS 203 4.3) over pairs of coefficients: seven complete layers of 128 pairs.
//!
//! Several layers are done per pass over the polynomial. No coefficient is reduced on the way forward, and few on the
//! way back: that all stay within 16 bits is proved by the tests' arithmetic of ranges.

use super::ring::{Factor, PAIRS, Polynomial, Ring, factor, root_to_the};

/// The powers of the root that the butterflies multiply by, in the order of FIPS 203.
static TWIDDLES: [Factor; PAIRS] = {
    let mut twiddles = [[0; 2]; PAIRS];
    let mut index = 0;
    while index < PAIRS {
        twiddles[index] = factor(root_to_the((index as u8).reverse_bits() as u32 >> 1));
        index += 1;
    }
    twiddles
};

/// To the NTT form. Coefficients of at most q in absolute value become ones of at most 5q.
#[inline(always)]
pub(super) fn forward<R: Ring>(r: R, polynomial: &mut Polynomial<R::Element>) {
    forward_pass::<R, 8>(r, polynomial, 0);
    forward_pass::<R, 4>(r, polynomial, 3);
    forward_pass::<R, 4>(r, polynomial, 5);
}

/// From the NTT form, times 128. Coefficients of up to 1.2q in absolute value become ones of at most 5q.
#[inline(always)]
pub(super) fn inverse<R: Ring>(r: R, polynomial: &mut Polynomial<R::Element>) {
    inverse_pass::<R, 8>(r, polynomial, 4);
    inverse_pass::<R, 4>(r, polynomial, 2);
    inverse_pass::<R, 4>(r, polynomial, 0);
}

/// The layers `first_layer` and those after it, as many as make blocks of `SIZE` pairs.
#[inline(always)]
fn forward_pass<R: Ring, const SIZE: usize>(r: R, polynomial: &mut Polynomial<R::Element>, first_layer: u32) {
    let distance = (PAIRS >> first_layer) / SIZE;
    for block in 0..1 << first_layer {
        for first in block * SIZE * distance..(block * SIZE + 1) * distance {
            let mut pairs = gather::<R, SIZE>(polynomial, first, distance);
            let mut half = SIZE / 2;
            let mut first_twiddle = (1 << first_layer) + block;
            while half > 0 {
                for low in 0..SIZE {
                    if low & half == 0 {
                        let product = r.mul(pairs[low + half], TWIDDLES[first_twiddle + low / (2 * half)]);
                        (pairs[low], pairs[low + half]) =
                            (r.sum(pairs[low], product), r.difference(pairs[low], product));
                    }
                }
                half /= 2;
                first_twiddle *= 2;
            }
            scatter::<R, SIZE>(&pairs, polynomial, first, distance);
        }
    }
}

/// The same layers, the other way round. The first pair of each block has the largest sums and is reduced, but not
/// after the last layer.
#[inline(always)]
fn inverse_pass<R: Ring, const SIZE: usize>(r: R, polynomial: &mut Polynomial<R::Element>, first_layer: u32) {
    let distance = (PAIRS >> first_layer) / SIZE;
    for block in 0..1 << first_layer {
        for first in block * SIZE * distance..(block * SIZE + 1) * distance {
            let mut pairs = gather::<R, SIZE>(polynomial, first, distance);
            let mut half = 1;
            while half < SIZE {
                // The twiddles of a layer lie between two powers of two; here they are taken from the end.
                let blocks = SIZE / (2 * half);
                let last_twiddle = ((2 << first_layer) - block) * blocks - 1;
                for low in 0..SIZE {
                    if low & half == 0 {
                        let (a, b) = (pairs[low], pairs[low + half]);
                        pairs[low] = r.sum(a, b);
                        pairs[low + half] = r.mul(r.difference(b, a), TWIDDLES[last_twiddle - low / (2 * half)]);
                    }
                }
                half *= 2;
            }
            if first_layer > 0 {
                pairs[0] = r.reduce(pairs[0]);
            }
            scatter::<R, SIZE>(&pairs, polynomial, first, distance);
        }
    }
}

/// `SIZE` equally distant pairs of a polynomial.
#[inline(always)]
fn gather<R: Ring, const SIZE: usize>(
    polynomial: &Polynomial<R::Element>,
    first: usize,
    distance: usize,
) -> [R::Element; SIZE] {
    let mut pairs = [polynomial[first]; SIZE];
    for index in 1..SIZE {
        pairs[index] = polynomial[first + index * distance];
    }
    pairs
}

/// Puts such pairs back.
#[inline(always)]
fn scatter<R: Ring, const SIZE: usize>(
    pairs: &[R::Element; SIZE],
    polynomial: &mut Polynomial<R::Element>,
    first: usize,
    distance: usize,
) {
    for index in 0..SIZE {
        polynomial[first + index * distance] = pairs[index];
    }
}

#[cfg(test)]
mod tests;
