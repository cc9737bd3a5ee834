//! The PKI document (pki.md 5): vote, certificate and consensus are one structure, wrapped in a certificate.

mod codec;
mod consensus;
mod listed;
#[cfg(test)]
mod tests;
mod well_formed;

pub use consensus::{Consensus, DocumentError, parse};
pub use listed::LeftOut;
pub use well_formed::DocumentIllFormed;

use crate::certificate::{Certificate, CertificateError};
use crate::descriptor::{MixDescriptor, ReplicaDescriptor};
use crate::epoch::Epoch;
use crate::identity::NodeId;
use crypto_simd::random::Random;
use crypto_simd::schemes::SignatureSigningKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The only version of documents.
pub const VERSION: &str = "v1";
/// Epochs from a document's own to the expiration of its certificate.
pub const LIFETIME_EPOCHS: u64 = 5;
/// The most mix layers; the numbers above stand for service nodes and gateways.
pub const LAYERS_MAX: usize = 254;

/// The most nodes and replicas of a document that is read, whatever their bytes are.
pub const NODES_MAX: usize = 1 << 16;
/// The largest signed document that is taken, plain and packed, from an authority or a gateway. Reference authorities
/// have no limit of their own below 500 MB, so that one node with a vast descriptor decides; the reference's thin clients
/// take 40 MiB, and a client with 1 Mbit/s needs half an epoch of 20 minutes for this.
pub const SIGNED_BYTES_MAX: usize = 64 << 20;

/// Where a node stands in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// A mix, with the index of its layer.
    Mix(u8),
    /// A service node.
    Service,
    /// A gateway.
    Gateway,
}

impl Layer {
    /// The reference's number of the layer: 255 for gateways, 254 for service nodes.
    pub fn number(self) -> u8 {
        match self {
            Self::Mix(layer) => layer,
            Self::Service => 254,
            Self::Gateway => 255,
        }
    }
}

/// The payload of a vote, certificate or consensus. Rates are events per millisecond.
///
/// An empty layer is written as null and every other empty list as an empty array, which is what the reference
/// writes; the two maps of shared randoms are null when empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The epoch it is for.
    pub epoch: Epoch,
    /// The epoch in which the chain of documents began.
    pub genesis_epoch: Epoch,
    /// Per-hop delay rate.
    pub mu: f64,
    /// Clients' send rate.
    pub lambda_p: f64,
    /// Clients' loop rate.
    pub lambda_l: f64,
    /// Mixes' loop rate.
    pub lambda_m: f64,
    /// Gateways' loop rate.
    pub lambda_g: f64,
    /// Couriers' and replicas' decoy rate.
    pub lambda_r: f64,
    /// [`VERSION`]; written as such whatever this says.
    pub version: String,
    /// Mixes by layer.
    pub topology: Vec<Vec<MixDescriptor>>,
    /// Gateways.
    pub gateway_nodes: Vec<MixDescriptor>,
    /// Service nodes.
    pub service_nodes: Vec<MixDescriptor>,
    /// Storage replicas.
    pub storage_replicas: Vec<ReplicaDescriptor>,
    /// Earlier shared randoms, the newest first.
    pub prior_shared_random: Vec<Vec<u8>>,
    /// The epoch's shared random; zero in votes and certificates.
    pub shared_random_value: Vec<u8>,
    /// The authorities' signature scheme.
    pub pki_signature_scheme: String,
    /// Commit certificates by authority.
    pub shared_random_commit: BTreeMap<NodeId, Vec<u8>>,
    /// Reveal certificates by authority.
    pub shared_random_reveal: BTreeMap<NodeId, Vec<u8>>,
    /// The hash of the Sphinx geometry.
    pub sphinx_geometry_hash: Vec<u8>,
    /// Numbers of the configured replicas.
    pub configured_replica_ids: Vec<u8>,
    /// Identity keys of the configured replicas, parallel to the numbers.
    pub configured_replica_identity_keys: Vec<Vec<u8>>,
}

impl Document {
    /// The certificate around the document, without signatures (pki.md 5.2).
    pub fn to_certificate(&self) -> Certificate {
        Certificate::new(&self.pki_signature_scheme, self.encode(), self.epoch.after(LIFETIME_EPOCHS))
    }

    /// The document signed by each of `signers`; `now` must lie before its expiration.
    pub fn sign(
        &self,
        signers: &[&dyn SignatureSigningKey],
        now: Epoch,
        random: &mut dyn Random,
    ) -> Result<Certificate, CertificateError> {
        let mut certificate = self.to_certificate();
        for signer in signers {
            certificate.sign(*signer, now, random)?;
        }
        Ok(certificate)
    }

    /// The nodes of a layer, none if there is no such layer.
    pub fn layer(&self, layer: Layer) -> &[MixDescriptor] {
        match layer {
            Layer::Mix(index) => self.topology.get(usize::from(index)).map_or(&[], Vec::as_slice),
            Layer::Service => &self.service_nodes,
            Layer::Gateway => &self.gateway_nodes,
        }
    }

    /// All gateways, service nodes and mixes, in this order of layers and in document order inside each. Layers
    /// beyond [`LAYERS_MAX`], which no well-formed document has, are left out.
    pub fn nodes(&self) -> impl Iterator<Item = (Layer, &MixDescriptor)> {
        let layers = (0..LAYERS_MAX as u8).take(self.topology.len()).map(Layer::Mix);
        [Layer::Gateway, Layer::Service]
            .into_iter()
            .chain(layers)
            .flat_map(|layer| self.layer(layer).iter().map(move |node| (layer, node)))
    }
}

/// The rate of delays, per millisecond, that public networks use: what is gone by before a document says another.
pub const MU_USUAL: f64 = 0.005;

/// How finely the nodes of this implementation delay, in nanoseconds: what becomes due within one slot of it leaves
/// together.
pub const DELAY_SLOT_NS: u64 = 250_000;

/// The largest part of a mean delay that a slot may be: beyond, departures show the grid of the slots.
const SLOT_PART_MAX: f64 = 0.05;

/// Whether delays of this rate are too short for the slots, and the largest rate that is not.
pub fn exceeds_delay_slots(rate_per_ms: f64) -> Option<f64> {
    let rate_max = SLOT_PART_MAX / (DELAY_SLOT_NS as f64 / 1e6);
    (rate_per_ms > rate_max).then_some(rate_max)
}

/// The cap that users of an exponential delay put on it: the `1 - 10^-12` quantile, in whole milliseconds; 0 for a
/// rate that is not positive and finite (pki.md 5.1).
pub fn delay_cap_ms(rate_per_ms: f64) -> u64 {
    const MINUS_LN_OF_1E_MINUS_12: f64 = 27.631_021_115_928_547;
    if rate_per_ms.is_finite() && rate_per_ms > 0.0 { (MINUS_LN_OF_1E_MINUS_12 / rate_per_ms).ceil() as u64 } else { 0 }
}
