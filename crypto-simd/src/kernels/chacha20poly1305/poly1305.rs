//! Poly1305 (RFC 8439 2.5): the polynomial of a message at a secret point r, modulo 2^130 - 5.
//!
//! Of a long message each of eight lanes takes every eighth block: `h` of all lanes is multiplied by r^8 for each group of
//! blocks, and at the end by the power that is right for the lane. The few blocks behind the last whole group join the
//! last multiplication. Short messages go block by block.

use super::radix44::{LoadBlocks, Radix44};

/// Bytes in a block.
pub(super) const BLOCK_BYTES: usize = 16;

/// Lanes of a vector.
pub(super) const LANES: usize = 8;

/// Bytes in a block for each lane.
const GROUP_BYTES: usize = LANES * BLOCK_BYTES;

/// Groups that are multiplied at once.
const STRIDES: usize = 4;

/// Below, the powers cost more than the lanes save.
const LANES_BYTES_MIN: usize = 320;

/// An integer modulo 2^130 - 5 as 44, 44 and 42 bits, the last a bit more.
pub(super) type Limbs = [u64; 3];

pub(super) const MASK_44: u64 = (1 << 44) - 1;
pub(super) const MASK_42: u64 = (1 << 42) - 1;

/// Limb by limb the powers of r from r^16 down to r, then zeros: a window of eight of them fits any number of blocks behind
/// the last group.
pub(super) type Table = [[u64; 3 * LANES]; 3];

/// The state of a message's authentication.
pub(super) struct Poly1305 {
    /// Words of 64 bits, the last at most 4.
    h: [u64; 3],
    r: [u64; 2],
    pad: u128,
    powers: Option<Powers>,
}

/// What a long message needs.
struct Powers {
    table: Table,
    /// r^32, r^24, r^16, r^8; the first three for messages that are long enough.
    strides: [Limbs; STRIDES],
    has_strides: bool,
}

impl Poly1305 {
    /// The state for a one-time key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let (halves, _) = key.as_chunks::<16>();
        let r = u128::from_le_bytes(halves[0]) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self { h: [0; 3], r: [r as u64, (r >> 64) as u64], pad: u128::from_le_bytes(halves[1]), powers: None }
    }

    /// Takes a block by itself. r has 60 bits in a word, and its second word is divisible by 4.
    pub(super) fn block(&mut self, block: &[u8; BLOCK_BYTES]) {
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let [r_0, r_1] = self.r;
        // What goes beyond 2^128 comes back times 5/4.
        let s_1 = r_1 + (r_1 >> 2);
        let (low, carry) = low_128(&self.h).overflowing_add(u128::from_le_bytes(*block));
        let (h_0, h_1, h_2) = (low as u64, (low >> 64) as u64, self.h[2] + 1 + u64::from(carry));
        let d_0 = wide(h_0, r_0) + wide(h_1, s_1);
        let d_1 = wide(h_0, r_1) + wide(h_1, r_0) + u128::from(h_2 * s_1) + (d_0 >> 64);
        let d_2 = h_2 * r_0 + (d_1 >> 64) as u64;
        let low = u128::from(d_0 as u64) | d_1 << 64;
        let (low, carry) = low.overflowing_add(u128::from((d_2 >> 2) + (d_2 & !3)));
        self.h = [low as u64, (low >> 64) as u64, (d_2 & 3) + u64::from(carry)];
    }

    /// Takes the bytes, of which the last block is filled with zeros, block by block.
    pub(super) fn padded(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        blocks.iter().for_each(|block| self.block(block));
        if !rest.is_empty() {
            let mut block = [0; BLOCK_BYTES];
            block[..rest.len()].copy_from_slice(rest);
            self.block(&block);
        }
    }

    /// The tag.
    pub(super) fn finish(&self) -> [u8; BLOCK_BYTES] {
        // h - p, if that is not negative.
        let low = low_128(&self.h);
        let (reduced, carry) = low.overflowing_add(5);
        let is_reduced = u128::from((self.h[2] + u64::from(carry)) >> 2).wrapping_neg();
        ((reduced & is_reduced) | (low & !is_reduced)).wrapping_add(self.pad).to_le_bytes()
    }
}

impl Powers {
    const EMPTY: Self = Self { table: [[0; 3 * LANES]; 3], strides: [[0; 3]; STRIDES], has_strides: false };

    /// Prepares what any message needs.
    #[inline(always)]
    fn fill<L: LoadBlocks>(&mut self, f: Radix44<L>, r: Limbs) {
        let r_2 = power(r, r);
        let (r_3, r_4) = (power(r_2, r), power(r_2, r_2));
        let (r_5, r_6, r_7, r_8) = (power(r_4, r), power(r_4, r_2), power(r_4, r_3), power(r_4, r_4));
        for limb in 0..3 {
            for (at, power) in [r_8, r_7, r_6, r_5, r_4, r_3, r_2, r].into_iter().enumerate() {
                self.table[limb][LANES + at] = power[limb];
            }
        }
        f.raise(&mut self.table, &r_8);
        self.strides[STRIDES - 1] = r_8;
    }

    /// Prepares the multiplication of four groups at once.
    fn add_strides(&mut self) {
        if self.has_strides {
            return;
        }
        let stride = self.strides[3];
        let double = power(stride, stride);
        self.strides = [power(double, double), power(double, stride), double, stride];
        self.has_strides = true;
    }
}

impl Drop for Powers {
    fn drop(&mut self) {
        (self.table, self.strides) = ([[0; 3 * LANES]; 3], [[0; 3]; 4]);
        zeroize::optimization_barrier(self);
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        (self.h, self.r, self.pad) = ([0; 3], [0; 2], 0);
        zeroize::optimization_barrier(self);
    }
}

/// Takes `bytes`, of which the last block is filled with zeros, and one block behind them.
#[inline(always)]
pub(super) fn absorb<L: LoadBlocks>(
    f: Radix44<L>,
    state: &mut Poly1305,
    bytes: &[u8],
    end: Option<&[u8; BLOCK_BYTES]>,
) {
    if bytes.len() < LANES_BYTES_MIN {
        state.padded(bytes);
        end.into_iter().for_each(|end| state.block(end));
        return;
    }
    let (groups, rest) = bytes.split_at(bytes.len() / GROUP_BYTES * GROUP_BYTES);
    // Up to nine blocks: one more than there are lanes.
    let mut tail = [0; 2 * GROUP_BYTES];
    tail[..rest.len()].copy_from_slice(rest);
    let mut tail_blocks = rest.len().div_ceil(BLOCK_BYTES);
    if let Some(end) = end {
        tail[tail_blocks * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(end);
        tail_blocks += 1;
    }
    let is_new = state.powers.is_none();
    let powers = state.powers.get_or_insert(Powers::EMPTY);
    if is_new {
        powers.fill(f, limbs(&[state.r[0], state.r[1], 0]));
    }
    if groups.len() > STRIDES * GROUP_BYTES {
        powers.add_strides();
    }
    let mut h = lanes(f, &limbs(&state.h), powers, groups);
    let mut tail = &tail[..];
    if tail_blocks > LANES {
        h = f.add(f.carry(f.mul_add(f.zero(), h, f.splat(&powers.strides[STRIDES - 1]))), f.load(tail));
        (tail, tail_blocks) = (&tail[GROUP_BYTES..], tail_blocks - LANES);
    }
    let mut products = f.mul_add(f.zero(), h, f.window(&powers.table, LANES - tail_blocks));
    if tail_blocks > 0 {
        products = f.mul_add(products, f.load(tail), f.window(&powers.table, 2 * LANES - tail_blocks));
    }
    state.h = words(f.sum(f.carry(products)));
}

/// The accumulators of the lanes behind the last group, which is added but not multiplied.
#[inline(always)]
fn lanes<L: LoadBlocks>(f: Radix44<L>, h: &Limbs, powers: &Powers, groups: &[u8]) -> [L::Vector; 3] {
    let (first, mut rest) = groups.split_at(GROUP_BYTES);
    let mut h = f.add(f.first(h), f.load(first));
    if rest.len() >= STRIDES * GROUP_BYTES {
        let mut strides = [f.splat(&powers.strides[3]); 4];
        for index in 0..3 {
            strides[index] = f.splat(&powers.strides[index]);
        }
        while let Some((four, later)) = rest.split_at_checked(STRIDES * GROUP_BYTES) {
            let mut products = f.zero();
            for index in 0..3 {
                products = f.mul_add(products, f.load(&four[index * GROUP_BYTES..]), strides[index + 1]);
            }
            products = f.mul_add(products, h, strides[0]);
            h = f.add(f.carry(products), f.load(&four[3 * GROUP_BYTES..]));
            rest = later;
        }
    }
    let stride = f.splat(&powers.strides[3]);
    while let Some((one, later)) = rest.split_at_checked(GROUP_BYTES) {
        h = f.add(f.carry(f.mul_add(f.zero(), h, stride)), f.load(one));
        rest = later;
    }
    h
}

/// The number without its bits above 128.
fn low_128(words: &[u64; 3]) -> u128 {
    u128::from(words[0]) | u128::from(words[1]) << 64
}

/// The limbs of a number, each within its bits but the last.
pub(super) fn limbs(words: &[u64; 3]) -> Limbs {
    let low = low_128(words);
    [low as u64 & MASK_44, (low >> 44) as u64 & MASK_44, (low >> 88) as u64 | words[2] << 40]
}

/// The words of a number that [`carry`] gave.
fn words(limbs: Limbs) -> [u64; 3] {
    let low = u128::from(limbs[0]) + (u128::from(limbs[1]) << 44);
    let (low, carry) = low.overflowing_add(u128::from(limbs[2]) << 88);
    [low as u64, (low >> 64) as u64, (limbs[2] >> 40) + u64::from(carry)]
}

/// The product of two powers, each limb within its bits but the last, which may have one more.
#[inline(always)]
pub(super) fn power(a: Limbs, b: Limbs) -> Limbs {
    let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
    // What goes beyond 2^132 comes back times 2^2 · 5.
    let (s_1, s_2) = (20 * b[1], 20 * b[2]);
    let d_0 = wide(a[0], b[0]) + wide(a[1], s_2) + wide(a[2], s_1);
    let d_1 = wide(a[0], b[1]) + wide(a[1], b[0]) + wide(a[2], s_2) + (d_0 >> 44);
    let d_2 = wide(a[0], b[2]) + wide(a[1], b[1]) + wide(a[2], b[0]) + (d_1 >> 44);
    let h_0 = (d_0 as u64 & MASK_44) + 5 * (d_2 >> 42) as u64;
    let h_1 = (d_1 as u64 & MASK_44) + (h_0 >> 44);
    [h_0 & MASK_44, h_1 & MASK_44, (d_2 as u64 & MASK_42) + (h_1 >> 44)]
}

/// The same number, carried around so far that each limb but the second is within its bits.
pub(super) fn carry(a: Limbs) -> Limbs {
    let h_1 = a[1] + (a[0] >> 44);
    let h_2 = a[2] + (h_1 >> 44);
    let h_0 = (a[0] & MASK_44) + 5 * (h_2 >> 42);
    [h_0 & MASK_44, (h_1 & MASK_44) + (h_0 >> 44), h_2 & MASK_42]
}
