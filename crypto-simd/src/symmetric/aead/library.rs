//! ChaCha20-Poly1305 by aws-lc's raw calls, for which nothing is allocated or prepared per key.

use crate::authentic::OpenError;
use crate::kernels::chacha20poly1305::Text;
use aws_lc_sys::{
    CRYPTO_chacha_20, EVP_AEAD_CTX, EVP_AEAD_CTX_cleanup, EVP_AEAD_CTX_init, EVP_AEAD_CTX_open_gather,
    EVP_AEAD_CTX_seal_scatter, EVP_aead_chacha20_poly1305,
};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// Encrypts a text and writes its tag.
pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], mut text: Text<'_>, tag: &mut [u8; 16]) {
    let bytes = text.len();
    let (from, to) = text.ends();
    let context = Context::new(key);
    let mut tag_bytes = 0;
    // SAFETY: the context is initialised; input and output have as many bytes and are the same or apart, which the call
    // allows; every pointer comes with its own length; no extra input is given.
    let sealed = unsafe {
        EVP_AEAD_CTX_seal_scatter(
            &context.0,
            to,
            tag.as_mut_ptr(),
            &mut tag_bytes,
            tag.len(),
            nonce.as_ptr(),
            nonce.len(),
            from,
            bytes,
            null(),
            0,
            ad.as_ptr(),
            ad.len(),
        )
    };
    // Sealing fails only above 256 GiB or for wrong nonce and tag lengths, which the types exclude.
    assert!(sealed == 1 && tag_bytes == tag.len(), "sealing cannot fail");
}

/// Checks the tag and decrypts a text. When the tag is wrong, nothing of the plaintext is there afterwards.
pub(crate) fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    ad: &[u8],
    mut text: Text<'_>,
    tag: &[u8; 16],
) -> Result<(), OpenError> {
    let bytes = text.len();
    let (from, to) = text.ends();
    let context = Context::new(key);
    // SAFETY: as for sealing; the tag has its own pointer and length.
    let opened = unsafe {
        EVP_AEAD_CTX_open_gather(
            &context.0,
            to,
            nonce.as_ptr(),
            nonce.len(),
            from,
            bytes,
            tag.as_ptr(),
            tag.len(),
            ad.as_ptr(),
            ad.len(),
        )
    };
    if opened == 1 { Ok(()) } else { Err(OpenError) }
}

/// A context that lives on the stack for one call.
struct Context(EVP_AEAD_CTX);

impl Context {
    fn new(key: &[u8; 32]) -> Self {
        let mut context = MaybeUninit::<EVP_AEAD_CTX>::zeroed();
        // SAFETY: the context has room and is written by the call; the key has the length that goes with it; tag
        // length 0 means the default of 16; there is no engine. ChaCha20-Poly1305 keeps its state inside the context,
        // which may therefore be moved.
        unsafe {
            let initialised = EVP_AEAD_CTX_init(
                context.as_mut_ptr(),
                EVP_aead_chacha20_poly1305(),
                key.as_ptr(),
                key.len(),
                0,
                null_mut(),
            );
            assert!(initialised == 1, "a 32-byte key is a ChaCha20-Poly1305 key");
            Self(context.assume_init())
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is initialised and not used again; then its bytes, for which zeros are valid, are wiped.
        unsafe {
            EVP_AEAD_CTX_cleanup(&mut self.0);
            zeroize::zeroize_flat_type(&raw mut self.0);
        }
    }
}

/// Successive blocks of the keystream.
pub(crate) fn blocks<const N: usize>(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [[u8; 64]; N] {
    let mut blocks = [[0; 64]; N];
    // SAFETY: input and output are the same 64 N bytes, which the call allows; key and nonce have 32 and 12 bytes.
    unsafe {
        let bytes = blocks.as_mut_ptr().cast();
        CRYPTO_chacha_20(bytes, bytes, 64 * N, key.as_ptr(), nonce.as_ptr(), counter);
    }
    blocks
}
