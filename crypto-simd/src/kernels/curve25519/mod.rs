//! X25519 for several packets at once (RFC 7748): the ladder, written once over a representation of the field.
//!
//! | module | content |
//! |---|---|
//! | `ladder` | the ladder and what it asks of a field |
//! | `radix51` | the field over [`crate::lanes::MultiplyAdd52`] (IFMA), eight lanes |
//! | `doubles` | the field over [`crate::lanes::Doubles`] (AVX2 with FMA), four lanes |
//! | `inversion` | one inversion for a batch, zeros replaced |
//! | `step_avx2.s`, `generator` | a step of the ladder over `doubles` as it runs on AVX2, and what made it (in tests) |
//!
//! Lanes never mix but in the inversion: a degenerate point in one lane gives zeros there and changes no other.

mod doubles;
#[cfg(test)]
mod generator;
mod inversion;
mod ladder;
mod radix51;

use crate::cpu::Proof;
use crate::lanes::{Array, Emulated};
use doubles::FieldDoubles;
use ladder::{Field, Points};
use radix51::Radix51;

/// Bytes of a scalar and of a coordinate.
pub(crate) const BYTES: usize = 32;

/// The most scalar multiplications that one call of a kernel does.
pub(crate) const BATCH_MAX: usize = 64;

/// Multiplies each point by its scalar: up to [`BATCH_MAX`], as many scalars as points as products. A degenerate point
/// gives zeros.
pub(crate) type Multiply = fn(&[&[u8; BYTES]], &[&[u8; BYTES]], &mut [[u8; BYTES]]);

/// Many multiplications at once.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// The multiplications.
    pub(crate) multiply: Multiply,
    /// Multiplications that cost as much as one.
    pub(crate) lanes: usize,
}

/// The kernel for a level, where it is faster than one multiplication after the other.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(Kernel { multiply: avx2(token), lanes: 4 }),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(Kernel { multiply: avx2(token.into()), lanes: 4 }),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(Kernel { multiply: avx512(token), lanes: 8 }),
        _ => None,
    }
}

/// The twin of the kernel for AVX-512 that runs everywhere.
#[cfg(test)]
pub(crate) fn emulated_radix51(scalars: &[&[u8; BYTES]], points: &[&[u8; BYTES]], products: &mut [[u8; BYTES]]) {
    let f = Radix51(Emulated::<8>);
    multiply(f, |points| ladder::step(f, points), scalars, points, products);
}

/// The twin of the kernel for AVX2 that runs everywhere.
#[cfg(test)]
pub(crate) fn emulated_doubles(scalars: &[&[u8; BYTES]], points: &[&[u8; BYTES]], products: &mut [[u8; BYTES]]) {
    let f = FieldDoubles(Emulated::<4>);
    multiply(f, |points| ladder::step(f, points), scalars, points, products);
}

/// The kernel for AVX-512 with IFMA; the token is the proof that it may be called.
#[cfg(target_arch = "x86_64")]
fn avx512(_: crate::cpu::Avx512) -> Multiply {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
    fn inner(scalars: &[&[u8; BYTES]], points: &[&[u8; BYTES]], products: &mut [[u8; BYTES]]) {
        // SAFETY: this function is reached through the kernel only, which the token's owner made.
        let f = Radix51(unsafe { crate::cpu::Avx512::assume() });
        multiply(f, |points| ladder::step(f, points), scalars, points, products);
    }
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    |scalars, points, products| unsafe { inner(scalars, points, products) }
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(include_str!("step_avx2.s"));

#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" {
    /// `ladder::step`, made by `generator`. Reads and writes the points and the room, nothing else; needs AVX2 and FMA
    /// and rounding to nearest.
    fn katzensprung_curve25519_step_avx2(
        points: &mut Points<FieldDoubles<Emulated<4>>>,
        room: &mut [Array<4>; STEP_ROOM],
    );
}

/// Vectors of room that the generated step has for spilled values.
const STEP_ROOM: usize = 64;

/// The kernel for AVX2 with FMA; the token is the proof that it may be called.
#[cfg(target_arch = "x86_64")]
fn avx2(_: crate::cpu::Avx2) -> Multiply {
    #[target_feature(enable = "avx2,fma,bmi2")]
    fn inner(scalars: &[&[u8; BYTES]], points: &[&[u8; BYTES]], products: &mut [[u8; BYTES]]) {
        assert_eq!(rounding_control(), 0, "products on doubles need rounding to nearest");
        let mut room = [Array([0.0; 4]); STEP_ROOM];
        // SAFETY: the CPU has AVX2 and FMA, because this function is reached through the kernel only, which the token's
        // owner made; rounding is to nearest; the step touches nothing but its arguments.
        let step = |points: &mut _| unsafe { katzensprung_curve25519_step_avx2(points, &mut room) };
        multiply(FieldDoubles(Emulated::<4>), step, scalars, points, products);
        room.fill(Array([0.0; 4]));
        zeroize::optimization_barrier(&room);
    }
    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
    |scalars, points, products| unsafe { inner(scalars, points, products) }
}

/// The two bits of MXCSR that say how doubles are rounded: zero is to nearest.
#[cfg(target_arch = "x86_64")]
fn rounding_control() -> u32 {
    let mut mxcsr = 0u32;
    // SAFETY: stores four bytes at the address of a word.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack, preserves_flags)) };
    mxcsr >> 13 & 3
}

/// Groups of lanes, one after the other, then one inversion for all.
#[inline(always)]
fn multiply<F: Field>(
    f: F,
    mut step: impl FnMut(&mut Points<F>),
    scalars: &[&[u8; BYTES]],
    points: &[&[u8; BYTES]],
    products: &mut [[u8; BYTES]],
) {
    let (mut numerators, mut denominators) = ([[0; 5]; BATCH_MAX], [[0; 5]; BATCH_MAX]);
    for first in (0..products.len()).step_by(F::LANES) {
        let lanes = first..products.len().min(first + F::LANES);
        let (x, z) = ladder::ladder(f, &mut step, &scalars[lanes.clone()], &points[lanes.clone()]);
        numerators[lanes.clone()].copy_from_slice(&f.limbs(x)[..lanes.len()]);
        denominators[lanes.clone()].copy_from_slice(&f.limbs(z)[..lanes.len()]);
    }
    let count = products.len();
    inversion::quotients(&mut numerators[..count], &mut denominators[..count], products);
}

/// The five limbs of 51 bits of 32 little-endian bytes; the last bit is ignored.
fn parse_limbs(bytes: &[u8; BYTES]) -> [u64; 5] {
    const MASK: u64 = (1 << 51) - 1;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
    [word(0) & MASK, word(6) >> 3 & MASK, word(12) >> 6 & MASK, word(19) >> 1 & MASK, word(24) >> 12 & MASK]
}

#[cfg(test)]
mod ranges;
#[cfg(test)]
mod tests;
