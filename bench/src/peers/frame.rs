//! A frame of the link protocol (wire.md 4) over aws-lc: sealed header, sealed body, a new key for the next one.

use super::aws_lc;
use wire::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES};

const LENGTH_BYTES: usize = 4;

/// One direction's key and counter.
pub struct Cipher {
    key: [u8; 32],
    counter: u64,
}

impl Cipher {
    /// At its start.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0 }
    }

    /// Seals `[20 bytes of hole][command][16 bytes of hole]`; none if it is too short.
    pub fn seal(&mut self, frame: &mut [u8]) -> Option<()> {
        let (header, body) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>()?;
        let (length, header_tag) = header.split_at_mut(LENGTH_BYTES);
        length.copy_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
        header_tag.copy_from_slice(&self.seal_part(length));
        let (command, body_tag) = body.split_last_chunk_mut::<FRAME_BODY_TAG_BYTES>()?;
        *body_tag = self.seal_part(command);
        self.rekey();
        Some(())
    }

    /// Opens a whole frame; none if it is not what the other end sealed.
    pub fn open(&mut self, frame: &mut [u8]) -> Option<()> {
        let (header, body) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>()?;
        let (length, header_tag) = header.split_at_mut(LENGTH_BYTES);
        let opened = self.open_part(length, header_tag.first_chunk()?);
        let (command, body_tag) = body.split_last_chunk_mut::<FRAME_BODY_TAG_BYTES>()?;
        let opened = opened && self.open_part(command, body_tag);
        self.rekey();
        opened.then_some(())
    }

    fn rekey(&mut self) {
        let block = aws_lc::chacha20_block(&self.key, 1, &nonce(u64::MAX));
        self.key.copy_from_slice(&block[..32]);
    }

    fn seal_part(&mut self, part: &mut [u8]) -> [u8; FRAME_BODY_TAG_BYTES] {
        self.counter += 1;
        aws_lc::seal(&self.key, &nonce(self.counter - 1), part)
    }

    fn open_part(&mut self, part: &mut [u8], tag: &[u8; FRAME_BODY_TAG_BYTES]) -> bool {
        self.counter += 1;
        aws_lc::open(&self.key, &nonce(self.counter - 1), part, tag)
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}
