//! A consensus as it may be used: verified, parsed, well formed, for the epoch that was asked for (pki.md 5.3).

use super::{Document, DocumentIllFormed, Layer, LeftOut};
use crate::cbor::CborError;
use crate::certificate::{Certificate, CertificateError, Signers};
use crate::descriptor::MixDescriptor;
use crate::epoch::Epoch;
use crate::identity::{NodeId, VerifyingKey, hash};
use std::collections::HashMap;
use std::sync::Arc;

/// Why bytes are not a usable consensus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The certificate is malformed, expired, or lacks signatures.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No signature at all.
    #[error("document is not signed")]
    NotSigned,
    /// The payload is not a document.
    #[error("malformed document: {0}")]
    Cbor(#[from] CborError),
    /// The document makes no sense.
    #[error("ill-formed document: {0}")]
    IllFormed(#[from] DocumentIllFormed),
    /// A document for another epoch.
    #[error("document is for epoch {found}, epoch {wanted} was asked for")]
    WrongEpoch {
        /// The document's epoch.
        found: Epoch,
        /// The epoch asked for.
        wanted: Epoch,
    },
    /// A document for another Sphinx geometry.
    #[error("document is for another Sphinx geometry than the configured one")]
    GeometryMismatch,
}

/// Parses a signed document without verifying any signature.
pub fn parse(raw: &[u8], now: Epoch) -> Result<(Certificate, Document), DocumentError> {
    let certificate = Certificate::decode(raw)?;
    certificate.check(now)?;
    if certificate.signatures.is_empty() {
        return Err(DocumentError::NotSigned);
    }
    let document = Document::decode(&certificate.certified)?;
    Ok((certificate, document))
}

/// A verified consensus with its raw bytes and an index of its nodes.
#[derive(Clone, Debug)]
pub struct Consensus {
    document: Document,
    raw: Arc<[u8]>,
    signers: Signers,
    left_out: Vec<LeftOut>,
    index: HashMap<NodeId, (Layer, usize)>,
}

impl Consensus {
    /// Verifies that at least `threshold` of `authorities` have signed `raw`, and that it is a well-formed document
    /// for epoch `wanted` and the geometry with the hash `geometry_hash`. `now` is the current epoch. A descriptor that
    /// cannot be read, or is ill-formed, costs its own node only.
    pub fn verify(
        raw: Arc<[u8]>,
        authorities: &[VerifyingKey],
        threshold: usize,
        wanted: Epoch,
        geometry_hash: &[u8; 32],
        now: Epoch,
    ) -> Result<Self, DocumentError> {
        let certificate = Certificate::decode(&raw)?;
        let (payload, signers) = certificate.verify_threshold(authorities, threshold.max(1), now)?;
        let (document, left_out) = Document::decode_usable(payload)?;
        document.check(authorities, now)?;
        if document.epoch != wanted {
            return Err(DocumentError::WrongEpoch { found: document.epoch, wanted });
        }
        if document.sphinx_geometry_hash != geometry_hash {
            return Err(DocumentError::GeometryMismatch);
        }
        let mut positions = HashMap::new();
        let index = document.nodes().map(|(layer, node)| {
            let position = positions.entry(layer).or_insert(0);
            *position += 1;
            (node.id(), (layer, *position - 1))
        });
        let index = index.collect();
        Ok(Self { document, raw, signers, left_out, index })
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The epoch it is for.
    pub fn epoch(&self) -> Epoch {
        self.document.epoch
    }

    /// The certificate as it was received, for passing on.
    pub fn raw(&self) -> &Arc<[u8]> {
        &self.raw
    }

    /// Which authorities have signed.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// Nodes that the document lists and that are not in [`Self::document`], because nothing can be made of them.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The hash of the certificate; it changes with the set of signatures.
    pub fn sum256(&self) -> [u8; 32] {
        hash(&self.raw)
    }

    /// A node and where it stands.
    pub fn node(&self, id: &NodeId) -> Option<(Layer, &MixDescriptor)> {
        let (layer, position) = *self.index.get(id)?;
        Some((layer, self.document.layer(layer).get(position)?))
    }
}
