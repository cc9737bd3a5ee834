//! A vote, certificate or consensus out of its ingredients (pki.md 10.4, 10.5, 10.9).

use super::configuration::{Configuration, Parameters, Topology};
use super::lambda_g::lambda_g;
use super::tally::Nodes;
use super::topology::{self, Shrunk};
use crate::descriptor::MixDescriptor;
use crate::document::{Document, VERSION};
use crate::epoch::Epoch;
use crate::identity::NodeId;
use std::collections::BTreeMap;

/// What a document says besides the configuration.
pub(super) struct Ingredients<'a> {
    pub(super) epoch: Epoch,
    pub(super) genesis: Epoch,
    pub(super) nodes: Nodes,
    pub(super) parameters: Parameters,
    /// Zero in votes and certificates.
    pub(super) shared_random: &'a [u8; 32],
    pub(super) prior: &'a [Vec<u8>],
    /// The document of the epoch before, if it is held.
    pub(super) previous: Option<&'a Document>,
}

impl Ingredients<'_> {
    /// The document, without commits and reveals.
    pub(super) fn assemble(self, configuration: &Configuration) -> Result<Document, Shrunk> {
        let (ids, keys) = configured_replicas(configuration);
        let Parameters { mu, lambda_p, lambda_l, lambda_m, lambda_r } = self.parameters;
        Ok(Document {
            epoch: self.epoch,
            genesis_epoch: self.genesis,
            mu,
            lambda_p,
            lambda_l,
            lambda_m,
            lambda_g: lambda_g(configuration),
            lambda_r,
            version: VERSION.into(),
            topology: layers(self.nodes.mixes, configuration, self.shared_random, self.previous)?,
            gateway_nodes: self.nodes.gateways,
            service_nodes: self.nodes.service_nodes,
            storage_replicas: self.nodes.replicas,
            prior_shared_random: self.prior.to_vec(),
            shared_random_value: self.shared_random.into(),
            pki_signature_scheme: configuration.scheme_text.clone(),
            shared_random_commit: BTreeMap::new(),
            shared_random_reveal: BTreeMap::new(),
            sphinx_geometry_hash: configuration.geometry_hash.into(),
            configured_replica_ids: ids,
            configured_replica_identity_keys: keys,
        })
    }
}

fn layers(
    mixes: Vec<MixDescriptor>,
    configuration: &Configuration,
    shared_random: &[u8; 32],
    previous: Option<&Document>,
) -> Result<Vec<Vec<MixDescriptor>>, Shrunk> {
    let mut mixes: BTreeMap<NodeId, MixDescriptor> = mixes.into_iter().map(|mix| (mix.id(), mix)).collect();
    let sorted: Vec<NodeId> = mixes.keys().copied().collect();
    let ids = match (&configuration.topology, previous) {
        (Topology::Fixed(layers), _) => layers.clone(),
        (Topology::Dynamic { layers }, None) => topology::random(&sorted, *layers, shared_random),
        (Topology::Dynamic { layers }, Some(document)) => {
            let previous: Vec<Vec<NodeId>> =
                document.topology.iter().map(|layer| layer.iter().map(MixDescriptor::id).collect()).collect();
            topology::continuing(&previous, &sorted, *layers, shared_random)?
        }
    };
    Ok(ids.into_iter().map(|layer| layer.iter().filter_map(|id| mixes.remove(id)).collect()).collect())
}

/// Numbers and keys of all configured replicas, by the raw key and not by its hash (pki.md 10.4).
fn configured_replicas(configuration: &Configuration) -> (Vec<u8>, Vec<Vec<u8>>) {
    let replicas = configuration.replicas.iter();
    let sorted: BTreeMap<&[u8], u8> = replicas.map(|replica| (replica.identity.bytes(), replica.replica_id)).collect();
    (sorted.values().copied().collect(), sorted.keys().map(|key| key.to_vec()).collect())
}
