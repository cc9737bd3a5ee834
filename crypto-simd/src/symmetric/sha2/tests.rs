use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::kernels::multibuffer::sha2::avx2_256;
use crate::kernels::multibuffer::sha2::emulated;
use crate::random::{Random, SeededRandom};

/// Lengths around every boundary of blocks and padding, and those of packets.
fn lengths() -> Vec<usize> {
    (0..300).chain([474, 1088, 1120, 3000, 7168, 8191, 8192, 8193]).collect()
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SeededRandom::new(&[3; 32]).fill(&mut bytes);
    bytes
}

/// The kernels of this CPU and the twin, with their names.
fn kernels_256() -> Vec<(String, Sha256Lanes)> {
    let tables = levels().flat_map(|(name, kernels)| kernels.sha256.map(|kernel| (name.clone(), kernel)));
    let mut found: Vec<_> = tables.filter_map(|(name, kernel)| Some((name, kernel?))).collect();
    #[cfg(target_arch = "x86_64")]
    found.extend(crate::cpu::Avx2::detect().map(|token| ("avx2, 8 lanes".into(), avx2_256(token))));
    found.push(("emulated".into(), emulated::SHA256));
    found.into_iter().map(|(name, kernel)| (format!("{name}, {} lanes", kernel.lanes), kernel)).collect()
}

fn kernels_512() -> Vec<(String, Sha512Lanes)> {
    let tables = levels().filter_map(|(name, kernels)| Some((name, kernels.sha512?)));
    tables.chain([("emulated".to_string(), emulated::SHA512)]).collect()
}

fn levels() -> impl Iterator<Item = (String, Kernels)> {
    Level::ALL.into_iter().filter_map(|level| match Kernels::of(level) {
        Some(kernels) => Some((level.to_string(), kernels)),
        None => {
            println!("hashing at {level}: NOT TESTED ON THIS HOST");
            None
        }
    })
}

/// Every batch of 1 to 64 messages whose lengths `length` gives.
fn batches(length: impl Fn(usize, usize) -> usize) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let bytes = random_bytes(9000 + 64);
    (1..=64).map(move |count| (0..count).map(|index| bytes[index..][..length(count, index)].to_vec()).collect())
}

fn slices(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(Vec::as_slice).collect()
}

fn check_sha512_256(name: &str, kernel: Option<Sha512Lanes>, messages: &[Vec<u8>]) {
    let mut digests = vec![[0; 32]; messages.len()];
    sha512_256_by(kernel, &slices(messages), &mut digests);
    for (index, (message, digest)) in messages.iter().zip(digests).enumerate() {
        let expected: [u8; 32] = Sha512_256::digest(message).into();
        assert_eq!(digest, expected, "{name}: message {index} of {}, {} bytes", messages.len(), message.len());
    }
}

fn check_hmac(name: &str, kernels: &[Option<Sha256Lanes>], messages: &[Vec<u8>]) {
    let keys: Vec<[u8; 32]> = (0..messages.len()).map(|index| [index as u8; 32]).collect();
    let mut tags = vec![[0; 32]; messages.len()];
    hmac_sha256_by(kernels, &keys.iter().collect::<Vec<_>>(), &slices(messages), &mut tags);
    for (index, (message, tag)) in messages.iter().zip(tags).enumerate() {
        let expected = hmac_sha256(&keys[index], &[message]);
        assert_eq!(tag, expected, "{name}: message {index} of {}, {} bytes", messages.len(), message.len());
    }
}

fn check_hkdf(
    name: &str,
    kernels: &[Option<Sha256Lanes>],
    prks: &[Vec<u8>],
    info: &[u8],
    bytes: impl Fn(usize) -> usize,
) {
    let mut outputs: Vec<Vec<u8>> = (0..prks.len()).map(|index| vec![0; bytes(index)]).collect();
    let mut borrowed: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    hkdf_expand_sha256_by(kernels, &slices(prks), info, &mut borrowed);
    for (index, (prk, output)) in prks.iter().zip(outputs).enumerate() {
        let mut expected = vec![0; output.len()];
        hkdf_expand_sha256(prk, info, &mut expected);
        assert_eq!(output, expected, "{name}: key {index} of {}, {} bytes", prks.len(), prk.len());
    }
}

#[test]
fn sha512_256_of_every_length_and_batch() {
    for (name, kernel) in kernels_512() {
        let any = Sha512Lanes { worth: 0, ..kernel };
        for length in lengths() {
            check_sha512_256(&name, Some(any), &vec![random_bytes(length); 2]);
        }
        for messages in batches(|_, index| 60 + index).chain(batches(|count, index| (count * 131 + index * 977) % 1200))
        {
            check_sha512_256(&name, Some(any), &messages);
            check_sha512_256(&name, Some(kernel), &messages);
        }
        batches(|_, _| 1120).for_each(|messages| check_sha512_256(&name, Some(kernel), &messages));
    }
    batches(|_, index| index * 5).for_each(|messages| check_sha512_256("library", None, &messages));
}

#[test]
fn hmac_of_every_length_and_batch() {
    for (name, kernel) in kernels_256() {
        let any = Sha256Lanes { worth: 0, ..kernel };
        for length in lengths() {
            check_hmac(&name, &[Some(any)], &vec![random_bytes(length); 2]);
        }
        for messages in batches(|_, index| 30 + index).chain(batches(|count, index| (count * 131 + index * 977) % 1200))
        {
            check_hmac(&name, &[Some(any)], &messages);
            check_hmac(&name, &[Some(kernel)], &messages);
        }
        batches(|_, _| 474).for_each(|messages| check_hmac(&name, &[Some(kernel)], &messages));
    }
    batches(|_, index| index * 5).for_each(|messages| check_hmac("library", &[], &messages));
}

#[test]
fn hkdf_of_every_length_and_batch() {
    for (name, kernel) in kernels_256() {
        let any = Sha256Lanes { worth: 0, ..kernel };
        for prks in batches(|_, index| index + 1).chain(batches(|_, _| 32)).chain(batches(|_, index| index * 3)) {
            check_hkdf(&name, &[Some(any)], &prks, b"katzenpost-kdf-v0-hkdf-sha256", |_| 160);
            check_hkdf(&name, &[Some(kernel)], &prks, b"", |index| index * 3 % 161);
        }
        for info_bytes in 0..100 {
            check_hkdf(&name, &[Some(any)], &vec![vec![7; 32]; 3], &random_bytes(info_bytes), |index| 31 + index);
        }
        check_hkdf(&name, &[Some(any)], &vec![vec![7; 32]; 2], b"info", |_| 255 * 32);
    }
    check_hkdf("library", &[], &vec![vec![7; 32]; 2], b"info", |_| 160);
}

/// What a process uses: every batch, cut into groups for several kernels.
#[test]
fn groups_of_different_kernels() {
    for (name, kernels) in levels() {
        batches(|_, _| 474).for_each(|messages| check_hmac(&name, &kernels.sha256, &messages));
        batches(|count, index| (count * 131 + index * 977) % 1200)
            .for_each(|messages| check_hmac(&name, &kernels.sha256, &messages));
        batches(|_, _| 32).for_each(|prks| check_hkdf(&name, &kernels.sha256, &prks, b"info", |_| 160));
    }
}
