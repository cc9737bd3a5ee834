//! What a peer knows a stateless reset by (RFC 9000, 10.3): a token for each id that a listener gives out.
//!
//! A process that was killed has said no goodbye, and the next one can answer with nothing but that token. So the tokens follow
//! from a secret that outlives the process: its peers learn at their next datagram that the connection is gone, and not after
//! 30 s. They follow from shard and socket as well: who does not know a connection tells its token to anybody, and a copy of one of
//! its datagrams, sent to another socket, must not bring the token of a connection that lives (RFC 9000, 21.11).

use crate::profile::ProfileError;
use quinn_proto::crypto::{CryptoError, HmacKey};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::tls13::HkdfExpander;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// What keeps the tokens apart from anything else that is made of the secret.
const PURPOSE: &[u8] = b"katzensprung: stateless reset";
/// The library takes the first 16 of them.
const BYTES: usize = 32;

/// Makes the tokens of one shard.
#[derive(Clone)]
pub struct Resets {
    keys: Arc<Keys>,
    shard: Option<u32>,
}

struct Keys {
    /// As long as nothing better is known.
    passing: Box<dyn HkdfExpander>,
    lasting: OnceLock<Box<dyn HkdfExpander>>,
}

impl Resets {
    /// Tokens that nobody makes again, until [`Resets::outlive`].
    pub fn new() -> Result<Self, ProfileError> {
        let mut random = Zeroizing::new([0; BYTES]);
        getrandom::fill(random.as_mut_slice()).map_err(|_| ProfileError::Random)?;
        let passing = key(random.as_slice())?;
        Ok(Self { keys: Arc::new(Keys { passing, lasting: OnceLock::new() }), shard: None })
    }

    /// The same for a shard.
    pub fn of_shard(&self, shard: u32) -> Self {
        Self { keys: Arc::clone(&self.keys), shard: Some(shard) }
    }

    /// From now on tokens follow from `secret`. The first one counts.
    pub fn outlive(&self, secret: &[u8]) -> Result<(), ProfileError> {
        let _counts_no_more = self.keys.lasting.set(key(secret)?);
        Ok(())
    }

    /// For a socket. There is none where it is not said whose the socket is: then nothing keeps its tokens apart from those of others.
    pub fn of_port(&self, place: u32) -> Option<Arc<dyn HmacKey>> {
        let (keys, shard) = (Arc::clone(&self.keys), self.shard?);
        Some(Arc::new(OfPort { keys, shard, place }))
    }
}

fn key(secret: &[u8]) -> Result<Box<dyn HkdfExpander>, ProfileError> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13();
    let suite = suite.ok_or_else(|| ProfileError::Settings("there is no TLS 1.3".into()))?;
    Ok(suite.hkdf_provider.extract_from_secret(Some(PURPOSE), secret))
}

struct OfPort {
    keys: Arc<Keys>,
    shard: u32,
    place: u32,
}

impl HmacKey for OfPort {
    fn sign(&self, id: &[u8], token: &mut [u8]) {
        let key = self.keys.lasting.get().unwrap_or(&self.keys.passing);
        // It is short enough.
        let _expanded = key.expand_slice(&[&self.shard.to_be_bytes(), &self.place.to_be_bytes(), id], token);
    }

    fn signature_len(&self) -> usize {
        BYTES
    }

    fn verify(&self, id: &[u8], token: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; BYTES];
        self.sign(id, &mut expected);
        if token == expected { Ok(()) } else { Err(CryptoError) }
    }
}
