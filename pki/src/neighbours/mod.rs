//! One consensus as one node needs it for every decision about peers and packets: small, flat and serialisable, fit for
//! shared memory between processes.

#[cfg(test)]
mod tests;

use crate::document::{Consensus, Layer};
use crate::epoch::Epoch;
use crate::identity::NodeId;
use serde::{Deserialize, Serialize};

/// Which way packets flow on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// The peer sends packets to this node.
    Incoming,
    /// This node sends packets to the peer.
    Outgoing,
}

/// The role that a node's configuration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A mix.
    Mix,
    /// A gateway.
    Gateway,
    /// A service node.
    Service,
}

/// What a node knows about itself and looks for in every document (server.md 8.4, 8.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnNode {
    /// The configured name.
    pub name: String,
    /// The binary identity key.
    pub identity_key: Vec<u8>,
    /// The binary link key.
    pub link_key: Vec<u8>,
    /// The configured role.
    pub role: Role,
}

/// Why a verified consensus is of no use to this node; final for its epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnEntryError {
    /// The node is not in the document.
    #[error("this node is not listed in the document")]
    NotListed,
    /// The node is in the document with another role.
    #[error("this node is configured as {configured:?} but listed as {listed:?}")]
    OtherRole {
        /// The configured role.
        configured: Role,
        /// Where the document lists it.
        listed: Layer,
    },
    /// The document has another name for the node's identity key.
    #[error("the document names this node {0:?}")]
    OtherName(String),
    /// The document has another link key.
    #[error("the document has another link key for this node")]
    OtherLinkKey,
}

/// The most URLs of one node that are looked at, and of known transports only: descriptors may have any number.
const ADDRESSES_MAX: usize = 64;
const TRANSPORTS: [&str; 6] = ["tcp", "tcp4", "tcp6", "quic", "ws", "onion"];
/// The most services of one node that are looked at.
const SERVICES_MAX: usize = 4096;

/// One URL of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// The transport's name in the descriptor.
    pub transport: String,
    /// The URL.
    pub url: String,
}

/// One service of a service node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeService {
    /// The capability.
    pub capability: String,
    /// The recipient that stands for it in packets.
    pub endpoint: String,
}

/// One node of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The hash of its identity key.
    pub id: NodeId,
    /// Where it stands.
    pub layer: Layer,
    /// Its name, for logs.
    pub name: String,
    /// Its link key.
    pub link_key: Vec<u8>,
    /// Its URLs.
    pub addresses: Vec<NodeAddress>,
    /// Its Sphinx public keys, by epoch.
    pub mix_keys: Vec<(Epoch, Vec<u8>)>,
    /// Its services.
    pub services: Vec<NodeService>,
}

impl NodeEntry {
    /// The Sphinx public key for `epoch`.
    pub fn mix_key(&self, epoch: Epoch) -> Option<&[u8]> {
        self.mix_keys.iter().find(|(of, _)| *of == epoch).map(|(_, key)| key.as_slice())
    }

    /// The URLs of one transport.
    pub fn urls<'a>(&'a self, transport: &'a str) -> impl Iterator<Item = &'a str> {
        self.addresses.iter().filter(move |address| address.transport == transport).map(|address| address.url.as_str())
    }
}

/// One document as seen by one node. Rates are events per millisecond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeighbourMap {
    /// The document's epoch.
    pub epoch: Epoch,
    /// Where this node stands.
    pub own_layer: Layer,
    /// Number of mix layers.
    pub layers: u8,
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
    /// Sorted by id.
    nodes: Vec<NodeEntry>,
}

impl NeighbourMap {
    /// The view that `own` has of `consensus`, if it is in it as it is configured.
    pub fn new(consensus: &Consensus, own: &OwnNode) -> Result<Self, OwnEntryError> {
        let (own_layer, descriptor) =
            consensus.node(&crate::hash(&own.identity_key)).ok_or(OwnEntryError::NotListed)?;
        let listed_as = match own_layer {
            Layer::Mix(_) => Role::Mix,
            Layer::Gateway => Role::Gateway,
            Layer::Service => Role::Service,
        };
        if listed_as != own.role {
            return Err(OwnEntryError::OtherRole { configured: own.role, listed: own_layer });
        }
        if descriptor.name != own.name {
            return Err(OwnEntryError::OtherName(descriptor.name.clone()));
        }
        if descriptor.link_key() != own.link_key {
            return Err(OwnEntryError::OtherLinkKey);
        }
        let document = consensus.document();
        let mut nodes: Vec<NodeEntry> = document.nodes().map(|(layer, node)| NodeEntry::new(layer, node)).collect();
        nodes.sort_by_key(|node| node.id);
        Ok(Self {
            epoch: document.epoch,
            own_layer,
            // Well-formed documents have at most LAYERS_MAX layers.
            layers: document.topology.len().min(crate::document::LAYERS_MAX) as u8,
            mu: document.mu,
            lambda_p: document.lambda_p,
            lambda_l: document.lambda_l,
            lambda_m: document.lambda_m,
            lambda_g: document.lambda_g,
            nodes,
        })
    }

    /// All nodes, sorted by id, this node among them.
    pub fn nodes(&self) -> &[NodeEntry] {
        &self.nodes
    }

    /// The position of a node in [`Self::nodes`].
    pub fn position(&self, id: &NodeId) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.id.cmp(id)).ok()
    }

    /// A node in any role.
    pub fn node(&self, id: &NodeId) -> Option<&NodeEntry> {
        self.nodes.get(self.position(id)?)
    }

    /// The nodes of one layer.
    pub fn layer(&self, layer: Layer) -> impl Iterator<Item = &NodeEntry> {
        self.nodes.iter().filter(move |node| node.layer == layer)
    }

    /// Whether packets flow between this node and the nodes of `layer` in that direction.
    pub fn is_neighbour(&self, layer: Layer, direction: Direction) -> bool {
        is_neighbour(self.own_layer, self.layers, layer, direction)
    }

    /// The peers in that direction.
    pub fn neighbours(&self, direction: Direction) -> impl Iterator<Item = &NodeEntry> {
        self.nodes.iter().filter(move |node| self.is_neighbour(node.layer, direction))
    }
}

impl NodeEntry {
    fn new(layer: Layer, node: &crate::descriptor::MixDescriptor) -> Self {
        let mix_keys = node.mix_keys.iter().flatten();
        let addresses = node.addresses().filter(|(transport, _)| TRANSPORTS.contains(transport)).take(ADDRESSES_MAX);
        let services = node.endpoints().take(SERVICES_MAX);
        Self {
            id: node.id(),
            layer,
            name: node.name.clone(),
            link_key: node.link_key().into(),
            addresses: addresses
                .map(|(transport, url)| NodeAddress { transport: transport.into(), url: url.into() })
                .collect(),
            mix_keys: mix_keys.filter_map(|(epoch, key)| Some((*epoch, key.clone()?))).collect(),
            services: services
                .map(|(capability, endpoint)| NodeService { capability: capability.into(), endpoint: endpoint.into() })
                .collect(),
        }
    }
}

/// The neighbour rule of a network with `layers` mix layers (wire.md 5.4): gateways and service nodes surround the
/// mixes on both sides.
pub fn is_neighbour(own: Layer, layers: u8, peer: Layer, direction: Direction) -> bool {
    let is_edge = |layer| matches!(layer, Layer::Gateway | Layer::Service);
    let last = layers.checked_sub(1).map(Layer::Mix);
    match (own, direction) {
        (Layer::Gateway | Layer::Service, Direction::Incoming) => Some(peer) == last,
        (Layer::Gateway | Layer::Service, Direction::Outgoing) => peer == Layer::Mix(0),
        (Layer::Mix(0), Direction::Incoming) => is_edge(peer),
        (Layer::Mix(own), Direction::Incoming) => own.checked_sub(1).map(Layer::Mix) == Some(peer),
        (own, Direction::Outgoing) if Some(own) == last => is_edge(peer),
        (Layer::Mix(own), Direction::Outgoing) => own.checked_add(1).map(Layer::Mix) == Some(peer),
    }
}
