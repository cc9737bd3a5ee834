//! The client's half of talking to directory authorities (pki.md 12): whom to expect at the other end, what their
//! answers mean, and when to try again. Connections themselves are the caller's.

#[cfg(test)]
mod tests;

use crate::document::{Consensus, DocumentError};
use crate::epoch::{Epoch, EpochTime};
use crate::identity::VerifyingKey;
use crypto_simd::random::Random;
use std::sync::Arc;
use std::time::Duration;

/// Tries after the first one to connect to an authority (pki.md 12.1).
pub const CONNECT_RETRIES_MAX: u32 = 20;
/// The most authorities that are accepted in one configuration.
pub const AUTHORITIES_MAX: usize = 256;

/// One configured authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its identifier, for logs.
    pub name: String,
    /// Its identity key.
    pub identity: VerifyingKey,
    /// Its binary link key.
    pub link_key: Vec<u8>,
    /// Its URLs.
    pub addresses: Vec<String>,
}

/// Why a list of authorities is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// No authority.
    #[error("no authority is configured")]
    None,
    /// More than [`AUTHORITIES_MAX`].
    #[error("more than {AUTHORITIES_MAX} authorities are configured")]
    TooMany,
    /// Two with one identity key, which would count twice towards the threshold.
    #[error("authorities {0:?} and {1:?} have the same identity key")]
    Twice(String, String),
}

/// The configured authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    list: Vec<Authority>,
    keys: Vec<VerifyingKey>,
}

impl Authorities {
    /// A list with at least one entry and distinct identity keys.
    pub fn new(list: Vec<Authority>) -> Result<Self, AuthoritiesError> {
        if list.is_empty() {
            return Err(AuthoritiesError::None);
        }
        if list.len() > AUTHORITIES_MAX {
            return Err(AuthoritiesError::TooMany);
        }
        for (index, authority) in list.iter().enumerate() {
            if let Some(other) = list.iter().take(index).find(|other| other.identity.id() == authority.identity.id()) {
                return Err(AuthoritiesError::Twice(other.name.clone(), authority.name.clone()));
            }
        }
        let keys = list.iter().map(|authority| authority.identity.clone()).collect();
        Ok(Self { list, keys })
    }

    /// All authorities; an authority's position is its number in [`FetchPass`] and [`crate::publish`].
    pub fn list(&self) -> &[Authority] {
        &self.list
    }

    /// Their identity keys, in the same order.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// How many of them decide: more than half.
    pub fn threshold(&self) -> usize {
        threshold(self.list.len())
    }
}

/// More than half of `authorities`.
pub fn threshold(authorities: usize) -> usize {
    authorities / 2 + 1
}

impl Authority {
    /// Whether the peer at the other end is this authority (wire.md 5.9).
    pub fn is_peer(&self, additional_data: &[u8], link_key: &[u8]) -> bool {
        additional_data == self.identity.id() && link_key == self.link_key
    }
}

/// The code of an answer to GetConsensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsensusCode {
    /// The document follows.
    Ok,
    /// Not there, but it may come.
    NotFound,
    /// It will never exist.
    Gone,
}

/// The code of an answer to a posted descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorCode {
    /// Stored.
    Ok,
    /// Not acceptable.
    Invalid,
    /// There is one for this epoch already. The reference's authorities say so even to an identical one (pki.md 8.5).
    Conflict,
    /// Not authorised.
    Forbidden,
}

impl ConsensusCode {
    /// The meaning of a code on the wire.
    pub fn from_wire(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Ok,
            1 => Self::NotFound,
            2 => Self::Gone,
            _ => return None,
        })
    }
}

impl DescriptorCode {
    /// The meaning of a code on the wire.
    pub fn from_wire(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Ok,
            1 => Self::Invalid,
            2 => Self::Conflict,
            3 => Self::Forbidden,
            _ => return None,
        })
    }
}

/// What the authorities said in one pass that brought no document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Said that there will never be a document.
    pub gone: usize,
    /// Said that there is none yet.
    pub not_found: usize,
    /// Sent something that does not verify, or an unknown code.
    pub invalid: usize,
    /// Could not be reached or did not answer.
    pub unreachable: usize,
}

/// Verifies fetched documents: what does not change from one fetch to the next.
#[derive(Clone, Debug)]
pub struct DocumentVerifier {
    /// The configured authorities.
    pub authorities: Arc<Authorities>,
    /// The hash of the configured Sphinx geometry.
    pub geometry_hash: [u8; 32],
}

impl DocumentVerifier {
    /// The consensus for `wanted`, if `raw` is one.
    pub fn verify(&self, raw: Arc<[u8]>, wanted: Epoch, now: Epoch) -> Result<Consensus, DocumentError> {
        let authorities = &self.authorities;
        Consensus::verify(raw, authorities.keys(), authorities.threshold(), wanted, &self.geometry_hash, now)
    }
}

/// What one answer means for a pass.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The document: the pass is over, and the other fetches may be cancelled.
    Document(Box<Consensus>),
    /// Nothing of use; wait for the others.
    Useless(Option<DocumentError>),
}

/// One pass over all authorities for one epoch's document: the first good answer wins (pki.md 12.2).
#[derive(Clone, Debug)]
pub struct FetchPass {
    epoch: Epoch,
    answered: Vec<bool>,
    answers: Answers,
}

impl FetchPass {
    /// A pass over `authorities` authorities for the document of `epoch`.
    pub fn new(epoch: Epoch, authorities: usize) -> Self {
        Self { epoch, answered: vec![false; authorities], answers: Answers::default() }
    }

    /// An authority's answer; a second one of the same authority counts for nothing but its document.
    pub fn handle_answer(
        &mut self,
        authority: usize,
        code: Option<ConsensusCode>,
        payload: Arc<[u8]>,
        verifier: &DocumentVerifier,
        now: &EpochTime,
    ) -> Answer {
        let mut reason = None;
        let count = match code {
            Some(ConsensusCode::Ok) => match verifier.verify(payload, self.epoch, now.epoch) {
                Ok(consensus) => return Answer::Document(Box::new(consensus)),
                Err(error) => {
                    reason = Some(error);
                    &mut self.answers.invalid
                }
            },
            Some(ConsensusCode::NotFound) => &mut self.answers.not_found,
            Some(ConsensusCode::Gone) => &mut self.answers.gone,
            None => &mut self.answers.invalid,
        };
        if let Some(answered @ false) = self.answered.get_mut(authority) {
            *answered = true;
            *count += 1;
        }
        Answer::Useless(reason)
    }

    /// An authority that could not be reached or did not answer.
    pub fn handle_unreachable(&mut self, authority: usize) {
        if let Some(answered @ false) = self.answered.get_mut(authority) {
            *answered = true;
            self.answers.unreachable += 1;
        }
    }

    /// What was said, those who have not answered counted as unreachable.
    pub fn answers(&self) -> Answers {
        let silent = self.answered.iter().filter(|answered| !**answered).count();
        Answers { unreachable: self.answers.unreachable + silent, ..self.answers }
    }
}

/// The delay before try `retry` (from 1) to connect to an authority: 10 ms doubling up to 3 s, by a fifth more or less
/// (pki.md 9.7, 12.4).
pub fn connect_retry_delay(retry: u32, random: &mut dyn Random) -> Duration {
    let base = Duration::from_millis(10).saturating_mul(1 << retry.saturating_sub(1).min(16));
    spread(base.min(Duration::from_secs(3)), 0.2, random)
}

/// The delay before posting again to an authority after `failures` failed tries: 2, 4, 8, 16, 20, 20 … s.
pub fn post_retry_delay(failures: u32) -> Duration {
    Duration::from_secs((1 << failures.clamp(1, 5)).min(20))
}

/// `base` times a random factor in `[1 - width, 1 + width)`.
pub(crate) fn spread(base: Duration, width: f64, random: &mut dyn Random) -> Duration {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let unit = f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0);
    base.mul_f64(1.0 - width + 2.0 * width * unit)
}
