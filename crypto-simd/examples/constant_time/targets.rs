//! What is measured: each primitive that touches a secret, through the interface that the node uses.
//!
//! Preparing an input may not depend on its class either, or the caches and predictors would carry the difference into
//! the measurement: inputs of both classes are made each time, and one is selected by a mask into the same buffer.

use crypto_simd::aez;
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{KemDecapsulationKey, SchemeError, SharedSecret, kem, nike};
use crypto_simd::symmetric::{self, ChaChaPoly};
use std::hint::black_box;

/// The class of a sample, as a mask.
#[derive(Clone, Copy)]
pub struct Class(u8);

impl Class {
    /// The first class of 0, the second of 1.
    pub fn new(bit: u8) -> Self {
        Self(0u8.wrapping_sub(bit & 1))
    }

    pub fn is_second(self) -> bool {
        self.0 != 0
    }
}

/// Something to measure.
pub trait Target {
    /// Makes the input of a sample.
    fn prepare(&mut self, class: Class, random: &mut SeededRandom);
    /// What is measured.
    fn run(&mut self);
}

/// The name of a target and what makes it.
pub type Named = (&'static str, fn() -> Box<dyn Target>);

/// All targets.
pub fn all() -> Vec<Named> {
    vec![
        ("equal", || Box::new(Equal::new(None))),
        ("equal_last_byte", || Box::new(Equal::new(Some(31)))),
        ("hmac_sha256", || Box::new(Hmac { key: Secret::new(), header: [3; 476] })),
        ("hmac_sha256_by_16", || {
            Box::new(HmacBatch { keys: std::array::from_fn(|_| Secret::new()), headers: [[3; 476]; 16] })
        }),
        ("aes256_ctr", || Box::new(Stream { key: Secret::new(), data: [3; 512] })),
        ("aez_key", || Box::new(AezKey { key: Secret::new(), data: vec![3; 2000] })),
        ("aez_message", || Box::new(AezMessage { message: Secret::new() })),
        ("chacha20poly1305_open_key", || Box::new(OpenKey::new())),
        ("seal_frame", || Box::new(SealFrame { key: Secret::new(), body: vec![3; 3000] })),
        ("chacha20poly1305_open_forged", || Box::new(OpenForged::new())),
        ("mlkem768_rejected", || Box::new(Kem::rejected("MLKEM768", 1))),
        ("mlkem768_rejected_by_16", || Box::new(Kem::rejected("MLKEM768", Kem::BATCH_MAX))),
        ("mlkem768_ciphertext_by_16", || Box::new(Kem::ciphertexts("MLKEM768", Kem::BATCH_MAX))),
        ("mlkem768_key_by_16", || Box::new(Kem::keys("MLKEM768", Kem::BATCH_MAX))),
        ("xwing_rejected_by_16", || Box::new(Kem::rejected("XWING", Kem::BATCH_MAX))),
        ("kyber768_x25519_rejected", || Box::new(Kem::rejected("Kyber768-X25519", 1))),
        ("x25519", || Box::new(Nike::<32, 1>::new("x25519"))),
        ("x25519_by_16", || Box::new(Nike::<32, 16>::new("x25519"))),
        ("x448", || Box::new(Nike::<56, 1>::new("x448"))),
        ("x448_by_8", || Box::new(Nike::<56, 8>::new("x448"))),
    ]
}

/// `a` for the first class, else `b`.
pub fn select(class: Class, a: &[u8], b: &[u8], into: &mut [u8]) {
    let mask = black_box(class.0);
    for (into, (a, b)) in into.iter_mut().zip(a.iter().zip(b)) {
        *into = a & !mask | b & mask;
    }
}

/// Bytes that are fixed in the first class and random in the second.
struct Secret<const N: usize> {
    fixed: [u8; N],
    bytes: [u8; N],
}

impl<const N: usize> Secret<N> {
    fn new() -> Self {
        let mut fixed = [0; N];
        SeededRandom::new(&[0xf1; 32]).fill(&mut fixed);
        Self { fixed, bytes: [0; N] }
    }

    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut other = [0; N];
        random.fill(&mut other);
        select(class, &self.fixed, &other, &mut self.bytes);
    }
}

/// Comparison of a tag: the right one against random ones, or against one that differs at one place only.
struct Equal {
    expected: [u8; 32],
    tag: [u8; 32],
    differs_at: Option<usize>,
}

impl Equal {
    fn new(differs_at: Option<usize>) -> Self {
        Self { expected: [0xa5; 32], tag: [0; 32], differs_at }
    }
}

impl Target for Equal {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut wrong = [0; 32];
        random.fill(&mut wrong);
        if let Some(at) = self.differs_at {
            let byte = wrong[at] | 1;
            wrong = self.expected;
            wrong[at] ^= byte;
        }
        select(class, &self.expected, &wrong, &mut self.tag);
    }

    fn run(&mut self) {
        // One takes less than the counter resolves.
        for _ in 0..16 {
            black_box(symmetric::equal(black_box(&self.tag), black_box(&self.expected)));
        }
    }
}

/// The MAC of a header.
struct Hmac {
    key: Secret<32>,
    header: [u8; 476],
}

impl Target for Hmac {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.key.prepare(class, random);
    }

    fn run(&mut self) {
        black_box(symmetric::hmac_sha256(&self.key.bytes, &[&self.header]));
    }
}

/// The MACs of a batch of headers.
struct HmacBatch {
    keys: [Secret<32>; 16],
    headers: [[u8; 476]; 16],
}

impl Target for HmacBatch {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.keys.iter_mut().for_each(|key| key.prepare(class, random));
    }

    fn run(&mut self) {
        let (keys, headers) =
            (self.keys.each_ref().map(|key| &key.bytes), self.headers.each_ref().map(|bytes| &bytes[..]));
        let mut tags = [[0; 32]; 16];
        symmetric::hmac_sha256_batch(&keys, &headers, &mut tags);
        black_box(tags);
    }
}

/// The stream over a header.
struct Stream {
    key: Secret<32>,
    data: [u8; 512],
}

impl Target for Stream {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.key.prepare(class, random);
    }

    fn run(&mut self) {
        symmetric::aes256_ctr_xor(&self.key.bytes, &[7; 16], black_box(&mut self.data));
    }
}

/// A payload under fixed and random keys.
struct AezKey {
    key: Secret<48>,
    data: Vec<u8>,
}

impl Target for AezKey {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.key.prepare(class, random);
    }

    fn run(&mut self) {
        aez::decipher_in_place(&self.key.bytes, &[7; 16], black_box(&mut self.data));
    }
}

/// Fixed and random payloads under one key.
struct AezMessage {
    message: Secret<2000>,
}

impl Target for AezMessage {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.message.prepare(class, random);
    }

    fn run(&mut self) {
        aez::decipher_in_place(&[9; 48], &[7; 16], black_box(&mut self.message.bytes));
    }
}

const NONCE: [u8; 12] = [7; 12];

/// Authentic frames under fixed and random keys.
struct OpenKey {
    key: Secret<32>,
    data: Vec<u8>,
    tag: [u8; 16],
}

impl OpenKey {
    fn new() -> Self {
        Self { key: Secret::new(), data: vec![3; 3000], tag: [0; 16] }
    }
}

impl Target for OpenKey {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.key.prepare(class, random);
        ChaChaPoly::seal_in_place(&self.key.bytes, &NONCE, &[], &mut self.data, &mut self.tag);
    }

    fn run(&mut self) {
        let opened = ChaChaPoly::open_in_place(&self.key.bytes, &NONCE, &[], &mut self.data, &self.tag);
        black_box(opened).expect("the frame is authentic");
    }
}

/// A whole frame of the link.
struct SealFrame {
    key: Secret<32>,
    body: Vec<u8>,
}

impl Target for SealFrame {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.key.prepare(class, random);
    }

    fn run(&mut self) {
        black_box(symmetric::seal_frame(&mut self.key.bytes, 7, &mut [1; 4], &mut self.body));
    }
}

/// Forged frames whose tag is wrong in the first byte, or in the last. Whether a frame was authentic is public, by how
/// much it was not is not.
struct OpenForged {
    sealed: Vec<u8>,
    sealed_tag: [u8; 16],
    data: Vec<u8>,
    tag: [u8; 16],
}

impl OpenForged {
    const KEY: [u8; 32] = [5; 32];

    fn new() -> Self {
        let (mut sealed, mut sealed_tag) = (vec![3; 3000], [0; 16]);
        ChaChaPoly::seal_in_place(&Self::KEY, &NONCE, &[], &mut sealed, &mut sealed_tag);
        Self { data: sealed.clone(), sealed, sealed_tag, tag: [0; 16] }
    }
}

impl Target for OpenForged {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut change = [0];
        random.fill(&mut change);
        let (mut first, mut last) = (self.sealed_tag, self.sealed_tag);
        first[0] ^= change[0] | 1;
        last[15] ^= change[0] | 1;
        select(class, &first, &last, &mut self.tag);
        self.data.copy_from_slice(&self.sealed);
    }

    fn run(&mut self) {
        let opened = ChaChaPoly::open_in_place(&Self::KEY, &NONCE, &[], &mut self.data, &self.tag);
        black_box(opened).expect_err("the frame is forged");
    }
}

/// Scalar multiplications of random points by fixed and by random scalars.
struct Nike<const BYTES: usize, const BATCH: usize> {
    scheme: &'static dyn nike::Nike,
    factors: [Secret<BYTES>; BATCH],
    points: [[u8; BYTES]; BATCH],
    products: [[u8; BYTES]; BATCH],
    results: [Result<(), SchemeError>; BATCH],
}

impl<const BYTES: usize, const BATCH: usize> Nike<BYTES, BATCH> {
    fn new(name: &str) -> Self {
        Self {
            scheme: nike::by_name(name).expect("the scheme is built in"),
            factors: std::array::from_fn(|_| Secret::new()),
            points: [[0; BYTES]; BATCH],
            products: [[0; BYTES]; BATCH],
            results: [Ok(()); BATCH],
        }
    }
}

impl<const BYTES: usize, const BATCH: usize> Target for Nike<BYTES, BATCH> {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        self.factors.iter_mut().for_each(|factor| factor.prepare(class, random));
        random.fill(self.points.as_flattened_mut());
    }

    fn run(&mut self) {
        let factors = self.factors.each_ref().map(|factor| &factor.bytes[..]);
        let points = self.points.each_ref().map(|point| &point[..]);
        let mut products = self.products.each_mut().map(|product| &mut product[..]);
        self.scheme.blind_batch(&factors, &points, &mut products, &mut self.results);
        black_box(&self.products);
    }
}

/// Decapsulations of a batch. What the classes select from are pools of the same size, so that neither is better known
/// to the caches.
struct Kem {
    scheme: &'static dyn kem::Kem,
    pools: [Vec<Keyed>; 2],
    /// Whether the classes have keys of their own, which are loaded for each sample into the same memory.
    reload: bool,
    private: Vec<u8>,
    key: Box<dyn KemDecapsulationKey>,
    /// A third key, used between loading and measuring.
    settling: Box<dyn KemDecapsulationKey>,
    batch: Vec<Vec<u8>>,
    secrets: Vec<SharedSecret>,
    results: Vec<Result<(), SchemeError>>,
}

/// A serialised private key and ciphertexts for it.
struct Keyed {
    private: Vec<u8>,
    ciphertexts: Vec<Vec<u8>>,
}

impl Keyed {
    fn new(scheme: &dyn kem::Kem, seed: u8, batch: usize, random: &mut SeededRandom) -> Self {
        let private = scheme.derive_private_key(&vec![seed; scheme.info().seed_bytes]).expect("the seed's length fits");
        let key = scheme.load(&private).expect("the key is one of the scheme's");
        let ciphertexts = (0..batch).map(|_| {
            let (mut ciphertext, mut secret) = (vec![0; scheme.info().ciphertext_bytes], SharedSecret::default());
            let encapsulated = scheme.encapsulate(key.public_key(), random, &mut ciphertext, &mut secret);
            encapsulated.expect("the key is one of the scheme's");
            ciphertext
        });
        Self { ciphertexts: ciphertexts.collect(), private: private.to_vec() }
    }
}

impl Kem {
    const POOL: usize = 32;
    /// Fills the widest kernel.
    const BATCH_MAX: usize = 16;

    /// Authentic ciphertexts, and ones that are rejected implicitly.
    fn rejected(name: &str, batch: usize) -> Self {
        let mut target = Self::new(name, batch, |_| 1);
        for (number, ciphertext) in target.pools[1].iter_mut().flat_map(|keyed| &mut keyed.ciphertexts).enumerate() {
            // Somewhere in the ML-KEM or Kyber part.
            let first = if name.starts_with("Kyber768-X25519") { 32 } else { 0 };
            ciphertext[first + number * 61 % 1088] ^= 1 << (number % 8);
        }
        target
    }

    /// The same authentic ciphertext in every place, and different ones.
    fn ciphertexts(name: &str, batch: usize) -> Self {
        let mut target = Self::new(name, batch, |_| 1);
        let fixed = target.pools[0][0].ciphertexts[0].clone();
        for ciphertext in target.pools[0].iter_mut().flat_map(|keyed| &mut keyed.ciphertexts) {
            ciphertext.copy_from_slice(&fixed);
        }
        target
    }

    /// One key and different ones, with authentic ciphertexts.
    fn keys(name: &str, batch: usize) -> Self {
        let mut target = Self::new(name, batch, |number| number as u8 + 2);
        target.reload = true;
        target
    }

    /// The second class's keys are those of the seeds that `seed` gives; the first class has one key.
    fn new(name: &str, batch: usize, seed: impl Fn(usize) -> u8) -> Self {
        let scheme = kem::by_name(name).expect("the scheme is built in");
        let mut random = SeededRandom::new(&[0xe2; 32]);
        let mut pool = |seed: &dyn Fn(usize) -> u8| -> Vec<_> {
            (0..Self::POOL).map(|number| Keyed::new(scheme, seed(number), batch, &mut random)).collect()
        };
        let pools = [pool(&|_| 1), pool(&seed)];
        let Keyed { private, ciphertexts } = &pools[0][0];
        Self {
            scheme,
            reload: false,
            private: private.clone(),
            key: scheme.load(private).expect("the key is one of the scheme's"),
            settling: scheme.load(private).expect("the key is one of the scheme's"),
            batch: ciphertexts.clone(),
            secrets: vec![SharedSecret::default(); batch],
            results: vec![Ok(()); batch],
            pools,
        }
    }
}

impl Target for Kem {
    fn prepare(&mut self, class: Class, random: &mut SeededRandom) {
        let mut number = [0];
        random.fill(&mut number);
        let [first, second] = self.pools.each_ref().map(|pool| &pool[usize::from(number[0]) % Self::POOL]);
        for (into, (a, b)) in self.batch.iter_mut().zip(first.ciphertexts.iter().zip(&second.ciphertexts)) {
            select(class, a, b, into);
        }
        if self.reload {
            select(class, &first.private, &second.private, &mut self.private);
            self.key = self.scheme.load(&self.private).expect("the key is one of the scheme's");
            // Loading samples the public matrix by rejection, a pattern of branches of its own for each key. What it
            // leaves behind in the predictors is no secret and not what is measured.
            self.decapsulate(false);
        }
    }

    fn run(&mut self) {
        self.decapsulate(true);
    }
}

impl Kem {
    fn decapsulate(&mut self, is_measured: bool) {
        let key = if is_measured { &self.key } else { &self.settling };
        let mut ciphertexts = [&[][..]; Self::BATCH_MAX];
        for (slice, ciphertext) in ciphertexts.iter_mut().zip(&self.batch) {
            *slice = ciphertext;
        }
        key.decapsulate_batch(&ciphertexts[..self.batch.len()], &mut self.secrets, &mut self.results);
        black_box(&self.secrets);
    }
}
