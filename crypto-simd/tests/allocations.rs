//! The batch operations of loaded keys, and everything per packet, allocate nothing.

use allocations::Counting;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{SharedSecret, kem, nike};
use crypto_simd::{aez, symmetric};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    // The choice of kernels, once per process, may allocate.
    crypto_simd::dispatch::kernels();
    allocations::of(work)
}

const COUNT: usize = 40;

#[test]
fn nike_batches() {
    for info in nike::registered() {
        let Ok(scheme) = nike::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[1; 32]);
        let key = scheme.load(&scheme.generate(&mut random)).unwrap();
        let factor = scheme.generate(&mut random);
        let public = scheme.public_key(&factor).unwrap();
        let (publics, factors) = (vec![&public[..]; COUNT], vec![&factor[..]; COUNT]);
        let (mut secrets, mut results) = (vec![SharedSecret::default(); COUNT], vec![Ok(()); COUNT]);
        let mut blinded = vec![vec![0; public.len()]; COUNT];
        let mut blinded: Vec<&mut [u8]> = blinded.iter_mut().map(Vec::as_mut_slice).collect();
        let allocations = allocations_of(|| {
            key.derive_batch(&publics, &mut secrets, &mut results);
            scheme.blind_batch(&factors, &publics, &mut blinded, &mut results);
        });
        assert_eq!(allocations, 0, "{}", info.name);
        assert!(results.iter().all(Result::is_ok));
    }
}

#[test]
fn kem_batches() {
    for info in kem::registered() {
        let Ok(scheme) = kem::by_name(info.name) else { continue };
        let mut random = SeededRandom::new(&[2; 32]);
        let key = scheme.load(&scheme.generate(&mut random)).unwrap();
        let (mut ciphertext, mut secret) = (vec![0; info.ciphertext_bytes], SharedSecret::default());
        scheme.encapsulate(key.public_key(), &mut random, &mut ciphertext, &mut secret).unwrap();
        let ciphertexts = vec![&ciphertext[..]; COUNT];
        let (mut secrets, mut results) = (vec![SharedSecret::default(); COUNT], vec![Ok(()); COUNT]);
        let allocations = allocations_of(|| key.decapsulate_batch(&ciphertexts, &mut secrets, &mut results));
        assert_eq!(allocations, 0, "{}", info.name);
        assert!(secrets.iter().all(|other| other.as_bytes() == secret.as_bytes()), "{}", info.name);
    }
}

#[test]
fn symmetric_operations() {
    let (key, nonce, mut tag) = ([1; 32], [2; 12], [0; 16]);
    let mut buffer = vec![3; 3000];
    aez::encipher_in_place(&[4; 48], &[5; 16], &mut buffer);
    let mut opening = symmetric::FrameOpening::new();
    let allocations = allocations_of(|| {
        aez::decipher_in_place(&[4; 48], &[5; 16], &mut buffer);
        symmetric::ChaChaPoly::seal_in_place(&key, &nonce, &[], &mut buffer, &mut tag);
        symmetric::ChaChaPoly::open_in_place(&key, &nonce, &[], &mut buffer, &tag).unwrap();
        symmetric::aes256_ctr_xor(&key, &[6; 16], &mut buffer);
        symmetric::hkdf_expand_sha256(&key, b"info", &mut buffer[..160]);
        tag.copy_from_slice(&symmetric::hmac_sha256(&key, &[&buffer])[..16]);
        tag.copy_from_slice(&symmetric::sha512_256(&buffer)[..16]);
        symmetric::chacha20_block(&key, 1, &nonce);
        let (mut sealing_key, mut header) = (key, [7; 4]);
        let tags = symmetric::seal_frame(&mut sealing_key, 0, &mut header, &mut buffer);
        let mut opening_key = key;
        opening.open_header(&opening_key, 0, &mut header, &tags[0]).unwrap();
        opening.open_body(&mut opening_key, &mut buffer, &tags[1]).unwrap();
        symmetric::hkdf_blake2b_512::<3>(&key, &buffer);
    });
    assert_eq!(allocations, 0);
}
