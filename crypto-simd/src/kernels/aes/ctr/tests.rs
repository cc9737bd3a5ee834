use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::kernels::aes::soft::Soft;
use crate::random::{Random, SeededRandom};

/// Runs `test` with the kernel of every level of this host, and with the emulated one.
fn each_kernel(test: impl Fn(&str, Kernel)) {
    test("emulated", |key, iv, data| xor::<_, 2, 1>(Soft, key, iv, data));
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        test(kernels.level.name(), kernels.aes256_ctr);
    }
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// NIST SP 800-38A, F.5.5.
#[test]
fn the_standard_s_example() {
    let key = array("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let iv = array("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                 30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let cipher = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
                  2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";
    each_kernel(|name, kernel| {
        let mut data: [u8; 64] = array(plain);
        kernel(&key, &iv, &mut data);
        assert_eq!(hex::encode(data), cipher, "{name}");
    });
}

/// FIPS 197, C.3: one block of AES-256, as the keystream of that counter.
#[test]
fn the_block_cipher_s_example() {
    let key = array("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    each_kernel(|name, kernel| {
        let mut data = [0; 16];
        kernel(&key, &array("00112233445566778899aabbccddeeff"), &mut data);
        assert_eq!(hex::encode(data), "8ea2b7ca516745bfeafc49904b496089", "{name}");
    });
}

#[test]
fn every_length_agrees_with_the_library() {
    each_kernel(|name, kernel| {
        for length in (0..=600).chain([1023, 1024, 1025, 2049, 7260]) {
            let mut random = SeededRandom::new(&[length as u8; 32]);
            let (mut key, mut iv, mut data) = ([0; 32], [0; 16], vec![0; length + 1]);
            random.fill(&mut key);
            random.fill(&mut iv);
            random.fill(&mut data);
            let mut expected = data.clone();
            library(&key, &iv, &mut expected[..length]);
            kernel(&key, &iv, &mut data[..length]);
            assert!(data == expected, "{name}, {length} bytes");
        }
    });
}

/// A carry into each 32-bit word and out of the counter, at each place of the first vectors.
#[test]
fn counters_carry_over_all_words() {
    each_kernel(|name, kernel| {
        for ones in [32, 63, 64, 65, 96, 128] {
            for before in 0..40_u128 {
                let carries = (u128::MAX >> (128 - ones)).wrapping_sub(before);
                for counter in [carries, carries | 1 << 127, carries | 1 << 100] {
                    let (mut data, mut expected) = ([7; 16 * 45], [7; 16 * 45]);
                    kernel(&[3; 32], &counter.to_be_bytes(), &mut data);
                    library(&[3; 32], &counter.to_be_bytes(), &mut expected);
                    assert!(data == expected, "{name}, counter {counter:x}");
                }
            }
        }
    });
}
