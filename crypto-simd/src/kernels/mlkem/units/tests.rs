use super::*;
use crate::lanes::{Emulated, Lanes};
use crate::random::{Random, SeededRandom};

const W: Emulated<4> = Emulated;

fn random<const N: usize>(seed: u8) -> [[u64; 4]; N] {
    let mut random = SeededRandom::new(&[seed; 32]);
    let mut word = || {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    std::array::from_fn(|_| std::array::from_fn(|_| word()))
}

/// The piece of a packet.
fn piece(vector: [u64; 4], packet: usize) -> u32 {
    (vector[packet / 2] >> (32 * (packet % 2))) as u32
}

/// Numbers of `bits` bits, taken from a packet's pieces one after the other.
fn numbers(pieces: &[[u64; 4]], packet: usize, bits: usize) -> Vec<u32> {
    let bit = |at: usize| piece(pieces[at / 32], packet) >> (at % 32) & 1;
    (0..32 * pieces.len() / bits).map(|number| (0..bits).map(|at| bit(number * bits + at) << at).sum()).collect()
}

fn are_pairs_of(numbers: impl Fn(usize) -> Vec<u32>, pairs: &[[u64; 4]], shift: u32) {
    for packet in 0..8 {
        let words = pairs.iter().flat_map(|pair| [piece(*pair, packet) & 0xffff, piece(*pair, packet) >> 16]);
        let expected: Vec<u32> = numbers(packet).iter().map(|number| number << shift).collect();
        assert_eq!(words.collect::<Vec<_>>(), expected, "packet {packet}, shift {shift}");
    }
}

#[test]
fn numbers_of_ciphertexts() {
    for seed in 0..4 {
        let pieces = random(seed);
        for shift in 0..=6 {
            are_pairs_of(|packet| numbers(&pieces, packet, 10), &pairs_of_10(W, &pieces, shift), shift);
        }
        for shift in 0..=11 {
            are_pairs_of(|packet| numbers(&pieces[..1], packet, 4), &pairs_of_4(W, pieces[0], shift), shift);
        }
    }
}

#[test]
fn bits_of_messages() {
    for seed in 0..4 {
        let [message] = random(seed);
        let pairs_of_1 = |shift| [pairs_of_1(W, message, 0, shift), pairs_of_1(W, message, 1, shift)];
        let pairs: [_; 16] = pairs_of_1(0).as_flattened().try_into().unwrap();
        are_pairs_of(|packet| numbers(&[message], packet, 1), &pairs, 0);
        are_pairs_of(|packet| numbers(&[message], packet, 1), pairs_of_1(3).as_flattened(), 3);
        // Other bits than the lowest do not count.
        let noise = random::<16>(seed + 1);
        let dirty =
            std::array::from_fn(|index| W.or(pairs[index], W.shift_32(W.and(noise[index], W.splat_16(0x7fff)), 1)));
        assert_eq!(piece_of_pairs(W, &dirty), message);
    }
}

#[test]
fn words_and_pieces() {
    let [a, b] = random(1);
    let [first, second] = exchange(W, a, b);
    for lane in 0..4 {
        assert_eq!(u64::from(piece(second, 2 * lane)) << 32 | u64::from(piece(first, 2 * lane)), a[lane]);
        assert_eq!(u64::from(piece(second, 2 * lane + 1)) << 32 | u64::from(piece(first, 2 * lane + 1)), b[lane]);
    }
    assert_eq!(exchange(W, first, second), [a, b]);
}

#[test]
fn noise_is_the_difference_of_counts() {
    for seed in 0..4 {
        let [bits] = random(seed);
        let expected = |packet| {
            let count = |bits: u32| i64::from(bits.count_ones());
            let sample = |bits: u32| (count(bits & 3) - count(bits >> 2) + i64::from(NOISE_OFFSET)) as u32;
            numbers(&[bits], packet, 4).into_iter().map(sample).collect()
        };
        are_pairs_of(expected, &pairs_of_4(W, noise(W, bits), 0), 0);
    }
}
