use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};
use libcrux_ml_kem::mlkem768::portable as library;

/// Every kernel of this CPU and the twins, by name.
fn kernels() -> Vec<(String, Kernel)> {
    let mut kernels = vec![("emulated, 4".into(), emulated::<4>()), ("emulated, 8".into(), emulated::<8>())];
    for level in Level::ALL.into_iter().filter_map(Kernels::of) {
        kernels.extend(level.mlkem.map(|kernel| (level.level.name().into(), kernel)));
    }
    kernels
}

/// Ciphertexts under a key with the secrets that the library gives. All that are not multiples of three are wrong: in
/// the first part, in the second, or everywhere.
struct Case {
    key: Box<Key>,
    ciphertexts: Vec<[u8; CIPHERTEXT_BYTES]>,
    secrets: Vec<[u8; SECRET_BYTES]>,
}

impl Case {
    fn new(seed: u8, count: usize) -> Self {
        let mut random = SeededRandom::new(&[seed; 32]);
        let mut seed = [0; 64];
        random.fill(&mut seed);
        let pair = library::generate_key_pair(seed);
        let mut case = Self { key: Key::new(pair.private_key().as_slice()), ciphertexts: vec![], secrets: vec![] };
        for index in 0..count {
            let mut coins = [0; 32];
            random.fill(&mut coins);
            let (encapsulated, secret) = library::encapsulate(pair.public_key(), coins);
            let mut ciphertext = *encapsulated.as_slice();
            match index % 6 {
                1 => ciphertext[(index * 37) % 960] ^= 1 << (index % 8),
                2 => ciphertext[960 + (index * 37) % 128] ^= 1 << (index % 8),
                4 => random.fill(&mut ciphertext),
                5 => ciphertext.fill(0xff),
                _ => {}
            }
            let from_library = library::decapsulate(pair.private_key(), &(&ciphertext).into());
            assert_eq!(from_library == secret, index.is_multiple_of(3));
            case.ciphertexts.push(ciphertext);
            case.secrets.push(from_library);
        }
        case
    }

    fn check(&self, name: &str, kernel: Kernel, range: std::ops::Range<usize>) {
        let ciphertexts: Vec<_> = self.ciphertexts[range.clone()].iter().collect();
        let mut secrets = vec![[0; SECRET_BYTES]; ciphertexts.len()];
        (kernel.decapsulate)(&self.key, &ciphertexts, &mut secrets);
        for (secret, index) in secrets.iter().zip(range.clone()) {
            assert_eq!(*secret, self.secrets[index], "{name}, {range:?}, packet {index}");
        }
    }
}

/// Every number of packets, each packet in each place.
#[test]
fn secrets_are_the_librarys() {
    let case = Case::new(1, 36);
    for (name, kernel) in kernels() {
        for count in 1..=kernel.batch {
            let emulated = name.starts_with("emulated");
            for first in (0..=case.ciphertexts.len() - count).step_by(if emulated { 19 } else { 1 }) {
                case.check(&name, kernel, first..first + count);
            }
        }
    }
}

#[test]
fn other_keys() {
    for seed in 2..20 {
        let case = Case::new(seed, BATCH_MAX);
        for (name, kernel) in kernels() {
            case.check(&name, kernel, 0..kernel.batch);
        }
    }
}

/// A difference in any bit of a ciphertext is seen: one bit after the other, in changing places.
#[test]
fn every_bit_counts() {
    let pair = library::generate_key_pair([9; 64]);
    let key = Key::new(pair.private_key().as_slice());
    let (valid, secret) = library::encapsulate(pair.public_key(), [10; 32]);
    for (name, kernel) in kernels().into_iter().filter(|(name, _)| !name.starts_with("emulated")) {
        let place = |bit: usize| bit % kernel.batch;
        for bit in 0..8 * CIPHERTEXT_BYTES {
            let mut wrong = *valid.as_slice();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let mut ciphertexts = vec![valid.as_slice(); kernel.batch];
            ciphertexts[place(bit)] = &wrong;
            let mut secrets = vec![[0; SECRET_BYTES]; kernel.batch];
            (kernel.decapsulate)(&key, &ciphertexts, &mut secrets);
            for (index, other) in secrets.iter().enumerate() {
                assert_eq!(*other == secret, index != place(bit), "{name}, bit {bit}, packet {index}");
            }
        }
    }
}
