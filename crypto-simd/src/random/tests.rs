use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;

/// What the library gives for the whole stream.
fn expected(seed: &[u8; 32], count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ChaCha20Legacy::new(&(*seed).into(), &[0; 8].into()).apply_keystream(&mut bytes);
    bytes
}

#[test]
fn reads_are_continuous() {
    let seed = [5; 32];
    for step in [1, 7, 32, 56, 63, 64, 65, 200] {
        let (mut stream, mut bytes) = (SeededRandom::new(&seed), vec![0; 1000]);
        bytes.chunks_mut(step).for_each(|bytes| stream.fill(bytes));
        assert_eq!(bytes, expected(&seed, 1000), "in steps of {step}");
    }
}

#[test]
fn a_batch_gives_the_streams_of_its_seeds() {
    let seeds: Vec<[u8; 32]> = (0..64).map(|index| std::array::from_fn(|at| (at * 7 + index * 31) as u8)).collect();
    let seeds: Vec<&[u8; 32]> = seeds.iter().collect();
    let levels = Level::ALL.into_iter().filter_map(|level| {
        let kernels = Kernels::of(level);
        if kernels.is_none() {
            println!("chacha20 at {level}: NOT TESTED ON THIS HOST");
        }
        kernels.map(|kernels| kernels.chacha20)
    });
    for kernel in levels.chain([Some(chacha::EMULATED)]) {
        for count in 0..=seeds.len() {
            let mut next = 0;
            SeededRandom::batch_by(kernel, &seeds[..count], |index, stream| {
                let mut bytes = [0; 100];
                stream.fill(&mut bytes);
                assert_eq!(bytes[..], expected(seeds[index], 100), "stream {index} of {count}");
                assert_eq!(index, next);
                next += 1;
            });
            assert_eq!(next, count);
        }
    }
}
