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
    each_block::<R, SIZE>(polynomial, first_layer, |block, pairs| {
        let mut half = SIZE / 2;
        let mut first_twiddle = (1 << first_layer) + block;
        while half > 0 {
            for low in (0..SIZE).filter(|low| low & half == 0) {
                let product = r.mul(pairs[low + half], TWIDDLES[first_twiddle + low / (2 * half)]);
                (pairs[low], pairs[low + half]) = (r.sum(pairs[low], product), r.difference(pairs[low], product));
            }
            half /= 2;
            first_twiddle *= 2;
        }
    });
}

/// The same layers, the other way round. The first pair of each block has the largest sums and is reduced, but not
/// after the last layer.
#[inline(always)]
fn inverse_pass<R: Ring, const SIZE: usize>(r: R, polynomial: &mut Polynomial<R::Element>, first_layer: u32) {
    each_block::<R, SIZE>(polynomial, first_layer, |block, pairs| {
        let mut half = 1;
        while half < SIZE {
            let blocks = SIZE / (2 * half);
            // The twiddles of a layer lie between two powers of two; here they are taken from the end.
            let last_twiddle = ((2 << first_layer) - 1 - block) * blocks + blocks - 1;
            for low in (0..SIZE).filter(|low| low & half == 0) {
                let (a, b) = (pairs[low], pairs[low + half]);
                pairs[low] = r.sum(a, b);
                pairs[low + half] = r.mul(r.difference(b, a), TWIDDLES[last_twiddle - low / (2 * half)]);
            }
            half *= 2;
        }
        if first_layer > 0 {
            pairs[0] = r.reduce(pairs[0]);
        }
    });
}

/// Calls `work` with the number of each block of the first layer, and with `SIZE` equally distant pairs of it, until
/// all have been worked on.
#[inline(always)]
fn each_block<R: Ring, const SIZE: usize>(
    polynomial: &mut Polynomial<R::Element>,
    first_layer: u32,
    work: impl Fn(usize, &mut [R::Element; SIZE]),
) {
    let block_pairs = PAIRS >> first_layer;
    let distance = block_pairs / SIZE;
    for block in 0..1 << first_layer {
        for first in block * block_pairs..block * block_pairs + distance {
            let mut pairs: [R::Element; SIZE] = std::array::from_fn(|index| polynomial[first + index * distance]);
            work(block, &mut pairs);
            for (index, pair) in pairs.into_iter().enumerate() {
                polynomial[first + index * distance] = pair;
            }
        }
    }
}

#[cfg(test)]
mod tests;
