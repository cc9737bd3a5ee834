//! Poly1305 (RFC 8439 2.5): the polynomial of a message at a secret point r, modulo 2^130 - 5.
//!
//! Of a long message each lane takes every n-th block, for n lanes: `h` of all lanes is multiplied by r^n for each group
//! of blocks, and at the end by the power that is right for the lane. The few blocks behind the last whole group join
//! the last multiplication. Short messages go block by block.

use crate::lanes::{Emulated, Lanes};

/// Bytes in a block.
pub(super) const BLOCK_BYTES: usize = 16;

/// Most lanes of a vector.
const LANES_MAX: usize = 8;

/// Below, the powers cost more than the lanes save.
const VECTOR_BYTES_MIN: usize = 256;

/// An integer modulo 2^130 - 5 as 44, 44 and 42 bits, the last a bit more.
pub(super) type Limbs = [u64; 3];

pub(super) const MASK_44: u64 = (1 << 44) - 1;
pub(super) const MASK_42: u64 = (1 << 42) - 1;

/// Lanes that take blocks from memory.
pub(super) trait Blocks: Lanes {
    /// The low and the high word of `LANES` blocks, in the order that [`Self::interleave`] gives.
    ///
    /// # Panics
    /// When there are fewer.
    fn load_blocks(self, bytes: &[u8]) -> (Self::Vector, Self::Vector);

    /// The lower half of the lanes to the even ones, the upper half to the odd ones.
    fn interleave(self, a: Self::Vector) -> Self::Vector;
}

impl<const N: usize> Blocks for Emulated<N> {
    fn load_blocks(self, bytes: &[u8]) -> ([u64; N], [u64; N]) {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |index: usize| std::array::from_fn(|lane| u64::from_le_bytes(words[2 * lane + index]));
        (self.interleave(word(0)), self.interleave(word(1)))
    }

    fn interleave(self, a: [u64; N]) -> [u64; N] {
        std::array::from_fn(|lane| a[lane / 2 + (lane % 2) * (N / 2)])
    }
}

/// Integers modulo 2^130 - 5, one per lane, as the level of CPU multiplies them best.
pub(super) trait Field: Copy {
    /// Lanes of a vector.
    const LANES: usize;
    /// Sums of an accumulator and a block.
    type Element: Copy;
    /// What elements are multiplied by.
    type Power: Copy;
    /// Sums of up to five products, not carried.
    type Products: Copy;

    /// The blocks with the bit behind their last one.
    fn load(self, bytes: &[u8]) -> Self::Element;
    /// The number in the lane of the first block, zero in others.
    fn first(self, limbs: &Limbs) -> Self::Element;
    /// The sum, of which one is carried and one was loaded.
    fn add(self, a: Self::Element, b: Self::Element) -> Self::Element;
    /// The same power in each lane.
    fn splat(self, power: &Limbs) -> Self::Power;
    /// The powers that start at `at` of a table, for the blocks in their order.
    fn window(self, table: &Table, at: usize) -> Self::Power;
    fn zero(self) -> Self::Products;
    /// sum + a · power
    fn mul_add(self, sum: Self::Products, a: Self::Element, power: Self::Power) -> Self::Products;
    fn carry(self, products: Self::Products) -> Self::Element;
    /// The sum of all lanes of a carried element.
    fn sum(self, a: Self::Element) -> Limbs;
}

/// Powers of r from r^(2 n) down to r for n lanes, then n zeros: a window of n of them fits any number of blocks
/// behind the last group.
pub(super) type Table = [[u64; 3 * LANES_MAX]; 3];

/// The state of a message's authentication.
pub(super) struct Poly1305 {
    h: Limbs,
    r: Limbs,
    pad: u128,
    powers: Option<Powers>,
}

/// What a long message needs.
struct Powers {
    table: Table,
    /// r^(4 n), r^(3 n), r^(2 n), r^n for n lanes; the first two for messages that are long enough.
    strides: [Limbs; 4],
}

/// [`absorb`] of a level of CPU.
pub(super) type Absorb = fn(&mut Poly1305, &[u8], Option<&[u8; BLOCK_BYTES]>);

impl Poly1305 {
    /// The state for a one-time key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let (halves, _) = key.as_chunks::<16>();
        let r = u128::from_le_bytes(halves[0]) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self { h: [0; 3], r: split(r, 0), pad: u128::from_le_bytes(halves[1]), powers: None }
    }

    /// Takes a block by itself.
    pub(super) fn block(&mut self, block: &[u8; BLOCK_BYTES]) {
        let m = split(u128::from_le_bytes(*block), 1);
        self.h = mul([self.h[0] + m[0], self.h[1] + m[1], self.h[2] + m[2]], self.r);
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
        let mut h = carry(self.h);
        h = carry(h);
        // h - p, of which the sign tells which of the two it is.
        let mut g = h;
        g[0] += 5;
        g[1] += g[0] >> 44;
        g[2] += g[1] >> 44;
        let is_reduced = (g[2] >> 42).wrapping_sub(1);
        for limb in 0..3 {
            let bits = if limb < 2 { MASK_44 } else { MASK_42 };
            h[limb] = (h[limb] & is_reduced) | (g[limb] & bits & !is_reduced);
        }
        let number = u128::from(h[0]).wrapping_add(u128::from(h[1]) << 44).wrapping_add(u128::from(h[2]) << 88);
        number.wrapping_add(self.pad).to_le_bytes()
    }
}

impl Powers {
    /// The powers for the lanes of `F`.
    #[inline(always)]
    fn new<F: Field>(r: &Limbs) -> Self {
        let lanes = F::LANES;
        let mut powers = [*r; 2 * LANES_MAX];
        for exponent in 2..=2 * lanes {
            // Of halves, so that few multiplications wait for each other.
            powers[exponent - 1] = canonical(mul(powers[exponent / 2 - 1], powers[exponent.div_ceil(2) - 1]));
        }
        let mut table = [[0; 3 * LANES_MAX]; 3];
        for (at, power) in powers[..2 * lanes].iter().rev().enumerate() {
            for limb in 0..3 {
                table[limb][at] = power[limb];
            }
        }
        let (stride, double) = (powers[lanes - 1], powers[2 * lanes - 1]);
        let strides = [canonical(mul(double, double)), canonical(mul(double, stride)), double, stride];
        powers = [[0; 3]; 2 * LANES_MAX];
        zeroize::optimization_barrier(&powers);
        Self { table, strides }
    }
}

impl Drop for Powers {
    fn drop(&mut self) {
        (self.table, self.strides) = ([[0; 3 * LANES_MAX]; 3], [[0; 3]; 4]);
        zeroize::optimization_barrier(self);
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        (self.h, self.r, self.pad) = ([0; 3], [0; 3], 0);
        zeroize::optimization_barrier(self);
    }
}

/// Takes `bytes`, of which the last block is filled with zeros, and one block behind them.
#[inline(always)]
pub(super) fn absorb<F: Field>(f: F, state: &mut Poly1305, bytes: &[u8], end: Option<&[u8; BLOCK_BYTES]>) {
    let group_bytes = F::LANES * BLOCK_BYTES;
    if bytes.len() < VECTOR_BYTES_MIN.max(group_bytes) {
        state.padded(bytes);
        end.into_iter().for_each(|end| state.block(end));
        return;
    }
    let (groups, rest) = bytes.split_at(bytes.len() / group_bytes * group_bytes);
    let mut tail = [0; 2 * LANES_MAX * BLOCK_BYTES];
    tail[..rest.len()].copy_from_slice(rest);
    let mut tail_bytes = rest.len().next_multiple_of(BLOCK_BYTES);
    if let Some(end) = end {
        tail[tail_bytes..tail_bytes + BLOCK_BYTES].copy_from_slice(end);
        tail_bytes += BLOCK_BYTES;
    }
    let r = state.r;
    let powers = state.powers.get_or_insert_with(|| Powers::new::<F>(&r));
    let mut h = lanes(f, &state.h, powers, groups);
    let mut tail = &tail[..];
    if tail_bytes > group_bytes {
        h = f.add(f.carry(f.mul_add(f.zero(), h, f.splat(&powers.strides[3]))), f.load(tail));
        tail = &tail[group_bytes..];
        tail_bytes -= group_bytes;
    }
    let tail_blocks = tail_bytes / BLOCK_BYTES;
    let mut products = f.mul_add(f.zero(), h, f.window(&powers.table, F::LANES - tail_blocks));
    if tail_blocks > 0 {
        products = f.mul_add(products, f.load(tail), f.window(&powers.table, 2 * F::LANES - tail_blocks));
    }
    state.h = f.sum(f.carry(products));
}

/// The accumulators of the lanes behind the last group, which is added but not multiplied.
#[inline(always)]
fn lanes<F: Field>(f: F, h: &Limbs, powers: &Powers, groups: &[u8]) -> F::Element {
    let group_bytes = F::LANES * BLOCK_BYTES;
    let (first, mut rest) = groups.split_at(group_bytes);
    let mut h = f.add(f.first(&canonical(*h)), f.load(first));
    if rest.len() >= 4 * group_bytes {
        let mut strides = [f.splat(&powers.strides[3]); 4];
        for index in 0..3 {
            strides[index] = f.splat(&powers.strides[index]);
        }
        while let Some((four, later)) = rest.split_at_checked(4 * group_bytes) {
            let mut products = f.zero();
            for index in 0..3 {
                products = f.mul_add(products, f.load(&four[index * group_bytes..]), strides[index + 1]);
            }
            products = f.mul_add(products, h, strides[0]);
            h = f.add(f.carry(products), f.load(&four[3 * group_bytes..]));
            rest = later;
        }
    }
    let stride = f.splat(&powers.strides[3]);
    while let Some((one, later)) = rest.split_at_checked(group_bytes) {
        h = f.add(f.carry(f.mul_add(f.zero(), h, stride)), f.load(one));
        rest = later;
    }
    h
}

/// The limbs of a number of 128 bits and of bits above.
pub(super) fn split(low: u128, high: u64) -> Limbs {
    [low as u64 & MASK_44, (low >> 44) as u64 & MASK_44, (low >> 88) as u64 | high << 40]
}

/// The product. Limbs of `a` have up to 47 bits, limbs of `b` up to 45.
#[inline(always)]
fn mul(a: Limbs, b: Limbs) -> Limbs {
    let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
    // What goes beyond 2^132 comes back times 2^2 · 5.
    let (s_1, s_2) = (20 * b[1], 20 * b[2]);
    let d_0 = wide(a[0], b[0]) + wide(a[1], s_2) + wide(a[2], s_1);
    let d_1 = wide(a[0], b[1]) + wide(a[1], b[0]) + wide(a[2], s_2) + (d_0 >> 44);
    let d_2 = wide(a[0], b[2]) + wide(a[1], b[1]) + wide(a[2], b[0]) + (d_1 >> 44);
    let h_0 = (d_0 as u64 & MASK_44) + 5 * (d_2 >> 42) as u64;
    [h_0 & MASK_44, (d_1 as u64 & MASK_44) + (h_0 >> 44), d_2 as u64 & MASK_42]
}

/// The same number with every limb but the last within its bits.
fn canonical(a: Limbs) -> Limbs {
    [a[0], a[1] & MASK_44, a[2] + (a[1] >> 44)]
}

/// The same number, carried once around.
pub(super) fn carry(a: Limbs) -> Limbs {
    let h_1 = a[1] + (a[0] >> 44);
    let h_2 = a[2] + (h_1 >> 44);
    let h_0 = (a[0] & MASK_44) + 5 * (h_2 >> 42);
    [h_0 & MASK_44, (h_1 & MASK_44) + (h_0 >> 44), h_2 & MASK_42]
}
