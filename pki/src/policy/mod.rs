//! Whether a peer may connect and send now (wire.md 5.4, 5.5; server.md 8.6 to 8.8): pure functions of the documents
//! that a node holds, the peer's credentials and the time. Nothing is cached, so that epoch boundaries and the slack
//! before them take effect by themselves: ask again at each re-authentication and at [`next_change`].

#[cfg(test)]
mod tests;

use crate::MIX_KEY_EPOCHS;
use crate::epoch::{Epoch, EpochTime};
use crate::identity::NodeId;
use crate::neighbours::{Direction, NeighbourMap, NodeEntry, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The documents that a node holds, as it sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The configured role.
    pub role: Role,
    /// Any number of documents, in ascending order of epochs.
    documents: Vec<NeighbourMap>,
}

/// What a peer has proved about itself in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials<'a> {
    /// The additional data: the hash of a node's identity key, or anything that a client chose.
    pub additional_data: &'a [u8],
    /// The static link key.
    pub link_key: &'a [u8],
}

/// A node in one of a view's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeIndex {
    /// The document's epoch.
    pub epoch: Epoch,
    /// The position in [`NeighbourMap::nodes`].
    pub position: usize,
}

/// What the policy says about a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The connection may stand.
    pub valid: bool,
    /// Packets may flow over it now.
    pub may_send: bool,
    /// The newest document's entry for the peer, even if it is not valid.
    pub descriptor: Option<NodeIndex>,
    /// A document lists the peer with another link key: worth a warning.
    pub link_key_mismatch: bool,
}

/// Who an incoming peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomingPeer {
    /// A client of this gateway.
    Client,
    /// A node of the network; the verdict is valid.
    Node(Verdict),
    /// Nobody who may connect.
    Rejected(Verdict),
}

impl View {
    /// A view of `documents` in any order; of two for one epoch the later one stays.
    pub fn new(role: Role, documents: Vec<NeighbourMap>) -> Self {
        let by_epoch: BTreeMap<Epoch, NeighbourMap> = documents.into_iter().map(|map| (map.epoch, map)).collect();
        Self { role, documents: by_epoch.into_values().collect() }
    }

    /// The documents, in ascending order of epochs.
    pub fn documents(&self) -> &[NeighbourMap] {
        &self.documents
    }

    /// The document of one epoch.
    pub fn document(&self, epoch: Epoch) -> Option<&NeighbourMap> {
        self.documents.binary_search_by_key(&epoch, |map| map.epoch).ok().and_then(|index| self.documents.get(index))
    }

    /// The entry that an index points to.
    pub fn node(&self, index: NodeIndex) -> Option<&NodeEntry> {
        self.document(index.epoch)?.nodes().get(index.position)
    }

    /// The documents that count for authentication now, newest first.
    pub fn window(&self, now: &EpochTime) -> impl Iterator<Item = &NeighbourMap> {
        let epochs = window(now);
        self.documents.iter().rev().filter(move |map| epochs.contains(&map.epoch))
    }

    /// Whether there is a document to go by at all; a node without one accepts nobody.
    pub fn is_usable(&self, now: &EpochTime) -> bool {
        self.window(now).next().is_some()
    }
}

/// The time before the end of an epoch in which the next one already counts: an eighth of the period.
pub fn early_slack(now: &EpochTime) -> Duration {
    now.fraction(1, 8)
}

/// The epochs whose documents count now: from two before the current one to the current one, and the next one during
/// the slack before its start (server.md 8.6).
pub fn window(now: &EpochTime) -> std::ops::RangeInclusive<Epoch> {
    let newest = if now.till < early_slack(now) { now.epoch.after(1) } else { now.epoch };
    now.epoch.before(MIX_KEY_EPOCHS - 1)..=newest
}

/// When verdicts next change by the clock alone, since the Unix epoch: just inside the slack, or at the next epoch.
pub fn next_change(now: &EpochTime) -> Duration {
    let slack_begins = now.at(7, 8) + Duration::from_nanos(1);
    if now.unix < slack_begins { slack_begins } else { now.unix + now.till }
}

/// Whether the peer may be connected to this node in that direction, and send (server.md 8.7). For outgoing
/// connections the caller has also to see that the peer is the one it dialled.
pub fn authenticate(view: &View, peer: PeerCredentials<'_>, direction: Direction, now: &EpochTime) -> Verdict {
    let mut verdict = Verdict::default();
    let Ok(id) = NodeId::try_from(peer.additional_data) else { return verdict };
    for map in view.window(now) {
        let Some((position, node)) = neighbour(map, &id, direction) else { continue };
        verdict.descriptor.get_or_insert(NodeIndex { epoch: map.epoch, position });
        if node.link_key != peer.link_key {
            verdict.link_key_mismatch = true;
            continue;
        }
        let may_send = if map.epoch > now.epoch {
            verdict.valid = true;
            // The window holds the next epoch during the slack only.
            direction == Direction::Incoming
        } else {
            map.epoch == now.epoch || is_listed_now(view, &id, now)
        };
        if may_send {
            return Verdict { valid: true, may_send: true, ..verdict };
        }
    }
    verdict
}

/// Who an incoming peer is (wire.md 5.4): a gateway takes whoever is no neighbour for a client.
pub fn classify_incoming(view: &View, peer: PeerCredentials<'_>, now: &EpochTime) -> IncomingPeer {
    let verdict = authenticate(view, peer, Direction::Incoming, now);
    match view.role {
        _ if verdict.valid => IncomingPeer::Node(verdict),
        Role::Gateway => IncomingPeer::Client,
        Role::Mix | Role::Service => IncomingPeer::Rejected(verdict),
    }
}

/// The nodes to be connected to, each with its newest entry (server.md 8.8): outgoing neighbours in any document of
/// the window, those of older ones only while the current document lists them.
pub fn destinations(view: &View, now: &EpochTime) -> BTreeMap<NodeId, NodeIndex> {
    let mut found = BTreeMap::new();
    for map in view.window(now) {
        for (position, node) in map.nodes().iter().enumerate() {
            if is_destination(view, map, node, now) {
                found.entry(node.id).or_insert(NodeIndex { epoch: map.epoch, position });
            }
        }
    }
    found
}

/// The newest entry of a node, if packets may be forwarded to it: the question of [`destinations`] for one node.
pub fn destination(view: &View, id: &NodeId, now: &EpochTime) -> Option<NodeIndex> {
    view.window(now).find_map(|map| {
        let (position, node) = neighbour(map, id, Direction::Outgoing)?;
        is_destination(view, map, node, now).then_some(NodeIndex { epoch: map.epoch, position })
    })
}

fn neighbour<'a>(map: &'a NeighbourMap, id: &NodeId, direction: Direction) -> Option<(usize, &'a NodeEntry)> {
    let position = map.position(id)?;
    let node = map.nodes().get(position)?;
    map.is_neighbour(node.layer, direction).then_some((position, node))
}

fn is_destination(view: &View, map: &NeighbourMap, node: &NodeEntry, now: &EpochTime) -> bool {
    map.is_neighbour(node.layer, Direction::Outgoing) && (map.epoch >= now.epoch || is_listed_now(view, &node.id, now))
}

fn is_listed_now(view: &View, id: &NodeId, now: &EpochTime) -> bool {
    view.document(now.epoch).is_some_and(|current| current.node(id).is_some())
}
