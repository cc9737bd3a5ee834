//! SHA-512/256, HMAC-SHA-256 and HKDF-Expand of a group of at most `LANES` messages (sphinx.md 2.2, 2.3).
//!
//! `absorb` takes blocks into states. Everything is `#[inline(always)]`: it is compiled with the features of the level
//! whose function it becomes, or copying between rows would cost as much as hashing.

use super::runs::{Parts, Runs};
use super::{Blocks, IV, Rows};
use zeroize::Zeroize;

/// FIPS 180-4 5.3.6.2.
const IV_512_256: [u64; 8] = [
    0x2231_2194_fc2b_f72c,
    0x9f55_5fa3_c84c_64c2,
    0x2393_b86b_6f53_b151,
    0x9638_7719_5940_eabd,
    0x9628_3ee2_a88e_ffe3,
    0xbe5e_1e25_5386_3992,
    0x2b01_99fc_2c85_b8aa,
    0x0eb7_2ddc_81c5_2ca2,
];

type State256<const LANES: usize> = Rows<u32, LANES, 8>;

/// Bytes of a block of SHA-256, and words of one.
const BLOCK_256: usize = 64;
/// Bytes of a block of SHA-512.
const BLOCK_512: usize = 128;
const DIGEST_BYTES: usize = 32;
const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;
/// The longest `info` of HKDF that is expanded here.
const INFO_BYTES_MAX: usize = 64;

/// SHA-512/256 of each message.
#[inline(always)]
pub(super) fn sha512_256<const LANES: usize>(
    absorb: impl Fn(&mut Rows<u64, LANES, 8>, Blocks<'_, u64, LANES>),
    messages: &[&[u8]],
    digests: &mut [[u8; 32]],
) {
    let mut ends = [[0; 2 * BLOCK_512]; LANES];
    let mut parts: [Parts<'_>; LANES] = [[&[]; 2]; LANES];
    for ((parts, end), message) in parts.iter_mut().zip(&mut ends).zip(messages) {
        *parts = pad(BLOCK_512, message, 0, end);
    }
    let mut state = Rows::splat(IV_512_256);
    for run in Runs::new(parts) {
        absorb(&mut state, Blocks::Bytes(&run.inputs));
        for (lane, digest) in digests.iter_mut().enumerate().filter(|(lane, _)| run.ended[*lane]) {
            for (bytes, row) in digest.as_chunks_mut().0.iter_mut().zip(&*state) {
                *bytes = row[lane].to_be_bytes();
            }
        }
    }
}

/// HMAC-SHA-256 of each message under its key.
#[inline(always)]
pub(super) fn hmac_sha256<const LANES: usize>(
    absorb: impl Fn(&mut State256<LANES>, Blocks<'_, u32, LANES>),
    keys: &[&[u8; 32]],
    messages: &[&[u8]],
    tags: &mut [[u8; 32]],
) {
    let mut hmac = Hmac::new(&absorb, keys.iter().map(|key| &key[..]));
    let mut ends = [[0; 2 * BLOCK_256]; LANES];
    let mut parts: [Parts<'_>; LANES] = [[&[]; 2]; LANES];
    for ((parts, end), message) in parts.iter_mut().zip(&mut ends).zip(messages) {
        *parts = pad(BLOCK_256, message, BLOCK_256, end);
    }
    let mut digests = State256::splat([0; 8]);
    for run in Runs::new(parts) {
        absorb(&mut hmac.inner, Blocks::Bytes(&run.inputs));
        for lane in (0..messages.len()).filter(|lane| run.ended[*lane]) {
            for (digest, row) in digests.iter_mut().zip(&*hmac.inner) {
                digest[lane] = row[lane];
            }
        }
    }
    write(&hmac.finish(&absorb, &digests), tags.iter_mut().map(|tag| &mut tag[..]));
}

/// Whether [`hkdf_expand_sha256`] takes these.
pub(crate) fn expands(prks: &[&[u8]], info: &[u8]) -> bool {
    info.len() <= INFO_BYTES_MAX && prks.iter().all(|prk| prk.len() <= BLOCK_256)
}

/// HKDF-Expand (RFC 5869 2.3) under each pseudorandom key of at most 64 bytes, with at most [`INFO_BYTES_MAX`] bytes of
/// `info`. Outputs may differ in length.
#[inline(always)]
pub(super) fn hkdf_expand_sha256<const LANES: usize>(
    absorb: impl Fn(&mut State256<LANES>, Blocks<'_, u32, LANES>),
    prks: &[&[u8]],
    info: &[u8],
    outputs: &mut [&mut [u8]],
) {
    let hmac = Hmac::new(&absorb, prks.iter().copied());
    let longest = outputs.iter().map(|output| output.len()).max().unwrap_or_default();
    let mut block = State256::splat([0; 8]);
    for index in 0..longest.div_ceil(DIGEST_BYTES) {
        // The message with zeros where each lane has its last output.
        let chained_bytes = if index == 0 { 0 } else { DIGEST_BYTES };
        let mut message = [0; DIGEST_BYTES + INFO_BYTES_MAX + 1];
        let message_bytes = chained_bytes + info.len() + 1;
        message[chained_bytes..message_bytes - 1].copy_from_slice(info);
        message[message_bytes - 1] = index as u8 + 1;
        let mut end = [0; 2 * BLOCK_256];
        let [body, end] = pad(BLOCK_256, &message[..message_bytes], BLOCK_256, &mut end);
        let mut inner = hmac.inner.clone();
        for (number, bytes) in body.chunks(BLOCK_256).chain(end.chunks(BLOCK_256)).enumerate() {
            let chained = (index > 0 && number == 0).then_some(&block);
            absorb(&mut inner, Blocks::Shared(bytes, chained));
        }
        block = hmac.finish(&absorb, &inner);
        let start = index * DIGEST_BYTES;
        write(&block, outputs.iter_mut().map(|output| output.get_mut(start..).unwrap_or_default()));
    }
}

/// The outer message of HMAC, but for the inner digest: its padding counts the key, too.
const DIGEST_END: [u8; BLOCK_256] = {
    let mut block = [0; BLOCK_256];
    block[DIGEST_BYTES] = 0x80;
    [block[BLOCK_256 - 2], block[BLOCK_256 - 1]] = (8 * (BLOCK_256 + DIGEST_BYTES) as u16).to_be_bytes();
    block
};

#[inline(always)]
fn slices<const LANES: usize>(blocks: &[[u8; BLOCK_256]; LANES]) -> [&[u8]; LANES] {
    let mut slices: [&[u8]; LANES] = [&[]; LANES];
    for lane in 0..LANES {
        slices[lane] = &blocks[lane];
    }
    slices
}

/// The states after the padded keys.
struct Hmac<const LANES: usize> {
    inner: State256<LANES>,
    outer: State256<LANES>,
}

impl<const LANES: usize> Hmac<LANES> {
    /// Keys of at most a block.
    #[inline(always)]
    fn new<'a>(
        absorb: &impl Fn(&mut State256<LANES>, Blocks<'_, u32, LANES>),
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut blocks = [[0; BLOCK_256]; LANES];
        for (block, key) in blocks.iter_mut().zip(keys) {
            block[..key.len()].copy_from_slice(key);
        }
        let iv = IV.map(|word| (word >> 32) as u32);
        let mut hmac = Self { inner: State256::splat(iv), outer: State256::splat(iv) };
        blocks.as_flattened_mut().iter_mut().for_each(|byte| *byte ^= IPAD);
        absorb(&mut hmac.inner, Blocks::Bytes(&slices(&blocks)));
        blocks.as_flattened_mut().iter_mut().for_each(|byte| *byte ^= IPAD ^ OPAD);
        absorb(&mut hmac.outer, Blocks::Bytes(&slices(&blocks)));
        blocks.as_flattened_mut().zeroize();
        hmac
    }

    /// The tags of the inner digests.
    #[inline(always)]
    fn finish(
        &self,
        absorb: &impl Fn(&mut State256<LANES>, Blocks<'_, u32, LANES>),
        digests: &State256<LANES>,
    ) -> State256<LANES> {
        let mut tags = self.outer.clone();
        absorb(&mut tags, Blocks::Shared(&DIGEST_END, Some(digests)));
        tags
    }
}

/// The whole blocks of a message, and its end with the padding of SHA-2 in `end`, which holds two blocks of zeros. The
/// padding counts `bytes_before` the message, too.
#[inline(always)]
fn pad<'a>(block_bytes: usize, message: &'a [u8], bytes_before: usize, end: &'a mut [u8]) -> Parts<'a> {
    let (body, rest) = message.split_at(message.len() - message.len() % block_bytes);
    let used = (rest.len() + 1 + block_bytes / 8).next_multiple_of(block_bytes);
    end[..rest.len()].copy_from_slice(rest);
    end[rest.len()] = 0x80;
    end[used - 8..used].copy_from_slice(&(8 * (bytes_before + message.len()) as u64).to_be_bytes());
    [body, &end[..used]]
}

/// Writes the digests of the first lanes, as much of each as there is room for.
#[inline(always)]
fn write<'a, const LANES: usize>(digests: &State256<LANES>, outputs: impl Iterator<Item = &'a mut [u8]>) {
    for (lane, output) in outputs.enumerate() {
        match output.first_chunk_mut::<DIGEST_BYTES>() {
            Some(output) => {
                for (bytes, row) in output.as_chunks_mut().0.iter_mut().zip(&**digests) {
                    *bytes = row[lane].to_be_bytes();
                }
            }
            None => {
                for (bytes, row) in output.chunks_mut(4).zip(&**digests) {
                    bytes.copy_from_slice(&row[lane].to_be_bytes()[..bytes.len()]);
                }
            }
        }
    }
}
