//! Functions whose time tells a secret. A run in which one of them passes has shown nothing.

use super::targets::{Class, Named, Target, select};
use crypto_simd::random::{Random, SeededRandom};
use std::hint::black_box;

/// The leaky functions by name.
pub fn all() -> Vec<Named> {
    vec![
        ("canary_early_exit_compare", || Box::new(EarlyExit { expected: [0x5a; 32], tag: [0; 32] })),
        ("canary_branch_on_bit", || Box::new(Branch { fixed: [0x31; 8], exponent: [0; 8] })),
        ("canary_table_look_up", || Box::new(Table { entries: vec![1; 1 << 22], indices: [0; 64] })),
    ]
}

/// Compares byte by byte and stops at the first difference: the right tag against random ones.
struct EarlyExit {
    expected: [u8; 32],
    tag: [u8; 32],
}

impl Target for EarlyExit {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut wrong = [0; 32];
        random.fill(&mut wrong);
        select(class, &self.expected, &wrong, &mut self.tag);
    }

    fn run(&mut self) {
        for _ in 0..16 {
            let (tag, expected) = (black_box(&self.tag), black_box(&self.expected));
            black_box(tag.iter().zip(expected).all(|(a, b)| black_box(a == b)));
        }
    }
}

/// A power by square and multiply that leaves out the products of bits that are zero.
struct Branch {
    fixed: [u8; 8],
    exponent: [u8; 8],
}

impl Target for Branch {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut exponent = [0; 8];
        random.fill(&mut exponent);
        select(class, &self.fixed, &exponent, &mut self.exponent);
    }

    fn run(&mut self) {
        const MODULUS: u64 = 4_294_967_291;
        let exponent = u64::from_le_bytes(self.exponent);
        let mut power = 1;
        for bit in (0..64).rev() {
            power = power * power % MODULUS;
            if black_box(exponent >> bit & 1) == 1 {
                power = power * 12_345 % MODULUS;
            }
        }
        black_box(power);
    }
}

/// Look-ups in a table that the cache does not hold, always at the same places or at random ones.
struct Table {
    entries: Vec<u32>,
    indices: [u8; 64],
}

impl Target for Table {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut indices = [0; 64];
        random.fill(&mut indices);
        select(class, &[0x77; 64], &indices, &mut self.indices);
    }

    fn run(&mut self) {
        let mut sum = 0;
        for index in self.indices.as_chunks::<4>().0 {
            let index = u32::from_le_bytes(*index) as usize ^ sum as usize & 1;
            sum += self.entries[index % self.entries.len()];
        }
        black_box(sum);
    }
}
