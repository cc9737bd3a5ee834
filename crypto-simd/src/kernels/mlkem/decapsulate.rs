//! Decapsulation (FIPS 203 6.3 and 5.3) of as many packets as there are pairs in a vector, under one key.
//!
//! Packet `LANES` · g + q is in lane q of the g-th group of Keccak states, and in pair 2q + g.

use super::key::Key;
use super::ring::{Compress, PAIRS, PairFactors, Polynomial, RANK, Ring};
use super::units::{NOISE_OFFSET, exchange, noise, pairs_of_1, pairs_of_4, pairs_of_10, piece_of_pairs};
use super::{CIPHERTEXT_BYTES, DU, DV, SECRET_BYTES};
use crate::kernels::keccak::lanes::{Permute, RATE_WORDS, STATE_WORDS, State};
use crate::lanes::Words16;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Groups of Keccak states, the words of which are the pieces in one vector.
pub(super) const GROUPS: usize = 2;
/// Lanes of a group, at most.
const LANES_MAX: usize = 8;
/// Words of a ciphertext, of a message, and of the bits of which a polynomial of noise is made.
const CIPHERTEXT_WORDS: usize = CIPHERTEXT_BYTES / 8;
const MESSAGE_WORDS: usize = 4;
const NOISE_WORDS: usize = 16;
/// Pieces of each polynomial of the ciphertext's first part.
const FIRST_PIECES: usize = 2 * PAIRS * DU as usize / 32;

/// Padding after a byte that ends a message (FIPS 202 B.2): the domain and the first bit, and the last bit of a block.
const SHA3: u64 = 0x06;
const SHAKE: u64 = 0x1f;
const LAST: u64 = 1 << 63;

/// Words of one packet per lane, for each group.
type Groups<W, const WORDS: usize> = [[<W as crate::lanes::Lanes>::Vector; WORDS]; GROUPS];

/// Lanes with the longest steps as functions of their own, which are not inlined where they are used.
pub(super) trait Steps: Words16 + Permute {
    /// [`super::ntt::forward`]
    fn forward(self, polynomial: &mut Polynomial<Self::Vector>);
    /// [`super::ntt::inverse`]
    fn inverse(self, polynomial: &mut Polynomial<Self::Vector>);
}

/// What does not fit into registers; everything but the ciphertexts is secret.
struct Scratch<W: Words16> {
    /// The ciphertexts as pieces.
    ciphertext: [W::Vector; 2 * CIPHERTEXT_WORDS],
    secrets: Secrets<W>,
}

struct Secrets<W: Words16> {
    vector: [Polynomial<W::Vector>; RANK],
    product: Polynomial<W::Vector>,
    /// Random words, of which noise is made.
    random: Groups<W, NOISE_WORDS>,
    /// The messages as pieces.
    message: [W::Vector; 2 * MESSAGE_WORDS],
    shared: Groups<W, MESSAGE_WORDS>,
    coins: Groups<W, MESSAGE_WORDS>,
    rejected: Groups<W, MESSAGE_WORDS>,
    state: State<W>,
}

impl<W: Words16> Secrets<W> {
    #[inline(always)]
    fn zero(w: W) -> Self {
        let zero = w.splat(0);
        let groups = [[zero; MESSAGE_WORDS]; GROUPS];
        Self {
            vector: [[zero; PAIRS]; RANK],
            product: [zero; PAIRS],
            random: [[zero; NOISE_WORDS]; GROUPS],
            message: [zero; 2 * MESSAGE_WORDS],
            shared: groups,
            coins: groups,
            rejected: groups,
            state: [zero; STATE_WORDS],
        }
    }
}

/// Decapsulates up to `GROUPS` · `LANES` ciphertexts; of `groups` groups the states are computed.
#[inline(always)]
pub(super) fn decapsulate<W: Steps>(
    w: W,
    groups: usize,
    key: &Key,
    ciphertexts: &[&[u8; CIPHERTEXT_BYTES]],
    secrets: &mut [[u8; SECRET_BYTES]],
) {
    let mut scratch = Scratch { ciphertext: [w.splat(0); 2 * CIPHERTEXT_WORDS], secrets: Secrets::zero(w) };
    load(w, groups, ciphertexts, &mut scratch.ciphertext);
    decrypt(w, key, &mut scratch);
    hash_message(w, groups, key, &mut scratch.secrets);
    let difference = encrypt_and_compare(w, groups, key, &mut scratch);
    reject(w, groups, key, &mut scratch);
    select(w, difference, &scratch.secrets, secrets);
    scratch.secrets = Secrets::zero(w);
    zeroize::optimization_barrier(&scratch);
}

/// The ciphertexts' words as pieces. Lanes without a packet get the first one.
#[inline(always)]
fn load<W: Words16>(
    w: W,
    groups: usize,
    ciphertexts: &[&[u8; CIPHERTEXT_BYTES]],
    pieces: &mut [W::Vector; 2 * CIPHERTEXT_WORDS],
) {
    for first in (0..CIPHERTEXT_WORDS).step_by(W::LANES) {
        let mut words = [[w.splat(0); LANES_MAX]; GROUPS];
        for (group, words) in words.iter_mut().enumerate().take(groups) {
            for lane in 0..W::LANES {
                let ciphertext = ciphertexts.get(group * W::LANES + lane).unwrap_or(&ciphertexts[0]);
                let bytes = ciphertext[8 * first..].as_chunks::<8>().0;
                let mut row = [0; LANES_MAX];
                for (word, bytes) in row[..W::LANES].iter_mut().zip(bytes) {
                    *word = u64::from_le_bytes(*bytes);
                }
                words[lane] = w.load(&row);
            }
            w.transpose(words);
        }
        for index in 0..W::LANES {
            let at = 2 * (first + index);
            [pieces[at], pieces[at + 1]] = exchange(w, words[0][index], words[1][index]);
        }
    }
}

/// `K-PKE.Decrypt`
#[inline(always)]
fn decrypt<W: Steps>(w: W, key: &Key, Scratch { ciphertext, secrets }: &mut Scratch<W>) {
    let Secrets { vector, product, message, .. } = secrets;
    let (first_part, second_part) = ciphertext.split_at(RANK * FIRST_PIECES);
    for (polynomial, pieces) in vector.iter_mut().zip(first_part.chunks_exact(FIRST_PIECES)) {
        for (pairs, pieces) in polynomial.as_chunks_mut::<8>().0.iter_mut().zip(pieces.as_chunks::<5>().0) {
            *pairs = pairs_of_10(w, pieces, 15 - DU);
            for pair in pairs {
                *pair = w.decompress(*pair);
            }
        }
        w.forward(polynomial);
    }
    multiply(w, vector, &key.secret, product);
    for pair in product.iter_mut() {
        *pair = w.reduce(*pair);
    }
    w.inverse(product);
    // The product is -2 · s · u; twice v is added, so that compression to one bit gives the message.
    for ((pairs, piece), v) in
        product.as_chunks_mut::<16>().0.iter_mut().zip(message).zip(second_part.as_chunks::<4>().0)
    {
        for (pairs, v) in pairs.as_chunks_mut::<4>().0.iter_mut().zip(v) {
            for (pair, v) in pairs.iter_mut().zip(pairs_of_4(w, *v, 15 - DV)) {
                let v = w.decompress(v);
                *pair = w.compress(w.add_16(*pair, w.add_16(v, v)));
            }
        }
        *piece = piece_of_pairs(w, pairs);
    }
}

/// G: the secrets of valid ciphertexts, and the coins.
#[inline(always)]
fn hash_message<W: Steps>(w: W, groups: usize, key: &Key, secrets: &mut Secrets<W>) {
    let Secrets { message, shared, coins, state, .. } = secrets;
    for group in 0..groups {
        *state = [w.splat(0); STATE_WORDS];
        for index in 0..MESSAGE_WORDS {
            state[index] = exchange(w, message[2 * index], message[2 * index + 1])[group];
            state[MESSAGE_WORDS + index] = w.splat(key.hash[index]);
        }
        state[2 * MESSAGE_WORDS] = w.splat(SHA3 | LAST);
        w.permute(state);
        shared[group].copy_from_slice(&state[..MESSAGE_WORDS]);
        coins[group].copy_from_slice(&state[MESSAGE_WORDS..2 * MESSAGE_WORDS]);
    }
}

/// `K-PKE.Encrypt` of the messages, compared with the ciphertexts: zero in the pairs of the packets that are equal.
#[inline(always)]
fn encrypt_and_compare<W: Steps>(
    w: W,
    groups: usize,
    key: &Key,
    Scratch { ciphertext, secrets }: &mut Scratch<W>,
) -> W::Vector {
    let Secrets { vector, product, random, message, coins, state, .. } = secrets;
    let (first_part, second_part) = ciphertext.split_at(RANK * FIRST_PIECES);
    for (nonce, polynomial) in (0..).zip(vector.iter_mut()) {
        expand(w, groups, coins, nonce, state, random);
        for (index, pairs) in polynomial.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *pairs = noise_pairs(w, random, index, 0);
        }
        w.forward(polynomial);
    }
    let mut difference = w.splat(0);
    for ((nonce, row), pieces) in (RANK as u8..).zip(&key.matrix).zip(first_part.chunks_exact(FIRST_PIECES)) {
        multiply(w, vector, row, product);
        w.inverse(product);
        expand(w, groups, coins, nonce, state, random);
        for (index, (pairs, pieces)) in product.as_chunks::<8>().0.iter().zip(pieces.as_chunks::<5>().0).enumerate() {
            let noise = noise_pairs(w, random, index, DU);
            for ((pair, noise), received) in pairs.iter().zip(noise).zip(pairs_of_10(w, pieces, 0)) {
                difference = compare(w, DU, w.add_16(*pair, noise), received, difference);
            }
        }
    }
    multiply(w, vector, &key.public, product);
    w.inverse(product);
    expand(w, groups, coins, 2 * RANK as u8, state, random);
    let chunks = product.as_chunks::<8>().0.iter().zip(second_part.as_chunks::<2>().0);
    for (index, (pairs, pieces)) in chunks.enumerate() {
        // Half of q, times 2^4, is 8 modulo q.
        let message = pairs_of_1(w, message[index / 2], (index % 2) as i32, 3);
        let noise = noise_pairs(w, random, index, DV);
        let received = [pairs_of_4(w, pieces[0], 0), pairs_of_4(w, pieces[1], 0)];
        for (at, received) in received.as_flattened().iter().enumerate() {
            let sum = w.add_16(w.add_16(pairs[at], noise[at]), message[at]);
            difference = compare(w, DV, sum, *received, difference);
        }
    }
    difference
}

/// Adds to `difference` where the compression of z ≡ 2^d · x is not what was received.
#[inline(always)]
fn compare<W: Words16>(w: W, d: u32, z: W::Vector, received: W::Vector, difference: W::Vector) -> W::Vector {
    w.or(difference, w.and(w.xor(w.compress(z), received), w.splat_16((1 << d) - 1)))
}

/// PRF of the coins and a nonce.
#[inline(always)]
fn expand<W: Steps>(
    w: W,
    groups: usize,
    coins: &Groups<W, MESSAGE_WORDS>,
    nonce: u8,
    state: &mut State<W>,
    random: &mut Groups<W, NOISE_WORDS>,
) {
    for (random, coins) in random.iter_mut().zip(coins).take(groups) {
        *state = [w.splat(0); STATE_WORDS];
        state[..MESSAGE_WORDS].copy_from_slice(coins);
        state[MESSAGE_WORDS] = w.splat(u64::from(nonce) | SHAKE << 8);
        state[RATE_WORDS - 1] = w.splat(LAST);
        w.permute(state);
        random.copy_from_slice(&state[..NOISE_WORDS]);
    }
}

/// The eight pairs of noise that are made of the random word `index`, times 2^shift.
#[inline(always)]
fn noise_pairs<W: Words16>(w: W, random: &Groups<W, NOISE_WORDS>, index: usize, shift: u32) -> [W::Vector; 8] {
    let [first, second] = exchange(w, random[0][index], random[1][index]);
    let ([a, b, c, d], [e, f, g, h]) = (pairs_of_4(w, noise(w, first), shift), pairs_of_4(w, noise(w, second), shift));
    let mut pairs = [a, b, c, d, e, f, g, h];
    for pair in &mut pairs {
        *pair = w.sub_16(*pair, w.splat_16(NOISE_OFFSET << shift));
    }
    pairs
}

/// J: the secrets of ciphertexts that are rejected.
#[inline(always)]
fn reject<W: Steps>(w: W, groups: usize, key: &Key, Scratch { ciphertext, secrets }: &mut Scratch<W>) {
    let Secrets { state, rejected, .. } = secrets;
    for (group, rejected) in rejected.iter_mut().enumerate().take(groups) {
        *state = [w.splat(0); STATE_WORDS];
        for (word, z) in state.iter_mut().zip(key.z) {
            *word = w.splat(z);
        }
        let mut at = MESSAGE_WORDS;
        for pieces in ciphertext.as_chunks::<2>().0 {
            state[at] = w.xor(state[at], exchange(w, pieces[0], pieces[1])[group]);
            at += 1;
            if at == RATE_WORDS {
                w.permute(state);
                at = 0;
            }
        }
        state[at] = w.xor(state[at], w.splat(SHAKE));
        state[RATE_WORDS - 1] = w.xor(state[RATE_WORDS - 1], w.splat(LAST));
        w.permute(state);
        rejected.copy_from_slice(&state[..MESSAGE_WORDS]);
    }
}

/// Products of the vectors with a constant one.
#[inline(always)]
fn multiply<W: Words16>(
    w: W,
    vector: &[Polynomial<W::Vector>; RANK],
    factors: &[Polynomial<PairFactors>; RANK],
    product: &mut Polynomial<W::Vector>,
) {
    for (index, pair) in product.iter_mut().enumerate() {
        let operands = [vector[0][index], vector[1][index], vector[2][index]];
        *pair = w.products(operands, [factors[0][index], factors[1][index], factors[2][index]]);
    }
}

/// Writes each packet's secret: the one of its message where nothing differs, else the one of the rejection.
#[inline(always)]
fn select<W: Words16>(w: W, difference: W::Vector, from: &Secrets<W>, secrets: &mut [[u8; SECRET_BYTES]]) {
    let mut differences = [0; LANES_MAX];
    w.store(difference, &mut differences);
    let mut words = Zeroizing::new([[[0; LANES_MAX]; 2]; MESSAGE_WORDS]);
    for (group, secrets) in secrets.chunks_mut(W::LANES).enumerate() {
        for (words, vectors) in words.iter_mut().zip(from.shared[group].iter().zip(&from.rejected[group])) {
            w.store(*vectors.0, &mut words[0]);
            w.store(*vectors.1, &mut words[1]);
        }
        for (lane, secret) in secrets.iter_mut().enumerate() {
            let rejected = !((differences[lane] >> (32 * group)) as u32).ct_eq(&0);
            for (bytes, [shared, other]) in secret.as_chunks_mut::<8>().0.iter_mut().zip(words.iter()) {
                *bytes = u64::conditional_select(&shared[lane], &other[lane], rejected).to_le_bytes();
            }
        }
    }
}
