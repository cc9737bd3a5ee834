use super::*;
use crate::random::{Random, SeededRandom};

/// Words at the edges of the ranges that algorithms use, and random ones.
fn words() -> Vec<u64> {
    let mut words = vec![0, 1, 18, 19, MASK_52, MASK_52 + 1, (1 << 51) - 1, 1 << 51, 1 << 63, u64::MAX, u64::MAX - 1];
    let mut random = SeededRandom::new(&[8; 32]);
    words.extend((0..53).map(|_| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }));
    words
}

/// Runs `check` with the results of every operation of `lanes` on every pair of words, and the operands.
fn each_operation<L: Lanes>(lanes: L, mut check: impl FnMut(&str, u64, u64, u64)) {
    let words = words();
    for b in &words {
        let vector_b = lanes.splat(*b);
        for chunk in words.chunks_exact(L::LANES) {
            let a = lanes.load(chunk);
            let mut check = |name: &str, vector: L::Vector| {
                let mut results = vec![0; L::LANES];
                lanes.store(vector, &mut results);
                for (a, result) in chunk.iter().zip(results) {
                    check(name, *a, *b, result);
                }
            };
            check("add", lanes.add(a, vector_b));
            check("sub", lanes.sub(a, vector_b));
            check("and", lanes.and(a, vector_b));
            check("xor", lanes.xor(a, vector_b));
            check("shift_left", lanes.shift_left::<1>(a));
            check("shift_right", lanes.shift_right::<51>(a));
            check("or", lanes.or(a, vector_b));
            check("and_not", lanes.and_not(a, vector_b));
            check("rotate_left", lanes.rotate_left::<41>(a));
            check("rotate_bytes", lanes.rotate_left::<56>(a));
            check("mul_32", lanes.mul_32(a, vector_b));
            check("select", lanes.select(lanes.splat(0u64.wrapping_sub(b & 1)), a, vector_b));
            check("add", lanes.apart(|| lanes.add(a, vector_b)));
            check("xor_3", lanes.xor_3(a, vector_b, lanes.splat(THIRD)));
            check("xor_and_not", lanes.xor_and_not(a, vector_b, lanes.splat(THIRD)));
        }
    }
}

/// The third operand.
const THIRD: u64 = 0x0123_4567_89ab_cdef;

fn transposes<L: Lanes>(lanes: L) {
    let word = |row: usize, lane: usize| (row * L::LANES + lane) as u64;
    let row = |row| lanes.load(&std::array::from_fn::<_, 8, _>(|lane| word(row, lane)));
    let mut rows: Vec<_> = (0..L::LANES).map(row).collect();
    lanes.transpose(&mut rows);
    for (row, vector) in rows.into_iter().enumerate() {
        let mut words = [0; 8];
        lanes.store(vector, &mut words);
        for lane in 0..L::LANES {
            assert_eq!(words[lane], word(lane, row), "row {row}, lane {lane}");
        }
    }
}

/// The same for the operations of IFMA.
fn each_multiply_add<L: MultiplyAdd52>(lanes: L, mut check: impl FnMut(&str, u64, u64, u64)) {
    let words = words();
    for b in &words {
        let vector_b = lanes.splat(*b);
        for chunk in words.chunks_exact(L::LANES) {
            let a = lanes.load(chunk);
            let mut check = |name: &str, vector: L::Vector| {
                let mut results = vec![0; L::LANES];
                lanes.store(vector, &mut results);
                for (a, result) in chunk.iter().zip(results) {
                    check(name, *a, *b, result);
                }
            };
            check("mul_low", lanes.mul_low(a, vector_b));
            check("madd52_low", lanes.madd52_low(vector_b, a, vector_b));
            check("madd52_high", lanes.madd52_high(vector_b, a, vector_b));
        }
    }
}

/// The operations by 128-bit arithmetic.
fn expected(name: &str, a: u64, b: u64) -> u64 {
    let (wide_a, wide_b) = (u128::from(a), u128::from(b));
    let modulus = 1u128 << 64;
    let product = (wide_a % (1 << 52)) * (wide_b % (1 << 52));
    let wide = match name {
        "add" => wide_a + wide_b,
        "sub" => modulus + wide_a - wide_b,
        "and" => wide_a & wide_b,
        "xor" => wide_a ^ wide_b,
        "shift_left" => wide_a * 2,
        "shift_right" => wide_a / (1 << 51),
        "or" => wide_a | wide_b,
        "and_not" => wide_b - (wide_a & wide_b),
        "rotate_left" => (wide_a << 41) + (wide_a << 41) / modulus,
        "rotate_bytes" => (wide_a << 56) + (wide_a << 56) / modulus,
        "select" => {
            if b & 1 == 1 {
                wide_a
            } else {
                wide_b
            }
        }
        "mul_32" => (wide_a % (1 << 32)) * (wide_b % (1 << 32)),
        "xor_3" => wide_a ^ wide_b ^ u128::from(THIRD),
        "xor_and_not" => wide_a ^ u128::from(!b & THIRD),
        "mul_low" => wide_a * wide_b,
        "madd52_low" => wide_b + product % (1 << 52),
        "madd52_high" => wide_b + product / (1 << 52),
        _ => panic!("no such operation: {name}"),
    };
    (wide % modulus) as u64
}

fn is_expected(name: &str, a: u64, b: u64, result: u64) {
    assert_eq!(result, expected(name, a, b), "{name} of {a:#x} and {b:#x}");
}

#[test]
fn emulated_operations() {
    each_operation(Emulated::<4>, is_expected);
    each_operation(Emulated::<8>, is_expected);
    each_multiply_add(Emulated::<8>, is_expected);
    transposes(Emulated::<4>);
    transposes(Emulated::<8>);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2_operations() {
    match crate::cpu::Avx2::detect() {
        Some(token) => {
            each_operation(token, is_expected);
            transposes(token);
        }
        None => println!("lanes avx2: NOT TESTED ON THIS HOST"),
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx512_operations() {
    match crate::cpu::Avx512::detect() {
        Some(token) => {
            each_operation(token, is_expected);
            each_multiply_add(token, is_expected);
            transposes(token);
        }
        None => println!("lanes avx512: NOT TESTED ON THIS HOST"),
    }
}
