//! Frames of the link (wire.md 4.1): a header of four bytes under one nonce, a body under the next one, and the key of
//! the next frame (wire.md 2.4). All that does not depend on the body, and the beginning of its keystream, are the blocks
//! of one pass.

use super::blocks::BLOCK_BYTES;
use super::chacha20::{Place, place, wipe};
use super::message::{Message, authenticator, lengths};
use super::{Block, FRAME_SPECIAL, Kernel, PASS_BLOCKS_MAX, Tag, Text};
use crate::authentic::{OpenError, equal};

/// The plaintext or ciphertext of a header.
pub type FrameHeader = [u8; 4];

/// The nonce of a counter (wire.md 2.3).
pub fn nonce_of(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// The nonces of a frame.
pub(crate) struct Nonces {
    pub(crate) header: [u8; 12],
    pub(crate) body: [u8; 12],
}

impl Nonces {
    /// Of the frame whose header has this counter.
    pub(crate) fn new(counter: u64) -> Self {
        Self { header: nonce_of(counter), body: nonce_of(counter.wrapping_add(1)) }
    }

    /// The places of the header's authenticator and keystream, of the next key, of the body's authenticator.
    pub(crate) fn places(&self) -> [Place; FRAME_SPECIAL] {
        [place(0, &self.header), place(1, &self.header), place(1, &nonce_of(u64::MAX)), place(0, &self.body)]
    }
}

/// What a frame gives before its body is there.
#[derive(Clone)]
pub(crate) struct FrameStart {
    special: [Block; FRAME_SPECIAL],
    stream: [u8; (PASS_BLOCKS_MAX - FRAME_SPECIAL) * BLOCK_BYTES],
}

impl FrameStart {
    pub(crate) const EMPTY: Self = Self {
        special: [[0; BLOCK_BYTES]; FRAME_SPECIAL],
        stream: [0; (PASS_BLOCKS_MAX - FRAME_SPECIAL) * BLOCK_BYTES],
    };

    /// Forgets everything.
    pub(crate) fn wipe(&mut self) {
        self.special.iter_mut().for_each(wipe);
        wipe(&mut self.stream);
    }
}

impl Drop for FrameStart {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Kernel {
    /// Seals a frame, its header in place, and replaces its key by the next one's; gives the tags of header and body.
    pub(crate) fn seal_frame(
        &self,
        key: &mut [u8; 32],
        counter: u64,
        header: &mut FrameHeader,
        mut body: Text<'_>,
    ) -> [Tag; 2] {
        let nonces = Nonces::new(counter);
        let mut special = [[0; BLOCK_BYTES]; FRAME_SPECIAL];
        let started = body.len().min((self.pass_blocks - FRAME_SPECIAL) * BLOCK_BYTES);
        let from = place(1, &nonces.body);
        (self.start_frame)(key, &nonces.places(), from, &mut special, body.part(0, started));
        let [header_key, header_stream, next_key, body_key] = &mut special;
        let header_tag = seal_header(header_key, header_stream, header);
        let message = Message { key, nonce: &nonces.body, ad: &[] };
        let body_tag = self.seal_rest(message, body, started, authenticator(body_key));
        take_key(key, next_key);
        [header_tag, body_tag]
    }

    /// Opens a header in place; `start`, which is empty, becomes what its body needs.
    pub(crate) fn open_header(
        &self,
        key: &[u8; 32],
        counter: u64,
        header: &mut FrameHeader,
        tag: &Tag,
        start: &mut FrameStart,
    ) -> Result<(), OpenError> {
        let nonces = Nonces::new(counter);
        let stream_bytes = (self.pass_blocks - FRAME_SPECIAL) * BLOCK_BYTES;
        let stream = Text::in_place(&mut start.stream[..stream_bytes]);
        (self.start_frame)(key, &nonces.places(), place(1, &nonces.body), &mut start.special, stream);
        let [header_key, header_stream, ..] = &mut start.special;
        let opened = open_header(header_key, header_stream, header, tag);
        if opened.is_err() {
            start.wipe();
        }
        opened
    }

    /// Opens the body behind the header that has made `start`, and replaces the key.
    pub(crate) fn open_body(
        &self,
        key: &mut [u8; 32],
        counter: u64,
        body: Text<'_>,
        tag: &Tag,
        start: &mut FrameStart,
    ) -> Result<(), OpenError> {
        let nonces = Nonces::new(counter);
        let FrameStart { special: [.., next_key, body_key], stream } = start;
        let stream_bytes = (self.pass_blocks - FRAME_SPECIAL) * BLOCK_BYTES;
        let message = Message { key, nonce: &nonces.body, ad: &[] };
        let opened = self.open_rest(message, body, tag, &stream[..stream_bytes], authenticator(body_key));
        if opened.is_ok() {
            take_key(key, next_key);
        }
        start.wipe();
        opened
    }
}

/// Seals a header with blocks 0 and 1 of its message, which are wiped.
pub(crate) fn seal_header(key: &mut Block, stream: &mut Block, header: &mut FrameHeader) -> Tag {
    xor_header(header, stream);
    header_tag(key, header)
}

/// Opens a header with blocks 0 and 1 of its message, which are wiped.
pub(crate) fn open_header(
    key: &mut Block,
    stream: &mut Block,
    header: &mut FrameHeader,
    tag: &Tag,
) -> Result<(), OpenError> {
    if !equal(&header_tag(key, header), tag) {
        wipe(stream);
        return Err(OpenError);
    }
    xor_header(header, stream);
    Ok(())
}

fn xor_header(header: &mut FrameHeader, stream: &mut Block) {
    header.iter_mut().zip(stream.iter()).for_each(|(byte, key)| *byte ^= key);
    wipe(stream);
}

fn header_tag(key: &mut Block, header: &FrameHeader) -> Tag {
    let mut authenticator = authenticator(key);
    authenticator.padded(header);
    authenticator.block(&lengths(&[], header.len()));
    authenticator.finish()
}

/// Replaces the key by the one that begins `block`, which is wiped.
pub(crate) fn take_key(key: &mut [u8; 32], block: &mut Block) {
    key.copy_from_slice(&block[..32]);
    wipe(block);
}
