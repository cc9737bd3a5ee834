//! AES rounds by AES-NI and by VAES with 256 and 512 bits.

use super::blocks::{Blocks, Pair};
use super::{Direction, KEY_BYTES, Kernel, Tweak, cipher};
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
use std::arch::x86_64::*;
use std::mem::transmute;

/// Declares the entry points of one backend: safe functions that name the token, each around one function that carries
/// the target features and into which everything else is inlined.
macro_rules! entry_points {
    ($kernel:ident, $token:ident, $group:literal, $features:literal) => {
        /// The entry points of this backend; the token is the proof that they may be called.
        pub(crate) fn $kernel(_: $token) -> Kernel {
            #[inline(always)]
            fn token() -> $token {
                // SAFETY: the functions below are reached through the kernel only, which the token's owner made.
                unsafe { $token::assume() }
            }
            #[target_feature(enable = $features)]
            fn cipher_inner(key: &[u8; KEY_BYTES], tweak: &Tweak<'_>, data: &mut [u8], direction: Direction) {
                cipher::cipher::<_, $group>(token(), key, tweak, data, direction);
            }
            #[target_feature(enable = $features)]
            fn hash_inner(key: &[u8; KEY_BYTES], tweak: &Tweak<'_>) -> [u8; 16] {
                cipher::hash(token(), key, tweak)
            }
            #[target_feature(enable = $features)]
            fn prf_inner(key: &[u8; KEY_BYTES], delta: &[u8; 16], output: &mut [u8]) {
                cipher::prf(token(), key, delta, output);
            }
            Kernel {
                // SAFETY: whoever has the kernel had the token, so the CPU has the features.
                cipher: |key, tweak, data, direction| unsafe { cipher_inner(key, tweak, data, direction) },
                // SAFETY: as above.
                hash: |key, tweak| unsafe { hash_inner(key, tweak) },
                // SAFETY: as above.
                prf: |key, delta, output| unsafe { prf_inner(key, delta, output) },
            }
        }
    };
}

entry_points!(aes_ni, Avx2, 8, "avx2,aes");
entry_points!(vaes_256, Avx2Vaes, 8, "avx2,aes,vaes");
entry_points!(vaes_512, Avx512, 4, "avx512f,avx512bw,avx512dq,avx512vl,aes,vaes");

/// A block in memory order.
#[inline(always)]
fn bytes(block: u128) -> u128 {
    block.swap_bytes()
}

impl Blocks for Avx2 {
    const LANES: usize = 1;
    type Vector = __m128i;

    #[inline(always)]
    fn splat(self, block: u128) -> __m128i {
        // SAFETY: both types are 16 bytes without padding.
        unsafe { transmute(bytes(block)) }
    }

    #[inline(always)]
    fn first(self, vector: __m128i) -> u128 {
        // SAFETY: both types are 16 bytes without padding.
        bytes(unsafe { transmute::<__m128i, u128>(vector) })
    }

    #[inline(always)]
    fn set(self, blocks: &[u128]) -> __m128i {
        self.splat(blocks[0])
    }

    #[inline(always)]
    fn sum(self, vector: __m128i) -> u128 {
        self.first(vector)
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m128i, __m128i) {
        // SAFETY: a pair is two vectors long and has no padding.
        unsafe { transmute(pairs[0]) }
    }

    #[inline(always)]
    fn store(self, first: __m128i, second: __m128i, pairs: &mut [Pair]) {
        // SAFETY: a pair is two vectors long and has no padding.
        pairs[0] = unsafe { transmute::<[__m128i; 2], Pair>([first, second]) };
    }

    #[inline(always)]
    fn xor(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_xor_si128(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m128i, key: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_aesenc_si128(state, key) }
    }
}

impl Blocks for Avx2Vaes {
    const LANES: usize = 2;
    type Vector = __m256i;

    #[inline(always)]
    fn splat(self, block: u128) -> __m256i {
        // SAFETY: two blocks are 32 bytes without padding.
        unsafe { transmute([bytes(block); 2]) }
    }

    #[inline(always)]
    fn first(self, vector: __m256i) -> u128 {
        // SAFETY: the token proves the feature; both types are 16 bytes.
        bytes(unsafe { transmute::<__m128i, u128>(_mm256_castsi256_si128(vector)) })
    }

    #[inline(always)]
    fn set(self, blocks: &[u128]) -> __m256i {
        // SAFETY: two blocks are 32 bytes without padding.
        unsafe { transmute([bytes(blocks[0]), bytes(blocks[1])]) }
    }

    #[inline(always)]
    fn sum(self, vector: __m256i) -> u128 {
        // SAFETY: two blocks are 32 bytes without padding.
        let [a, b] = unsafe { transmute::<__m256i, [u128; 2]>(vector) };
        bytes(a ^ b)
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m256i, __m256i) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe {
            let (a, b) = (transmute::<Pair, __m256i>(pairs[0]), transmute::<Pair, __m256i>(pairs[1]));
            (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b))
        }
    }

    #[inline(always)]
    fn store(self, first: __m256i, second: __m256i, pairs: &mut [Pair]) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe {
            pairs[0] = transmute::<__m256i, Pair>(_mm256_permute2x128_si256::<0x20>(first, second));
            pairs[1] = transmute::<__m256i, Pair>(_mm256_permute2x128_si256::<0x31>(first, second));
        }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_aesenc_epi128(state, key) }
    }
}

impl Blocks for Avx512 {
    const LANES: usize = 4;
    type Vector = __m512i;

    #[inline(always)]
    fn splat(self, block: u128) -> __m512i {
        // SAFETY: both types are 16 bytes; the token proves the feature.
        unsafe { _mm512_broadcast_i32x4(transmute::<u128, __m128i>(bytes(block))) }
    }

    #[inline(always)]
    fn first(self, vector: __m512i) -> u128 {
        // SAFETY: the token proves the feature; both types are 16 bytes.
        bytes(unsafe { transmute::<__m128i, u128>(_mm512_castsi512_si128(vector)) })
    }

    #[inline(always)]
    fn set(self, blocks: &[u128]) -> __m512i {
        let four: [u128; 4] = std::array::from_fn(|lane| bytes(blocks[lane]));
        // SAFETY: four blocks are 64 bytes without padding.
        unsafe { transmute(four) }
    }

    #[inline(always)]
    fn sum(self, vector: __m512i) -> u128 {
        // SAFETY: four blocks are 64 bytes without padding.
        let [a, b, c, d] = unsafe { transmute::<__m512i, [u128; 4]>(vector) };
        bytes(a ^ b ^ c ^ d)
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m512i, __m512i) {
        // SAFETY: two pairs are one vector long; the token proves the feature.
        unsafe {
            let a = transmute::<[Pair; 2], __m512i>([pairs[0], pairs[1]]);
            let b = transmute::<[Pair; 2], __m512i>([pairs[2], pairs[3]]);
            (_mm512_shuffle_i64x2::<0b10_00_10_00>(a, b), _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b))
        }
    }

    #[inline(always)]
    fn store(self, first: __m512i, second: __m512i, pairs: &mut [Pair]) {
        // SAFETY: two pairs are one vector long; the token proves the feature.
        unsafe {
            let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
            let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
            let a = transmute::<__m512i, [Pair; 2]>(_mm512_permutex2var_epi64(first, low, second));
            let b = transmute::<__m512i, [Pair; 2]>(_mm512_permutex2var_epi64(first, high, second));
            [pairs[0], pairs[1]] = a;
            [pairs[2], pairs[3]] = b;
        }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_aesenc_epi128(state, key) }
    }
}
