//! Elements as bytes and as limbs of any width, in two halves of 224 bits.

use super::BYTES;
use std::hint::black_box;

/// Bits of half an element.
pub(super) const HALF_BITS: u32 = 224;

/// `H` limbs of each half, of `bits` bits each; the last one takes what is left of the half.
#[inline(always)]
pub(super) fn limbs<const H: usize>(bytes: &[u8; BYTES], bits: u32) -> [[u64; H]; 2] {
    let mut halves = [[0; H]; 2];
    for (limbs, bytes) in halves.iter_mut().zip(bytes.as_chunks::<{ BYTES / 2 }>().0) {
        let mut padded = [0; BYTES / 2 + 8];
        padded[..BYTES / 2].copy_from_slice(bytes);
        for (index, limb) in limbs.iter_mut().enumerate() {
            let bit = index * bits as usize;
            let word = std::array::from_fn(|byte| padded[bit / 8 + byte]);
            *limb = u64::from_le_bytes(word) >> (bit % 8) & ((1 << bits) - 1);
        }
    }
    halves
}

/// The least residue of tight limbs, little-endian.
#[inline(always)]
pub(super) fn least_residue<const H: usize>(mut halves: [[u64; H]; 2], bits: u32) -> [u8; BYTES] {
    // What stands above the upper half comes back to both by 2^448 = 2^224 + 1. It is small, then one at most, then
    // none: after one more the value would have to be below its carry.
    for _ in 0..3 {
        let carry = propagate(&mut halves, bits);
        halves[0][0] += carry;
        halves[1][0] += carry;
    }
    // A value of p or more overflows when 2^224 + 1 is added, and what is left of it then is the least residue.
    let mut reduced = halves;
    reduced[0][0] += 1;
    reduced[1][0] += 1;
    let overflow = black_box(0u64.wrapping_sub(propagate(&mut reduced, bits)));
    let mut bytes = [0; BYTES];
    for half in 0..2 {
        let (mut word, mut filled) = (0u128, 0);
        let mut words = bytes[half * BYTES / 2..][..BYTES / 2].as_chunks_mut::<4>().0.iter_mut();
        for index in 0..H {
            let limb = halves[half][index] ^ overflow & (halves[half][index] ^ reduced[half][index]);
            word |= u128::from(limb) << filled;
            filled += bits.min(HALF_BITS - bits * index as u32);
            while filled >= 32 {
                if let Some(bytes) = words.next() {
                    *bytes = (word as u32).to_le_bytes();
                }
                word >>= 32;
                filled -= 32;
            }
        }
    }
    bytes
}

/// Carries from limb to limb through both halves, and gives what stands above the upper one.
#[inline(always)]
fn propagate<const H: usize>(halves: &mut [[u64; H]; 2], bits: u32) -> u64 {
    let mut carry = 0;
    for limbs in halves {
        for (index, limb) in limbs.iter_mut().enumerate() {
            let bits = bits.min(HALF_BITS - bits * index as u32);
            *limb += carry;
            carry = *limb >> bits;
            *limb &= (1 << bits) - 1;
        }
    }
    carry
}
