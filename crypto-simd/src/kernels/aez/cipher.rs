//! The AEZ algorithm over [`Blocks`] (sphinx.md 2.5.1). Blocks of which there is only one (sums, offsets, the ends of a
//! message) are splats; pairs go through `G` vectors at a time, which hold eight of them, the period of the offsets.
//!
//! Two passes over the pairs are all the work that grows with the message. Between them stands a chain of ten rounds
//! that nothing can shorten; what else can be known early is computed before the first pass or beside that chain.

use super::{Delta, Direction, KEY_BYTES, Tweak};
use crate::kernels::aes::{Block, Blocks, Pair};

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
fn pad(bytes: &[u8]) -> Block {
    let mut block = [0; 16];
    block[..bytes.len()].copy_from_slice(bytes);
    block[bytes.len()] = 0x80;
    block
}

/// The sixteen bytes from `start` on.
#[inline(always)]
fn block(bytes: &[u8], start: usize) -> &Block {
    bytes[start..start + 16].try_into().expect("sixteen bytes")
}

/// Enciphers or deciphers 32 bytes or more in place.
#[inline(always)]
pub(super) fn core<B: Blocks, const G: usize, const N: usize>(
    b: B,
    key: &[u8; KEY_BYTES],
    delta: Delta<'_>,
    data: &mut [u8],
    direction: Direction,
) {
    let aez = Aez::new(b, key);
    aez.core::<G, N>(aez.delta(delta), data, direction);
}

/// Enciphers or deciphers 1 to 31 bytes in place.
#[inline(always)]
pub(super) fn tiny<B: Blocks>(b: B, key: &[u8; KEY_BYTES], delta: Delta<'_>, data: &mut [u8], direction: Direction) {
    let aez = Aez::new(b, key);
    aez.tiny(u128::from_be_bytes(b.first(aez.delta(delta))), data, direction);
}

/// The offset of a tweak.
#[inline(always)]
pub(super) fn hash<B: Blocks>(b: B, key: &[u8; KEY_BYTES], tweak: &Tweak<'_>) -> [u8; 16] {
    b.first(Aez::new(b, key).hash(tweak))
}

/// The authenticator of an empty message.
#[inline(always)]
pub(super) fn prf<B: Blocks>(b: B, key: &[u8; KEY_BYTES], delta: &[u8; 16], output: &mut [u8]) {
    let aez = Aez::new(b, key);
    for (index, chunk) in output.chunks_mut(16).enumerate() {
        let counter = u128::from_be_bytes(*delta) ^ index as u128;
        let block = b.first(aez.e10(3, b.splat(&counter.to_be_bytes()), aez.i));
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

/// Backend, round keys and what offsets are made of; all splats.
struct Aez<B: Blocks> {
    b: B,
    i: B::Vector,
    j: B::Vector,
    zero: B::Vector,
    /// 0 to 7 times L.
    l: [B::Vector; 8],
    /// 2 times J.
    j_twice: B::Vector,
    /// 4 times J.
    j_four_times: B::Vector,
    /// 2 times I.
    i_doubled: B::Number,
}

impl<B: Blocks> Aez<B> {
    #[inline(always)]
    fn new(b: B, key: &[u8; KEY_BYTES]) -> Self {
        let (i, j, l) = (b.splat(block(key, 0)), b.splat(block(key, 16)), b.splat(block(key, 32)));
        let zero = b.splat(&[0; 16]);
        let (j_doubled, l_doubled) = (b.double(b.number(j)), b.double(b.number(l)));
        let (two, four) = (b.vector(l_doubled), b.vector(b.double(l_doubled)));
        let three = b.xor(two, l);
        Self {
            b,
            i,
            j,
            zero,
            l: [zero, l, two, three, four, b.xor(four, l), b.xor(four, two), b.xor(four, three)],
            j_twice: b.vector(j_doubled),
            j_four_times: b.vector(b.double(j_doubled)),
            i_doubled: b.double(b.number(i)),
        }
    }

    /// What is added to the input of `E(0,i)`, i from 1 to 7; for other j their multiple of J has to be added.
    #[inline(always)]
    fn offset(&self, i: usize) -> B::Vector {
        self.b.xor(self.b.vector(self.i_doubled), self.l[i])
    }

    /// What is added to the input of `E(j,i)`, any j >= 0 and i.
    #[inline(always)]
    fn offset_of(&self, j: u32, i: u32) -> B::Vector {
        let number = |vector| u128::from_be_bytes(self.b.first(vector));
        let mut offset = number(self.i);
        for _ in 0..i.div_ceil(8) {
            offset = double(offset);
        }
        offset ^= times(number(self.j), j) ^ times(number(self.l[1]), i % 8);
        self.b.splat(&offset.to_be_bytes())
    }

    /// Four AES rounds of independent vectors; the last one's key is `last`, so that it adds it to what comes out.
    #[inline(always)]
    fn rounds<const N: usize>(&self, mut states: [B::Vector; N], last: [B::Vector; N]) -> [B::Vector; N] {
        for key in [self.j, self.i, self.l[1]] {
            for state in &mut states {
                *state = self.b.round(*state, key);
            }
            self.b.in_step(&mut states);
        }
        for (state, last) in states.iter_mut().zip(last) {
            *state = self.b.round(*state, last);
        }
        states
    }

    /// `E(j,i)` of one block, given its offset.
    #[inline(always)]
    fn e4(&self, offset: B::Vector, block: B::Vector) -> B::Vector {
        let [state] = self.rounds([self.b.xor(block, offset)], [self.zero]);
        state
    }

    /// `E(-1,i)` of one block, with `last` in the place of the last round key, I: what is to be added to the result can
    /// be added to that.
    #[inline(always)]
    fn e10(&self, i: usize, block: B::Vector, last: B::Vector) -> B::Vector {
        let mut state = self.b.xor(block, self.l[i]);
        for _ in 0..3 {
            for key in [self.i, self.j, self.l[1]] {
                state = self.b.round(state, key);
            }
        }
        self.b.round(state, last)
    }

    #[inline(always)]
    fn delta(&self, delta: Delta<'_>) -> B::Vector {
        match delta {
            Delta::Hashed(delta) => self.b.splat(&delta),
            Delta::Of(iv) => {
                let offset = self.b.xor(self.offset(1), self.j_four_times);
                self.b.xor(self.hash_length(0), self.e4(offset, self.b.splat(iv)))
            }
        }
    }

    /// What the authenticator's length adds to the offset.
    #[inline(always)]
    fn hash_length(&self, tau_bits: u128) -> B::Vector {
        let offset = self.b.xor(self.offset(1), self.b.xor(self.j, self.j_twice));
        self.e4(offset, self.b.splat(&tau_bits.to_be_bytes()))
    }

    /// The offset of the tweak, AEZ-hash.
    #[inline(always)]
    fn hash(&self, tweak: &Tweak<'_>) -> B::Vector {
        let b = self.b;
        let mut delta = self.hash_length(tweak.tau_bits);
        let strings = std::iter::once(&tweak.nonce).chain(tweak.ad);
        for (j, string) in (4..).zip(strings) {
            let (blocks, rest) = string.as_chunks::<16>();
            for (i, block) in (1..).zip(blocks) {
                delta = b.xor(delta, self.e4(self.offset_of(j, i), b.splat(block)));
            }
            if blocks.is_empty() || !rest.is_empty() {
                delta = b.xor(delta, self.e4(self.offset_of(j, 0), b.splat(&pad(rest))));
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
        let (high, low) = (u128::from_be_bytes(*block(&bytes, 0)), u128::from_be_bytes(*block(&bytes, 16)));
        let mut left = high & mask;
        let mut right = (high << half_bits | low >> (128 - half_bits)) & mask;
        if direction == Direction::Decipher && n < 16 {
            left ^= self.tiny_fix(delta, high);
        }
        for step in 0..rounds {
            let k = if direction == Direction::Encipher { step } else { rounds - 1 - step };
            let (from, to) = if step % 2 == 0 { (right, &mut left) } else { (left, &mut right) };
            *to ^= self.tiny_function(i, (from | end) ^ delta ^ k) & mask;
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
        self.tiny_function(3, (text | TOP) ^ delta) & TOP
    }

    /// `E(0,i)` of one block.
    #[inline(always)]
    fn tiny_function(&self, i: usize, block: u128) -> u128 {
        u128::from_be_bytes(self.b.first(self.e4(self.offset(i), self.b.splat(&block.to_be_bytes()))))
    }

    /// AEZ-core: 32 bytes or more.
    #[inline(always)]
    fn core<const G: usize, const N: usize>(&self, delta: B::Vector, data: &mut [u8], direction: Direction) {
        let b = self.b;
        let d = usize::from(direction == Direction::Decipher);
        let (pairs, ends) = data.split_at_mut((data.len() - 32) / 32 * 32);
        let (pairs, _) = pairs.as_chunks_mut::<32>();
        let fragment = ends.len() - 32;
        let (m_x, m_y) = (b.splat(block(ends, fragment)), b.splat(block(ends, fragment + 16)));
        let offsets = Offsets::<B, G>::new(self);

        let known = b.xor(b.xor(m_x, delta), self.e4(self.offset(1 + d), m_y));
        let known = b.xor(known, self.absorb(Fragment::new(b, ends)));
        let (x, last) = self.first_pass::<G, N>(offsets, pairs);
        let s_x = b.xor(known, x);
        let s_y = self.e10(1 + d, s_x, b.xor(self.i, m_y));
        let s = b.xor(s_x, s_y);
        let c_y = self.e10(2 - d, s_y, b.xor(self.i, s_x));
        let known = b.xor(b.xor(s_y, delta), self.e4(self.offset(2 - d), c_y));
        let known = b.xor(known, self.absorb(self.mask_fragment(s, ends)));
        let y = self.second_pass::<G, N>(offsets, s, last, pairs);

        ends[fragment..fragment + 16].copy_from_slice(&b.first(b.xor(known, y)));
        ends[fragment + 16..].copy_from_slice(&b.first(c_y));
    }

    /// What a fragment adds to the sum of its pass.
    #[inline(always)]
    fn absorb(&self, fragment: Fragment<B>) -> B::Vector {
        match fragment {
            Fragment::Empty => self.zero,
            Fragment::Short(padded) => self.e4(self.offset(4), padded),
            Fragment::Long(full, padded) => self.b.xor(self.e4(self.offset(4), full), self.e4(self.offset(5), padded)),
        }
    }

    /// Adds the masks to the fragment and gives what it is then.
    #[inline(always)]
    fn mask_fragment(&self, s: B::Vector, ends: &mut [u8]) -> Fragment<B> {
        // Bytes behind the fragment change as well: they belong to the last two blocks, which are written later.
        for (i, at) in [(4, 0), (5, 16)] {
            if at + 32 < ends.len() {
                let masked = self.b.xor(self.b.splat(block(ends, at)), self.e10(i, s, self.i));
                ends[at..at + 16].copy_from_slice(&self.b.first(masked));
            }
        }
        Fragment::new(self.b, ends)
    }

    /// Replaces each pair by `W_i, X_i`, in the form of [`Blocks::put`], and gives the sum of the `X_i`. When the last
    /// pairs fill no vector, their `W_i, X_i` are given, too, and the pairs are left.
    #[inline(always)]
    fn first_pass<const G: usize, const N: usize>(
        &self,
        mut offsets: Offsets<B, G>,
        pairs: &mut [Pair],
    ) -> (B::Vector, [B::Vector; 2]) {
        let b = self.b;
        let mut sum = self.zero;
        let mut groups = pairs.chunks_exact_mut(G * B::LANES);
        for group in &mut groups {
            let offsets = offsets.next(self);
            for (pairs, offsets) in group.chunks_exact_mut(N * B::LANES).zip(offsets.as_chunks::<N>().0) {
                let (mut m, mut n) = ([self.zero; N], [self.zero; N]);
                for (g, pairs) in pairs.chunks_exact(B::LANES).enumerate() {
                    (m[g], n[g]) = b.load(pairs);
                }
                let [w, x] = self.first_group(*offsets, m, n);
                for (g, pairs) in pairs.chunks_exact_mut(B::LANES).enumerate() {
                    b.put(w[g], x[g], pairs);
                    sum = b.xor(sum, x[g]);
                }
            }
        }
        let offsets = offsets.next(self);
        let mut last = [self.zero; 2];
        for (pairs, offset) in groups.into_remainder().chunks_mut(B::LANES).zip(offsets) {
            let (m, n) = b.load(pairs);
            let [[w], [x]] = self.first_group([offset], [m], [n]);
            if pairs.len() == B::LANES {
                b.put(w, x, pairs);
                sum = b.xor(sum, x);
            } else {
                last = [w, x];
                sum = b.xor(sum, b.only(x, pairs.len()));
            }
        }
        (b.sum(sum), last)
    }

    #[inline(always)]
    fn first_group<const N: usize>(
        &self,
        offsets: [B::Vector; N],
        m: [B::Vector; N],
        n: [B::Vector; N],
    ) -> [[B::Vector; N]; 2] {
        let w = self.rounds(std::array::from_fn(|g| self.b.xor(n[g], offsets[g])), m);
        let x = self.rounds(w.map(|w| self.b.xor(w, self.i)), n);
        [w, x]
    }

    /// Replaces what the first pass left by the output pairs and gives the sum of the `Y_i`.
    #[inline(always)]
    fn second_pass<const G: usize, const N: usize>(
        &self,
        mut offsets: Offsets<B, G>,
        s: B::Vector,
        last: [B::Vector; 2],
        pairs: &mut [Pair],
    ) -> B::Vector {
        let b = self.b;
        // The offset of E(2,i) differs from that of E(1,i) by 2·J + 1·J.
        let s = b.xor(s, b.xor(self.j, self.j_twice));
        let mut sum = self.zero;
        let mut groups = pairs.chunks_exact_mut(G * B::LANES);
        for group in &mut groups {
            let offsets = offsets.next(self);
            for (pairs, offsets) in group.chunks_exact_mut(N * B::LANES).zip(offsets.as_chunks::<N>().0) {
                let (mut w, mut x) = ([self.zero; N], [self.zero; N]);
                for (g, pairs) in pairs.chunks_exact(B::LANES).enumerate() {
                    (w[g], x[g]) = b.get(pairs);
                }
                let [c, d, y] = self.second_group(*offsets, s, w, x);
                for (g, pairs) in pairs.chunks_exact_mut(B::LANES).enumerate() {
                    b.store(c[g], d[g], pairs);
                    sum = b.xor(sum, y[g]);
                }
            }
        }
        let offsets = offsets.next(self);
        for (pairs, offset) in groups.into_remainder().chunks_mut(B::LANES).zip(offsets) {
            let (w, x) = if pairs.len() == B::LANES { b.get(pairs) } else { last.into() };
            let [[c], [d], [y]] = self.second_group([offset], s, [w], [x]);
            b.store(c, d, pairs);
            sum = b.xor(sum, if pairs.len() == B::LANES { y } else { b.only(y, pairs.len()) });
        }
        b.sum(sum)
    }

    #[inline(always)]
    fn second_group<const N: usize>(
        &self,
        offsets: [B::Vector; N],
        s: B::Vector,
        w: [B::Vector; N],
        x: [B::Vector; N],
    ) -> [[B::Vector; N]; 3] {
        let b = self.b;
        let masks = self.rounds(offsets.map(|offset| b.xor(offset, s)), [self.zero; N]);
        let y: [_; N] = std::array::from_fn(|g| b.xor(w[g], masks[g]));
        let z: [_; N] = std::array::from_fn(|g| b.xor(x[g], masks[g]));
        let d = self.rounds(z.map(|z| b.xor(z, self.i)), y);
        let c = self.rounds(std::array::from_fn(|g| b.xor(d[g], offsets[g])), z);
        [c, d, y]
    }
}

/// What stands between the pairs and the last two blocks, as the blocks that are absorbed.
enum Fragment<B: Blocks> {
    Empty,
    Short(B::Vector),
    Long(B::Vector, B::Vector),
}

impl<B: Blocks> Fragment<B> {
    /// From the fragment and the last two blocks, which are 32 to 63 bytes.
    #[inline(always)]
    fn new(b: B, ends: &[u8]) -> Self {
        match ends.len() - 32 {
            0 => Self::Empty,
            bytes @ 1..16 => Self::Short(Self::padded(b, block(ends, 0), bytes)),
            bytes => Self::Long(b.splat(block(ends, 0)), Self::padded(b, block(ends, 16), bytes - 16)),
        }
    }

    /// The first `bytes` of a block, then a one bit and zeros.
    #[inline(always)]
    fn padded(b: B, block_of: &Block, bytes: usize) -> B::Vector {
        static KEPT: [u8; 32] = {
            let mut kept = [0; 32];
            (kept.split_at_mut(16).0).copy_from_slice(&[0xff; 16]);
            kept
        };
        static ONE: [u8; 32] = {
            let mut one = [0; 32];
            one[16] = 0x80;
            one
        };
        let kept = b.and(b.splat(block_of), b.splat(block(&KEPT, 16 - bytes)));
        b.xor(kept, b.splat(block(&ONE, 16 - bytes)))
    }
}

/// The offsets of `E(1,i)` for i = 1, 2, ... in groups of eight pairs, which share their multiple of I.
#[derive(Clone, Copy)]
struct Offsets<B: Blocks, const G: usize> {
    j_and_l: [B::Vector; G],
    i_doubled: B::Number,
}

impl<B: Blocks, const G: usize> Offsets<B, G> {
    #[inline(always)]
    fn new(aez: &Aez<B>) -> Self {
        const { assert!(G * B::LANES == 8) };
        let mut multiples = [aez.j; 8];
        for (slot, multiple) in multiples.iter_mut().enumerate() {
            *multiple = aez.b.xor(*multiple, aez.l[(slot + 1) % 8]);
        }
        let mut j_and_l = [aez.zero; G];
        for (vector, multiples) in j_and_l.iter_mut().zip(multiples.chunks_exact(B::LANES)) {
            *vector = aez.b.set(multiples);
        }
        Self { j_and_l, i_doubled: aez.i_doubled }
    }

    #[inline(always)]
    fn next(&mut self, aez: &Aez<B>) -> [B::Vector; G] {
        let i = aez.b.vector(self.i_doubled);
        self.i_doubled = aez.b.double(self.i_doubled);
        self.j_and_l.map(|offset| aez.b.xor(offset, i))
    }
}
