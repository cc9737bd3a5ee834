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
    let pair = |at: i32| {
        let left = shift as i32 - at;
        w.and(w.merge_16(w.shift_32(piece, left), w.shift_32(piece, left + 12)), w.splat_32(mask(4, shift)))
    };
    [pair(0), pair(8), pair(16), pair(24)]
}

/// The pairs of ten-bit numbers in five pieces, each number shifted left by `shift` (at most 6).
#[inline(always)]
pub(super) fn pairs_of_10<W: Words16>(w: W, pieces: &[W::Vector; 5], shift: u32) -> [W::Vector; 8] {
    // The ten bits that begin at a place among all, moved to a bit of their piece, among others.
    let number = |at: usize, to: u32| {
        let (piece, bit) = (at / 32, (at % 32) as i32);
        let start = w.shift_32(pieces[piece], to as i32 - bit);
        if bit + 10 > 32 { w.or(start, w.shift_32(pieces[piece + 1], to as i32 - bit + 32)) } else { start }
    };
    let pair =
        |at: usize| w.and(w.merge_16(number(at, shift), number(at + 10, shift + 16)), w.splat_32(mask(10, shift)));
    [pair(0), pair(20), pair(40), pair(60), pair(80), pair(100), pair(120), pair(140)]
}

/// The pairs of bits in a piece, each shifted left by `shift`.
#[inline(always)]
pub(super) fn pairs_of_1<W: Words16>(w: W, piece: W::Vector, shift: u32) -> [W::Vector; 16] {
    let one = w.splat_32(mask(1, 0));
    // Half of the piece: its even bits where they are in the first word, its odd bits in the second.
    let low = w.merge_16(piece, w.shift_32(piece, 15));
    let high = w.merge_16(w.shift_32(piece, -16), w.shift_32(piece, -1));
    let mut half = low;
    std::array::from_fn(|index| {
        half = if index == 8 { high } else { half };
        let pair = w.shift_32(w.and(half, one), shift as i32);
        half = w.shift_32(half, -2);
        pair
    })
}

/// The piece of sixteen pairs of bits; above the lowest bit of each word may be anything.
#[inline(always)]
pub(super) fn piece_of_pairs<W: Words16>(w: W, pairs: &[W::Vector; 16]) -> W::Vector {
    let one = w.splat_32(mask(1, 0));
    let half = |pairs: &[W::Vector]| {
        pairs.iter().rev().fold(w.splat(0), |bits, pair| w.or(w.shift_32(bits, 2), w.and(*pair, one)))
    };
    let (low, high) = (half(&pairs[..8]), half(&pairs[8..]));
    let even = w.merge_16(low, w.shift_32(high, 16));
    let odd = w.merge_16(w.shift_32(low, -16), high);
    w.or(even, w.shift_32(odd, 1))
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
