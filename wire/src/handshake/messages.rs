//! The four messages in the order of wire.md 3.4; each function does the tokens of one.

use super::payload::Authenticate;
use super::{Handshake, VERSION};
use crate::cipher::CipherError;
use crate::error::HandshakeReason;
use crate::peer::PeerCredentials;
use crate::sizes::{AUTHENTICATE_BYTES, Message, TAG_BYTES};
use crate::symmetric::SymmetricState;
use crypto_simd::random::Random;
use crypto_simd::schemes::{SchemeError, SharedSecret};

impl Handshake {
    pub(super) fn write_message_1(&mut self, random: &mut dyn Random) -> Result<(), HandshakeReason> {
        let ephemeral = self.kem.load(&self.kem.generate(random))?;
        self.message.push(VERSION);
        self.message.extend_from_slice(ephemeral.public_key());
        self.symmetric.mix_hash(ephemeral.public_key());
        self.symmetric.mix_hash(&[]);
        self.ephemeral = Some(ephemeral);
        Ok(())
    }

    pub(super) fn read_message_1(&mut self, bytes: &[u8]) -> Result<(), HandshakeReason> {
        let Some((&received, public_key)) = bytes.split_first() else { return Err(HandshakeReason::InvalidState) };
        if received != VERSION {
            return Err(HandshakeReason::Version { expected: VERSION, received });
        }
        self.kem.check_public_key(public_key)?;
        self.symmetric.mix_hash(public_key);
        self.symmetric.mix_hash(&[]);
        Ok(())
    }

    pub(super) fn write_message_2(
        &mut self,
        ephemeral_public_key: &[u8],
        unix_seconds: u64,
        random: &mut dyn Random,
    ) -> Result<(), HandshakeReason> {
        self.message.clear();
        self.message.resize(self.kem.info().ciphertext_bytes, 0);
        let mut secret = SharedSecret::default();
        self.kem.encapsulate(ephemeral_public_key, random, &mut self.message, &mut secret)?;
        self.symmetric.mix_hash(&self.message);
        self.symmetric.mix_key(secret.as_bytes());
        self.append_static_key_and_authenticate(unix_seconds)
    }

    pub(super) fn read_message_2(&mut self, bytes: &mut [u8], unix_seconds: u64) -> Result<(), HandshakeReason> {
        let (ciphertext, mut rest) = split(bytes, self.kem.info().ciphertext_bytes)?;
        self.symmetric.mix_hash(ciphertext);
        let ephemeral = self.ephemeral.take().ok_or(HandshakeReason::InvalidState)?;
        let secret = ephemeral.decapsulate(ciphertext)?;
        self.symmetric.mix_key(secret.as_bytes());
        let responder_unix_seconds = self.open_static_key_and_authenticate(&mut rest)?;
        let local = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
        self.clock_skew = Some(local.saturating_sub(responder_unix_seconds.into()));
        Ok(())
    }

    pub(super) fn read_message_3(&mut self, bytes: &mut [u8]) -> Result<(), HandshakeReason> {
        let mut rest = bytes;
        self.open_static_encapsulation(&mut rest)?;
        self.open_static_key_and_authenticate(&mut rest).map(|_zero| ())
    }

    pub(super) fn read_message_4(&mut self, bytes: &mut [u8]) -> Result<(), HandshakeReason> {
        let mut rest = bytes;
        self.open_static_encapsulation(&mut rest)?;
        open(&mut self.symmetric, &mut rest, 0).map(|_empty| ())
    }

    /// Messages 3 and 4: `skem`, then the initiator's static key and authenticate message, or the empty payload.
    pub(super) fn write_after_authentication(
        &mut self,
        message: Message,
        random: &mut dyn Random,
    ) -> Result<(), HandshakeReason> {
        let peer = self.peer.as_ref().ok_or(HandshakeReason::InvalidState)?;
        self.message.clear();
        self.message.resize(self.kem.info().ciphertext_bytes, 0);
        let mut secret = SharedSecret::default();
        self.kem.encapsulate(&peer.public_key, random, &mut self.message, &mut secret)?;
        let tag = self.symmetric.encrypt_and_hash(&mut self.message)?;
        self.message.extend_from_slice(&tag);
        self.symmetric.mix_key_and_hash(secret.as_bytes());
        if message == Message::Three {
            // An initiator never tells its clock.
            return self.append_static_key_and_authenticate(0);
        }
        let tag = self.symmetric.encrypt_and_hash(&mut [])?;
        self.message.extend_from_slice(&tag);
        Ok(())
    }

    fn append_static_key_and_authenticate(&mut self, unix_seconds: u64) -> Result<(), HandshakeReason> {
        append(&mut self.symmetric, &mut self.message, self.static_key.public_key())?;
        // The field has 32 bits; the reference truncates as well.
        let authenticate = Authenticate::encode(&self.additional_data, unix_seconds as u32);
        append(&mut self.symmetric, &mut self.message, &authenticate)
    }

    /// Remembers the peer; gives its clock.
    fn open_static_key_and_authenticate(&mut self, rest: &mut &mut [u8]) -> Result<u32, HandshakeReason> {
        let public_key = open(&mut self.symmetric, rest, self.kem.info().public_key_bytes)?;
        self.kem.check_public_key(public_key)?;
        let payload = open(&mut self.symmetric, rest, AUTHENTICATE_BYTES)?;
        let authenticate = Authenticate::parse(payload).ok_or(HandshakeReason::Tag)?;
        self.peer = Some(PeerCredentials {
            additional_data: authenticate.additional_data.to_vec(),
            public_key: public_key.to_vec(),
        });
        Ok(authenticate.unix_seconds)
    }

    fn open_static_encapsulation(&mut self, rest: &mut &mut [u8]) -> Result<(), HandshakeReason> {
        let ciphertext = open(&mut self.symmetric, rest, self.kem.info().ciphertext_bytes)?;
        let secret = self.static_key.decapsulate(ciphertext)?;
        self.symmetric.mix_key_and_hash(secret.as_bytes());
        Ok(())
    }
}

/// Appends `plaintext`, encrypted, and its tag.
fn append(symmetric: &mut SymmetricState, message: &mut Vec<u8>, plaintext: &[u8]) -> Result<(), HandshakeReason> {
    let start = message.len();
    message.extend_from_slice(plaintext);
    let tag = symmetric.encrypt_and_hash(&mut message[start..])?;
    message.extend_from_slice(&tag);
    Ok(())
}

/// Opens the next `bytes` bytes and their tag in place, and moves `rest` behind them.
fn open<'a>(
    symmetric: &mut SymmetricState,
    rest: &mut &'a mut [u8],
    bytes: usize,
) -> Result<&'a mut [u8], HandshakeReason> {
    let (part, behind) = split(std::mem::take(rest), bytes)?;
    let (tag, behind) = behind.split_first_chunk_mut::<TAG_BYTES>().ok_or(HandshakeReason::Tag)?;
    *rest = behind;
    symmetric.decrypt_and_hash(part, tag)?;
    Ok(part)
}

fn split(bytes: &mut [u8], at: usize) -> Result<(&mut [u8], &mut [u8]), HandshakeReason> {
    let actual = bytes.len();
    bytes.split_at_mut_checked(at).ok_or(HandshakeReason::Size { expected: at, actual })
}

impl From<SchemeError> for HandshakeReason {
    fn from(error: SchemeError) -> Self {
        Self::Kem(error)
    }
}

impl From<CipherError> for HandshakeReason {
    fn from(_: CipherError) -> Self {
        // A handshake makes at most three operations per key, so it cannot run out of nonces.
        Self::Tag
    }
}
