//! Whole frames of the link (wire.md 4.1): ChaCha20-Poly1305 for a header and a body under successive nonces, and the
//! key for the next frame (wire.md 2.4).

use super::aead::library;
use crate::authentic::OpenError;
use crate::dispatch::{Kernels, kernels};
use crate::kernels::chacha20poly1305::{
    Block, FRAME_SPECIAL, FrameBlocks, FrameStart, Kernel, Nonces, Place, Text, open_header, seal_header, take_key,
    wipe,
};
pub use crate::kernels::chacha20poly1305::{FrameHeader, nonce_of};
use zeroize::Zeroizing;

const TAG_BYTES: usize = 16;
/// Bytes of a sealed header with its tag.
const HEADER_BYTES: usize = size_of::<FrameHeader>() + TAG_BYTES;

/// Who does what of a frame: a kernel all of it, or the library its body and somebody the blocks besides.
#[derive(Clone, Copy)]
struct Way {
    kernel: Option<&'static Kernel>,
    blocks: FrameBlocks,
}

impl Way {
    fn of(kernels: &'static Kernels) -> Self {
        Self { kernel: kernels.chacha20poly1305.as_ref(), blocks: kernels.frame_blocks.unwrap_or(library_blocks) }
    }
}

/// The blocks of a frame by the library, which makes the body's authenticator by itself.
fn library_blocks(key: &[u8; 32], places: &[Place; FRAME_SPECIAL]) -> [Block; FRAME_SPECIAL] {
    let nonce = |place: Place| {
        let mut nonce = [0; 12];
        nonce.as_chunks_mut().0.iter_mut().zip(&place[1..]).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        nonce
    };
    let [header, _, next, _] = *places;
    let [header_key, header_stream] = library::blocks(key, header[0], &nonce(header));
    let [next_key] = library::blocks(key, next[0], &nonce(next));
    [header_key, header_stream, next_key, [0; _]]
}

/// Seals the header under `counter` and the body under the counter after it, both in place, and replaces the key by the
/// next frame's. Gives the tags.
pub fn seal_frame(key: &mut [u8; 32], counter: u64, header: &mut FrameHeader, body: &mut [u8]) -> [[u8; 16]; 2] {
    seal_by(Way::of(kernels()), key, counter, header, Text::in_place(body))
}

/// Seals a frame behind `out`: the header under `counter`, and the body, which is read where it is and stays there, under
/// the counter after it. Nothing is copied or cleared before. Replaces the key by the next frame's.
pub fn seal_frame_onto(key: &mut [u8; 32], counter: u64, header: &FrameHeader, body: &[u8], out: &mut Vec<u8>) {
    seal_onto_by(Way::of(kernels()), key, counter, header, body, out);
}

fn seal_onto_by(way: Way, key: &mut [u8; 32], counter: u64, header: &FrameHeader, body: &[u8], out: &mut Vec<u8>) {
    let frame_bytes = HEADER_BYTES + body.len() + TAG_BYTES;
    out.reserve(frame_bytes);
    let room = &mut out.spare_capacity_mut()[..frame_bytes];
    let (sealed_header, rest) = room.split_at_mut(HEADER_BYTES);
    let (sealed_body, body_tag) = rest.split_at_mut(body.len());
    let mut length = *header;
    let tags = seal_by(way, key, counter, &mut length, Text::onto(body, sealed_body));
    let (header_place, header_tag) = sealed_header.split_at_mut(length.len());
    for (place, bytes) in [(header_place, &length[..]), (header_tag, &tags[0]), (body_tag, &tags[1])] {
        place.write_copy_of_slice(bytes);
    }
    // SAFETY: so many bytes were reserved, and all of them are written: header and tags here, the body by its seal.
    unsafe {
        out.set_len(out.len() + frame_bytes);
    }
}

fn seal_by(way: Way, key: &mut [u8; 32], counter: u64, header: &mut FrameHeader, body: Text<'_>) -> [[u8; 16]; 2] {
    if let Some(kernel) = way.kernel {
        return kernel.seal_frame(key, counter, header, body);
    }
    let nonces = Nonces::new(counter);
    let mut blocks = (way.blocks)(key, &nonces.places());
    let [header_key, header_stream, next_key, body_key] = &mut blocks;
    wipe(body_key);
    let header_tag = seal_header(header_key, header_stream, header);
    let mut body_tag = [0; 16];
    library::seal(key, &nonces.body, &[], body, &mut body_tag);
    take_key(key, next_key);
    [header_tag, body_tag]
}

/// The opening of frames, header by header and body by body. In between it holds what was computed together with the
/// header's blocks: most of what a body of usual size needs.
pub struct FrameOpening {
    /// The kernel, and what it knows of the body: empty unless a frame is started.
    kernel: Option<(&'static Kernel, Box<FrameStart>)>,
    /// Without a kernel: who makes the blocks, and the one with the next key, which is zero unless a frame is started.
    blocks: FrameBlocks,
    next_key: Box<Zeroizing<Block>>,
    counter: u64,
    is_started: bool,
}

impl FrameOpening {
    /// No frame is begun.
    pub fn new() -> Self {
        Self::by(Way::of(kernels()))
    }

    fn by(way: Way) -> Self {
        let kernel = way.kernel.map(|kernel| (kernel, Box::new(FrameStart::EMPTY)));
        let next_key = Box::new(Zeroizing::new([0; _]));
        Self { kernel, blocks: way.blocks, next_key, counter: 0, is_started: false }
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
                let mut blocks = (self.blocks)(key, &Nonces::new(counter).places());
                let [header_key, header_stream, next_key, body_key] = &mut blocks;
                **self.next_key = *next_key;
                wipe(next_key);
                wipe(body_key);
                open_header(header_key, header_stream, header, tag).inspect_err(|_| wipe(&mut self.next_key))?;
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
        let opened = library::open(key, &Nonces::new(self.counter).body, &[], body, tag);
        if opened.is_ok() {
            take_key(key, &mut self.next_key);
        }
        wipe(&mut self.next_key);
        opened
    }
}

impl Default for FrameOpening {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
