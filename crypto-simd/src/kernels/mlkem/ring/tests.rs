use super::*;
use crate::lanes::{Emulated, Lanes};

const W: Emulated<4> = Emulated;

/// `operation` on every word of 16 bits, with the word and the result.
fn each_word(operation: impl Fn([u64; 4]) -> [u64; 4], check: impl Fn(i16, i16)) {
    for word in i16::MIN..=i16::MAX {
        let mut results = [0; 4];
        W.store(operation(W.splat_16(word)), &mut results);
        check(word, results[0] as i16);
        assert!(results.iter().all(|result| *result == u64::from(results[0] as u16) * 0x1_0001_0001_0001));
    }
}

fn congruent(a: i64, b: i64) -> bool {
    (a - b) % i64::from(Q) == 0
}

#[test]
fn reductions_are_representatives() {
    each_word(
        |a| W.reduce(a),
        |a, result| {
            assert!(congruent(a.into(), result.into()) && result.abs() <= 2 * Q / 3, "{a} became {result}");
        },
    );
}

#[test]
fn products_are_representatives() {
    for constant in [1, 2, 17, 1664, 1665, 3328, -26] {
        each_word(
            |a| W.mul(a, factor(constant)),
            |a, result| {
                assert!(congruent(i64::from(a) * constant, result.into()) && result.abs() < Q, "{a} · {constant}");
            },
        );
    }
}

#[test]
fn products_of_pairs() {
    let (root, root_16) = (root_to_the(5), 1i64 << 16);
    let words = [-32767, -3329, -1, 0, 1, 1664, 3328, 20000, 32767];
    for a0 in words {
        for a1 in words {
            for [b0, b1] in [[1664, -1664], [-1664, -1664], [1, 0], [0, 1], [1234, -987]] {
                let factors = [pair(b0, centred(i64::from(b1) * root)), pair(b1, b0)];
                let result = W.products([W.splat_32(pair(a0, a1)); RANK], [factors; RANK])[0];
                let ([a0, a1], [b0, b1]) = ([a0, a1].map(i64::from), [b0, b1].map(i64::from));
                let (c0, c1) = (a0 * b0 + a1 * b1 % i64::from(Q) * root, a0 * b1 + a1 * b0);
                assert!(congruent(3 * c0, i64::from(result as i16) * root_16));
                assert!(congruent(3 * c1, i64::from((result >> 16) as i16) * root_16));
            }
        }
    }
}

/// Every representative of every coefficient, against the formula of FIPS 203 4.2.1.
#[test]
fn compression() {
    for d in [1, 4, 10] {
        let two_to_d = 1i64 << d;
        each_word(
            |z| W.compress(z),
            |z, result| {
                let inverse = i64::from(Q + 1) / 2;
                let x = (0..d).fold(i64::from(z), |x, _| x * inverse % i64::from(Q)).rem_euclid(i64::from(Q));
                let expected = (2 * two_to_d * x + i64::from(Q)) / (2 * i64::from(Q)) % two_to_d;
                assert_eq!(i64::from(result) & (two_to_d - 1), expected, "Compress_{d}({x}) of {z}");
            },
        );
    }
}

#[test]
fn decompression() {
    for d in [4, 10] {
        for y in 0..1i64 << d {
            let result = W.decompress(W.splat_16((y << (15 - d)) as i16))[0] as i16;
            assert_eq!(i64::from(result), (2 * i64::from(Q) * y + (1 << d)) >> (d + 1), "Decompress_{d}({y})");
        }
    }
}
