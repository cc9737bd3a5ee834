//! aws-lc, called as cheaply as its interface allows: one-shot calls, no context on the heap, nothing wiped.

use aws_lc_sys::{
    AES_KEY, AES_ctr128_encrypt, AES_set_encrypt_key, CRYPTO_chacha_20, EVP_AEAD_CTX, EVP_AEAD_CTX_cleanup,
    EVP_AEAD_CTX_init, EVP_AEAD_CTX_open_gather, EVP_AEAD_CTX_seal_scatter, EVP_aead_chacha20_poly1305, EVP_sha256,
    HKDF_expand, HMAC, SHA512_256, X25519,
};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// `private · public`; none if the product is zero.
#[inline]
pub fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    let mut product = [0; 32];
    // SAFETY: all three pointers have 32 bytes.
    let contributory = unsafe { X25519(product.as_mut_ptr(), private.as_ptr(), public.as_ptr()) };
    (contributory == 1).then_some(product)
}

/// HMAC-SHA-256.
#[inline]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    let mut tag_bytes = 0;
    // SAFETY: key and message come with their lengths, a tag of SHA-256 has the 32 bytes that there are.
    unsafe {
        let key_bytes = key.as_ptr().cast();
        HMAC(EVP_sha256(), key_bytes, key.len(), message.as_ptr(), message.len(), tag.as_mut_ptr(), &mut tag_bytes)
    };
    tag
}

/// HKDF-Expand with SHA-256.
#[inline]
pub fn hkdf_expand_sha256(prk: &[u8], info: &[u8], output: &mut [u8]) {
    // SAFETY: every pointer comes with its own length.
    let expanded = unsafe {
        HKDF_expand(output.as_mut_ptr(), output.len(), EVP_sha256(), prk.as_ptr(), prk.len(), info.as_ptr(), info.len())
    };
    assert_eq!(expanded, 1, "HKDF fails only for more than 8160 bytes");
}

/// SHA-512/256.
#[inline]
pub fn sha512_256(message: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    // SAFETY: the message comes with its length, the digest has 32 bytes.
    unsafe { SHA512_256(message.as_ptr(), message.len(), digest.as_mut_ptr()) };
    digest
}

/// XORs the AES-256 counter keystream into `data`.
#[inline]
pub fn aes256_ctr_xor(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut schedule = MaybeUninit::<AES_KEY>::uninit();
    let (mut counter, mut unused, mut unused_bytes) = (*iv, [0; 16], 0);
    // SAFETY: the key has 256 bits, the first call writes the schedule before the second reads it; `data` may be input
    // and output at once; `counter` and `unused` have 16 bytes.
    unsafe {
        AES_set_encrypt_key(key.as_ptr(), 256, schedule.as_mut_ptr());
        AES_ctr128_encrypt(
            data.as_ptr(),
            data.as_mut_ptr(),
            data.len(),
            schedule.as_ptr(),
            counter.as_mut_ptr(),
            unused.as_mut_ptr(),
            &mut unused_bytes,
        );
    }
}

/// A block of the ChaCha20 keystream.
#[inline]
pub fn chacha20_block(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [u8; 64] {
    let mut block = [0; 64];
    // SAFETY: input and output are the same 64 bytes, which the call allows; key and nonce have 32 and 12 bytes.
    unsafe {
        let bytes = block.as_mut_ptr();
        CRYPTO_chacha_20(bytes, bytes, block.len(), key.as_ptr(), nonce.as_ptr(), counter);
    }
    block
}

/// ChaCha20-Poly1305: encrypts in place and gives the tag.
#[inline]
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], buffer: &mut [u8]) -> [u8; 16] {
    let mut context = chacha20_poly1305(key);
    let (mut tag, mut tag_bytes) = ([0; 16], 0);
    // SAFETY: the context is initialised and cleaned up once; input and output are the same buffer, which the call
    // allows; every pointer comes with its own length; no extra input and no associated data are given.
    unsafe {
        let sealed = EVP_AEAD_CTX_seal_scatter(
            &context,
            buffer.as_mut_ptr(),
            tag.as_mut_ptr(),
            &mut tag_bytes,
            tag.len(),
            nonce.as_ptr(),
            nonce.len(),
            buffer.as_ptr(),
            buffer.len(),
            null(),
            0,
            null(),
            0,
        );
        assert_eq!(sealed, 1, "sealing fails only for lengths that the types exclude");
        EVP_AEAD_CTX_cleanup(&mut context);
    }
    tag
}

/// ChaCha20-Poly1305: checks the tag and decrypts in place; whether the tag was right.
#[inline]
pub fn open(key: &[u8; 32], nonce: &[u8; 12], buffer: &mut [u8], tag: &[u8; 16]) -> bool {
    let mut context = chacha20_poly1305(key);
    // SAFETY: as for sealing; the tag has its own pointer and length.
    unsafe {
        let opened = EVP_AEAD_CTX_open_gather(
            &context,
            buffer.as_mut_ptr(),
            nonce.as_ptr(),
            nonce.len(),
            buffer.as_ptr(),
            buffer.len(),
            tag.as_ptr(),
            tag.len(),
            null(),
            0,
        );
        EVP_AEAD_CTX_cleanup(&mut context);
        opened == 1
    }
}

fn chacha20_poly1305(key: &[u8; 32]) -> EVP_AEAD_CTX {
    let mut context = MaybeUninit::<EVP_AEAD_CTX>::zeroed();
    // SAFETY: the context has room and is written by the call; the key has the length that goes with it; tag length 0
    // means 16; there is no engine. The cipher keeps its state inside the context, which may therefore be moved.
    unsafe {
        let aead = EVP_aead_chacha20_poly1305();
        let initialised = EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, key.as_ptr(), key.len(), 0, null_mut());
        assert_eq!(initialised, 1, "a 32-byte key is a ChaCha20-Poly1305 key");
        context.assume_init()
    }
}
