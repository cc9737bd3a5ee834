//! What does not change while an authority runs.

use super::message::Peer;
use crate::authority::{Authorities, Authority};
use crate::descriptor::{MixDescriptor, ReplicaDescriptor};
use crate::document::LAYERS_MAX;
use crate::identity::{NodeId, VerifyingKey, hash, same_scheme_name};
use crypto_simd::schemes::SignatureSigningKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of an upload beside keys, signature and loop statistics: names, addresses, services and what they advertise.
const UPLOAD_BYTES: usize = 256 << 10;

/// Bytes of the largest upload of all, whatever its network.
const UPLOAD_BYTES_MAX: usize = 8 << 20;

/// Bytes of a segment and its ratio in loop statistics.
const SEGMENT_BYTES: usize = 75;

/// The voted rates, per millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Delays at a hop.
    pub mu: f64,
    /// Clients' sending.
    pub lambda_p: f64,
    /// Clients' loops.
    pub lambda_l: f64,
    /// Mixes' loops.
    pub lambda_m: f64,
    /// Couriers' and replicas' decoys.
    pub lambda_r: f64,
}

/// A mix, gateway or service node that may upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The pinned name, normalised.
    pub name: String,
    /// The pinned identity key.
    pub identity: VerifyingKey,
}

/// A storage replica that may upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaMember {
    /// The pinned name, normalised.
    pub name: String,
    /// The pinned identity key.
    pub identity: VerifyingKey,
    /// The pinned number.
    pub replica_id: u8,
}

/// How mixes are put into layers (pki.md 10.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// By configuration: the ids of each layer's mixes in the file's order. The only one that the reference can run.
    Fixed(Vec<Vec<NodeId>>),
    /// By the shared random: for networks whose authorities are all ours.
    Dynamic {
        /// Into how many layers.
        layers: usize,
    },
}

/// What does not change while an authority runs. All that goes into documents has to be the same at all authorities.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// All authorities, this one included.
    pub authorities: Arc<Authorities>,
    /// This authority's number among them.
    pub own: usize,
    /// The signature scheme's name as it goes into documents: the canonical spelling (pki.md 5.2).
    pub scheme_text: String,
    /// The rates to vote for.
    pub parameters: Parameters,
    /// Mixes.
    pub mixes: Vec<Member>,
    /// Gateways.
    pub gateways: Vec<Member>,
    /// Service nodes.
    pub service_nodes: Vec<Member>,
    /// Storage replicas.
    pub replicas: Vec<ReplicaMember>,
    /// Layers.
    pub topology: Topology,
    /// The hash of the Sphinx geometry.
    pub geometry_hash: [u8; 32],
    /// Bytes of a mix key in that geometry. A descriptor with others is refused, as it is for another geometry. `None`
    /// where the scheme is not known.
    pub mix_key_bytes: Option<usize>,
}

/// Why an authority cannot vote with this configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The own number is out of range.
    #[error("this authority is not among the configured authorities")]
    NotListed,
    /// The key is not the listed one.
    #[error("the signing key is not the identity key that is configured for authority {0:?}")]
    OtherKey(String),
    /// The scheme's name is not spelled canonically, so no certificate would verify.
    #[error("the signature scheme is written {found:?}, it has to be {canonical:?}")]
    SchemeText {
        /// What is configured.
        found: String,
        /// What has to be.
        canonical: &'static str,
    },
    /// One authority alone can never agree (pki.md 5.4).
    #[error("a single authority cannot vote: the protocol needs at least two")]
    Alone,
    /// No layer or too many.
    #[error("{0} mix layers are configured, it has to be 1 to {LAYERS_MAX}")]
    Layers(usize),
    /// A name or key twice.
    #[error("{0:?} is configured twice, by name or by key")]
    Twice(String),
}

impl Configuration {
    /// Whether one can vote with it and `signer`.
    pub(super) fn check(&self, signer: &dyn SignatureSigningKey) -> Result<(), ConfigurationError> {
        let own = self.authorities.list().get(self.own).ok_or(ConfigurationError::NotListed)?;
        if own.identity.bytes() != signer.public_key() {
            return Err(ConfigurationError::OtherKey(own.name.clone()));
        }
        let canonical = signer.scheme().info().name;
        if !same_scheme_name(canonical, &self.scheme_text) {
            return Err(ConfigurationError::SchemeText { found: self.scheme_text.clone(), canonical });
        }
        if self.authorities.list().len() < 2 {
            return Err(ConfigurationError::Alone);
        }
        let layers = self.layers();
        if layers == 0 || layers > LAYERS_MAX {
            return Err(ConfigurationError::Layers(layers));
        }
        let nodes = self.mixes.iter().chain(&self.gateways).chain(&self.service_nodes);
        check_distinct(nodes.map(|node| (&node.name, &node.identity)))?;
        check_distinct(self.replicas.iter().map(|replica| (&replica.name, &replica.identity)))
    }

    /// Who a peer is by what it said in the handshake, `None` if it is to be refused (pki.md 8.2).
    pub fn classify(&self, additional_data: &[u8], link_key: &[u8]) -> Option<Peer> {
        if additional_data.is_empty() {
            return Some(Peer::Client);
        }
        let id = NodeId::try_from(additional_data).ok()?;
        let mut nodes = self.mixes.iter().chain(&self.gateways).chain(&self.service_nodes);
        if nodes.any(|node| *node.identity.id() == id) {
            return Some(Peer::Node(id));
        }
        if let Some(number) = self.number(&id) {
            let authority = self.authorities.list().get(number)?;
            return authority.is_peer(additional_data, link_key).then_some(Peer::Authority(number));
        }
        self.replicas.iter().any(|replica| *replica.identity.id() == id).then_some(Peer::Replica(id))
    }

    /// Bytes of the largest upload that may be accepted, with ratios of so many segments. Real ones stay far below: a
    /// node has its own keys, and services may advertise a link key of theirs as text (pki.md 4.1, 4.5).
    pub fn upload_bytes_max(&self, segments: usize) -> usize {
        let scheme = self.own().identity.scheme().info();
        let keys = 3 * self.own().link_key.len() + 3 * self.mix_key_bytes.unwrap_or_default() + scheme.public_key_bytes;
        let bytes = UPLOAD_BYTES + keys + scheme.signature_bytes + segments.saturating_mul(SEGMENT_BYTES);
        bytes.min(UPLOAD_BYTES_MAX)
    }

    /// The most segments that anybody's loops can have: hops lead from one role or layer to the next, so that no more
    /// than half of all ordered pairs are any.
    pub fn segments_max(&self) -> usize {
        let nodes = self.mixes.len() + self.gateways.len() + self.service_nodes.len();
        nodes.saturating_mul(nodes) / 2
    }

    /// This authority.
    pub(super) fn own(&self) -> &Authority {
        // `check` has seen that it is there; a first one there always is.
        self.authorities.list().get(self.own).unwrap_or(&self.authorities.list()[0])
    }

    /// The number of the authority with that id.
    pub(super) fn number(&self, id: &NodeId) -> Option<usize> {
        self.authorities.keys().iter().position(|key| key.id() == id)
    }

    /// The name of the authority with that id, for logs.
    pub(super) fn authority_name(&self, id: &NodeId) -> String {
        let authority = self.number(id).and_then(|number| self.authorities.list().get(number));
        authority.map_or_else(|| "unknown".into(), |authority| authority.name.clone())
    }

    /// The names of the authorities, besides this one, that `has` is false of.
    pub(super) fn names_without(&self, has: impl Fn(&NodeId) -> bool) -> Vec<String> {
        let others = self.authorities.list().iter().filter(|authority| !has(authority.identity.id()));
        others.map(|authority| authority.name.clone()).collect()
    }

    /// All other authorities, by number.
    pub(super) fn others(&self) -> Vec<usize> {
        (0..self.authorities.list().len()).filter(|number| *number != self.own).collect()
    }

    /// How many layers documents have.
    pub(super) fn layers(&self) -> usize {
        match &self.topology {
            Topology::Fixed(layers) => layers.len(),
            Topology::Dynamic { layers } => *layers,
        }
    }

    /// Whether this node is configured in the role that it claims, under this name.
    pub(super) fn allows(&self, descriptor: &MixDescriptor) -> bool {
        let members = match (descriptor.is_gateway_node, descriptor.is_service_node) {
            (false, false) => &self.mixes,
            (true, false) => &self.gateways,
            (false, true) => &self.service_nodes,
            (true, true) => return false,
        };
        let is_it = |member: &Member| member.identity.bytes() == descriptor.identity_key();
        members.iter().any(|member| is_it(member) && member.name == descriptor.name)
    }

    /// Whether this replica is configured under this name and number.
    pub(super) fn allows_replica(&self, descriptor: &ReplicaDescriptor) -> bool {
        let is_it = |member: &ReplicaMember| member.identity.bytes() == descriptor.identity_key();
        let mut members = self.replicas.iter().filter(|member| is_it(member));
        members.any(|member| member.name == descriptor.name && member.replica_id == descriptor.replica_id)
    }

    /// The configured name of a node, for logs.
    pub fn node_name(&self, id: &NodeId) -> String {
        let nodes = self.mixes.iter().chain(&self.gateways).chain(&self.service_nodes);
        let nodes = nodes.map(|node| (&node.name, &node.identity));
        let replicas = self.replicas.iter().map(|replica| (&replica.name, &replica.identity));
        let mut found = nodes.chain(replicas).filter(|(_, identity)| identity.id() == id);
        found.next().map_or_else(|| "unknown".into(), |(name, _)| name.clone())
    }
}

fn check_distinct<'a>(members: impl Iterator<Item = (&'a String, &'a VerifyingKey)>) -> Result<(), ConfigurationError> {
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for (name, identity) in members {
        if !names.insert(name) || !keys.insert(hash(identity.bytes())) {
            return Err(ConfigurationError::Twice(name.clone()));
        }
    }
    Ok(())
}
