//! The constants of a decapsulation key: what every packet's polynomials are multiplied by.

use super::ring::{PAIRS, PairFactors, Polynomial, Q, RANK, centred, pair, root_to_the};
use super::{DU, DV};
use crate::kernels::keccak::Shake128;
use zeroize::Zeroize;

/// Bytes of the key as FIPS 203 encodes it: `s || ek || H(ek) || z`.
pub(crate) const PRIVATE_KEY_BYTES: usize = 2400;
const POLYNOMIAL_BYTES: usize = 384;
const VECTOR_BYTES: usize = RANK * POLYNOMIAL_BYTES;
const SEED_BYTES: usize = 32;

/// A constant polynomial.
pub(super) type Factors = Polynomial<PairFactors>;

/// The key. Polynomials contain a power of two for Montgomery's reduction, the scale of the inverse transform and the
/// one of the compression that follows.
pub(crate) struct Key {
    /// Rows of the transposed matrix, times 2^10.
    pub(super) matrix: [[Factors; RANK]; RANK],
    /// The public vector, times 2^4.
    pub(super) public: [Factors; RANK],
    /// The secret vector, times -2.
    pub(super) secret: [Factors; RANK],
    /// H(ek)
    pub(super) hash: [u64; 4],
    /// What takes the place of the message when a ciphertext is rejected.
    pub(super) z: [u64; 4],
}

impl Key {
    /// The constants of an encoded key.
    pub(crate) fn new(private: &[u8; PRIVATE_KEY_BYTES]) -> Box<Self> {
        let (secret, rest) = private.split_at(VECTOR_BYTES);
        let (public, rest) = rest.split_at(VECTOR_BYTES);
        let (matrix_seed, rest) = rest.split_at(SEED_BYTES);
        let (hash, z) = rest.split_at(SEED_BYTES);
        let mut key = Box::new(Self {
            matrix: [[[[0; 2]; PAIRS]; RANK]; RANK],
            public: [[[0; 2]; PAIRS]; RANK],
            secret: [[[0; 2]; PAIRS]; RANK],
            hash: words(hash),
            z: words(z),
        });
        for row in 0..RANK {
            for column in 0..RANK {
                let coefficients = uniform(matrix_seed, row as u8, column as u8);
                factors(&coefficients, 1 << DU, &mut key.matrix[row][column]);
            }
            let bytes = row * POLYNOMIAL_BYTES..(row + 1) * POLYNOMIAL_BYTES;
            factors(&decode(&public[bytes.clone()]), 1 << DV, &mut key.public[row]);
            let mut coefficients = decode(&secret[bytes]);
            factors(&coefficients, -2, &mut key.secret[row]);
            coefficients.zeroize();
        }
        key
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.z.zeroize();
    }
}

/// The z of each pair's modulus X² - z.
static ROOTS_OF_PAIRS: [i64; PAIRS] = {
    let mut roots = [0; PAIRS];
    let mut index = 0;
    while index < PAIRS {
        roots[index] = root_to_the(2 * ((index as u8).reverse_bits() as u32 >> 1) + 1);
        index += 1;
    }
    roots
};

/// The factors of a polynomial in NTT form, times `scale` and what reduction and inverse transform take away.
pub(super) fn factors(coefficients: &[i64; 2 * PAIRS], scale: i64, factors: &mut Factors) {
    let inverse_of_pairs = centred(-26);
    debug_assert_eq!(centred(i64::from(inverse_of_pairs) * PAIRS as i64), 1);
    let scale = i64::from(centred(i64::from(centred(scale * i64::from(inverse_of_pairs))) << 16));
    for (index, (pair_of_factors, coefficients)) in factors.iter_mut().zip(coefficients.as_chunks::<2>().0).enumerate()
    {
        let root = ROOTS_OF_PAIRS[index];
        let [a0, a1] = coefficients.map(|coefficient| centred(coefficient * scale));
        *pair_of_factors = [pair(a0, centred(i64::from(a1) * root)), pair(a1, a0)];
    }
}

/// `ByteDecode_12` (FIPS 203 4.2.1).
fn decode(bytes: &[u8]) -> [i64; 2 * PAIRS] {
    let mut coefficients = [0; 2 * PAIRS];
    for (pair, [a, b, c]) in coefficients.as_chunks_mut::<2>().0.iter_mut().zip(bytes.as_chunks::<3>().0) {
        *pair = twelve_bits(*a, *b, *c);
    }
    coefficients
}

fn twelve_bits(a: u8, b: u8, c: u8) -> [i64; 2] {
    let (a, b, c) = (i64::from(a), i64::from(b), i64::from(c));
    [a | (b & 15) << 8, b >> 4 | c << 4]
}

/// `SampleNTT` of the seed and two indices (FIPS 203 4.2.2); all of it is public.
fn uniform(seed: &[u8], first: u8, second: u8) -> [i64; 2 * PAIRS] {
    let mut stream = Shake128::new(&[seed, &[first, second]]);
    let mut coefficients = [0; 2 * PAIRS];
    let mut count = 0;
    while count < coefficients.len() {
        for [a, b, c] in stream.next_block().as_chunks::<3>().0 {
            for candidate in twelve_bits(*a, *b, *c) {
                if candidate < i64::from(Q) && count < coefficients.len() {
                    coefficients[count] = candidate;
                    count += 1;
                }
            }
        }
    }
    coefficients
}

fn words(bytes: &[u8]) -> [u64; 4] {
    let words = bytes.as_chunks::<8>().0;
    std::array::from_fn(|index| u64::from_le_bytes(words[index]))
}
