//! ChaCha20-Poly1305 (RFC 8439) in place with a detached tag: by the kernels of the CPU's level, or by aws-lc. The link's
//! key changes with every frame, so nothing may be allocated or prepared per key.

pub(crate) mod library;

use crate::authentic::OpenError;
use crate::dispatch::kernels;
use crate::kernels::chacha20poly1305::Text;

/// ChaCha20-Poly1305 with a 12-byte nonce and a 16-byte tag.
#[derive(Clone, Copy, Debug)]
pub struct ChaChaPoly;

impl ChaChaPoly {
    /// Bytes of a key.
    pub const KEY_BYTES: usize = 32;
    /// Bytes of a nonce.
    pub const NONCE_BYTES: usize = 12;
    /// Bytes of a tag.
    pub const TAG_BYTES: usize = 16;

    /// Encrypts `buffer` in place and writes its tag.
    pub fn seal_in_place(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8], tag: &mut [u8; 16]) {
        match &kernels().chacha20poly1305 {
            Some(kernel) => *tag = kernel.seal(key, nonce, ad, buffer),
            None => library::seal(key, nonce, ad, Text::in_place(buffer), tag),
        }
    }

    /// Checks the tag and decrypts `buffer` in place. When the tag is wrong, `buffer` holds nothing of the plaintext.
    pub fn open_in_place(
        key: &[u8; 32],
        nonce: &[u8; 12],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), OpenError> {
        match &kernels().chacha20poly1305 {
            Some(kernel) => kernel.open(key, nonce, ad, buffer, tag),
            None => library::open(key, nonce, ad, Text::in_place(buffer), tag),
        }
    }
}

/// One 64-byte block of the ChaCha20 keystream (RFC 8439 2.3).
pub fn chacha20_block(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [u8; 64] {
    let [block] = library::blocks(key, counter, nonce);
    block
}
