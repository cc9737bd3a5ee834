//! ML-KEM-768 and the schemes that contain it. Among the ciphertexts are ones that are rejected implicitly (bits
//! flipped, random bytes, made for another key), ones of a wrong length, and degenerate X25519 and X448 halves.

use super::edges;
use super::oracles::{self, Mlkem, blake2b_256_keyed, x448, x25519};
use super::source::{Outcome, Source, compare};
use blake2::Digest;
use blake2::digest::consts::U32;
use crypto_simd::random::Random;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, SchemeError, SharedSecret, kem};
use crypto_simd::symmetric::Blake2Xb;
use sha3::Sha3_256;

const MLKEM_CIPHERTEXT_BYTES: usize = 1088;

type Blake2b256 = blake2::Blake2b<U32>;

pub fn mlkem768(source: &mut Source, count: usize) {
    let (seed, scheme) = (source.array::<64>(), kem::by_name("MLKEM768").unwrap());
    let oracle = Mlkem::from_seed(&seed);
    let key = load(scheme, &seed);
    assert_eq!(key.public_key(), oracle.public());
    let ciphertexts: Vec<_> = (0..count).map(|_| mlkem_ciphertext(source, &oracle)).collect();
    let expected: Vec<_> = ciphertexts.iter().map(|ciphertext| oracle.decapsulate(ciphertext)).collect();
    decapsulate(source, &*key, &ciphertexts, &expected);
}

/// Encapsulation keys, among them ones with a coefficient of q or more at any place.
pub fn mlkem768_encapsulate(source: &mut Source, count: usize) {
    let scheme = kem::by_name("MLKEM768").unwrap();
    let public = Mlkem::from_seed(&source.array::<64>()).public();
    for _ in 0..count {
        let mut public = public.clone();
        if source.once_in(4) {
            let value = *source.pick(&[3328, 3329, 3330, 4095]);
            set_coefficient(&mut public, source.below(768), value);
        }
        let coins = source.array();
        let expected = oracles::mlkem_encapsulate(&public, &coins);
        let (mut ciphertext, mut secret) = (vec![0; MLKEM_CIPHERTEXT_BYTES], SharedSecret::default());
        let result = scheme.encapsulate(&public, &mut Recorded(&coins), &mut ciphertext, &mut secret);
        assert_eq!(result.map(|()| (ciphertext, secret.as_bytes().to_vec())), expected);
    }
}

/// A coefficient that is not reduced at every place of an encapsulation key, and a changed bit in every byte of a
/// ciphertext, in every place of a batch.
pub fn mlkem768_edges(source: &mut Source, _: usize) {
    let scheme = kem::by_name("MLKEM768").unwrap();
    let seed = source.array::<64>();
    let oracle = Mlkem::from_seed(&seed);
    let public = oracle.public();
    let (mut ciphertext, mut secret) = (vec![0; MLKEM_CIPHERTEXT_BYTES], SharedSecret::default());
    for (value, result) in [(3328, Ok(())), (3329, Err(SchemeError::Malformed)), (4095, Err(SchemeError::Malformed))] {
        for index in 0..768 {
            let mut public = public.clone();
            set_coefficient(&mut public, index, value);
            let outcome = scheme.encapsulate(&public, source, &mut ciphertext, &mut secret);
            assert_eq!(outcome, result, "coefficient {index} of {value}");
        }
    }
    let key = load(scheme, &seed);
    let (good, _) = oracle.encapsulate(&source.array());
    let changed = |at: usize| {
        let mut ciphertext = good.clone();
        ciphertext[at] ^= 1 << (at % 8);
        ciphertext
    };
    for first in (0..MLKEM_CIPHERTEXT_BYTES).step_by(32) {
        let mut ciphertexts: Vec<_> = (first..first + 32).map(changed).collect();
        ciphertexts.insert(first / 32 % 33, good.clone());
        let expected: Vec<_> = ciphertexts.iter().map(|ciphertext| oracle.decapsulate(ciphertext)).collect();
        decapsulate(source, &*key, &ciphertexts, &expected);
    }
}

/// X-Wing (draft 07) by its definition.
pub fn xwing(source: &mut Source, count: usize) {
    let (seed, scheme) = (source.array::<32>(), kem::by_name("XWING").unwrap());
    let mut expanded = [0; 96];
    shake256(&seed, &mut expanded);
    let (oracle, private) = (Mlkem::from_seed(&expanded[..64]), &expanded[64..]);
    let mut base = [0; 32];
    base[0] = 9;
    let public = x25519(private, &base).unwrap();
    let key = load(scheme, &seed);
    assert_eq!(key.public_key(), [oracle.public(), public.clone()].concat());

    let ciphertexts: Vec<_> = (0..count)
        .map(|_| [mlkem_ciphertext(source, &oracle), edges::point(source, &edges::X25519)].concat())
        .collect();
    let expected: Vec<Outcome> = ciphertexts
        .iter()
        .map(|ciphertext| {
            let (ciphertext_m, ciphertext_x) = cut(ciphertext, MLKEM_CIPHERTEXT_BYTES, 32)?;
            let secret_x = x25519(private, ciphertext_x)?;
            let secret_m = oracle.decapsulate(ciphertext_m)?;
            let input = [&secret_m, &secret_x, ciphertext_x, &public, br"\.//^\"].concat();
            Ok(Sha3_256::digest(input).to_vec())
        })
        .collect();
    decapsulate(source, &*key, &ciphertexts, &expected);
}

pub fn mlkem768_x25519(source: &mut Source, count: usize) {
    let base = std::array::from_fn::<_, 32, _>(|index| if index == 0 { 9 } else { 0 });
    combined(source, count, "MLKEM768-X25519", &base, x25519, |source| edges::point(source, &edges::X25519));
}

pub fn mlkem768_x448(source: &mut Source, count: usize) {
    let base = std::array::from_fn::<_, 56, _>(|index| if index == 0 { 5 } else { 0 });
    combined(source, count, "MLKEM768-X448", &base, x448, |source| edges::point(source, &edges::X448));
}

/// Kyber's third round by libcrux, whose secrets of rejected ciphertexts are others: those are compared with their
/// definition.
pub fn kyber768_x25519(source: &mut Source, count: usize) {
    let scheme = kem::by_name("Kyber768-X25519").unwrap();
    let seed = source.array::<96>();
    let (public, private) = oracles::kyber_key(&seed[32..]);
    let key = load(scheme, &seed);
    assert_eq!(key.public_key()[32..], public);
    let mut private_x = [0; 32];
    Blake2Xb::new(Blake2Xb::UNKNOWN_LENGTH, &[], &[&Blake2b256::digest(&seed[..32])]).fill(&mut private_x);
    let public_x = &key.public_key()[..32];
    let (mut ciphertexts, mut expected) = (Vec::new(), Vec::<Outcome>::new());
    for _ in 0..count {
        let (mut ciphertext_m, mut secret_m) = oracles::kyber_encapsulate(&public, &source.array());
        assert_eq!(oracles::kyber_decapsulate(&private, &ciphertext_m), secret_m);
        if source.once_in(3) {
            ciphertext_m[source.below(MLKEM_CIPHERTEXT_BYTES)] ^= 1 << source.below(8);
            shake256(&[&private[2368..], &Sha3_256::digest(&ciphertext_m)].concat(), &mut secret_m);
        }
        let ciphertext_x = edges::point(source, &edges::X25519);
        expected.push(x25519(&private_x, &ciphertext_x).map(|product| {
            let secret_x = adapter(&product, public_x, &ciphertext_x);
            split_prf(&[(&secret_x, &ciphertext_x), (&secret_m, &ciphertext_m)])
        }));
        ciphertexts.push([ciphertext_x, ciphertext_m].concat());
    }
    for (ciphertext, expected) in ciphertexts.iter_mut().zip(&mut expected).filter(|_| source.once_in(9)) {
        ciphertext.pop();
        *expected = Err(SchemeError::Length);
    }
    decapsulate(source, &*key, &ciphertexts, &expected);
}

/// A NIKE as a KEM (sphinx.md 11.2), then ML-KEM, combined by `splitprf-v1` (sphinx.md 11.3).
fn combined(
    source: &mut Source,
    count: usize,
    name: &str,
    base: &[u8],
    multiply: fn(&[u8], &[u8]) -> Outcome,
    point: fn(&mut Source) -> Vec<u8>,
) {
    let scheme = kem::by_name(name).unwrap();
    let seed = source.bytes(scheme.info().seed_bytes);
    let oracle = Mlkem::from_seed(&seed[seed.len() - 64..]);
    let mut private = vec![0; base.len()];
    let digest = Blake2b256::digest(&seed[..seed.len() - 64]);
    Blake2Xb::new(Blake2Xb::UNKNOWN_LENGTH, &[], &[&digest]).fill(&mut private);
    let public = multiply(&private, base).unwrap();
    let key = load(scheme, &seed);
    assert_eq!(key.public_key(), [public.clone(), oracle.public()].concat());

    let ciphertexts: Vec<_> = (0..count).map(|_| [point(source), mlkem_ciphertext(source, &oracle)].concat()).collect();
    let expected: Vec<Outcome> = ciphertexts
        .iter()
        .map(|ciphertext| {
            let (ciphertext_1, ciphertext_2) = cut(ciphertext, base.len(), MLKEM_CIPHERTEXT_BYTES)?;
            let secret_1 = adapter(&multiply(&private, ciphertext_1)?, &public, ciphertext_1);
            let secret_2 = oracle.decapsulate(ciphertext_2)?;
            Ok(split_prf(&[(&secret_1, ciphertext_1), (&secret_2, ciphertext_2)]))
        })
        .collect();
    decapsulate(source, &*key, &ciphertexts, &expected);
}

/// The hash over BLAKE2Xb, for which no other library was found: ours, which the recorded vectors check.
fn adapter(product: &[u8], recipient: &[u8], ephemeral: &[u8]) -> Vec<u8> {
    let key = if product.len() == 32 { product.to_vec() } else { Blake2b256::digest(product).to_vec() };
    let mut secret = vec![0; product.len()];
    Blake2Xb::new(recipient.len() as u32, &key, &[recipient, ephemeral]).fill(&mut secret);
    secret
}

fn split_prf(components: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut message = b"splitprf-v1".to_vec();
    message.extend((components.len() as u32).to_be_bytes());
    for (_, ciphertext) in components {
        message.extend((ciphertext.len() as u32).to_be_bytes());
        message.extend(*ciphertext);
    }
    let macs = components.iter().map(|(secret, _)| blake2b_256_keyed(&Blake2b256::digest(secret), &message));
    macs.reduce(|a, b| a.iter().zip(b).map(|(a, b)| a ^ b).collect()).unwrap()
}

fn load(scheme: &dyn Kem, seed: &[u8]) -> Box<dyn KemDecapsulationKey> {
    scheme.load(&scheme.derive_private_key(seed).unwrap()).unwrap()
}

fn cut(ciphertext: &[u8], first: usize, second: usize) -> Result<(&[u8], &[u8]), SchemeError> {
    if ciphertext.len() == first + second { Ok(ciphertext.split_at(first)) } else { Err(SchemeError::Length) }
}

fn mlkem_ciphertext(source: &mut Source, oracle: &Mlkem) -> Vec<u8> {
    let (mut ciphertext, _) = oracle.encapsulate(&source.array());
    match source.below(16) {
        0 => source.fill(&mut ciphertext),
        1 => (ciphertext, _) = Mlkem::from_seed(&source.array::<64>()).encapsulate(&source.array()),
        2 => ciphertext.fill(*source.pick(&[0, 0xff, 0x55])),
        3..6 => ciphertext[source.below(MLKEM_CIPHERTEXT_BYTES)] ^= 1 << source.below(8),
        6 => *ciphertext.last_mut().unwrap() ^= 0x80,
        7 if source.once_in(4) => ciphertext.truncate(MLKEM_CIPHERTEXT_BYTES - 1),
        _ => {}
    }
    ciphertext
}

/// Two coefficients of 12 bits stand in three bytes.
fn set_coefficient(public: &mut [u8], index: usize, value: u16) {
    let bytes = &mut public[index / 2 * 3..][..3];
    if index.is_multiple_of(2) {
        bytes[0] = value as u8;
        bytes[1] = bytes[1] & 0xf0 | (value >> 8) as u8;
    } else {
        bytes[1] = bytes[1] & 0x0f | (value << 4) as u8;
        bytes[2] = (value >> 4) as u8;
    }
}

fn decapsulate(source: &mut Source, key: &dyn KemDecapsulationKey, ciphertexts: &[Vec<u8>], expected: &[Outcome]) {
    compare(source, expected, |arrangement| {
        let ciphertexts: Vec<&[u8]> = arrangement.iter().map(|index| &ciphertexts[*index][..]).collect();
        let mut secrets = vec![SharedSecret::default(); ciphertexts.len()];
        let mut results = vec![Ok(()); ciphertexts.len()];
        key.decapsulate_batch(&ciphertexts, &mut secrets, &mut results);
        results.iter().zip(&secrets).map(|(result, secret)| result.map(|()| secret.as_bytes().to_vec())).collect()
    });
}

fn shake256(input: &[u8], output: &mut [u8]) {
    use sha3::digest::{ExtendableOutput, Update, XofReader};
    let mut hash = shake::Shake256::default();
    hash.update(input);
    hash.finalize_xof().read(output);
}

/// Randomness that was drawn before.
struct Recorded<'a>(&'a [u8]);

impl Random for Recorded<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        let (now, rest) = self.0.split_at(bytes.len());
        bytes.copy_from_slice(now);
        self.0 = rest;
    }
}
