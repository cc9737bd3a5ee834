//! One direction's cipher state: ChaCha20-Poly1305 under a counter, and whole frames with their rekey (wire.md 2.4).

use crate::sizes::TAG_BYTES;
use crypto_simd::symmetric::frame::nonce_of;
use crypto_simd::symmetric::{ChaChaPoly, FrameHeader, FrameOpening, seal_frame, seal_frame_onto};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why nothing was sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CipherError {
    Tag,
    NonceExhausted,
}

#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct CipherState {
    key: [u8; 32],
    counter: u64,
}

impl CipherState {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0 }
    }

    /// Encrypts in place, gives the tag, counts.
    pub(crate) fn seal(&mut self, associated: &[u8], bytes: &mut [u8]) -> Result<[u8; TAG_BYTES], CipherError> {
        let nonce = self.nonce()?;
        let mut tag = [0; TAG_BYTES];
        ChaChaPoly::seal_in_place(&self.key, &nonce, associated, bytes, &mut tag);
        self.counter += 1;
        Ok(tag)
    }

    /// Decrypts in place; a wrong tag leaves the counter where it was.
    pub(crate) fn open(
        &mut self,
        associated: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), CipherError> {
        let nonce = self.nonce()?;
        ChaChaPoly::open_in_place(&self.key, &nonce, associated, bytes, tag).map_err(|_| CipherError::Tag)?;
        self.counter += 1;
        Ok(())
    }

    /// Encrypts header and body of a frame in place, gives their tags, counts both, and takes the key for the next frame.
    pub(crate) fn seal_frame(
        &mut self,
        header: &mut FrameHeader,
        body: &mut [u8],
    ) -> Result<[[u8; TAG_BYTES]; 2], CipherError> {
        if self.counter >= u64::MAX - 1 {
            return Err(CipherError::NonceExhausted);
        }
        let tags = seal_frame(&mut self.key, self.counter, header, body);
        self.counter += 2;
        Ok(tags)
    }

    /// The same behind `out`, with a body that stays as it is.
    pub(crate) fn seal_frame_onto(
        &mut self,
        header: &FrameHeader,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CipherError> {
        if self.counter >= u64::MAX - 1 {
            return Err(CipherError::NonceExhausted);
        }
        seal_frame_onto(&mut self.key, self.counter, header, body, out);
        self.counter += 2;
        Ok(())
    }

    /// Decrypts a frame's header in place; a wrong tag leaves the counter where it was.
    pub(crate) fn open_header(
        &mut self,
        opening: &mut FrameOpening,
        header: &mut FrameHeader,
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), CipherError> {
        if self.counter >= u64::MAX - 1 {
            return Err(CipherError::NonceExhausted);
        }
        opening.open_header(&self.key, self.counter, header, tag).map_err(|_| CipherError::Tag)?;
        self.counter += 1;
        Ok(())
    }

    /// Decrypts the body of that header in place and takes the key for the next frame; the counter goes on.
    pub(crate) fn open_body(
        &mut self,
        opening: &mut FrameOpening,
        body: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), CipherError> {
        opening.open_body(&mut self.key, body, tag).map_err(|_| CipherError::Tag)?;
        self.counter += 1;
        Ok(())
    }

    /// The same with a body that is read in one place and written in another, which has its length.
    pub(crate) fn open_body_to(
        &mut self,
        opening: &mut FrameOpening,
        sealed: &[u8],
        body: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), CipherError> {
        opening.open_body_to(&mut self.key, sealed, body, tag).map_err(|_| CipherError::Tag)?;
        self.counter += 1;
        Ok(())
    }

    fn nonce(&self) -> Result<[u8; 12], CipherError> {
        match self.counter {
            u64::MAX => Err(CipherError::NonceExhausted),
            counter => Ok(nonce_of(counter)),
        }
    }
}

#[cfg(test)]
impl CipherState {
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    pub(crate) fn at_counter(key: [u8; 32], counter: u64) -> Self {
        Self { key, counter }
    }
}
