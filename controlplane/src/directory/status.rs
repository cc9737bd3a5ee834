//! What others may see of the directory worker.

use super::clients::Held;
use pki::document::Layer;
use pki::neighbours::Direction;
use pki::{Epoch, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counters of the directory worker by epoch (server.md 10.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochCounts {
    /// Documents fetched and cached.
    pub fetched: u64,
    /// Fetches that brought nothing.
    pub failed_fetch: u64,
    /// Documents that this node cannot go by.
    pub invalid: u64,
}

/// The nodes that are listed in the documents that are held.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// Their names.
    pub names: BTreeMap<NodeId, String>,
    /// Those that may connect to this one, by epoch.
    pub incoming: BTreeMap<Epoch, Vec<NodeId>>,
    /// Where this node stands, and how many mix layers there are, by epoch.
    pub places: BTreeMap<Epoch, (Layer, u8)>,
}

impl Nodes {
    pub(super) fn of(documents: &BTreeMap<Epoch, Held>) -> Self {
        let listed = documents.values().flat_map(|held| held.map.nodes());
        let incoming = |held: &Held| held.map.neighbours(Direction::Incoming).map(|node| node.id).collect();
        Self {
            names: listed.map(|node| (node.id, node.name.clone())).collect(),
            incoming: documents.iter().map(|(epoch, held)| (*epoch, incoming(held))).collect(),
            places: documents.iter().map(|(epoch, held)| (*epoch, (held.map.own_layer, held.map.layers))).collect(),
        }
    }
}

/// A copy of its state.
#[derive(Clone, Debug, Default)]
pub struct DirectoryStatus {
    /// Counters by epoch, of a few epochs.
    pub counts: BTreeMap<u64, EpochCounts>,
    /// Epochs whose documents are held.
    pub documents: Vec<u64>,
    /// Who is in them.
    pub nodes: Arc<Nodes>,
    /// The last epoch for which an upload was attempted.
    pub attempted: Option<u64>,
    /// The last epoch whose upload enough authorities accepted.
    pub published: Option<u64>,
}

impl DirectoryStatus {
    /// The last epoch in which the node may be advertised.
    pub fn last_advertised(&self) -> Option<u64> {
        self.attempted.max(self.documents.last().copied())
    }
}
