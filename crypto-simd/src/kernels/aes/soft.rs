//! AES rounds without AES instructions, in constant time: four blocks bit-sliced into eight words.
//!
//! Bit `16·row + 4·block + column` of word k is bit k of the byte in that row and column of that block, so that
//! MixColumns rotates words and ShiftRows rotates groups of four bits.

use super::{Block, Blocks, Pair};

/// Needs nothing from the CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soft;

impl Blocks for Soft {
    const LANES: usize = 4;
    type Vector = [u64; 8];
    type Number = [u128; 4];

    #[inline(always)]
    fn splat(self, block: &Block) -> [u64; 8] {
        slice(&[u128::from_be_bytes(*block); 4])
    }

    #[inline(always)]
    fn first(self, vector: [u64; 8]) -> Block {
        unslice(&vector)[0].to_be_bytes()
    }

    #[inline(always)]
    fn set(self, vectors: &[[u64; 8]]) -> [u64; 8] {
        let lanes = vectors.iter().enumerate().map(|(lane, vector)| vector.map(|word| word & LANE << (4 * lane)));
        lanes.fold([0; 8], |all, lane| self.xor(all, lane))
    }

    #[inline(always)]
    fn sum(self, vector: [u64; 8]) -> [u64; 8] {
        // Each lane is four bits of every sixteen: halves of them change places, then quarters.
        let halves = |word: u64| word >> 8 & 0x00ff_00ff_00ff_00ff | (word & 0x00ff_00ff_00ff_00ff) << 8;
        let quarters = |word: u64| word >> 4 & 0x0f0f_0f0f_0f0f_0f0f | (word & 0x0f0f_0f0f_0f0f_0f0f) << 4;
        vector.map(|word| word ^ halves(word)).map(|word| word ^ quarters(word))
    }

    #[inline(always)]
    fn only(self, vector: [u64; 8], count: usize) -> [u64; 8] {
        let kept = (0..count).fold(0, |kept, lane| kept | LANE << (4 * lane));
        vector.map(|word| word & kept)
    }

    #[inline(always)]
    fn load(self, pairs: &[Pair]) -> ([u64; 8], [u64; 8]) {
        let (mut first, mut second) = ([0; 4], [0; 4]);
        for (lane, pair) in pairs.iter().enumerate() {
            let (blocks, _) = pair.as_chunks::<16>();
            first[lane] = u128::from_be_bytes(blocks[0]);
            second[lane] = u128::from_be_bytes(blocks[1]);
        }
        (slice(&first), slice(&second))
    }

    #[inline(always)]
    fn store(self, first: [u64; 8], second: [u64; 8], pairs: &mut [Pair]) {
        for ((pair, first), second) in pairs.iter_mut().zip(unslice(&first)).zip(unslice(&second)) {
            pair[..16].copy_from_slice(&first.to_be_bytes());
            pair[16..].copy_from_slice(&second.to_be_bytes());
        }
    }

    #[inline(always)]
    fn get(self, room: &[Pair]) -> ([u64; 8], [u64; 8]) {
        let (words, _) = room.as_flattened().as_chunks::<8>();
        let word = |index: usize| u64::from_ne_bytes(words[index]);
        (std::array::from_fn(word), std::array::from_fn(|index| word(index + 8)))
    }

    #[inline(always)]
    fn put(self, first: [u64; 8], second: [u64; 8], room: &mut [Pair]) {
        let (words, _) = room.as_flattened_mut().as_chunks_mut::<8>();
        for (bytes, word) in words.iter_mut().zip(first.into_iter().chain(second)) {
            *bytes = word.to_ne_bytes();
        }
    }

    #[inline(always)]
    fn xor(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|k| a[k] ^ b[k])
    }

    #[inline(always)]
    fn and(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|k| a[k] & b[k])
    }

    // The largest function by far, and called from many places.
    #[inline(never)]
    fn round(self, state: [u64; 8], key: [u64; 8]) -> [u64; 8] {
        self.xor(mix_columns(&sub_bytes(&state).map(shift_rows)), key)
    }

    #[inline(always)]
    fn number(self, vector: [u64; 8]) -> [u128; 4] {
        unslice(&vector)
    }

    #[inline(always)]
    fn vector(self, number: [u128; 4]) -> [u64; 8] {
        slice(&number)
    }

    #[inline(always)]
    fn double(self, number: [u128; 4]) -> [u128; 4] {
        number.map(|block| (block << 1) ^ (0x87 & (block >> 127).wrapping_neg()))
    }
}

#[cfg(test)]
impl Soft {
    /// SubBytes and ShiftRows.
    pub(super) fn sub_shift(self, state: [u64; 8]) -> [u64; 8] {
        sub_bytes(&state).map(shift_rows)
    }
}

/// The bits of the first block in each word; those of the next are four places higher.
const LANE: u64 = 0x000f_000f_000f_000f;

/// Spreads the four bytes of a column to every second byte of a word.
#[inline(always)]
fn spread(column: u32) -> u64 {
    let x = u64::from(column);
    let x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    (x | x << 8) & 0x00ff_00ff_00ff_00ff
}

/// The inverse of [`spread`].
#[inline(always)]
fn gather(word: u64) -> u32 {
    let x = word & 0x00ff_00ff_00ff_00ff;
    let x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) as u32
}

/// Column `column` of a block, its first row in the lowest byte.
#[inline(always)]
fn column_of(block: u128, column: usize) -> u32 {
    ((block >> (96 - 32 * column)) as u32).swap_bytes()
}

#[inline(never)]
fn slice(blocks: &[u128; 4]) -> [u64; 8] {
    let mut words = std::array::from_fn(|index| {
        let (block, column) = (index / 4, index % 4);
        spread(column_of(blocks[block], column)) | spread(column_of(blocks[block + 2], column)) << 8
    });
    transpose(&mut words);
    words
}

#[inline(never)]
fn unslice(words: &[u64; 8]) -> [u128; 4] {
    let mut words = *words;
    transpose(&mut words);
    let mut blocks = [0; 4];
    for (index, word) in words.into_iter().enumerate() {
        let (block, column) = (index / 4, index % 4);
        blocks[block] |= u128::from(gather(word).swap_bytes()) << (96 - 32 * column);
        blocks[block + 2] |= u128::from(gather(word >> 8).swap_bytes()) << (96 - 32 * column);
    }
    blocks
}

/// Exchanges bit k of byte j of word w with bit w of byte j of word k; its own inverse.
#[inline(always)]
fn transpose(words: &mut [u64; 8]) {
    for (distance, mask) in [(1, 0x5555_5555_5555_5555), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)] {
        for low in (0..8).filter(|index| index & distance == 0) {
            let high = low + distance;
            let swap = (words[low] >> distance ^ words[high]) & mask;
            words[high] ^= swap;
            words[low] ^= swap << distance;
        }
    }
}

/// Row r of each block moves r columns to the left.
#[inline(always)]
fn shift_rows(x: u64) -> u64 {
    x & 0x0000_0000_0000_ffff
        | x >> 1 & 0x0000_0000_7777_0000
        | x << 3 & 0x0000_0000_8888_0000
        | x >> 2 & 0x0000_3333_0000_0000
        | x << 2 & 0x0000_cccc_0000_0000
        | x >> 3 & 0x1111_0000_0000_0000
        | x << 1 & 0xeeee_0000_0000_0000
}

#[inline(always)]
fn mix_columns(x: &[u64; 8]) -> [u64; 8] {
    let next = x.map(|word| word.rotate_right(16));
    let two: [u64; 8] = std::array::from_fn(|k| x[k] ^ next[k]);
    std::array::from_fn(|k| {
        let doubled = match k {
            0 => two[7],
            1 | 3 | 4 => two[k - 1] ^ two[7],
            _ => two[k - 1],
        };
        doubled ^ next[k] ^ two[k].rotate_right(32)
    })
}

/// The S-box as the circuit of Boyar and Peralta ("A depth-16 circuit for the AES S-box", 2011), in their names.
#[inline(always)]
fn sub_bytes(x: &[u64; 8]) -> [u64; 8] {
    let [u7, u6, u5, u4, u3, u2, u1, u0] = *x;

    let y14 = u3 ^ u5;
    let y13 = u0 ^ u6;
    let y9 = u0 ^ u3;
    let y8 = u0 ^ u5;
    let t0 = u1 ^ u2;
    let y1 = t0 ^ u7;
    let y4 = y1 ^ u3;
    let y12 = y13 ^ y14;
    let y2 = y1 ^ u0;
    let y5 = y1 ^ u6;
    let y3 = y5 ^ y8;
    let t1 = u4 ^ y12;
    let y15 = t1 ^ u5;
    let y20 = t1 ^ u1;
    let y6 = y15 ^ u7;
    let y10 = y15 ^ t0;
    let y11 = y20 ^ y9;
    let y7 = u7 ^ y11;
    let y17 = y10 ^ y11;
    let y19 = y10 ^ y8;
    let y16 = t0 ^ y11;
    let y21 = y13 ^ y16;
    let y18 = u0 ^ y16;

    let t2 = y12 & y15;
    let t4 = (y3 & y6) ^ t2;
    let t6 = (y4 & u7) ^ t2;
    let t7 = y13 & y16;
    let t9 = (y5 & y1) ^ t7;
    let t11 = (y2 & y7) ^ t7;
    let t12 = y9 & y11;
    let t14 = (y14 & y17) ^ t12;
    let t16 = (y8 & y10) ^ t12;
    let t21 = t4 ^ t14 ^ y20;
    let t22 = t6 ^ t16 ^ y19;
    let t23 = t9 ^ t14 ^ y21;
    let t24 = t11 ^ t16 ^ y18;

    let t25 = t21 ^ t22;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t29 = (t25 & t27) ^ t22;
    let t30 = t23 ^ t24;
    let t31 = t22 ^ t26;
    let t33 = (t31 & t30) ^ t24;
    let t34 = t23 ^ t33;
    let t35 = t27 ^ t33;
    let t36 = t24 & t35;
    let t37 = t36 ^ t34;
    let t38 = t27 ^ t36;
    let t40 = t25 ^ (t29 & t38);
    let t41 = t40 ^ t37;
    let t42 = t29 ^ t33;
    let t43 = t29 ^ t40;
    let t44 = t33 ^ t37;
    let t45 = t42 ^ t41;

    let z0 = t44 & y15;
    let z1 = t37 & y6;
    let z2 = t33 & u7;
    let z3 = t43 & y16;
    let z4 = t40 & y1;
    let z5 = t29 & y7;
    let z6 = t42 & y11;
    let z7 = t45 & y17;
    let z8 = t41 & y10;
    let z9 = t44 & y12;
    let z10 = t37 & y3;
    let z11 = t33 & y4;
    let z12 = t43 & y13;
    let z13 = t40 & y5;
    let z14 = t29 & y2;
    let z15 = t42 & y9;
    let z16 = t45 & y14;
    let z17 = t41 & y8;

    let t46 = z15 ^ z16;
    let t47 = z10 ^ z11;
    let t48 = z5 ^ z13;
    let t49 = z9 ^ z10;
    let t50 = z2 ^ z12;
    let t51 = z2 ^ z5;
    let t52 = z7 ^ z8;
    let t53 = z0 ^ z3;
    let t54 = z6 ^ z7;
    let t55 = z16 ^ z17;
    let t56 = z12 ^ t48;
    let t57 = t50 ^ t53;
    let t58 = z4 ^ t46;
    let t59 = z3 ^ t54;
    let t60 = t46 ^ t57;
    let t61 = z14 ^ t57;
    let t62 = t52 ^ t58;
    let t63 = t49 ^ t58;
    let t64 = z4 ^ t59;
    let t65 = t61 ^ t62;
    let t66 = z1 ^ t63;
    let s0 = t59 ^ t63;
    let s6 = t56 ^ !t62;
    let s7 = t48 ^ !t60;
    let t67 = t64 ^ t65;
    let s3 = t53 ^ t66;
    let s4 = t51 ^ t66;
    let s5 = t47 ^ t65;
    let s1 = t64 ^ !s3;
    let s2 = t55 ^ !t67;
    [s7, s6, s5, s4, s3, s2, s1, s0]
}
