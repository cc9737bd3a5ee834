//! Reading and writing a document's payload (pki.md 5.1).

use super::listed::{LeftOut, Listed};
use super::{Document, VERSION};
use crate::cbor::{self, CborError, Item, Value, record, record_fields};
use crate::descriptor::{MixDescriptor, ReplicaDescriptor};
use crate::epoch::Epoch;
use crate::identity::NodeId;
use std::collections::BTreeMap;

const FIELDS: [&str; 19] = [
    "Mu",
    "Epoch",
    "LambdaG",
    "LambdaL",
    "LambdaM",
    "LambdaP",
    "LambdaR",
    "Version",
    "Topology",
    "GatewayNodes",
    "GenesisEpoch",
    "ServiceNodes",
    "StorageReplicas",
    "PriorSharedRandom",
    "SharedRandomValue",
    "PKISignatureScheme",
    "SharedRandomCommit",
    "SharedRandomReveal",
    "SphinxGeometryHash",
];
const REPLICA_IDS: &str = "ConfiguredReplicaIDs";
const REPLICA_KEYS: &str = "ConfiguredReplicaIdentityKeys";

impl Document {
    /// Reads a payload; nothing is verified and nothing checked for sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        Self::read(bytes, Listed::all_or_nothing).map(|(document, _)| document)
    }

    /// Reads what a majority has signed, without the descriptors that nothing can be made of: each costs its own node
    /// only. Reference authorities publish none that the reference cannot read, so that none should ever be left out.
    pub(super) fn decode_usable(bytes: &[u8]) -> Result<(Self, Vec<LeftOut>), CborError> {
        Self::read(bytes, Listed::usable)
    }

    fn read(bytes: &[u8], listed: impl Fn(Epoch) -> Listed) -> Result<(Self, Vec<LeftOut>), CborError> {
        let item = cbor::decode(bytes)?;
        let mut names = [""; FIELDS.len() + 2];
        names[..FIELDS.len()].copy_from_slice(&FIELDS);
        names[FIELDS.len()..].copy_from_slice(&[REPLICA_IDS, REPLICA_KEYS]);
        let [
            mu,
            epoch,
            lambda_g,
            lambda_l,
            lambda_m,
            lambda_p,
            lambda_r,
            version,
            topology,
            gateway_nodes,
            genesis_epoch,
            service_nodes,
            storage_replicas,
            prior,
            shared_random,
            scheme,
            commit,
            reveal,
            geometry_hash,
            replica_ids,
            replica_keys,
        ] = record_fields(item, "document", &names)?;
        let bytes_list =
            |value: Item<'_>, field| list(value, field, |item| Ok(item.into_bytes(field)?.unwrap_or_default()));
        let epoch = Epoch(epoch.into_u64("Epoch")?);
        let listed = listed(epoch);
        let document = Self {
            epoch,
            genesis_epoch: Epoch(genesis_epoch.into_u64("GenesisEpoch")?),
            mu: mu.into_f64("Mu")?,
            lambda_p: lambda_p.into_f64("LambdaP")?,
            lambda_l: lambda_l.into_f64("LambdaL")?,
            lambda_m: lambda_m.into_f64("LambdaM")?,
            lambda_g: lambda_g.into_f64("LambdaG")?,
            lambda_r: lambda_r.into_f64("LambdaR")?,
            version: version.into_text("Version")?,
            topology: list(topology, "Topology", |layer| listed.nodes(layer, "Topology"))?,
            gateway_nodes: listed.nodes(gateway_nodes, "GatewayNodes")?,
            service_nodes: listed.nodes(service_nodes, "ServiceNodes")?,
            storage_replicas: listed.replicas(storage_replicas, "StorageReplicas")?,
            prior_shared_random: bytes_list(prior, "PriorSharedRandom")?,
            shared_random_value: shared_random.into_bytes("SharedRandomValue")?.unwrap_or_default(),
            pki_signature_scheme: scheme.into_text("PKISignatureScheme")?,
            shared_random_commit: certificates(commit, "SharedRandomCommit")?,
            shared_random_reveal: certificates(reveal, "SharedRandomReveal")?,
            sphinx_geometry_hash: geometry_hash.into_bytes("SphinxGeometryHash")?.unwrap_or_default(),
            configured_replica_ids: replica_ids.into_bytes(REPLICA_IDS)?.unwrap_or_default(),
            configured_replica_identity_keys: bytes_list(replica_keys, REPLICA_KEYS)?,
        };
        Ok((document, listed.left_out()))
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let fields = record(
            &FIELDS,
            [
                self.mu.into(),
                self.epoch.0.into(),
                self.lambda_g.into(),
                self.lambda_l.into(),
                self.lambda_m.into(),
                self.lambda_p.into(),
                self.lambda_r.into(),
                VERSION.into(),
                Value::Array(self.topology.iter().map(|layer| layer_value(layer)).collect()),
                nodes_value(&self.gateway_nodes),
                self.genesis_epoch.0.into(),
                nodes_value(&self.service_nodes),
                Value::Array(self.storage_replicas.iter().map(ReplicaDescriptor::to_value).collect()),
                bytes_list_value(&self.prior_shared_random),
                self.shared_random_value.as_slice().into(),
                self.pki_signature_scheme.as_str().into(),
                certificates_value(&self.shared_random_commit),
                certificates_value(&self.shared_random_reveal),
                self.sphinx_geometry_hash.as_slice().into(),
            ],
        );
        let mut entries = match fields {
            Value::Map(entries) => entries,
            _ => Vec::new(),
        };
        if !self.configured_replica_ids.is_empty() {
            entries.push((REPLICA_IDS.into(), self.configured_replica_ids.as_slice().into()));
        }
        if !self.configured_replica_identity_keys.is_empty() {
            entries.push((REPLICA_KEYS.into(), bytes_list_value(&self.configured_replica_identity_keys)));
        }
        Value::Map(entries).encode()
    }
}

fn list<'a, V>(
    item: Item<'a>,
    field: &'static str,
    read: impl Fn(Item<'a>) -> Result<V, CborError>,
) -> Result<Vec<V>, CborError> {
    item.into_array(field)?.into_iter().flatten().map(read).collect()
}

fn certificates(item: Item<'_>, field: &'static str) -> Result<BTreeMap<NodeId, Vec<u8>>, CborError> {
    let certificate = |value: Item<'_>| Ok(value.into_bytes(field)?.unwrap_or_default());
    Ok(item.into_map(field, |id| id.into_fixed(field), certificate)?.unwrap_or_default())
}

fn layer_value(layer: &[MixDescriptor]) -> Value {
    if layer.is_empty() { Value::Null } else { nodes_value(layer) }
}

fn nodes_value(nodes: &[MixDescriptor]) -> Value {
    Value::Array(nodes.iter().map(MixDescriptor::to_nested).collect())
}

fn bytes_list_value(list: &[Vec<u8>]) -> Value {
    Value::Array(list.iter().map(|bytes| bytes.as_slice().into()).collect())
}

fn certificates_value(map: &BTreeMap<NodeId, Vec<u8>>) -> Value {
    if map.is_empty() {
        return Value::Null;
    }
    Value::Map(map.iter().map(|(id, certificate)| (id.as_slice().into(), certificate.as_slice().into())).collect())
}
