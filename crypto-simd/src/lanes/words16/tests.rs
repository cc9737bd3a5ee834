use super::*;
use crate::random::{Random, SeededRandom};

/// Runs `check` with the name, the operands and the result of every operation, lane by lane.
fn each_operation<W: Words16>(w: W, check: impl Fn(&str, u64, u64, u64)) {
    let edges: [i16; 12] = [0, 1, -1, 2, 3328, 3329, -3329, 20159, i16::MAX, i16::MIN + 1, -2, 255];
    let mut words: Vec<u64> = edges.iter().map(|word| u64::from(*word as u16) * 0x1_0001_0001_0001).collect();
    words.extend((0..52).map(|index| {
        let mut bytes = [0; 8];
        SeededRandom::new(&[index; 32]).fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }));
    for b in &words {
        let vector_b = w.splat(*b);
        for chunk in words.chunks_exact(W::LANES) {
            let a = w.load(chunk);
            let check = |name: &str, vector: W::Vector| {
                let mut results = [0; 8];
                w.store(vector, &mut results);
                for (a, result) in chunk.iter().zip(results) {
                    check(name, *a, *b, result);
                }
            };
            check("add_16", w.add_16(a, vector_b));
            check("sub_16", w.sub_16(a, vector_b));
            check("mul_low_16", w.mul_low_16(a, vector_b));
            check("mul_high_16", w.mul_high_16(a, vector_b));
            check("mul_round_16", w.mul_round_16(a, vector_b));
            check("add_32", w.add_32(a, vector_b));
            check("dot_32", w.dot_32(a, vector_b));
            check("left_32", w.shift_32(a, 5));
            check("right_32", w.shift_32(a, -12));
            check("merge_16", w.merge_16(a, vector_b));
            check("merge_32", w.merge_32(a, vector_b));
            check("splat_32", w.splat_32(*b as u32));
            check("splat_16", w.splat_16(*b as i16));
        }
    }
}

/// The operations by wide arithmetic on the parts.
fn is_expected(name: &str, a: u64, b: u64, result: u64) {
    let words = |a: u64| std::array::from_fn::<_, 4, _>(|index| i64::from((a >> (16 * index)) as i16));
    let pairs = |a: u64| [a % (1 << 32), a >> 32];
    let (a_16, b_16, a_32, b_32) = (words(a), words(b), pairs(a), pairs(b));
    let join_16 = |words: [i64; 4]| (0..4).map(|index| (words[index] as u64 % (1 << 16)) << (16 * index)).sum::<u64>();
    let join_32 = |pairs: [u64; 2]| (pairs[1] << 32) + pairs[0] % (1 << 32);
    let each_16 = |operation: fn(i64, i64) -> i64| join_16(std::array::from_fn(|at| operation(a_16[at], b_16[at])));
    let each_32 = |operation: fn(u64, u64) -> u64| join_32([operation(a_32[0], b_32[0]), operation(a_32[1], b_32[1])]);
    let expected = match name {
        "add_16" => each_16(|a, b| a + b),
        "sub_16" => each_16(|a, b| a - b),
        "mul_low_16" => each_16(|a, b| a * b),
        "mul_high_16" => each_16(|a, b| (a * b).div_euclid(1 << 16)),
        "mul_round_16" => each_16(|a, b| (a * b + (1 << 14)).div_euclid(1 << 15)),
        "add_32" => each_32(|a, b| a + b),
        "dot_32" => join_32([0, 2].map(|at| (a_16[at] * b_16[at] + a_16[at + 1] * b_16[at + 1]) as u64)),
        "left_32" => each_32(|a, _| a << 5),
        "right_32" => each_32(|a, _| a >> 12),
        "merge_16" => join_16([a_16[0], b_16[1], a_16[2], b_16[3]]),
        "merge_32" => join_32([a_32[0], b_32[1]]),
        "splat_32" => join_32([b_32[0]; 2]),
        "splat_16" => join_16([b_16[0]; 4]),
        _ => panic!("no such operation: {name}"),
    };
    assert_eq!(result, expected, "{name} of {a:#x} and {b:#x}");
}

#[test]
fn emulated_operations() {
    each_operation(Emulated::<4>, is_expected);
    each_operation(Emulated::<8>, is_expected);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn operations_of_the_cpu() {
    match crate::cpu::Avx2::detect() {
        Some(token) => each_operation(token, is_expected),
        None => println!("words of 16 bits, avx2: NOT TESTED ON THIS HOST"),
    }
    match crate::cpu::Avx512::detect() {
        Some(token) => each_operation(token, is_expected),
        None => println!("words of 16 bits, avx512: NOT TESTED ON THIS HOST"),
    }
}
