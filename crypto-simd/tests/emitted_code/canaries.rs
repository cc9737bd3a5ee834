//! Leaky functions that the audit must find.

use super::code::Suspicion;
use std::arch::x86_64::*;
use std::hint::black_box;

/// Name, what is wrong with it, and a pointer that keeps it in the executable.
pub const ALL: [(&str, Suspicion, *const ()); 6] = [
    ("canary_branch_on_test", Suspicion::BranchOnVector, canary_branch_on_test as *const ()),
    ("canary_branch_on_mask", Suspicion::BranchOnVector, canary_branch_on_mask as *const ()),
    ("canary_look_up_of_lane", Suspicion::LookUp, canary_look_up_of_lane as *const ()),
    ("canary_look_up_of_byte", Suspicion::LookUp, canary_look_up_of_byte as *const ()),
    ("canary_gather", Suspicion::Gather, canary_gather as *const ()),
    ("canary_division", Suspicion::Division, canary_division as *const ()),
];

#[inline(never)]
#[target_feature(enable = "avx2")]
fn canary_branch_on_test(secret: __m256i) -> u8 {
    if _mm256_testz_si256(secret, secret) == 1 { black_box(3) } else { black_box(4) }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn canary_branch_on_mask(secret: __m256i) -> u8 {
    let mask = _mm256_movemask_epi8(_mm256_cmpeq_epi8(secret, _mm256_setzero_si256()));
    if mask & 0x18 != 0 { black_box(3) } else { black_box(4) }
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn canary_look_up_of_lane(table: &[u8; 16], secret: __m256i) -> u8 {
    let secret = _mm256_shuffle_epi8(secret, secret);
    table[_mm256_extract_epi32::<3>(secret) as usize & 15]
}

#[inline(never)]
fn canary_look_up_of_byte(table: &[u32; 256], secret: &[u8; 32]) -> u32 {
    secret.iter().fold(0, |sum, byte| sum ^ table[usize::from(*byte)])
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn canary_gather(table: &[i32; 256], secret: __m256i) -> __m256i {
    let secret = _mm256_and_si256(secret, _mm256_set1_epi32(255));
    // SAFETY: the indices are below 256 and the table has that many entries.
    unsafe { _mm256_i32gather_epi32::<4>(table.as_ptr(), secret) }
}

#[inline(never)]
fn canary_division(a: u64, b: u64) -> u64 {
    a / b.max(1)
}
