//! What outlives a restart (pki.md 11): documents, uploads, and unlike the reference also the round that is under way.

use super::inspect::Content;
use super::message::{Message, MessageKind, Peer, Request};
use super::notice::Notice;
use super::round::Round;
use super::{Output, Voting};
use crate::authority::{ConsensusCode, DocumentVerifier};
use crate::document::{Consensus, Document};
use crate::epoch::{Epoch, EpochTime};
use crate::identity::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Epochs before the current one for which things are kept.
pub(super) const KEPT_EPOCHS: u64 = 3;

/// Where a value is stored. All keys of one epoch go together when it is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKey {
    /// A node's signed upload.
    Descriptor {
        /// For this epoch.
        epoch: Epoch,
        /// The node.
        id: NodeId,
    },
    /// A replica's signed upload.
    ReplicaDescriptor {
        /// For this epoch.
        epoch: Epoch,
        /// The replica.
        id: NodeId,
    },
    /// A consensus certificate.
    Document {
        /// For this epoch.
        epoch: Epoch,
    },
    /// A message of the round for this epoch, own ones included, so that a restart in mid-vote goes on where it was.
    /// The own reveal is secret until it is sent: the store must not be readable by others.
    Message {
        /// The epoch that is voted on.
        epoch: Epoch,
        /// Which message.
        kind: MessageKind,
        /// Its author.
        author: NodeId,
    },
}

impl StoreKey {
    /// The epoch by which it is pruned.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Descriptor { epoch, .. }
            | Self::ReplicaDescriptor { epoch, .. }
            | Self::Document { epoch }
            | Self::Message { epoch, .. } => *epoch,
        }
    }
}

/// The documents that an authority holds; a cheap copy.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    held: Arc<BTreeMap<Epoch, Arc<[u8]>>>,
}

impl Documents {
    /// The answer to GetConsensus (pki.md 8.4), with the document's certificate if the code is `Ok`.
    pub fn answer(&self, epoch: Epoch, now: &EpochTime) -> (ConsensusCode, Option<Arc<[u8]>>) {
        if let Some(raw) = self.held.get(&epoch) {
            return (ConsensusCode::Ok, Some(raw.clone()));
        }
        let is_next = epoch == now.epoch.after(1);
        let is_hopeless = is_next && now.elapsed > now.fraction(7, 8);
        let code = if epoch <= now.epoch || is_hopeless { ConsensusCode::Gone } else { ConsensusCode::NotFound };
        (code, None)
    }

    /// The epochs whose documents are held.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.held.keys().copied()
    }
}

/// A document with its certificate.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) document: Document,
    raw: Arc<[u8]>,
}

impl Voting {
    /// Holds a document, and serves it from now on.
    pub(super) fn hold_document(&mut self, document: Document, raw: Arc<[u8]>) {
        self.documents.insert(document.epoch, Held { document, raw });
        self.renew_documents();
    }

    fn renew_documents(&mut self) {
        let held = self.documents.iter().map(|(epoch, held)| (*epoch, held.raw.clone())).collect();
        self.served = Documents { held: Arc::new(held) };
    }

    /// Takes over what an earlier process stored, as far as it verifies and is of use.
    pub(super) fn restore(&mut self, stored: Vec<(StoreKey, Vec<u8>)>, now: &EpochTime) {
        // Of past epochs, documents alone are of use; nothing else is worth the time to verify it.
        let is_of_use = |key: &StoreKey| match key {
            StoreKey::Document { epoch } => *epoch >= now.epoch.before(KEPT_EPOCHS),
            _ => key.epoch() >= now.epoch,
        };
        let mut messages = Vec::new();
        for (key, value) in stored.into_iter().filter(|(key, _)| is_of_use(key)) {
            let outcome = match key {
                StoreKey::Document { epoch } => self.restore_document(epoch, value.into(), now),
                StoreKey::Descriptor { epoch, id } => {
                    self.restore_upload(Peer::Node(id), Request::PostDescriptor { epoch, payload: value.into() }, now)
                }
                StoreKey::ReplicaDescriptor { epoch, id } => {
                    let request = Request::PostReplicaDescriptor { epoch, payload: value.into() };
                    self.restore_upload(Peer::Replica(id), request, now)
                }
                StoreKey::Message { epoch, kind, author } => {
                    messages.push((epoch, kind, author, value));
                    Ok(())
                }
            };
            if let Err(reason) = outcome {
                self.not_restored(format!("{} of epoch {}", key_name(&key), key.epoch()), reason);
            }
        }
        self.restore_round(messages, now);
    }

    fn not_restored(&mut self, what: String, reason: String) {
        self.pending.push(Output::Notice(Notice::NotRestored { what, reason }));
    }

    fn restore_document(&mut self, epoch: Epoch, raw: Arc<[u8]>, now: &EpochTime) -> Result<(), String> {
        let verifier = DocumentVerifier {
            authorities: self.configuration.authorities.clone(),
            geometry_hash: self.configuration.geometry_hash,
        };
        let consensus: Consensus = verifier.verify(raw, epoch, now.epoch).map_err(|error| error.to_string())?;
        self.hold_document(consensus.document().clone(), consensus.raw().clone());
        Ok(())
    }

    fn restore_upload(&mut self, peer: Peer, request: Request, now: &EpochTime) -> Result<(), String> {
        let (descriptors, replicas) = (&mut self.descriptors, &mut self.replica_descriptors);
        match self.configuration.inspect(&peer, request, now).0 {
            Content::Upload(posted) => {
                let descriptor = posted.descriptor.map_err(|refused| refused.reason)?;
                descriptors.entry(posted.epoch).or_default().insert(posted.id, descriptor);
            }
            Content::ReplicaUpload(posted) => {
                let descriptor = posted.descriptor.map_err(|refused| refused.reason)?;
                replicas.entry(posted.epoch).or_default().insert(posted.id, descriptor);
            }
            Content::GetConsensus(_) | Content::Message(_) => {}
        }
        Ok(())
    }

    /// The round for the next epoch, if there is time left in it.
    fn restore_round(&mut self, mut messages: Vec<(Epoch, MessageKind, NodeId, Vec<u8>)>, now: &EpochTime) {
        let epoch = now.epoch.after(1);
        messages.retain(|(stored, ..)| *stored == epoch);
        if now.elapsed >= now.fraction(5, 8) || self.documents.contains_key(&epoch) {
            return;
        }
        self.voting_epoch = epoch;
        self.round = Round::new(epoch);
        // Each kind needs the one before.
        messages.sort_by_key(|(_, kind, author, _)| (*kind, *author));
        for (_, kind, author, value) in messages {
            let name = self.configuration.authority_name(&author);
            if let Err(reason) = self.restore_message(kind, author, value.into(), now) {
                self.not_restored(format!("{kind} of {name} for epoch {epoch}"), reason);
            }
        }
        let own = *self.configuration.own().identity.id();
        if self.round.votes.contains_key(&own) && self.round.held.reveals.contains_key(&own) {
            self.resume(now);
        }
    }

    fn restore_message(
        &mut self,
        kind: MessageKind,
        author: NodeId,
        payload: Arc<[u8]>,
        now: &EpochTime,
    ) -> Result<(), String> {
        let keys = self.configuration.authorities.keys();
        let key = keys.iter().find(|key| *key.id() == author).ok_or("its author is no configured authority")?;
        let message = Message { kind, epoch: self.voting_epoch, public_key: key.bytes().into(), payload };
        let received = self.configuration.inspect_message(message, now.epoch);
        let body = received.body.map_err(|refused| refused.reason)?;
        if author == *self.configuration.own().identity.id() {
            match kind {
                MessageKind::Vote => self.own_vote = Some(received.payload.clone()),
                MessageKind::Certificate => {
                    self.round.has_own_certificate = true;
                    return Ok(());
                }
                // The own consensus is made again: the same from the same messages.
                MessageKind::Signature => return Ok(()),
                MessageKind::Reveal => {}
            }
        }
        self.hold_message(author, body, &received.payload);
        Ok(())
    }

    /// Lets go of what is too old, in memory and in the store. One look at a clock that jumps must not cost everything:
    /// what is too old is known by the newest document, on whose epoch others have agreed, or by a clock that has stood
    /// there for a while.
    pub(super) fn prune(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) {
        let stood = self.watch.look(now.epoch).then_some(now.epoch);
        let agreed = self.documents.range(..=now.epoch.after(1)).next_back().map(|(epoch, _)| *epoch);
        let Some(present) = stood.max(agreed.map(|agreed| agreed.min(now.epoch))) else { return };
        let before = present.before(KEPT_EPOCHS);
        if self.pruned_before == before {
            return;
        }
        self.pruned_before = before;
        self.documents = self.documents.split_off(&before);
        self.descriptors = self.descriptors.split_off(&before);
        self.replica_descriptors = self.replica_descriptors.split_off(&before);
        self.renew_documents();
        outputs.push(Output::Prune { before });
    }
}

/// How long the clock has gone from epoch to epoch without a jump.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// The epoch of the first look, or of the first one after a jump.
    since: Option<Epoch>,
    last: Epoch,
}

impl Watch {
    /// Notes a look; says whether the clock has gone steadily for as many epochs as things are kept for.
    fn look(&mut self, now: Epoch) -> bool {
        let is_steady = now == self.last || now == self.last.after(1);
        let since = *self.since.get_or_insert(now);
        if !is_steady {
            self.since = Some(now);
        }
        self.last = now;
        is_steady && now >= since.after(KEPT_EPOCHS)
    }
}

fn key_name(key: &StoreKey) -> &'static str {
    match key {
        StoreKey::Descriptor { .. } => "upload",
        StoreKey::ReplicaDescriptor { .. } => "replica's upload",
        StoreKey::Document { .. } => "consensus",
        StoreKey::Message { .. } => "message",
    }
}
