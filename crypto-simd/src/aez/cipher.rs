//! The AEZ algorithm over [`Blocks`] (sphinx.md 2.5.1). `G` vectors of blocks are worked on together, so that the
//! latency of one AES round hides behind the others; `G · LANES` is a multiple of 8, the period of the offsets.

use super::blocks::{Blocks, Pair};
use super::{Direction, KEY_BYTES, Tweak};

/// Pairs of the largest group of any backend; the last pairs of a message are worked on in a buffer of this size.
const GROUP_PAIRS_MAX: usize = 16;

/// Multiplication by x in AEZ's field: the block is a polynomial with its first bit on top.
#[inline(always)]
fn double(block: u128) -> u128 {
    (block << 1) ^ (0x87 & (block >> 127).wrapping_neg())
}

/// Multiplication by a small public number.
#[inline(always)]
fn times(block: u128, factor: u32) -> u128 {
    let mut product = 0;
    for bit in (0..u32::BITS - factor.leading_zeros()).rev() {
        product = double(product) ^ if factor >> bit & 1 == 1 { block } else { 0 };
    }
    product
}

/// `bytes` (at most 15) followed by a one bit and zeros.
#[inline(always)]
fn pad(bytes: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..bytes.len()].copy_from_slice(bytes);
    block[bytes.len()] = 0x80;
    u128::from_be_bytes(block)
}

#[inline(always)]
fn block(bytes: &[u8]) -> u128 {
    u128::from_be_bytes(bytes.try_into().expect("the caller cuts blocks of 16 bytes"))
}

/// Key, backend and round keys of one call.
struct Aez<B: Blocks> {
    b: B,
    i: u128,
    j: u128,
    l: u128,
    i_round: B::Vector,
    j_round: B::Vector,
    l_round: B::Vector,
    zero: B::Vector,
}

/// Enciphers or deciphers `data` in place.
#[inline(always)]
pub(super) fn cipher<B: Blocks, const G: usize>(
    b: B,
    key: &[u8; KEY_BYTES],
    tweak: &Tweak<'_>,
    data: &mut [u8],
    direction: Direction,
) {
    if data.is_empty() {
        return;
    }
    let aez = Aez::new(b, key);
    let delta = aez.hash(tweak);
    if data.len() < 32 {
        aez.tiny(delta, data, direction);
    } else {
        aez.core::<G>(delta, data, direction);
    }
}

/// The offset of a tweak.
#[inline(always)]
pub(super) fn hash<B: Blocks>(b: B, key: &[u8; KEY_BYTES], tweak: &Tweak<'_>) -> [u8; 16] {
    Aez::new(b, key).hash(tweak).to_be_bytes()
}

/// The authenticator of an empty message.
#[inline(always)]
pub(super) fn prf<B: Blocks>(b: B, key: &[u8; KEY_BYTES], delta: &[u8; 16], output: &mut [u8]) {
    let aez = Aez::new(b, key);
    for (index, chunk) in output.chunks_mut(16).enumerate() {
        let block = aez.e10(3, u128::from_be_bytes(*delta) ^ index as u128);
        chunk.copy_from_slice(&block.to_be_bytes()[..chunk.len()]);
    }
}

impl<B: Blocks> Aez<B> {
    #[inline(always)]
    fn new(b: B, key: &[u8; KEY_BYTES]) -> Self {
        let (i, j, l) = (block(&key[..16]), block(&key[16..32]), block(&key[32..]));
        Self { b, i, j, l, i_round: b.splat(i), j_round: b.splat(j), l_round: b.splat(l), zero: b.splat(0) }
    }

    /// What is added to the input of `E(j,i)`, j >= 0.
    #[inline(always)]
    fn offset(&self, j: u32, i: u32) -> u128 {
        let mut doubled = self.i;
        for _ in 0..i.div_ceil(8) {
            doubled = double(doubled);
        }
        times(self.j, j) ^ doubled ^ times(self.l, i % 8)
    }

    /// Four AES rounds of `G` independent vectors.
    #[inline(always)]
    fn rounds<const G: usize>(&self, mut states: [B::Vector; G]) -> [B::Vector; G] {
        for key in [self.j_round, self.i_round, self.l_round, self.zero] {
            for state in &mut states {
                *state = self.b.round(*state, key);
            }
        }
        states
    }

    /// `E(j,i)` of one block, j >= 0.
    #[inline(always)]
    fn e4(&self, j: u32, i: u32, block: u128) -> u128 {
        let [state] = self.rounds([self.b.splat(block ^ self.offset(j, i))]);
        self.b.first(state)
    }

    /// `E(-1,i)` of one block.
    #[inline(always)]
    fn e10(&self, i: u32, block: u128) -> u128 {
        let mut state = self.b.splat(block ^ times(self.l, i % 8));
        for _ in 0..3 {
            for key in [self.i_round, self.j_round, self.l_round] {
                state = self.b.round(state, key);
            }
        }
        self.b.first(self.b.round(state, self.i_round))
    }

    /// The offset of the tweak, AEZ-hash.
    #[inline(always)]
    fn hash(&self, tweak: &Tweak<'_>) -> u128 {
        let mut delta = self.e4(3, 1, tweak.tau_bits);
        let strings = std::iter::once(&tweak.nonce).chain(tweak.ad);
        for (j, string) in (4..).zip(strings) {
            let (blocks, rest) = string.as_chunks::<16>();
            for (i, block) in (1..).zip(blocks) {
                delta ^= self.e4(j, i, u128::from_be_bytes(*block));
            }
            if blocks.is_empty() || !rest.is_empty() {
                delta ^= self.e4(j, 0, pad(rest));
            }
        }
        delta
    }

    /// AEZ-tiny: 1 to 31 bytes, a Feistel network over two halves of 4n bits, each kept at the top of a word.
    #[inline(always)]
    fn tiny(&self, delta: u128, data: &mut [u8], direction: Direction) {
        let n = data.len();
        let half_bits = 4 * n as u32;
        let (rounds, i) = match n {
            1 => (24, 7),
            2 => (16, 7),
            3..16 => (10, 7),
            _ => (8, 6),
        };
        let mask = u128::MAX << (128 - half_bits);
        let end = 1 << (127 - half_bits);

        let mut bytes = [0; 32];
        bytes[..n].copy_from_slice(data);
        let (high, low) = (block(&bytes[..16]), block(&bytes[16..]));
        let mut left = high & mask;
        let mut right = (high << half_bits | low >> (128 - half_bits)) & mask;
        if direction == Direction::Decipher && n < 16 {
            left ^= self.tiny_fix(delta, high);
        }
        for step in 0..rounds {
            let k = if direction == Direction::Encipher { step } else { rounds - 1 - step };
            let (from, to) = if step % 2 == 0 { (right, &mut left) } else { (left, &mut right) };
            *to ^= self.e4(0, i, (from | end) ^ delta ^ k) & mask;
        }
        let mut high = right | left >> half_bits;
        let low = left << (128 - half_bits);
        if direction == Direction::Encipher && n < 16 {
            high ^= self.tiny_fix(delta, high);
        }
        bytes[..16].copy_from_slice(&high.to_be_bytes());
        bytes[16..].copy_from_slice(&low.to_be_bytes());
        data.copy_from_slice(&bytes[..n]);
    }

    /// The correction that makes the permutation of short messages an odd one as often as an even one.
    #[inline(always)]
    fn tiny_fix(&self, delta: u128, text: u128) -> u128 {
        const TOP: u128 = 1 << 127;
        self.e4(0, 3, (text | TOP) ^ delta) & TOP
    }

    /// AEZ-core: 32 bytes or more.
    #[inline(always)]
    fn core<const G: usize>(&self, delta: u128, data: &mut [u8], direction: Direction) {
        let d = u32::from(direction == Direction::Decipher);
        let (front, end) = data.split_at_mut(data.len() - 32);
        let (pairs, fragment) = front.as_chunks_mut::<32>();
        let (m_x, m_y) = (block(&end[..16]), block(&end[16..]));

        let x = self.first_pass::<G>(pairs) ^ self.absorb(fragment);
        let s_x = m_x ^ delta ^ x ^ self.e4(0, 1 + d, m_y);
        let s_y = m_y ^ self.e10(1 + d, s_x);
        let s = s_x ^ s_y;
        let y = self.second_pass::<G>(s, pairs);
        self.mask_fragment(s, fragment);
        let y = y ^ self.absorb(fragment);
        let c_y = s_x ^ self.e10(2 - d, s_y);
        let c_x = s_y ^ delta ^ y ^ self.e4(0, 2 - d, c_y);

        end[..16].copy_from_slice(&c_x.to_be_bytes());
        end[16..].copy_from_slice(&c_y.to_be_bytes());
    }

    /// What a fragment of fewer than 32 bytes adds to the sum of its pass.
    #[inline(always)]
    fn absorb(&self, fragment: &[u8]) -> u128 {
        match fragment.split_at_checked(16) {
            Some((full, rest)) => self.e4(0, 4, block(full)) ^ self.e4(0, 5, pad(rest)),
            None if fragment.is_empty() => 0,
            None => self.e4(0, 4, pad(fragment)),
        }
    }

    #[inline(always)]
    fn mask_fragment(&self, s: u128, fragment: &mut [u8]) {
        for (chunk, i) in fragment.chunks_mut(16).zip(4..) {
            for (byte, mask) in chunk.iter_mut().zip(self.e10(i, s).to_be_bytes()) {
                *byte ^= mask;
            }
        }
    }

    /// Replaces each pair by `W_i, X_i` and gives the sum of the `X_i`.
    #[inline(always)]
    fn first_pass<const G: usize>(&self, pairs: &mut [Pair]) -> u128 {
        let mut offsets = Offsets::<B, G>::new(self);
        let mut sum = self.zero;
        let mut groups = pairs.chunks_exact_mut(G * B::LANES);
        for group in &mut groups {
            for x in self.first_group(&offsets.next(self), group) {
                sum = self.b.xor(sum, x);
            }
        }
        let rest = groups.into_remainder();
        let mut sum = self.b.sum(sum);
        if !rest.is_empty() {
            let mut buffer = [[0; 32]; GROUP_PAIRS_MAX];
            buffer[..rest.len()].copy_from_slice(rest);
            self.first_group(&offsets.next(self), &mut buffer[..G * B::LANES]);
            rest.copy_from_slice(&buffer[..rest.len()]);
            for pair in rest {
                sum ^= block(&pair[16..]);
            }
        }
        sum
    }

    #[inline(always)]
    fn first_group<const G: usize>(&self, offsets: &[B::Vector; G], group: &mut [Pair]) -> [B::Vector; G] {
        let b = self.b;
        let (mut w, mut x) = ([self.zero; G], [self.zero; G]);
        for (g, pairs) in group.chunks_exact(B::LANES).enumerate() {
            (w[g], x[g]) = b.load(pairs);
        }
        self.feistel(&mut w, &x, |g, state| b.xor(state, offsets[g]));
        self.feistel(&mut x, &w, |_, state| b.xor(state, self.i_round));
        for (g, pairs) in group.chunks_exact_mut(B::LANES).enumerate() {
            b.store(w[g], x[g], pairs);
        }
        x
    }

    /// Adds to each vector of `to` the four rounds of `from` with its offset.
    #[inline(always)]
    fn feistel<const G: usize>(
        &self,
        to: &mut [B::Vector; G],
        from: &[B::Vector; G],
        offset: impl Fn(usize, B::Vector) -> B::Vector,
    ) {
        let mut states = *from;
        for (g, state) in states.iter_mut().enumerate() {
            *state = offset(g, *state);
        }
        for (to, state) in to.iter_mut().zip(self.rounds(states)) {
            *to = self.b.xor(*to, state);
        }
    }

    /// Replaces each `W_i, X_i` by the output pair and gives the sum of the `Y_i`.
    #[inline(always)]
    fn second_pass<const G: usize>(&self, s: u128, pairs: &mut [Pair]) -> u128 {
        let mut offsets = Offsets::<B, G>::new(self);
        // The offset of E(2,i) differs from that of E(1,i) by 2·J + 1·J.
        let s = self.b.splat(s ^ times(self.j, 3));
        let mut sum = self.zero;
        let mut groups = pairs.chunks_exact_mut(G * B::LANES);
        for group in &mut groups {
            for y in self.second_group(s, &offsets.next(self), group) {
                sum = self.b.xor(sum, y);
            }
        }
        let rest = groups.into_remainder();
        let mut sum = self.b.sum(sum);
        if !rest.is_empty() {
            let mut buffer = [[0; 32]; GROUP_PAIRS_MAX];
            buffer[..rest.len()].copy_from_slice(rest);
            let y = self.second_group(s, &offsets.next(self), &mut buffer[..G * B::LANES]);
            let count = rest.len();
            rest.copy_from_slice(&buffer[..count]);
            for (g, pairs) in buffer[..G * B::LANES].chunks_exact_mut(B::LANES).enumerate() {
                self.b.store(y[g], y[g], pairs);
            }
            for pair in &buffer[..count] {
                sum ^= block(&pair[16..]);
            }
        }
        sum
    }

    #[inline(always)]
    fn second_group<const G: usize>(
        &self,
        s: B::Vector,
        offsets: &[B::Vector; G],
        group: &mut [Pair],
    ) -> [B::Vector; G] {
        let b = self.b;
        let (mut w, mut x) = ([self.zero; G], [self.zero; G]);
        for (g, pairs) in group.chunks_exact(B::LANES).enumerate() {
            (w[g], x[g]) = b.load(pairs);
        }
        let masks = self.rounds(offsets.map(|offset| b.xor(offset, s)));
        for g in 0..G {
            (w[g], x[g]) = (b.xor(w[g], masks[g]), b.xor(x[g], masks[g]));
        }
        let (y, z) = (w, x);
        let (mut c_second, mut c_first) = (y, z);
        self.feistel(&mut c_second, &z, |_, state| b.xor(state, self.i_round));
        self.feistel(&mut c_first, &c_second, |g, state| b.xor(state, offsets[g]));
        for (g, pairs) in group.chunks_exact_mut(B::LANES).enumerate() {
            b.store(c_first[g], c_second[g], pairs);
        }
        y
    }
}

/// The offsets of `E(1,i)` for i = 1, 2, ... in groups of `G` vectors. Eight pairs in a row share their multiple of I.
struct Offsets<B: Blocks, const G: usize> {
    j_and_l: [B::Vector; G],
    doubled: u128,
}

impl<B: Blocks, const G: usize> Offsets<B, G> {
    #[inline(always)]
    fn new(aez: &Aez<B>) -> Self {
        let mut multiples = [aez.j; 8];
        for (multiple, factor) in multiples.iter_mut().zip(1..8) {
            *multiple ^= times(aez.l, factor);
        }
        let mut j_and_l = [aez.zero; G];
        for (g, vector) in j_and_l.iter_mut().enumerate() {
            let slot = g * B::LANES % 8;
            *vector = aez.b.set(&multiples[slot..slot + B::LANES]);
        }
        Self { j_and_l, doubled: aez.i }
    }

    #[inline(always)]
    fn next(&mut self, aez: &Aez<B>) -> [B::Vector; G] {
        let mut offsets = self.j_and_l;
        let mut i = aez.zero;
        for (g, offset) in offsets.iter_mut().enumerate() {
            if g * B::LANES % 8 == 0 {
                self.doubled = double(self.doubled);
                i = aez.b.splat(self.doubled);
            }
            *offset = aez.b.xor(*offset, i);
        }
        offsets
    }
}
