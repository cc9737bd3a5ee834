//! Messages (RFC 8439 2.8) by the functions of a level.

use super::blocks::BLOCK_BYTES;
use super::chacha20::{Place, place, wipe};
use super::poly1305::Poly1305;
use super::{Block, Kernel, PASS_BLOCKS_MAX, Tag, Text};
use crate::authentic::{OpenError, equal};

/// Bytes that are encrypted before they are authenticated, so that these are still in the cache.
const CHUNK_BYTES: usize = 8192;

/// Whole groups of blocks at any level, four of each.
const GROUPS_BYTES: usize = 512;

/// One message under a key, besides its text.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) key: &'a [u8; 32],
    pub(super) nonce: &'a [u8; 12],
    pub(super) ad: &'a [u8],
}

impl Message<'_> {
    pub(super) fn place(&self, counter: u32) -> Place {
        place(counter, self.nonce)
    }
}

impl Kernel {
    /// Encrypts `buffer` in place; gives its tag.
    pub(crate) fn seal(&self, key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> Tag {
        let message = Message { key, nonce, ad };
        let mut special = [[0; BLOCK_BYTES]];
        let mut text = Text::in_place(buffer);
        let started = text.len().min((self.pass_blocks - 1) * BLOCK_BYTES);
        (self.start_message)(key, &[message.place(0)], message.place(1), &mut special, text.part(0, started));
        let authenticator = authenticator(&mut special[0]);
        self.seal_rest(message, text, started, authenticator)
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
        let message = Message { key, nonce, ad };
        let (mut special, mut stream) = ([[0; BLOCK_BYTES]], [0; PASS_BLOCKS_MAX * BLOCK_BYTES]);
        let stream_bytes = buffer.len().min((self.pass_blocks - 1) * BLOCK_BYTES);
        let started = &mut stream[..stream_bytes];
        let stream_text = Text::in_place(started);
        (self.start_message)(key, &[message.place(0)], message.place(1), &mut special, stream_text);
        let authenticator = authenticator(&mut special[0]);
        let opened = self.open_rest(message, Text::in_place(buffer), tag, started, authenticator);
        wipe(&mut stream);
        opened
    }

    /// Seals a message of which `encrypted` bytes already are: whole blocks, if not all.
    pub(super) fn seal_rest(
        &self,
        message: Message<'_>,
        mut text: Text<'_>,
        mut encrypted: usize,
        mut authenticator: Poly1305,
    ) -> Tag {
        check_length(text.len());
        (self.absorb)(&mut authenticator, message.ad, None);
        let mut absorbed = 0;
        while encrypted < text.len() {
            let chunk_bytes = CHUNK_BYTES.min(text.len() - encrypted);
            let from = message.place((1 + encrypted / BLOCK_BYTES) as u32);
            (self.xor_keystream)(message.key, from, text.part(encrypted, chunk_bytes));
            encrypted += chunk_bytes;
            if encrypted < text.len() {
                let whole = absorbed..encrypted / GROUPS_BYTES * GROUPS_BYTES;
                absorbed = whole.end;
                // SAFETY: the range ends where the encrypted bytes do, or before.
                (self.absorb)(&mut authenticator, unsafe { text.written(whole) }, None);
            }
        }
        // SAFETY: all is encrypted.
        let rest = unsafe { text.written(absorbed..text.len()) };
        (self.absorb)(&mut authenticator, rest, Some(&lengths(message.ad, text.len())));
        authenticator.finish()
    }

    /// Opens a message of whose keystream the beginning is known: whole blocks, if not all.
    pub(super) fn open_rest(
        &self,
        message: Message<'_>,
        text: Text<'_>,
        tag: &Tag,
        stream: &[u8],
        mut authenticator: Poly1305,
    ) -> Result<(), OpenError> {
        check_length(text.len());
        (self.absorb)(&mut authenticator, message.ad, None);
        (self.absorb)(&mut authenticator, text.source(), Some(&lengths(message.ad, text.len())));
        if !equal(&authenticator.finish(), tag) {
            return Err(OpenError);
        }
        let started_bytes = stream.len().min(text.len());
        let (started, rest) = text.split_at(started_bytes);
        (self.xor)(stream, started);
        if !rest.is_empty() {
            (self.xor_keystream)(message.key, message.place((1 + stream.len() / BLOCK_BYTES) as u32), rest);
        }
        Ok(())
    }
}

/// The authenticator whose key begins `block`, which is wiped.
pub(super) fn authenticator(block: &mut Block) -> Poly1305 {
    let authenticator = Poly1305::new(block.first_chunk().expect("32 of 64 bytes"));
    wipe(block);
    authenticator
}

/// The last block that is authenticated.
pub(super) fn lengths(ad: &[u8], text_bytes: usize) -> Tag {
    (ad.len() as u128 | (text_bytes as u128) << 64).to_le_bytes()
}

/// The counter has 32 bits.
fn check_length(text_bytes: usize) {
    assert!(text_bytes / BLOCK_BYTES < u32::MAX as usize, "a message has less than 256 GiB");
}
