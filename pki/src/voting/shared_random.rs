//! Shared random (pki.md 6): commits, reveals, whose of them count (pki.md 10.2), and the values made of them
//! (pki.md 10.7).

use super::round::Contribution;
use crate::certificate::{Certificate, CertificateError};
use crate::epoch::{Epoch, WEEK_OF_EPOCHS};
use crate::identity::{NodeId, VerifyingKey, hash};
use crypto_simd::random::Random;
use crypto_simd::schemes::SignatureSigningKey;
use std::collections::BTreeMap;

/// Bytes of a commit or reveal: epoch and hash.
pub(super) const PART_BYTES: usize = 40;
/// A commit or a reveal.
pub(super) type Part = [u8; PART_BYTES];
/// A shared random before there was one.
pub(super) const NONE: [u8; 32] = [0; 32];

const LABEL: &[u8] = b"shared-random";

/// The reveal that hides nothing but the hash of what was drawn.
fn reveal_of(epoch: Epoch, drawn: &[u8; 32]) -> Part {
    part(epoch, &hash(drawn))
}

/// The commit to a reveal.
fn commit_to(reveal: &Part) -> Part {
    let (epoch, _) = split(reveal);
    part(epoch, &hash(reveal))
}

fn part(epoch: Epoch, hash: &[u8; 32]) -> Part {
    let mut part = [0; PART_BYTES];
    part[..8].copy_from_slice(&epoch.0.to_be_bytes());
    part[8..].copy_from_slice(hash);
    part
}

/// Epoch and hash of a commit or reveal.
pub(super) fn split(part: &Part) -> (Epoch, [u8; 32]) {
    let (mut epoch, mut hash) = ([0; 8], [0; 32]);
    epoch.copy_from_slice(&part[..8]);
    hash.copy_from_slice(&part[8..]);
    (Epoch(u64::from_be_bytes(epoch)), hash)
}

/// A signed commit and the signed reveal that opens it.
pub(super) struct Pair {
    pub(super) commit: Vec<u8>,
    pub(super) reveal: Vec<u8>,
}

/// A new commit for `epoch` with its reveal.
pub(super) fn commit(
    epoch: Epoch,
    key_type: &str,
    signer: &dyn SignatureSigningKey,
    now: Epoch,
    random: &mut dyn Random,
) -> Result<Pair, CertificateError> {
    let mut drawn = [0; 32];
    random.fill(&mut drawn);
    let reveal = reveal_of(epoch, &drawn);
    let mut sign = |part: Part| -> Result<Vec<u8>, CertificateError> {
        let mut certificate = Certificate::new(key_type, part.into(), epoch);
        certificate.sign(signer, now, random)?;
        Ok(certificate.encode())
    };
    Ok(Pair { commit: sign(commit_to(&reveal))?, reveal: sign(reveal)? })
}

/// The value of `epoch` (pki.md 6). `previous` is the one of the epoch before, zero if there is none.
fn value(epoch: Epoch, reveals: &BTreeMap<NodeId, Part>, previous: &[u8; 32]) -> [u8; 32] {
    let mut entries: Vec<_> = reveals.iter().collect();
    entries.sort_by(|(_, a), (_, b)| b.cmp(a));
    let mut input = Vec::with_capacity(LABEL.len() + 8 + entries.len() * (32 + PART_BYTES) + 32);
    input.extend_from_slice(LABEL);
    input.extend_from_slice(&epoch.0.to_be_bytes());
    for (id, reveal) in entries {
        input.extend_from_slice(id);
        input.extend_from_slice(reveal);
    }
    input.extend_from_slice(previous);
    hash(&input)
}

/// Why an authority is struck from the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Strike {
    /// Its certificate names a commit of somebody who is no authority.
    #[error("its certificate has a commit of somebody unknown")]
    Unknown,
    /// Its certificate has a commit that does not verify.
    #[error("its certificate has a commit that does not verify")]
    Commit,
    /// Its certificate has a commit without a reveal.
    #[error("its certificate has a commit without its reveal")]
    RevealMissing,
    /// Its certificate has a reveal that does not verify.
    #[error("its certificate has a reveal that does not verify")]
    Reveal,
    /// A commit for another epoch, or one that its reveal does not open: whoever made it and whoever passed it on.
    #[error("a commit is for another epoch or not opened by its reveal")]
    Unopened,
    /// It has committed to, or revealed, different values towards different authorities.
    #[error("it has sent different commits or reveals to different authorities")]
    Split,
}

/// Which authorities' reveals count, and which were struck.
#[derive(Debug, Default)]
pub(super) struct Counted {
    reveals: BTreeMap<NodeId, Part>,
    pub(super) struck: BTreeMap<NodeId, Strike>,
}

impl Counted {
    /// How many count.
    pub(super) fn len(&self) -> usize {
        self.reveals.len()
    }

    /// The shared random that they make.
    pub(super) fn value(&self, epoch: Epoch, previous: &[u8; 32]) -> [u8; 32] {
        value(epoch, &self.reveals, previous)
    }
}

/// The set that counts by what all certificates hold, in a fixed order of certificates and entries: the reference goes
/// through them in a random one, and for honest input it makes no difference (pki.md 10.2).
pub(super) fn counted(
    certificates: &[(NodeId, &Contribution)],
    keys: &[VerifyingKey],
    epoch: Epoch,
    now: Epoch,
) -> Counted {
    let mut set = Counting { keys, epoch, now, ..Counting::default() };
    for (author, contribution) in certificates {
        if !set.struck.contains_key(author) {
            set.count(author, contribution);
        }
    }
    let struck = set.struck;
    let seen = set.seen.into_iter().filter(|(id, _)| !struck.contains_key(id));
    Counted { reveals: seen.map(|(id, (_, _, reveal))| (id, reveal)).collect(), struck }
}

#[derive(Default)]
struct Counting<'a> {
    keys: &'a [VerifyingKey],
    epoch: Epoch,
    now: Epoch,
    /// Commit and reveal as first seen, and what the reveal says.
    seen: BTreeMap<NodeId, (&'a [u8], &'a [u8], Part)>,
    struck: BTreeMap<NodeId, Strike>,
    /// What has verified: all certificates hold the same bytes.
    verified: BTreeMap<(NodeId, &'a [u8]), Option<Part>>,
}

impl<'a> Counting<'a> {
    fn count(&mut self, author: &NodeId, contribution: &'a Contribution) {
        for (id, commit) in &contribution.commits {
            if self.struck.contains_key(id) {
                continue;
            }
            match self.opened(id, commit, contribution.reveals.get(id).map(Vec::as_slice)) {
                Err(strike) => {
                    if strike == Strike::Unopened {
                        self.struck.entry(*id).or_insert(strike);
                    }
                    self.struck.entry(*author).or_insert(strike);
                    return;
                }
                Ok((reveal, part)) => {
                    let first = *self.seen.entry(*id).or_insert((commit, reveal, part));
                    if (first.0, first.1) != (commit.as_slice(), reveal) {
                        self.struck.entry(*id).or_insert(Strike::Split);
                    }
                }
            }
        }
    }

    fn opened(&mut self, id: &NodeId, commit: &'a [u8], reveal: Option<&'a [u8]>) -> Result<(&'a [u8], Part), Strike> {
        if !self.keys.iter().any(|key| key.id() == id) {
            return Err(Strike::Unknown);
        }
        let commit = self.verified(id, commit).ok_or(Strike::Commit)?;
        let reveal = reveal.ok_or(Strike::RevealMissing)?;
        let part = self.verified(id, reveal).ok_or(Strike::Reveal)?;
        if split(&commit).0 != self.epoch || commit != commit_to(&part) {
            return Err(Strike::Unopened);
        }
        Ok((reveal, part))
    }

    fn verified(&mut self, id: &NodeId, certificate: &'a [u8]) -> Option<Part> {
        let (keys, now) = (self.keys, self.now);
        *self.verified.entry((*id, certificate)).or_insert_with(|| {
            let key = keys.iter().find(|key| key.id() == id)?;
            verify(key, certificate, now).ok()
        })
    }
}

/// The content of a commit or reveal certificate that `key` has signed.
pub(super) fn verify(key: &VerifyingKey, certificate: &[u8], now: Epoch) -> Result<Part, PartError> {
    let certificate = Certificate::decode(certificate)?;
    let certified = certificate.verify(key, now)?;
    Part::try_from(certified).map_err(|_| PartError::Length(certified.len()))
}

/// Why bytes are no commit or reveal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// The certificate does not verify.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What is certified is too short or too long.
    #[error("{0} bytes instead of {PART_BYTES}")]
    Length(usize),
}

/// The content's shape, when no key is asked.
pub(super) fn shape(certificate: &[u8]) -> Result<Part, PartError> {
    let certificate = Certificate::decode(certificate)?;
    Part::try_from(certificate.certified.as_slice()).map_err(|_| PartError::Length(certificate.certified.len()))
}

/// The running pair of earlier shared randoms (pki.md 10.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prior(pub(super) Vec<Vec<u8>>);

impl Prior {
    /// After the certificate's document has been made (C). That the weekly rotation comes here as well as in
    /// [`Self::rotate`] leaves zeros in the second place; the reference does so, and everybody has to.
    pub(super) fn begin(&mut self, epoch: Epoch) {
        if self.0.is_empty() {
            self.0 = vec![NONE.into(), NONE.into()];
        } else if epoch.0.is_multiple_of(WEEK_OF_EPOCHS) {
            self.push(&NONE);
        }
    }

    /// Before the consensus is made (D).
    pub(super) fn rotate(&mut self, epoch: Epoch, genesis: Epoch, value: &[u8; 32]) {
        if epoch == genesis {
            self.0 = vec![value.into(), value.into()];
        } else if epoch.0.is_multiple_of(WEEK_OF_EPOCHS) {
            self.push(value);
        }
    }

    fn push(&mut self, value: &[u8; 32]) {
        let before = self.0.first().cloned().unwrap_or_else(|| NONE.into());
        self.0 = vec![value.into(), before];
    }
}

#[cfg(test)]
mod tests;
