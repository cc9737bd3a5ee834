//! The kernels of AEZ v5 (sphinx.md 2.5): the algorithm stands once, in `cipher`, over vectors of AES blocks
//! (`super::aes`); each level of CPU brings its own.

mod cipher;
mod entries;

use crate::authentic::OpenError;
use crate::cpu::Proof;
use zeroize::Zeroize;

/// Bytes of a key that is used as it is.
pub const KEY_BYTES: usize = 48;
/// Bytes of the nonce that Sphinx uses.
pub const IV_BYTES: usize = 16;

/// Whether a message is enciphered or deciphered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Encipher,
    Decipher,
}

/// What is hashed into the offset of a message: authenticator length, nonce, associated data.
#[derive(Clone, Copy)]
pub(crate) struct Tweak<'a> {
    tau_bits: u128,
    nonce: &'a [u8],
    ad: &'a [&'a [u8]],
}

/// The offset of a message.
#[derive(Clone, Copy)]
pub(crate) enum Delta<'a> {
    /// That of a nonce of Sphinx's length, without associated data and authenticator.
    Of(&'a [u8; IV_BYTES]),
    /// Any other, as hashed.
    Hashed([u8; 16]),
}

/// The entry points of one level of CPU.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// For 32 bytes or more.
    core: fn(&[u8; KEY_BYTES], Delta<'_>, &mut [u8], Direction),
    /// For 1 to 31 bytes.
    tiny: fn(&[u8; KEY_BYTES], Delta<'_>, &mut [u8], Direction),
    hash: fn(&[u8; KEY_BYTES], &Tweak<'_>) -> [u8; 16],
    prf: fn(&[u8; KEY_BYTES], &[u8; 16], &mut [u8]),
}

/// The entry points for a level.
pub(crate) fn kernel(proof: Proof) -> Kernel {
    match proof {
        Proof::Portable => entries::PORTABLE,
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => entries::aes_ni(token),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => entries::vaes_256(token),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => entries::vaes_512(token),
    }
}

impl Kernel {
    pub(crate) fn cipher(&self, key: &[u8; KEY_BYTES], delta: Delta<'_>, data: &mut [u8], direction: Direction) {
        match data.len() {
            0 => {}
            1..32 => (self.tiny)(key, delta, data, direction),
            _ => (self.core)(key, delta, data, direction),
        }
    }

    pub(crate) fn encrypt(
        &self,
        key: &[u8; KEY_BYTES],
        nonce: &[u8],
        ad: &[&[u8]],
        tau_bytes: usize,
        buffer: &mut [u8],
    ) {
        assert!(tau_bytes <= buffer.len(), "the buffer has room for the authenticator");
        let tweak = Tweak { tau_bits: 8 * tau_bytes as u128, nonce, ad };
        let (message, room) = buffer.split_at_mut(buffer.len() - tau_bytes);
        if message.is_empty() {
            (self.prf)(key, &(self.hash)(key, &tweak), room);
        } else {
            room.fill(0);
            self.cipher(key, Delta::Hashed((self.hash)(key, &tweak)), buffer, Direction::Encipher);
        }
    }

    pub(crate) fn decrypt(
        &self,
        key: &[u8; KEY_BYTES],
        nonce: &[u8],
        ad: &[&[u8]],
        tau_bytes: usize,
        buffer: &mut [u8],
    ) -> Result<(), OpenError> {
        let tweak = Tweak { tau_bits: 8 * tau_bytes as u128, nonce, ad };
        let Some(message_bytes) = buffer.len().checked_sub(tau_bytes) else {
            buffer.zeroize();
            return Err(OpenError);
        };
        let mut difference = 0;
        if message_bytes == 0 {
            let delta = (self.hash)(key, &tweak);
            // One block at a time, so that nothing is allocated whatever the authenticator's length.
            for (index, chunk) in buffer.chunks_mut(16).enumerate() {
                let mut expected = [0; 16];
                let counter = u128::from_be_bytes(delta) ^ index as u128;
                (self.prf)(key, &counter.to_be_bytes(), &mut expected[..chunk.len()]);
                difference |= chunk.iter().zip(expected).fold(0, |all, (byte, expected)| all | (*byte ^ expected));
            }
            buffer.zeroize();
        } else {
            self.cipher(key, Delta::Hashed((self.hash)(key, &tweak)), buffer, Direction::Decipher);
            difference = buffer[message_bytes..].iter().fold(0, |all, byte| all | byte);
        }
        if difference == 0 {
            Ok(())
        } else {
            buffer.zeroize();
            Err(OpenError)
        }
    }
}

#[cfg(test)]
mod tests;
