//! ChaCha20 (RFC 8439 2.3), as many blocks at once as a vector has words, in one or two groups of vectors.
//!
//! A group keeps a vector for each of the 16 words of its blocks. Two groups fill the 32 registers of AVX-512 and hide
//! the latency of each other's chain of additions, XORs and rotations.

use super::blocks::{BLOCK_BYTES, BLOCK_WORDS, Blocks};
use super::text::Text;
use crate::lanes::words::Words;

/// "expand 32-byte k"
pub(crate) const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Double rounds of a block.
pub(super) const DOUBLE_ROUNDS: usize = 10;

const COLUMNS: [[usize; 4]; 4] = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]];
const DIAGONALS: [[usize; 4]; 4] = [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]];

pub(crate) type State<W> = [<W as Words>::Vector; BLOCK_WORDS];

/// Counter and nonce of one block: the last four words of its input.
pub(crate) type Place = [u32; 4];

/// The place of block `counter` of the message with this nonce.
pub(super) fn place(counter: u32, nonce: &[u8; 12]) -> Place {
    let (words, _) = nonce.as_chunks::<4>();
    let word = |index: usize| u32::from_le_bytes(words[index]);
    [counter, word(0), word(1), word(2)]
}

/// XORs the keystream from block `from` on into `text`.
#[inline(always)]
pub(super) fn xor_keystream<W: Blocks, const GROUPS: usize>(w: W, key: &[u8; 32], from: Place, text: Text<'_>) {
    let pass_blocks = GROUPS * W::LANES;
    let mut from = from;
    let mut rest = text;
    while rest.len() > W::LANES * BLOCK_BYTES {
        let pass_bytes = rest.len().min(pass_blocks * BLOCK_BYTES);
        let (pass, later) = rest.split_at(pass_bytes);
        pass.fetch();
        xor_states(w, blocks(w, following::<W, GROUPS>(w, key, from)), &mut [], pass);
        from[0] = from[0].wrapping_add(pass_blocks as u32);
        rest = later;
    }
    if !rest.is_empty() {
        rest.fetch();
        xor_states(w, blocks(w, following::<W, 1>(w, key, from)), &mut [], rest);
    }
}

/// Writes the blocks at the places `first` to `special`, and XORs those from `then` on into `text`; no more than a pass.
#[inline(always)]
pub(super) fn start<W: Blocks, const GROUPS: usize, const SPECIAL: usize>(
    w: W,
    key: &[u8; 32],
    first: &[Place; SPECIAL],
    then: Place,
    special: &mut [[u8; BLOCK_BYTES]; SPECIAL],
    text: Text<'_>,
) {
    *special = [[0; BLOCK_BYTES]; SPECIAL];
    text.fetch();
    if text.len() > (W::LANES - SPECIAL) * BLOCK_BYTES {
        xor_states(w, blocks(w, starting::<W, GROUPS, SPECIAL>(w, key, first, then)), special, text);
    } else {
        xor_states(w, blocks(w, starting::<W, 1, SPECIAL>(w, key, first, then)), special, text);
    }
}

/// The inputs of the blocks `first` and of those from `then` on.
#[inline(always)]
fn starting<W: Blocks, const GROUPS: usize, const SPECIAL: usize>(
    w: W,
    key: &[u8; 32],
    first: &[Place; SPECIAL],
    then: Place,
) -> [State<W>; GROUPS] {
    let [counter, nonce @ ..] = then;
    let counter = counter.wrapping_sub(SPECIAL as u32);
    let mut states = following::<W, GROUPS>(w, key, [counter, nonce[0], nonce[1], nonce[2]]);
    for word in 0..4 {
        let mut lanes: [u32; BLOCK_WORDS] = match word {
            0 => std::array::from_fn(|lane| counter.wrapping_add(lane as u32)),
            _ => [then[word]; BLOCK_WORDS],
        };
        for (lane, place) in first.iter().enumerate() {
            lanes[lane] = place[word];
        }
        states[0][12 + word] = w.load(&lanes);
    }
    states
}

/// The inputs of consecutive blocks.
#[inline(always)]
fn following<W: Blocks, const GROUPS: usize>(w: W, key: &[u8; 32], from: Place) -> [State<W>; GROUPS] {
    let (key_words, _) = key.as_chunks::<4>();
    let lane_numbers = w.load(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let mut states = [[w.splat(0); BLOCK_WORDS]; GROUPS];
    for group in 0..GROUPS {
        let state = &mut states[group];
        for word in 0..4 {
            state[word] = w.splat(CONSTANTS[word]);
            state[12 + word] = w.splat(from[word]);
        }
        for word in 0..8 {
            state[4 + word] = w.splat(u32::from_le_bytes(key_words[word]));
        }
        state[12] = w.add(w.splat(from[0].wrapping_add((group * W::LANES) as u32)), lane_numbers);
    }
    states
}

/// The blocks of these inputs.
#[inline(always)]
pub(crate) fn blocks<W: Words<Word = u32>, const GROUPS: usize>(
    w: W,
    inputs: [State<W>; GROUPS],
) -> [State<W>; GROUPS] {
    let mut states = inputs;
    for _ in 0..DOUBLE_ROUNDS {
        quarter_rounds(w, &mut states, COLUMNS);
        quarter_rounds(w, &mut states, DIAGONALS);
    }
    for (state, input) in states.iter_mut().zip(inputs) {
        for word in 0..BLOCK_WORDS {
            state[word] = w.add(state[word], input[word]);
        }
    }
    states
}

/// Four quarter rounds in each group, whose n-th takes the n-th word of each row.
#[inline(always)]
fn quarter_rounds<W: Words<Word = u32>, const GROUPS: usize>(
    w: W,
    states: &mut [State<W>; GROUPS],
    [a, b, c, d]: [[usize; 4]; 4],
) {
    add_xor_rotate::<W, GROUPS, 16>(w, states, a, b, d);
    add_xor_rotate::<W, GROUPS, 20>(w, states, c, d, b);
    add_xor_rotate::<W, GROUPS, 24>(w, states, a, b, d);
    add_xor_rotate::<W, GROUPS, 25>(w, states, c, d, b);
}

/// a += b; d ^= a; d >>>= BITS, each for all quarters of all groups before the next: they do not depend on each other.
#[inline(always)]
fn add_xor_rotate<W: Words<Word = u32>, const GROUPS: usize, const BITS: u32>(
    w: W,
    states: &mut [State<W>; GROUPS],
    a: [usize; 4],
    b: [usize; 4],
    d: [usize; 4],
) {
    for n in 0..4 {
        for state in states.iter_mut() {
            state[a[n]] = w.add(state[a[n]], state[b[n]]);
        }
    }
    for n in 0..4 {
        for state in states.iter_mut() {
            state[d[n]] = w.xor(state[d[n]], state[a[n]]);
        }
    }
    for n in 0..4 {
        for state in states.iter_mut() {
            state[d[n]] = w.rotate_right::<BITS>(state[d[n]]);
        }
    }
}

/// XORs the blocks, one after the other, into those of `special` and then into `text`, which may end before they do.
#[inline(always)]
fn xor_states<'a, W: Blocks, const GROUPS: usize, const SPECIAL: usize>(
    w: W,
    states: [State<W>; GROUPS],
    special: &'a mut [[u8; BLOCK_BYTES]; SPECIAL],
    mut text: Text<'a>,
) {
    let vector_bytes = 4 * W::LANES;
    let mut special = Text::in_place(special.as_flattened_mut());
    if text.len() == (GROUPS * W::LANES - SPECIAL) * BLOCK_BYTES {
        // A whole pass: every place is known to the compiler.
        for group in 0..GROUPS {
            let vectors = w.transpose(states[group]);
            for index in 0..BLOCK_WORDS {
                let at = (group * BLOCK_WORDS + index) * vector_bytes;
                match at.checked_sub(SPECIAL * BLOCK_BYTES) {
                    None => w.xor_into(vectors[index], special.part(at, vector_bytes)),
                    Some(at) => w.xor_into(vectors[index], text.part(at, vector_bytes)),
                }
            }
        }
        return;
    }
    for group in 0..GROUPS {
        for vector in w.transpose(states[group]) {
            let target = if special.is_empty() { &mut text } else { &mut special };
            if target.len() >= vector_bytes {
                w.xor_into(vector, target.take(vector_bytes));
            } else {
                let mut last = [0; BLOCK_BYTES];
                w.xor_into(vector, Text::in_place(&mut last));
                target.take(target.len()).xor(&last);
                wipe(&mut last);
                return;
            }
        }
    }
}

/// Overwrites with zeros, in whole vectors, and makes the compiler believe that they are read.
#[inline(always)]
pub(crate) fn wipe<const N: usize>(bytes: &mut [u8; N]) {
    *bytes = [0; N];
    zeroize::optimization_barrier(bytes);
}
