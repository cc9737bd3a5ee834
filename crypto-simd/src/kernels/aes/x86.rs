//! AES rounds by AES-NI and by VAES with 256 and 512 bits.

use super::{Block, Blocks, Pair};
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::transmute;

/// For a shuffle of bytes: reverses the bytes of a block.
const REVERSED: [u8; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/// What a bit that leaves a word adds: to the word above it one, from the highest word to the lowest the polynomial.
const CARRIES: [u32; 4] = [0x87, 1, 1, 1];

/// As the order of words in a shuffle: each takes the place of the next, the last that of the first.
const ROTATED: i32 = 0b10_01_00_11;

/// [`Blocks::in_step`] by an empty instruction that changes all vectors as far as the compiler knows.
macro_rules! in_step {
    ($vector:ty, $register:ident, $feature:literal, $($name:ident: $($vectors:ident)*,)*) => {
        $(
            #[inline]
            #[target_feature(enable = $feature)]
            fn $name([$($vectors),*]: &mut [$vector; in_step!(@count $($vectors)*)]) {
                // SAFETY: there is no instruction.
                unsafe {
                    asm!(
                        concat!("/*", $(in_step!(@operand $vectors),)* "*/"),
                        $($vectors = inout($register) *$vectors,)*
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
            }
        )*
    };
    (@operand $vectors:ident) => { concat!(" {", stringify!($vectors), "}") };
    (@count) => { 0 };
    (@count $first:ident $($rest:ident)*) => { 1 + in_step!(@count $($rest)*) };
}

in_step!(__m128i, xmm_reg, "avx2",
    two_128: a b,
    four_128: a b c d,
    eight_128: a b c d e f g h,
);

in_step!(__m256i, ymm_reg, "avx2",
    two_256: a b,
    four_256: a b c d,
    eight_256: a b c d e f g h,
);

in_step!(__m512i, zmm_reg, "avx512f",
    two_512: a b,
    four_512: a b c d,
    eight_512: a b c d e f g h,
);

impl Blocks for Avx2 {
    const LANES: usize = 1;
    type Vector = __m128i;
    type Number = __m128i;

    #[inline(always)]
    fn splat(self, block: &Block) -> __m128i {
        // SAFETY: the token proves the feature; the block is 16 bytes long.
        unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
    }

    #[inline(always)]
    fn first(self, vector: __m128i) -> Block {
        // SAFETY: both types are 16 bytes without padding.
        unsafe { transmute(vector) }
    }

    #[inline(always)]
    fn set(self, vectors: &[__m128i]) -> __m128i {
        vectors[0]
    }

    #[inline(always)]
    fn sum(self, vector: __m128i) -> __m128i {
        vector
    }

    #[inline(always)]
    fn only(self, vector: __m128i, count: usize) -> __m128i {
        debug_assert_eq!(count, 1);
        vector
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m128i, __m128i) {
        let [pair] = pairs else { unreachable!("one lane") };
        let pair: *const __m128i = pair.as_ptr().cast();
        // SAFETY: a pair is two vectors long; the token proves the feature.
        unsafe { (_mm_loadu_si128(pair), _mm_loadu_si128(pair.add(1))) }
    }

    #[inline(always)]
    fn store(self, first: __m128i, second: __m128i, pairs: &mut [Pair]) {
        let [pair] = pairs else { unreachable!("one lane") };
        let pair: *mut __m128i = pair.as_mut_ptr().cast();
        // SAFETY: a pair is two vectors long; the token proves the feature.
        unsafe {
            _mm_storeu_si128(pair, first);
            _mm_storeu_si128(pair.add(1), second);
        }
    }

    #[inline(always)]
    fn get(self, room: &[Pair]) -> (__m128i, __m128i) {
        self.load(room)
    }

    #[inline(always)]
    fn put(self, first: __m128i, second: __m128i, room: &mut [Pair]) {
        self.store(first, second, room);
    }

    #[inline(always)]
    fn xor(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_xor_si128(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_and_si128(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m128i, key: __m128i) -> __m128i {
        // SAFETY: the token proves the feature.
        unsafe { _mm_aesenc_si128(state, key) }
    }

    #[inline(always)]
    fn in_step(self, vectors: &mut [__m128i]) {
        // SAFETY: the token proves the feature.
        unsafe {
            match vectors.len() {
                2 => two_128(vectors.try_into().expect("two")),
                4 => four_128(vectors.try_into().expect("four")),
                8 => eight_128(vectors.try_into().expect("eight")),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn number(self, vector: __m128i) -> __m128i {
        // SAFETY: the token proves the feature; `REVERSED` is 16 bytes long.
        unsafe { _mm_shuffle_epi8(vector, transmute::<[u8; 16], __m128i>(REVERSED)) }
    }

    #[inline(always)]
    fn vector(self, number: __m128i) -> __m128i {
        self.number(number)
    }

    #[inline(always)]
    fn double(self, number: __m128i) -> __m128i {
        // SAFETY: the token proves the feature; `CARRIES` is 16 bytes long.
        unsafe {
            let out = _mm_shuffle_epi32::<ROTATED>(_mm_srai_epi32::<31>(number));
            let carries = _mm_and_si128(out, transmute::<[u32; 4], __m128i>(CARRIES));
            _mm_xor_si128(_mm_add_epi32(number, number), carries)
        }
    }
}

impl Blocks for Avx2Vaes {
    const LANES: usize = 2;
    type Vector = __m256i;
    type Number = __m256i;

    #[inline(always)]
    fn splat(self, block: &Block) -> __m256i {
        // SAFETY: the token proves the feature; the block is 16 bytes long.
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(block.as_ptr().cast())) }
    }

    #[inline(always)]
    fn first(self, vector: __m256i) -> Block {
        // SAFETY: the token proves the feature; both types are 16 bytes without padding.
        unsafe { transmute(_mm256_castsi256_si128(vector)) }
    }

    #[inline(always)]
    fn set(self, vectors: &[__m256i]) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_blend_epi32::<0xf0>(vectors[0], vectors[1]) }
    }

    #[inline(always)]
    fn sum(self, vector: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        self.xor(vector, unsafe { _mm256_permute2x128_si256::<0x01>(vector, vector) })
    }

    #[inline(always)]
    fn only(self, vector: __m256i, count: usize) -> __m256i {
        debug_assert_eq!(count, 1);
        // SAFETY: the token proves the feature.
        unsafe { _mm256_zextsi128_si256(_mm256_castsi256_si128(vector)) }
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m256i, __m256i) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe {
            let a = _mm256_loadu_si256(pairs[0].as_ptr().cast());
            let b = pairs.get(1).map_or(_mm256_setzero_si256(), |pair| _mm256_loadu_si256(pair.as_ptr().cast()));
            (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b))
        }
    }

    #[inline(always)]
    fn store(self, first: __m256i, second: __m256i, pairs: &mut [Pair]) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe {
            let a = _mm256_permute2x128_si256::<0x20>(first, second);
            _mm256_storeu_si256(pairs[0].as_mut_ptr().cast(), a);
            if let Some(pair) = pairs.get_mut(1) {
                let b = _mm256_permute2x128_si256::<0x31>(first, second);
                _mm256_storeu_si256(pair.as_mut_ptr().cast(), b);
            }
        }
    }

    #[inline(always)]
    fn get(self, room: &[Pair]) -> (__m256i, __m256i) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe { (_mm256_loadu_si256(room[0].as_ptr().cast()), _mm256_loadu_si256(room[1].as_ptr().cast())) }
    }

    #[inline(always)]
    fn put(self, first: __m256i, second: __m256i, room: &mut [Pair]) {
        // SAFETY: a pair is one vector long; the token proves the feature.
        unsafe {
            _mm256_storeu_si256(room[0].as_mut_ptr().cast(), first);
            _mm256_storeu_si256(room[1].as_mut_ptr().cast(), second);
        }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: the token proves the feature.
        unsafe { _mm256_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    fn in_step(self, vectors: &mut [__m256i]) {
        // SAFETY: the token proves the feature.
        unsafe {
            match vectors.len() {
                2 => two_256(vectors.try_into().expect("two")),
                4 => four_256(vectors.try_into().expect("four")),
                8 => eight_256(vectors.try_into().expect("eight")),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn number(self, vector: __m256i) -> __m256i {
        // SAFETY: the token proves the feature; two blocks are 32 bytes without padding.
        unsafe { _mm256_shuffle_epi8(vector, transmute::<[[u8; 16]; 2], __m256i>([REVERSED; 2])) }
    }

    #[inline(always)]
    fn vector(self, number: __m256i) -> __m256i {
        self.number(number)
    }

    #[inline(always)]
    fn double(self, number: __m256i) -> __m256i {
        // SAFETY: the token proves the feature; two blocks are 32 bytes without padding.
        unsafe {
            let out = _mm256_shuffle_epi32::<ROTATED>(_mm256_srai_epi32::<31>(number));
            let carries = _mm256_and_si256(out, transmute::<[[u32; 4]; 2], __m256i>([CARRIES; 2]));
            _mm256_xor_si256(_mm256_add_epi32(number, number), carries)
        }
    }
}

impl Blocks for Avx512 {
    const LANES: usize = 4;
    type Vector = __m512i;
    type Number = __m512i;

    #[inline(always)]
    fn splat(self, block: &Block) -> __m512i {
        // SAFETY: the token proves the feature; the block is 16 bytes long.
        unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(block.as_ptr().cast())) }
    }

    #[inline(always)]
    fn first(self, vector: __m512i) -> Block {
        // SAFETY: the token proves the feature; both types are 16 bytes without padding.
        unsafe { transmute(_mm512_castsi512_si128(vector)) }
    }

    #[inline(always)]
    fn set(self, vectors: &[__m512i]) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe {
            let low = _mm512_mask_mov_epi64(vectors[0], 0x0c, vectors[1]);
            let high = _mm512_mask_mov_epi64(vectors[2], 0xc0, vectors[3]);
            _mm512_mask_mov_epi64(low, 0xf0, high)
        }
    }

    #[inline(always)]
    fn sum(self, vector: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe {
            let halves = self.xor(vector, _mm512_shuffle_i64x2::<0b01_00_11_10>(vector, vector));
            self.xor(halves, _mm512_shuffle_i64x2::<0b10_11_00_01>(halves, halves))
        }
    }

    #[inline(always)]
    fn only(self, vector: __m512i, count: usize) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_maskz_mov_epi64(((1_u32 << (2 * count)) - 1) as u8, vector) }
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> (__m512i, __m512i) {
        let start: *const i64 = pairs.as_ptr().cast();
        // SAFETY: two pairs are one vector long, and what is masked out is not read; the token proves the feature.
        unsafe {
            let (a, b) = if pairs.len() == Self::LANES {
                (_mm512_loadu_epi64(start), _mm512_loadu_epi64(start.add(8)))
            } else {
                let [low, high] = masks(pairs.len());
                (_mm512_maskz_loadu_epi64(low, start), _mm512_maskz_loadu_epi64(high, start.wrapping_add(8)))
            };
            (_mm512_shuffle_i64x2::<0b10_00_10_00>(a, b), _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b))
        }
    }

    #[inline(always)]
    fn store(self, first: __m512i, second: __m512i, pairs: &mut [Pair]) {
        let start: *mut i64 = pairs.as_mut_ptr().cast();
        // SAFETY: two pairs are one vector long, and what is masked out is not written; the token proves the feature.
        unsafe {
            let a = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second);
            let b = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), second);
            if pairs.len() == Self::LANES {
                _mm512_storeu_epi64(start, a);
                _mm512_storeu_epi64(start.add(8), b);
            } else {
                let [low, high] = masks(pairs.len());
                _mm512_mask_storeu_epi64(start, low, a);
                _mm512_mask_storeu_epi64(start.wrapping_add(8), high, b);
            }
        }
    }

    #[inline(always)]
    fn get(self, room: &[Pair]) -> (__m512i, __m512i) {
        assert_eq!(room.len(), Self::LANES);
        let start: *const i64 = room.as_ptr().cast();
        // SAFETY: the pairs are two vectors long; the token proves the feature.
        unsafe { (_mm512_loadu_epi64(start), _mm512_loadu_epi64(start.add(8))) }
    }

    #[inline(always)]
    fn put(self, first: __m512i, second: __m512i, room: &mut [Pair]) {
        assert_eq!(room.len(), Self::LANES);
        let start: *mut i64 = room.as_mut_ptr().cast();
        // SAFETY: the pairs are two vectors long; the token proves the feature.
        unsafe {
            _mm512_storeu_epi64(start, first);
            _mm512_storeu_epi64(start.add(8), second);
        }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn round(self, state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: the token proves the feature.
        unsafe { _mm512_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    fn in_step(self, vectors: &mut [__m512i]) {
        // SAFETY: the token proves the feature.
        unsafe {
            match vectors.len() {
                2 => two_512(vectors.try_into().expect("two")),
                4 => four_512(vectors.try_into().expect("four")),
                8 => eight_512(vectors.try_into().expect("eight")),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn number(self, vector: __m512i) -> __m512i {
        // SAFETY: the token proves the feature; four blocks are 64 bytes without padding.
        unsafe { _mm512_shuffle_epi8(vector, transmute::<[[u8; 16]; 4], __m512i>([REVERSED; 4])) }
    }

    #[inline(always)]
    fn vector(self, number: __m512i) -> __m512i {
        self.number(number)
    }

    #[inline(always)]
    fn double(self, number: __m512i) -> __m512i {
        // SAFETY: the token proves the feature; four blocks are 64 bytes without padding.
        unsafe {
            let out = _mm512_shuffle_epi32::<ROTATED>(_mm512_srai_epi32::<31>(number));
            let carries = _mm512_and_si512(out, transmute::<[[u32; 4]; 4], __m512i>([CARRIES; 4]));
            _mm512_xor_si512(_mm512_add_epi32(number, number), carries)
        }
    }
}

/// The 64-bit words of two vectors that belong to `pairs` pairs.
#[inline(always)]
fn masks(pairs: usize) -> [u8; 2] {
    debug_assert!(pairs <= 4);
    ((1_u32 << (4 * pairs)) as u16).wrapping_sub(1).to_le_bytes()
}
