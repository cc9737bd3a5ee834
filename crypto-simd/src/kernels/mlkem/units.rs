//! Between words of 64 bits, as Keccak and ciphertexts have them, and pairs of coefficients.
//!
//! A word of 64 bits per packet in each of two vectors becomes two pieces of 32 bits per packet, in two vectors with
//! twice as many packets. A piece holds 32 coefficients of one bit or 8 of four; five pieces hold 16 of ten bits.
//! Written with shifts by constants, masks, and moves within a packet's pair: nothing crosses packets.

use crate::lanes::Words16;

/// The mask of a pair of numbers of `bits` bits that stand `shift` bits from the right.
const fn mask(bits: u32, shift: u32) -> u32 {
    (((1 << bits) - 1) << shift) * 0x1_0001
}

/// The first and the second pieces of two vectors of words, or the words that such pieces come from.
#[inline(always)]
pub(super) fn exchange<W: Words16>(w: W, a: W::Vector, b: W::Vector) -> [W::Vector; 2] {
    [w.merge_32(a, w.shift_left::<32>(b)), w.merge_32(w.shift_right::<32>(a), b)]
}

/// The pairs of four-bit numbers in a piece, each number shifted left by `shift`.
#[inline(always)]
pub(super) fn pairs_of_4<W: Words16>(w: W, piece: W::Vector, shift: u32) -> [W::Vector; 4] {
    [
        pair_of_4(w, piece, 0, shift),
        pair_of_4(w, piece, 8, shift),
        pair_of_4(w, piece, 16, shift),
        pair_of_4(w, piece, 24, shift),
    ]
}

/// The pair that begins at a bit.
#[inline(always)]
fn pair_of_4<W: Words16>(w: W, piece: W::Vector, at: i32, shift: u32) -> W::Vector {
    let left = shift as i32 - at;
    w.and(w.merge_16(w.shift_32(piece, left), w.shift_32(piece, left + 12)), w.splat_32(mask(4, shift)))
}

/// The pairs of ten-bit numbers in five pieces, each number shifted left by `shift` (at most 6).
#[inline(always)]
pub(super) fn pairs_of_10<W: Words16>(w: W, pieces: &[W::Vector; 5], shift: u32) -> [W::Vector; 8] {
    [
        pair_of_10(w, pieces, 0, shift),
        pair_of_10(w, pieces, 20, shift),
        pair_of_10(w, pieces, 40, shift),
        pair_of_10(w, pieces, 60, shift),
        pair_of_10(w, pieces, 80, shift),
        pair_of_10(w, pieces, 100, shift),
        pair_of_10(w, pieces, 120, shift),
        pair_of_10(w, pieces, 140, shift),
    ]
}

/// The pair that begins at a bit.
#[inline(always)]
fn pair_of_10<W: Words16>(w: W, pieces: &[W::Vector; 5], at: usize, shift: u32) -> W::Vector {
    let (first, second) = (number_of_10(w, pieces, at, shift), number_of_10(w, pieces, at + 10, shift + 16));
    w.and(w.merge_16(first, second), w.splat_32(mask(10, shift)))
}

/// The ten bits that begin at a bit, moved to the bit `to`, with others around them.
#[inline(always)]
fn number_of_10<W: Words16>(w: W, pieces: &[W::Vector; 5], at: usize, to: u32) -> W::Vector {
    let (piece, left) = (at / 32, to as i32 - (at % 32) as i32);
    let start = w.shift_32(pieces[piece], left);
    if at % 32 + 10 > 32 { w.or(start, w.shift_32(pieces[piece + 1], left + 32)) } else { start }
}

/// The pairs of bits in the low (0) or the high half (1) of a piece, each shifted left by `shift`.
#[inline(always)]
pub(super) fn pairs_of_1<W: Words16>(w: W, piece: W::Vector, half: i32, shift: u32) -> [W::Vector; 8] {
    let one = w.splat_32(mask(1, 0));
    let bits = w.shift_32(piece, -16 * half);
    // The even bits where they are in the first word, the odd ones in the second.
    let mut bits = w.merge_16(bits, w.shift_32(bits, 15));
    let mut pairs = [one; 8];
    for pair in &mut pairs {
        *pair = w.shift_32(w.and(bits, one), shift as i32);
        bits = w.shift_32(bits, -2);
    }
    pairs
}

/// The piece of sixteen pairs of bits; above the lowest bit of each word may be anything.
#[inline(always)]
pub(super) fn piece_of_pairs<W: Words16>(w: W, pairs: &[W::Vector; 16]) -> W::Vector {
    let (low, high) = (bits_of_pairs(w, &pairs[..8]), bits_of_pairs(w, &pairs[8..]));
    let even = w.merge_16(low, w.shift_32(high, 16));
    let odd = w.merge_16(w.shift_32(low, -16), high);
    w.or(even, w.shift_32(odd, 1))
}

/// The lowest bits of eight pairs' words, in every second bit.
#[inline(always)]
fn bits_of_pairs<W: Words16>(w: W, pairs: &[W::Vector]) -> W::Vector {
    let mut bits = w.splat(0);
    for pair in pairs.iter().rev() {
        bits = w.or(w.shift_32(bits, 2), w.and(*pair, w.splat_32(mask(1, 0))));
    }
    bits
}

/// What [`noise`] adds to each coefficient.
pub(super) const NOISE_OFFSET: i16 = 4;

/// Samples of the centred binomial distribution with eta = 2 (FIPS 203 4.2.2), as four-bit numbers that are larger by
/// [`NOISE_OFFSET`].
#[inline(always)]
pub(super) fn noise<W: Words16>(w: W, random: W::Vector) -> W::Vector {
    let (each_second, each_fourth) = (w.splat_32(0x5555_5555), w.splat_32(0x3333_3333));
    let sums = w.add_16(w.and(random, each_second), w.and(w.shift_32(random, -1), each_second));
    let (added, taken) = (w.and(sums, each_fourth), w.and(w.shift_32(sums, -2), each_fourth));
    w.sub_16(w.add_16(added, w.splat_32(0x4444_4444)), taken)
}

#[cfg(test)]
mod tests;
