//! Four blocks of ChaCha20 that do not follow each other, as soon as they can be had: two in a vector, a row of one in
//! each half, so that the two pairs hide each other's latency. A pass of [`super::chacha20`] has more blocks, and takes
//! longer.

use super::blocks::BLOCK_BYTES;
use super::chacha20::{CONSTANTS, DOUBLE_ROUNDS, Place};
use super::{Block, FRAME_SPECIAL};
use crate::lanes::Emulated;
use crate::lanes::words::{Words, Words32};

/// Blocks of a frame that are no keystream of its body.
pub(crate) type FrameBlocks = fn(&[u8; 32], &[Place; FRAME_SPECIAL]) -> [Block; FRAME_SPECIAL];

/// Two rows in a vector of eight words.
pub(super) trait Rows: Words<Word = u32> {
    /// In each half each word from `BY` places further on, around the end.
    fn turn<const BY: usize>(self, a: Self::Vector) -> Self::Vector;
}

impl Rows for Words32<Emulated<8>> {
    #[inline(always)]
    fn turn<const BY: usize>(self, a: [u32; 8]) -> [u32; 8] {
        std::array::from_fn(|word| a[word / 4 * 4 + (word + BY) % 4])
    }
}

/// The rows of two pairs of blocks.
type Pairs<W> = [[<W as Words>::Vector; 4]; 2];

/// The blocks at these places.
#[inline(always)]
pub(super) fn four<W: Rows>(w: W, key: &[u8; 32], places: &[Place; FRAME_SPECIAL]) -> [Block; FRAME_SPECIAL] {
    let (words, _) = key.as_chunks::<4>();
    let key_row = |row: usize| std::array::from_fn(|word| u32::from_le_bytes(words[4 * row + word]));
    let rows = |first: Place, second: Place| w.load([first, second].as_flattened());
    let pair = |first: Place, second: Place| {
        let [a, b, c] = [CONSTANTS, key_row(0), key_row(1)].map(|row| rows(row, row));
        [a, b, c, rows(first, second)]
    };
    let start = [pair(places[0], places[1]), pair(places[2], places[3])];
    let mut pairs = start;
    for _ in 0..DOUBLE_ROUNDS {
        quarter_rounds(w, &mut pairs);
        turn_rows::<W, 1, 3>(w, &mut pairs);
        quarter_rounds(w, &mut pairs);
        turn_rows::<W, 3, 1>(w, &mut pairs);
    }
    let mut blocks = [[0; BLOCK_BYTES]; FRAME_SPECIAL];
    for pair in 0..2 {
        for row in 0..4 {
            let mut words = [0; 8];
            w.store(w.add(pairs[pair][row], start[pair][row]), &mut words);
            for (place, word) in words.into_iter().enumerate() {
                let at = 16 * row + 4 * (place % 4);
                blocks[2 * pair + place / 4][at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    blocks
}

/// Four quarter rounds of each block, one in each column.
#[inline(always)]
fn quarter_rounds<W: Rows>(w: W, pairs: &mut Pairs<W>) {
    add_xor_rotate::<W, 0, 1, 3, 16>(w, pairs);
    add_xor_rotate::<W, 2, 3, 1, 20>(w, pairs);
    add_xor_rotate::<W, 0, 1, 3, 24>(w, pairs);
    add_xor_rotate::<W, 2, 3, 1, 25>(w, pairs);
}

/// a += b; d ^= a; d >>>= BITS.
#[inline(always)]
fn add_xor_rotate<W: Rows, const A: usize, const B: usize, const D: usize, const BITS: u32>(
    w: W,
    pairs: &mut Pairs<W>,
) {
    for rows in pairs {
        rows[A] = w.add(rows[A], rows[B]);
        rows[D] = w.rotate_right::<BITS>(w.xor(rows[D], rows[A]));
    }
}

/// Brings what was in one diagonal into one column, or back.
#[inline(always)]
fn turn_rows<W: Rows, const SECOND: usize, const FOURTH: usize>(w: W, pairs: &mut Pairs<W>) {
    for rows in pairs {
        rows[1] = w.turn::<SECOND>(rows[1]);
        rows[2] = w.turn::<2>(rows[2]);
        rows[3] = w.turn::<FOURTH>(rows[3]);
    }
}
