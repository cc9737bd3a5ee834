use super::*;
use crate::random::{Random, SeededRandom};

/// Every lane's state becomes what the `keccak` crate makes of it.
fn agrees_with_the_library<L: Permute>(l: L) {
    let mut random = SeededRandom::new(&[1; 32]);
    for _ in 0..20 {
        let mut words = [[0; 8]; STATE_WORDS];
        for word in words.as_flattened_mut() {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            *word = u64::from_le_bytes(bytes);
        }
        let mut state = words.map(|words| l.load(&words));
        l.permute(&mut state);
        for lane in 0..L::LANES {
            let mut expected = words.map(|words| words[lane]);
            ::keccak::Keccak::new().with_f1600(|f1600| f1600(&mut expected));
            for (vector, expected) in state.into_iter().zip(expected) {
                let mut words = [0; 8];
                l.store(vector, &mut words);
                assert_eq!(words[lane], expected, "lane {lane}");
            }
        }
    }
}

#[test]
fn emulated_states() {
    agrees_with_the_library(Emulated::<4>);
    agrees_with_the_library(Emulated::<8>);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn states_of_the_cpu() {
    match crate::cpu::Avx2::detect() {
        Some(token) => agrees_with_the_library(token),
        None => println!("Keccak, avx2: NOT TESTED ON THIS HOST"),
    }
    match crate::cpu::Avx512::detect() {
        Some(token) => agrees_with_the_library(token),
        None => println!("Keccak, avx512: NOT TESTED ON THIS HOST"),
    }
}
