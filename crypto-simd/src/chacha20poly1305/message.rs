//! Messages (RFC 8439 2.8) and frames (wire.md 4.1) by the functions of a level.

use super::chacha20::{place, wipe};
use super::poly1305::{self, Poly1305};
use super::words::BLOCK_BYTES;
use super::{Block, FRAME_SPECIAL, Kernel, PASS_BLOCKS_MAX};
use crate::symmetric::OpenError;
use crate::symmetric::equal;

/// Bytes that are encrypted before they are authenticated, so that these are still in the cache.
const CHUNK_BYTES: usize = 8192;

/// Whole groups of blocks at any level, four of each.
const GROUPS_BYTES: usize = 512;

type Tag = [u8; poly1305::BLOCK_BYTES];

impl Kernel {
    /// Encrypts `buffer` in place; gives its tag.
    pub(crate) fn seal(&self, key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Tag {
        check_length(buffer.len());
        let mut special = [[0; BLOCK_BYTES]];
        let started = buffer.len().min((self.pass_blocks - 1) * BLOCK_BYTES);
        let places = [place(0, nonce)];
        (self.start_message)(key, &places, place(1, nonce), &mut special, &mut buffer[..started]);
        let authenticator = authenticator(&special[0]);
        wipe(&mut special[0]);
        self.seal_rest(key, nonce, ad, buffer, started, authenticator)
    }

    /// Encrypts what lies behind `started`, which is a whole number of blocks if not all.
    fn seal_rest(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        ad: &[u8],
        buffer: &mut [u8],
        started: usize,
        mut authenticator: Poly1305,
    ) -> Tag {
        (self.absorb)(&mut authenticator, ad, None);
        let (mut encrypted, mut absorbed) = (started, 0);
        while encrypted < buffer.len() {
            let chunk = encrypted..buffer.len().min(encrypted + CHUNK_BYTES);
            let counter = (1 + encrypted / BLOCK_BYTES) as u32;
            encrypted = chunk.end;
            (self.xor_keystream)(key, place(counter, nonce), &mut buffer[chunk]);
            if encrypted < buffer.len() {
                let whole = absorbed..encrypted / GROUPS_BYTES * GROUPS_BYTES;
                absorbed = whole.end;
                (self.absorb)(&mut authenticator, &buffer[whole], None);
            }
        }
        (self.absorb)(&mut authenticator, &buffer[absorbed..], Some(&lengths(ad, buffer)));
        authenticator.finish()
    }

    /// Checks the tag, then decrypts `buffer` in place.
    pub(crate) fn open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        check_length(buffer.len());
        let (mut special, mut stream) = ([[0; BLOCK_BYTES]], [0; PASS_BLOCKS_MAX * BLOCK_BYTES]);
        let started = buffer.len().min((self.pass_blocks - 1) * BLOCK_BYTES);
        let places = [place(0, nonce)];
        (self.start_message)(key, &places, place(1, nonce), &mut special, &mut stream[..started]);
        let authenticator = authenticator(&special[0]);
        wipe(&mut special[0]);
        let opened = self.open_rest(key, nonce, ad, buffer, tag, &stream[..started], authenticator);
        wipe(&mut stream);
        opened
    }

    /// Opens a message of whose keystream the beginning is known: whole blocks, if not all.
    fn open_rest(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
        stream: &[u8],
        mut authenticator: Poly1305,
    ) -> Result<(), OpenError> {
        (self.absorb)(&mut authenticator, ad, None);
        (self.absorb)(&mut authenticator, buffer, Some(&lengths(ad, buffer)));
        if !equal(&authenticator.finish(), tag) {
            return Err(OpenError);
        }
        let (started, rest) = buffer.split_at_mut(stream.len().min(buffer.len()));
        (self.xor)(&stream[..started.len()], started);
        if !rest.is_empty() {
            (self.xor_keystream)(key, place((1 + stream.len() / BLOCK_BYTES) as u32, nonce), rest);
        }
        Ok(())
    }
}

/// Places after which the counter of 32 bits is used up.
fn check_length(bytes: usize) {
    assert!(bytes / BLOCK_BYTES < u32::MAX as usize, "a message has less than 256 GiB");
}

fn authenticator(block: &Block) -> Poly1305 {
    let (key, _) = block.split_first_chunk().expect("32 of 64 bytes");
    Poly1305::new(key)
}

/// The last block that is authenticated.
fn lengths(ad: &[u8], buffer: &[u8]) -> Tag {
    (ad.len() as u128 | (buffer.len() as u128) << 64).to_le_bytes()
}
