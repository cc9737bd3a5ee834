use super::*;
use crate::random::{Random, SeededRandom};

/// Every operation of `words` on random words gives what the emulated twin with as many lanes gives.
macro_rules! compare {
    ($real:expr, $twin:expr, $word:ty, $lanes:literal, $($shift:literal)*) => {{
        let (real, twin) = ($real, $twin);
        let mut random = SeededRandom::new(&[6; 32]);
        let mut draw = || -> [$word; $lanes] {
            std::array::from_fn(|_| {
                let mut bytes = [0; size_of::<$word>()];
                random.fill(&mut bytes);
                <$word>::from_le_bytes(bytes)
            })
        };
        let same = |name: &str, found, expected: [$word; $lanes]| {
            let mut words = [0; $lanes];
            real.store(found, &mut words);
            assert_eq!(words, expected, "{name}");
        };
        for _ in 0..50 {
            let (a, b, c) = (draw(), draw(), draw());
            let [x, y, z] = [a, b, c].map(|words| real.load(&words));
            same("splat", real.splat(a[0]), twin.splat(a[0]));
            same("add", real.add(x, y), twin.add(a, b));
            same("xor", real.xor(x, y), twin.xor(a, b));
            same("xor3", real.xor3(x, y, z), twin.xor3(a, b, c));
            same("choose", real.choose(x, y, z), twin.choose(a, b, c));
            same("majority", real.majority(x, y, z), twin.majority(a, b, c));
            $(
                same("shift", real.shift_right::<$shift>(x), twin.shift_right::<$shift>(a));
                same("rotate", real.rotate_right::<$shift>(x), twin.rotate_right::<$shift>(a));
            )*
        }
        let mut bytes = [0; 16 * 200];
        random.fill(&mut bytes);
        let inputs: [&[u8]; $lanes] = std::array::from_fn(|lane| &bytes[lane * 200..][..200]);
        for offset in 0..64 {
            let (found, expected) = (real.load_block::<true>(&inputs, offset), twin.load_block::<true>(&inputs, offset));
            found.into_iter().zip(expected).for_each(|(found, expected)| same("big endian", found, expected));
            let (found, expected) = (real.load_block::<false>(&inputs, offset), twin.load_block::<false>(&inputs, offset));
            found.into_iter().zip(expected).for_each(|(found, expected)| same("little endian", found, expected));
        }
    }};
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx512_operations() {
    match crate::cpu::Avx512::detect() {
        Some(token) => {
            compare!(Words32(token), Words32(Emulated::<16>), u32, 16, 3 7 8 16 24 25 31);
            compare!(Words64(token), Words64(Emulated::<8>), u64, 8, 6 7 8 16 24 32 41 63);
        }
        None => println!("words avx512: NOT TESTED ON THIS HOST"),
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2_operations() {
    match crate::cpu::Avx2::detect() {
        Some(token) => {
            compare!(Words32(token), Words32(Emulated::<8>), u32, 8, 3 7 8 16 24 25 31);
            compare!(Words64(token), Words64(Emulated::<4>), u64, 4, 6 7 8 16 24 32 41 63);
        }
        None => println!("words avx2: NOT TESTED ON THIS HOST"),
    }
}
