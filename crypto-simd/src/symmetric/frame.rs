//! Whole frames of the link (wire.md 4.1): ChaCha20-Poly1305 for a header and a body under successive nonces, and the
//! key for the next frame (wire.md 2.4).

use super::aead::library;
use crate::authentic::OpenError;
use crate::dispatch::kernels;
pub use crate::kernels::chacha20poly1305::{FrameHeader, nonce_of};
use crate::kernels::chacha20poly1305::{FrameStart, Kernel, Text, open_header, seal_header};
use zeroize::Zeroize;

const TAG_BYTES: usize = 16;
/// Bytes of a sealed header with its tag.
const HEADER_BYTES: usize = size_of::<FrameHeader>() + TAG_BYTES;

/// The key after `key` (wire.md 2.4): the first half of block 1 under the last nonce.
fn rekey(key: &mut [u8; 32]) {
    let [mut block] = library::blocks(key, 1, &nonce_of(u64::MAX));
    key.copy_from_slice(&block[..32]);
    block.zeroize();
}

/// Seals the header under `counter` and the body under the counter after it, both in place, and replaces the key by the
/// next frame's. Gives the tags.
pub fn seal_frame(key: &mut [u8; 32], counter: u64, header: &mut FrameHeader, body: &mut [u8]) -> [[u8; 16]; 2] {
    seal_by(kernels().chacha20poly1305.as_ref(), key, counter, header, Text::in_place(body))
}

/// Seals a frame behind `out`: the header under `counter`, and the body, which is read where it is and stays there, under
/// the counter after it. Nothing is copied or cleared before. Replaces the key by the next frame's.
pub fn seal_frame_onto(key: &mut [u8; 32], counter: u64, header: &FrameHeader, body: &[u8], out: &mut Vec<u8>) {
    let kernel = kernels().chacha20poly1305.as_ref();
    seal_onto_by(kernel, key, counter, header, body, out);
}

fn seal_onto_by(
    kernel: Option<&Kernel>,
    key: &mut [u8; 32],
    counter: u64,
    header: &FrameHeader,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let frame_bytes = HEADER_BYTES + body.len() + TAG_BYTES;
    out.reserve(frame_bytes);
    let room = &mut out.spare_capacity_mut()[..frame_bytes];
    let (sealed_header, rest) = room.split_at_mut(HEADER_BYTES);
    let (sealed_body, body_tag) = rest.split_at_mut(body.len());
    let mut length = *header;
    let tags = seal_by(kernel, key, counter, &mut length, Text::onto(body, sealed_body));
    let (header_place, header_tag) = sealed_header.split_at_mut(length.len());
    for (place, bytes) in [(header_place, &length[..]), (header_tag, &tags[0]), (body_tag, &tags[1])] {
        place.write_copy_of_slice(bytes);
    }
    // SAFETY: so many bytes were reserved, and all of them are written: header and tags here, the body by its seal.
    unsafe {
        out.set_len(out.len() + frame_bytes);
    }
}

fn seal_by(
    kernel: Option<&Kernel>,
    key: &mut [u8; 32],
    counter: u64,
    header: &mut FrameHeader,
    body: Text<'_>,
) -> [[u8; 16]; 2] {
    if let Some(kernel) = kernel {
        return kernel.seal_frame(key, counter, header, body);
    }
    let [mut header_key, mut header_stream] = library::blocks(key, 0, &nonce_of(counter));
    let header_tag = seal_header(&mut header_key, &mut header_stream, header);
    let mut body_tag = [0; 16];
    library::seal(key, &nonce_of(counter.wrapping_add(1)), &[], body, &mut body_tag);
    rekey(key);
    [header_tag, body_tag]
}

/// The opening of frames, header by header and body by body. In between it holds what was computed together with the
/// header's blocks: most of what a body of usual size needs.
pub struct FrameOpening {
    /// The kernel, and what it knows of the body: empty unless a frame is started.
    kernel: Option<(&'static Kernel, Box<FrameStart>)>,
    counter: u64,
    is_started: bool,
}

impl FrameOpening {
    /// No frame is begun.
    pub fn new() -> Self {
        Self::by(kernels().chacha20poly1305.as_ref())
    }

    fn by(kernel: Option<&'static Kernel>) -> Self {
        let kernel = kernel.map(|kernel| (kernel, Box::new(FrameStart::EMPTY)));
        Self { kernel, counter: 0, is_started: false }
    }

    /// Opens a header in place, under `counter`.
    pub fn open_header(
        &mut self,
        key: &[u8; 32],
        counter: u64,
        header: &mut FrameHeader,
        tag: &[u8; 16],
    ) -> Result<(), OpenError> {
        let was_started = std::mem::take(&mut self.is_started);
        match &mut self.kernel {
            Some((kernel, start)) => {
                if was_started {
                    start.wipe();
                }
                kernel.open_header(key, counter, header, tag, start)?;
            }
            None => {
                let [mut header_key, mut header_stream] = library::blocks(key, 0, &nonce_of(counter));
                open_header(&mut header_key, &mut header_stream, header, tag)?;
            }
        }
        (self.counter, self.is_started) = (counter, true);
        Ok(())
    }

    /// Opens the body of the header that was opened last, in place, and replaces the key by the next frame's. When the
    /// tag is wrong, or no header was opened before, `body` holds nothing of the plaintext and the key stays.
    pub fn open_body(&mut self, key: &mut [u8; 32], body: &mut [u8], tag: &[u8; 16]) -> Result<(), OpenError> {
        self.open_text(key, Text::in_place(body), tag)
    }

    /// The same with a body that is read in one place, where it stays sealed, and written, opened, in another.
    ///
    /// # Panics
    /// When the places differ in length.
    pub fn open_body_to(
        &mut self,
        key: &mut [u8; 32],
        sealed: &[u8],
        body: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), OpenError> {
        self.open_text(key, Text::between(sealed, body), tag)
    }

    fn open_text(&mut self, key: &mut [u8; 32], body: Text<'_>, tag: &[u8; 16]) -> Result<(), OpenError> {
        if !std::mem::take(&mut self.is_started) {
            return Err(OpenError);
        }
        if let Some((kernel, start)) = &mut self.kernel {
            return kernel.open_body(key, self.counter, body, tag, start);
        }
        library::open(key, &nonce_of(self.counter.wrapping_add(1)), &[], body, tag)?;
        rekey(key);
        Ok(())
    }
}

impl Default for FrameOpening {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
