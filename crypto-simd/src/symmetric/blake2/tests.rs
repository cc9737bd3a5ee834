use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::kernels::multibuffer::blake2b::EMULATED;
use crate::random::SeededRandom;

fn kernels() -> Vec<(String, Blake2b)> {
    let real = Level::ALL.into_iter().filter_map(|level| {
        let kernels = Kernels::of(level);
        if kernels.is_none() {
            println!("blake2b at {level}: NOT TESTED ON THIS HOST");
        }
        Some((level.to_string(), kernels?.blake2b?))
    });
    real.chain([("emulated".to_string(), EMULATED)]).collect()
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SeededRandom::new(&[3; 32]).fill(&mut bytes);
    bytes
}

fn check(name: &str, kernel: Option<Blake2b>, messages: &[Vec<u8>]) {
    let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let keys: Vec<[u8; 32]> = (0..messages.len()).map(|index| [index as u8; 32]).collect();
    let keys: Vec<&[u8; 32]> = keys.iter().collect();
    let (mut plain, mut keyed) = (vec![[0; 32]; messages.len()], vec![[0; 32]; messages.len()]);
    blake2b_256_by(kernel, None, &borrowed, &mut plain);
    blake2b_256_by(kernel, Some(&keys), &borrowed, &mut keyed);
    let bytes = messages.len() % 64 + 1;
    let mut streams = vec![vec![0; bytes]; messages.len()];
    let mut outputs: Vec<&mut [u8]> = streams.iter_mut().map(Vec::as_mut_slice).collect();
    Blake2Xb::batch_by(kernel, &keys, &borrowed, &mut outputs);
    for (index, message) in messages.iter().enumerate() {
        let case = format!("{name}: message {index} of {}, {} bytes", messages.len(), message.len());
        assert_eq!(plain[index], blake2b_256(message), "{case}");
        assert_eq!(keyed[index], blake2b_256_keyed(keys[index], &[message]), "{case}, keyed");
        let mut expected = vec![0; bytes];
        Blake2Xb::new(bytes as u32, keys[index], &[message]).fill(&mut expected);
        assert_eq!(streams[index], expected, "{case}, stream of {bytes}");
    }
}

#[test]
fn every_length_and_batch() {
    let bytes = random_bytes(9000);
    for (name, kernel) in kernels() {
        let any = Blake2b { worth: 0, ..kernel };
        for length in (0..300).chain([1143, 8191, 8192, 8193]) {
            check(&name, Some(any), &vec![bytes[..length].to_vec(); 2]);
        }
        for count in 1..=64 {
            let message = |length: usize, index: usize| bytes[index..][..length].to_vec();
            let equal: Vec<_> = (0..count).map(|index| message(1143, index)).collect();
            let unequal: Vec<_> = (0..count).map(|index| message((count * 131 + index * 977) % 1200, index)).collect();
            let short: Vec<_> = (0..count).map(|index| message(index * 17 % 260, index)).collect();
            for messages in [equal, unequal, short] {
                check(&name, Some(any), &messages);
                check(&name, Some(kernel), &messages);
            }
        }
    }
    check("library", None, &vec![bytes; 3]);
}
