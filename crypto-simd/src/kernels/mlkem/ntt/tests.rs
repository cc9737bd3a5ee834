use super::super::key::factors;
use super::super::ring::{PairFactors, Q, RANK, centred, pair};
use super::*;
use crate::lanes::{Emulated, Words16};
use crate::random::{Random, SeededRandom};

const W: Emulated<4> = Emulated;

type Plain = [i64; 2 * PAIRS];

fn random(seed: u8) -> Plain {
    let mut bytes = [0; 4 * PAIRS];
    SeededRandom::new(&[seed; 32]).fill(&mut bytes);
    let numbers = bytes.as_chunks::<2>().0;
    std::array::from_fn(|index| i64::from(u16::from_le_bytes(numbers[index])) % i64::from(Q))
}

fn vectors(plain: &Plain) -> Polynomial<[u64; 4]> {
    let pairs = plain.as_chunks::<2>().0;
    std::array::from_fn(|index| W.splat_32(pair(centred(pairs[index][0]), centred(pairs[index][1]))))
}

/// The least residues.
fn plain(vectors: &Polynomial<[u64; 4]>) -> Plain {
    std::array::from_fn(|index| {
        let word = (vectors[index / 2][1] >> (16 * (index % 2))) as i16;
        i64::from(word).rem_euclid(i64::from(Q))
    })
}

/// The transform as FIPS 203 algorithm 9 has it.
fn plain_forward(mut f: Plain) -> Plain {
    let q = i64::from(Q);
    let (mut index, mut len) = (1u8, PAIRS);
    while len >= 2 {
        for start in (0..2 * PAIRS).step_by(2 * len) {
            let zeta = root_to_the(u32::from(index.reverse_bits() >> 1));
            index += 1;
            for j in start..start + len {
                let t = zeta * f[j + len] % q;
                (f[j], f[j + len]) = ((f[j] + t) % q, (f[j] - t).rem_euclid(q));
            }
        }
        len /= 2;
    }
    f
}

#[test]
fn forward_is_the_standard_transform() {
    for seed in 0..8 {
        let f = random(seed);
        let mut polynomial = vectors(&f);
        forward(W, &mut polynomial);
        assert_eq!(plain(&polynomial), plain_forward(f));
    }
}

/// Each unit polynomial, which shows each coefficient of the transform's matrix.
#[test]
fn forward_of_units() {
    for index in 0..2 * PAIRS {
        let mut f = [0; 2 * PAIRS];
        f[index] = 1;
        let mut polynomial = vectors(&f);
        forward(W, &mut polynomial);
        assert_eq!(plain(&polynomial), plain_forward(f), "X^{index}");
    }
}

#[test]
fn inverse_undoes_forward() {
    for seed in 0..8 {
        let f = random(seed);
        let mut polynomial = vectors(&f);
        forward(W, &mut polynomial);
        for pair in &mut polynomial {
            *pair = W.reduce(*pair);
        }
        inverse(W, &mut polynomial);
        assert_eq!(plain(&polynomial), f.map(|coefficient| coefficient * PAIRS as i64 % i64::from(Q)));
    }
}

/// The sum of products of polynomials modulo X^256 + 1, by the transform and by the definition.
#[test]
fn products_of_polynomials() {
    let q = i64::from(Q);
    let (vector, constants) = ([random(1), random(2), random(3)], [random(4), random(5), random(6)]);
    let mut expected = [0; 2 * PAIRS];
    for (f, g) in vector.iter().zip(&constants) {
        for (i, a) in f.iter().enumerate() {
            for (j, b) in g.iter().enumerate() {
                let at = (i + j) % (2 * PAIRS);
                expected[at] += if i + j < 2 * PAIRS { a * b } else { -a * b };
            }
        }
    }
    let vector = vector.map(|f| {
        let mut polynomial = vectors(&f);
        forward(W, &mut polynomial);
        polynomial
    });
    let constants = constants.map(|f| {
        let mut constant = [[0; 2]; PAIRS];
        factors(&plain_forward(f), 3, &mut constant);
        constant
    });
    let mut product = std::array::from_fn(|index| {
        let product = W.products(vector.each_ref().map(|f| f[index]), constants.each_ref().map(|f| f[index]));
        W.reduce(product)
    });
    inverse(W, &mut product);
    assert_eq!(plain(&product), expected.map(|coefficient| (3 * coefficient).rem_euclid(q)));
}

/// The largest absolute values that words can have: the arithmetic panics when one would not fit.
#[derive(Clone, Copy)]
struct Ranges;

impl Ranges {
    fn fits(bound: i64) -> i64 {
        assert!(bound < 1 << 15, "{bound} does not fit into 16 bits");
        bound
    }

    /// What Montgomery's reduction makes of a product or a sum of products.
    fn montgomery(product: i64) -> i64 {
        assert!(product < 1 << 31, "{product} does not fit into 32 bits");
        Self::fits((product >> 16) + 1 + i64::from(Q) / 2 + 1)
    }
}

impl Ring for Ranges {
    type Element = i64;

    fn sum(self, a: i64, b: i64) -> i64 {
        Self::fits(a + b)
    }

    fn difference(self, a: i64, b: i64) -> i64 {
        Self::fits(a + b)
    }

    fn mul(self, a: i64, factor: Factor) -> i64 {
        Self::montgomery(a * i64::from((factor[0] as i16).abs()))
    }

    fn products(self, a: [i64; RANK], factors: [PairFactors; RANK]) -> i64 {
        let factor = |word: u32| i64::from((word as i16).abs());
        let sum = |side: usize| {
            (0..RANK).map(|index| a[index] * (factor(factors[index][side]) + factor(factors[index][side] >> 16))).sum()
        };
        Self::montgomery(sum(0)).max(Self::montgomery(sum(1)))
    }

    fn reduce(self, a: i64) -> i64 {
        let reduced = |a: i64| W.reduce(W.splat_16(a as i16))[0] as i16;
        (-a..=a).map(|a| i64::from(reduced(a).abs())).max().unwrap_or(0)
    }
}

/// Follows the largest values through transforms and products with the largest factors: whatever goes in, every sum
/// fits into 16 bits.
#[test]
fn every_value_fits() {
    let largest = centred(i64::from(Q) / 2);
    let factors = [[pair(largest, largest); 2]; RANK];
    // A coefficient of u is at most q - 1; one of noise 2. Before u's inverse transform products are reduced.
    for (input, is_reduced, added) in [(i64::from(Q) - 1, true, 2 * i64::from(Q)), (2, false, 2 << 10)] {
        let mut polynomial = [input; PAIRS];
        forward(Ranges, &mut polynomial);
        let mut product = polynomial.map(|pair| Ranges.products([pair; RANK], factors));
        println!("{input}: {:?}, {:?}", polynomial.iter().max(), product.iter().max());
        if is_reduced {
            product = product.map(|pair| Ranges.reduce(pair));
        }
        inverse(Ranges, &mut product);
        println!("{:?}", product.iter().max());
        // Twice v and the message, or noise times 2^10.
        assert!(product.into_iter().all(|coefficient| coefficient + added + 8 < 1 << 15));
    }
}
