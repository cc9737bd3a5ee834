//! Well-formedness of documents (pki.md 5.4). The order of the checks is the reference's.

use super::{Document, LAYERS_MAX, VERSION};
use crate::certificate::{Certificate, CertificateError};
use crate::descriptor::{IllFormed, MixDescriptor};
use crate::epoch::Epoch;
use crate::identity::{NodeId, VerifyingKey, hash};
use std::collections::BTreeSet;

/// Bytes of a shared-random commit or reveal: epoch and hash.
const COMMIT_BYTES: usize = 40;

/// Why a document is not well formed; the first failing check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentIllFormed {
    /// Another version.
    #[error("version {0:?} is not supported")]
    Version(String),
    /// `GenesisEpoch` is zero.
    #[error("genesis epoch is zero")]
    Genesis,
    /// No prior shared random outside the genesis epoch.
    #[error("prior shared random is missing")]
    PriorSharedRandom,
    /// A commit of somebody else.
    #[error("shared-random commit of an unknown authority")]
    UnknownAuthority,
    /// A commit or reveal whose certificate does not verify.
    #[error("shared-random certificate: {0}")]
    SharedRandom(#[from] CertificateError),
    /// A commit or reveal of the wrong length or epoch.
    #[error("malformed shared-random commit or reveal")]
    MalformedSharedRandom,
    /// Reveals do not pair with commits.
    #[error("{commits} commits but {reveals} reveals")]
    RevealCount {
        /// Number of commits.
        commits: usize,
        /// Number of reveals.
        reveals: usize,
    },
    /// A commit without its reveal.
    #[error("a commit without its reveal")]
    RevealMissing,
    /// A reveal that does not open its commit.
    #[error("a reveal does not open its commit")]
    RevealMismatch,
    /// No layers, or more than [`LAYERS_MAX`].
    #[error("{0} mix layers")]
    Layers(usize),
    /// A layer without nodes.
    #[error("mix layer {0} is empty")]
    EmptyLayer(usize),
    /// No gateway.
    #[error("no gateway")]
    NoGateway,
    /// No service node.
    #[error("no service node")]
    NoServiceNode,
    /// A node in the gateway or service list without that role.
    #[error("node {0:?} does not have the role that it is listed in")]
    Role(String),
    /// A node twice.
    #[error("node {0:?} is listed twice")]
    Twice(String),
    /// An ill-formed descriptor.
    #[error("descriptor of {name:?}: {reason}")]
    Descriptor {
        /// The node's name.
        name: String,
        /// What is wrong.
        reason: IllFormed,
    },
}

impl Document {
    /// Whether the document is well formed for readers who trust `authorities`; `now` is the current epoch, on which
    /// the commits' validity depends.
    pub fn check(&self, authorities: &[VerifyingKey], now: Epoch) -> Result<(), DocumentIllFormed> {
        if self.version != VERSION {
            return Err(DocumentIllFormed::Version(self.version.clone()));
        }
        if self.genesis_epoch == Epoch(0) {
            return Err(DocumentIllFormed::Genesis);
        }
        if self.prior_shared_random.is_empty() && self.genesis_epoch != self.epoch {
            return Err(DocumentIllFormed::PriorSharedRandom);
        }
        self.check_shared_random(authorities, now)?;
        self.check_nodes()?;
        self.storage_replicas.iter().try_for_each(|replica| {
            let name = || replica.name.clone();
            replica.check().map_err(|reason| DocumentIllFormed::Descriptor { name: name(), reason })
        })
    }

    fn check_shared_random(&self, authorities: &[VerifyingKey], now: Epoch) -> Result<(), DocumentIllFormed> {
        let (commits, reveals) = (self.shared_random_commit.len(), self.shared_random_reveal.len());
        for (id, commit) in &self.shared_random_commit {
            let authority = authorities.iter().find(|key| key.id() == id).ok_or(DocumentIllFormed::UnknownAuthority)?;
            let commit = self.shared_random_part(authority, commit, now)?;
            if commits == 1 {
                // A vote: the reveal comes a phase later.
                if reveals != 0 {
                    return Err(DocumentIllFormed::RevealCount { commits, reveals });
                }
                continue;
            }
            if commits != reveals {
                return Err(DocumentIllFormed::RevealCount { commits, reveals });
            }
            let reveal = self.shared_random_reveal.get(id).ok_or(DocumentIllFormed::RevealMissing)?;
            let reveal = self.shared_random_part(authority, reveal, now)?;
            if commit[8..] != hash(&reveal) {
                return Err(DocumentIllFormed::RevealMismatch);
            }
        }
        Ok(())
    }

    /// The verified content of a commit or reveal certificate: this document's epoch and a hash.
    fn shared_random_part(
        &self,
        authority: &VerifyingKey,
        certificate: &[u8],
        now: Epoch,
    ) -> Result<[u8; COMMIT_BYTES], DocumentIllFormed> {
        let certificate = Certificate::decode(certificate)?;
        let part = <[u8; COMMIT_BYTES]>::try_from(certificate.verify(authority, now)?)
            .map_err(|_| DocumentIllFormed::MalformedSharedRandom)?;
        if part[..8] != self.epoch.0.to_be_bytes() {
            return Err(DocumentIllFormed::MalformedSharedRandom);
        }
        Ok(part)
    }

    fn check_nodes(&self) -> Result<(), DocumentIllFormed> {
        let mut seen = BTreeSet::new();
        if self.topology.is_empty() || self.topology.len() > LAYERS_MAX {
            return Err(DocumentIllFormed::Layers(self.topology.len()));
        }
        for (index, layer) in self.topology.iter().enumerate() {
            if layer.is_empty() {
                return Err(DocumentIllFormed::EmptyLayer(index));
            }
            layer.iter().try_for_each(|node| self.check_node(node, true, &mut seen))?;
        }
        if self.gateway_nodes.is_empty() {
            return Err(DocumentIllFormed::NoGateway);
        }
        if self.service_nodes.is_empty() {
            return Err(DocumentIllFormed::NoServiceNode);
        }
        self.gateway_nodes.iter().try_for_each(|node| self.check_node(node, node.is_gateway_node, &mut seen))?;
        self.service_nodes.iter().try_for_each(|node| self.check_node(node, node.is_service_node, &mut seen))
    }

    fn check_node(
        &self,
        node: &MixDescriptor,
        has_role: bool,
        seen: &mut BTreeSet<NodeId>,
    ) -> Result<(), DocumentIllFormed> {
        let name = || node.name.clone();
        node.check(self.epoch).map_err(|reason| DocumentIllFormed::Descriptor { name: name(), reason })?;
        if !has_role {
            return Err(DocumentIllFormed::Role(name()));
        }
        if !seen.insert(node.id()) {
            return Err(DocumentIllFormed::Twice(name()));
        }
        Ok(())
    }
}
