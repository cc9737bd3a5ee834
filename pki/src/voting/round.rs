//! What has been received for one epoch. Nothing of it is remembered for the next.

use super::RoundStatus;
use super::configuration::Configuration;
use super::message::MessageKind;
use crate::certificate::{Certificate, Signature};
use crate::document::Document;
use crate::epoch::Epoch;
use crate::identity::NodeId;
use std::collections::BTreeMap;

/// Commits and reveals, each a certificate of the authority that it stands under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contribution {
    pub(super) commits: BTreeMap<NodeId, Vec<u8>>,
    pub(super) reveals: BTreeMap<NodeId, Vec<u8>>,
}

/// One round.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) epoch: Epoch,
    pub(super) votes: BTreeMap<NodeId, Document>,
    /// Commits of the votes, and the reveals.
    pub(super) held: Contribution,
    /// What others' certificates hold. The own one holds [`Self::held`] as it is when it is asked, votes and reveals
    /// that came after it was sent included, as the reference's does (pki.md 20 item 1).
    pub(super) certificates: BTreeMap<NodeId, Contribution>,
    pub(super) has_own_certificate: bool,
    pub(super) signatures: BTreeMap<NodeId, Signature>,
    /// The own consensus with the own signature.
    pub(super) consensus: Option<(Document, Certificate)>,
}

impl Round {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// All certificates, the own one where it stands by its id.
    pub(super) fn all_certificates(&self, own: &NodeId) -> Vec<(NodeId, &Contribution)> {
        let others = self.certificates.iter().map(|(id, contribution)| (*id, contribution));
        let mut all: Vec<_> = others.chain(self.has_own_certificate.then_some((*own, &self.held))).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Whether something of this kind is held of `author`; of this authority itself, what it has made.
    pub(super) fn has(&self, kind: MessageKind, author: &NodeId, own: &NodeId) -> bool {
        let is_own = author == own;
        match kind {
            MessageKind::Vote => self.votes.contains_key(author),
            MessageKind::Reveal => self.held.reveals.contains_key(author),
            MessageKind::Certificate if is_own => self.has_own_certificate,
            MessageKind::Certificate => self.certificates.contains_key(author),
            MessageKind::Signature if is_own => self.consensus.is_some(),
            MessageKind::Signature => self.signatures.contains_key(author),
        }
    }

    pub(super) fn status(&self, configuration: &Configuration) -> RoundStatus {
        let own = configuration.own().identity.id();
        let holders = |kind| {
            let keys = configuration.authorities.keys().iter().enumerate();
            keys.filter(|(_, key)| self.has(kind, key.id(), own)).map(|(number, _)| number).collect()
        };
        RoundStatus {
            votes: holders(MessageKind::Vote),
            reveals: holders(MessageKind::Reveal),
            certificates: holders(MessageKind::Certificate),
            signatures: holders(MessageKind::Signature),
            ..RoundStatus::default()
        }
    }
}
