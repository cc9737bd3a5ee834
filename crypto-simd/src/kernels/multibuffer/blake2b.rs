//! BLAKE2b (RFC 7693) over lanes, unkeyed or keyed, with a digest of 32 or 64 bytes.

use super::runs::{Parts, Runs};
use super::{IV, Kernel, Rows};
use crate::cpu::Proof;
use crate::lanes::words::{Words, Words64, load};
use zeroize::Zeroize;

const BLOCK_BYTES: usize = 128;
const DIGEST_BYTES: usize = 64;
const LANES: usize = 8;

/// What the lanes' states are.
pub(crate) type State = Rows<u64, LANES, 8>;

/// BLAKE2b of up to 8 messages.
pub(crate) type Blake2b = Kernel<fn(&mut State, &Blocks<'_>)>;

/// Whole blocks of each lane.
pub(crate) struct Blocks<'a> {
    inputs: [&'a [u8]; LANES],
    /// Bytes hashed with the first of these blocks.
    counters: [u64; LANES],
    /// All ones where the (only) block is the message's last one.
    last: [u64; LANES],
}

/// The parameters that matter here (RFC 7693 2.5 and, for the tree fields, the BLAKE2X paper): those not named are
/// those of sequential hashing unless `xof` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    words: [u64; 3],
}

impl Parameters {
    /// Sequential hashing to a digest of that many bytes under a key of that many (none: 0).
    pub(crate) const fn sequential(digest_bytes: u8, key_bytes: u8) -> Self {
        Self { words: [digest_bytes as u64 | (key_bytes as u64) << 8 | 1 << 16 | 1 << 24, 0, 0] }
    }

    /// The root of a BLAKE2X stream of `stream_bytes`.
    pub(crate) const fn xof_root(key_bytes: u8, stream_bytes: u32) -> Self {
        let mut parameters = Self::sequential(64, key_bytes);
        parameters.words[1] = (stream_bytes as u64) << 32;
        parameters
    }

    /// The block of that number of a BLAKE2X stream of `stream_bytes`, cut to `digest_bytes`.
    pub(crate) const fn xof_block(digest_bytes: u8, number: u32, stream_bytes: u32) -> Self {
        let leaf_bytes = 64 << 32;
        let words = [digest_bytes as u64 | leaf_bytes, number as u64 | (stream_bytes as u64) << 32, 64 << 8];
        Self { words }
    }
}

/// The twin with which the others are compared.
#[cfg(test)]
pub(crate) const EMULATED: Blake2b =
    Kernel { lanes: 8, worth: 1, call: |state, blocks| absorb(Words64(crate::lanes::Emulated::<8>), state, blocks) };

/// The kernel for a level.
pub(crate) fn kernel(proof: Proof) -> Option<Blake2b> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2(token.into())),
        Proof::Portable => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::cpu::{Avx2, Avx512};

    pub(super) fn avx512(_: Avx512) -> Blake2b {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn inner(state: &mut State, blocks: &Blocks<'_>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            absorb(Words64(unsafe { Avx512::assume() }), state, blocks);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 8, worth: 2, call: |state, blocks| unsafe { inner(state, blocks) } }
    }

    pub(super) fn avx2(_: Avx2) -> Blake2b {
        #[target_feature(enable = "avx2")]
        fn inner(state: &mut State, blocks: &Blocks<'_>) {
            // SAFETY: this function is reached through the kernel only, which the token's owner made.
            absorb(Words64(unsafe { Avx2::assume() }), state, blocks);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 4, worth: 2, call: |state, blocks| unsafe { inner(state, blocks) } }
    }
}

impl Blake2b {
    /// Hashes at most `lanes` messages, each under its key if the parameters count 32 bytes of one.
    /// The digests are the columns of the result.
    pub(crate) fn hash(&self, parameters: Parameters, keys: Option<&[&[u8; 32]]>, messages: &[&[u8]]) -> State {
        let mut state = start(parameters);
        let mut digests = State::splat([0; 8]);
        let mut ends = [[0; BLOCK_BYTES]; LANES];
        let mut parts: [Parts<'_>; LANES] = [[&[]; 2]; LANES];
        for ((parts, end), message) in parts.iter_mut().zip(&mut ends).zip(messages) {
            // The last block is never empty, unless the whole message is.
            let (body, rest) = message.split_at(message.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES);
            end[..rest.len()].copy_from_slice(rest);
            // Under a key, no message means that the key's block is the last one.
            *parts = if message.is_empty() && keys.is_some() { [&[], &[]] } else { [body, end] };
        }
        let mut hashed = 0;
        if let Some(keys) = keys {
            hashed = BLOCK_BYTES as u64;
            self.absorb_keys(&mut state, keys, messages);
            keep(&mut digests, &state, |lane| messages.get(lane).is_some_and(|message| message.is_empty()));
        }
        let before = hashed;
        for run in Runs::new(parts) {
            // A run with an end has one block.
            let counters = std::array::from_fn(|lane| match messages.get(lane) {
                Some(message) if run.ended[lane] => before + message.len() as u64,
                _ => hashed + BLOCK_BYTES as u64,
            });
            let last = run.ended.map(|ended| if ended { u64::MAX } else { 0 });
            hashed += run.inputs[0].len() as u64;
            (self.call)(&mut state, &Blocks { inputs: run.inputs, counters, last });
            keep(&mut digests, &state, |lane| run.ended[lane]);
        }
        digests
    }

    /// How many blocks a message has, but for a key.
    pub(crate) fn blocks(message: &[u8]) -> usize {
        message.len().div_ceil(BLOCK_BYTES).max(1)
    }

    /// Hashes the 64-byte digests that are the columns of `digests`.
    pub(crate) fn hash_digests(&self, parameters: Parameters, digests: &State) -> State {
        let mut bytes = [[0; BLOCK_BYTES]; LANES];
        for (lane, bytes) in bytes.iter_mut().enumerate() {
            for (bytes, row) in bytes.as_chunks_mut().0.iter_mut().zip(&**digests) {
                *bytes = row[lane].to_le_bytes();
            }
        }
        let mut state = start(parameters);
        let inputs = std::array::from_fn(|lane| &bytes[lane][..]);
        (self.call)(&mut state, &Blocks { inputs, counters: [DIGEST_BYTES as u64; LANES], last: [u64::MAX; LANES] });
        bytes.as_flattened_mut().zeroize();
        state
    }

    fn absorb_keys(&self, state: &mut State, keys: &[&[u8; 32]], messages: &[&[u8]]) {
        let mut blocks = [[0; BLOCK_BYTES]; LANES];
        for (block, key) in blocks.iter_mut().zip(keys) {
            block[..key.len()].copy_from_slice(&key[..]);
        }
        let last = std::array::from_fn(|lane| match messages.get(lane) {
            Some([]) => u64::MAX,
            _ => 0,
        });
        let inputs = std::array::from_fn(|lane| &blocks[lane][..]);
        (self.call)(state, &Blocks { inputs, counters: [BLOCK_BYTES as u64; LANES], last });
        blocks.as_flattened_mut().zeroize();
    }
}

fn start(parameters: Parameters) -> State {
    let mut words = IV;
    words.iter_mut().zip(parameters.words).for_each(|(word, parameter)| *word ^= parameter);
    State::splat(words)
}

/// Keeps the columns of the lanes that have ended.
fn keep(digests: &mut State, state: &State, ended: impl Fn(usize) -> bool) {
    for lane in (0..LANES).filter(|lane| ended(*lane)) {
        for (digest, row) in digests.iter_mut().zip(&**state) {
            digest[lane] = row[lane];
        }
    }
}

#[inline(always)]
fn absorb<W: Words<Word = u64>>(w: W, rows: &mut State, blocks: &Blocks<'_>) {
    let mut state = load(w, rows);
    let (mut counters, last) = (w.load(&blocks.counters), w.load(&blocks.last));
    for block in 0..blocks.inputs[0].len() / BLOCK_BYTES {
        let words = w.load_block::<false>(&blocks.inputs, block * BLOCK_BYTES);
        state = compress(w, state, &words, counters, last);
        counters = w.add(counters, w.splat(BLOCK_BYTES as u64));
    }
    for row in 0..8 {
        w.store(state[row], &mut rows[row]);
    }
}

/// RFC 7693 3.2. Messages of 2^64 bytes are not possible here: the counter's upper word is zero.
#[inline(always)]
fn compress<W: Words<Word = u64>>(
    w: W,
    mut h: [W::Vector; 8],
    m: &[W::Vector; 16],
    counter: W::Vector,
    last: W::Vector,
) -> [W::Vector; 8] {
    let mut v = [w.splat(0); 16];
    for index in 0..8 {
        (v[index], v[index + 8]) = (h[index], w.splat(IV[index]));
    }
    v[12] = w.xor(v[12], counter);
    v[14] = w.xor(v[14], last);
    macro_rules! rounds {
        ($($number:literal)*) => { $(round::<W, { $number % 10 }>(w, &mut v, m);)* };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11);
    for index in 0..8 {
        h[index] = w.xor3(h[index], v[index], v[index + 8]);
    }
    h
}

/// RFC 7693 2.7.
#[rustfmt::skip]
const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// One round; its number is known when compiling, so that the words are found there, too.
#[inline(always)]
fn round<W: Words<Word = u64>, const NUMBER: usize>(w: W, v: &mut [W::Vector; 16], m: &[W::Vector; 16]) {
    macro_rules! mix {
        ($($index:literal: $a:literal $b:literal $c:literal $d:literal)*) => { $(
            let (x, y) = const { (SIGMA[NUMBER][2 * $index], SIGMA[NUMBER][2 * $index + 1]) };
            mix(w, v, [$a, $b, $c, $d], m[x], m[y]);
        )* };
    }
    mix!(0: 0 4 8 12  1: 1 5 9 13  2: 2 6 10 14  3: 3 7 11 15  4: 0 5 10 15  5: 1 6 11 12  6: 2 7 8 13  7: 3 4 9 14);
}

/// RFC 7693 3.1, "G".
#[inline(always)]
fn mix<W: Words<Word = u64>>(w: W, v: &mut [W::Vector; 16], [a, b, c, d]: [usize; 4], x: W::Vector, y: W::Vector) {
    v[a] = w.add(v[a], w.add(v[b], x));
    v[d] = w.rotate_right::<32>(w.xor(v[d], v[a]));
    v[c] = w.add(v[c], v[d]);
    v[b] = w.rotate_right::<24>(w.xor(v[b], v[c]));
    v[a] = w.add(v[a], w.add(v[b], y));
    v[d] = w.rotate_right::<16>(w.xor(v[d], v[a]));
    v[c] = w.add(v[c], v[d]);
    v[b] = w.rotate_right::<63>(w.xor(v[b], v[c]));
}
