//! Whose turn it is to be verified. Votes do not wait behind uploads, which anybody can send under any node's name; and
//! of one name one is verified at a time, so that who sends many delays that name and no other.

use pki::NodeId;
use pki::voting::{Configuration, Peer};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[cfg(test)]
mod tests;

/// Uploads that are verified at once, at most.
pub const UPLOADS_MAX: usize = 8;

/// Messages of authorities that are verified at once, at most.
pub const MESSAGES_MAX: usize = 4;

/// The turns.
pub struct Inspections {
    messages: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// One of each node's.
    of_node: BTreeMap<NodeId, Arc<Semaphore>>,
}

/// Somebody's turn, until it is dropped.
pub struct Turn {
    _of_node: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Inspections {
    /// On a host with so many processors.
    pub fn new(configuration: &Configuration, processors: usize) -> Self {
        let nodes = configuration.mixes.iter().chain(&configuration.gateways).chain(&configuration.service_nodes);
        let nodes = nodes.map(|node| &node.identity).chain(configuration.replicas.iter().map(|node| &node.identity));
        Self {
            messages: Arc::new(Semaphore::new(processors.min(MESSAGES_MAX))),
            uploads: Arc::new(Semaphore::new(processors.min(UPLOADS_MAX))),
            of_node: nodes.map(|identity| (*identity.id(), Arc::new(Semaphore::new(1)))).collect(),
        }
    }

    /// Waits for this peer's turn.
    pub async fn turn(&self, peer: &Peer) -> Option<Turn> {
        let (of_node, all) = match peer {
            Peer::Authority(_) => (None, &self.messages),
            Peer::Node(id) | Peer::Replica(id) => (Some(self.of_node.get(id)?), &self.uploads),
            // Has nothing that would be verified.
            Peer::Client => return None,
        };
        let of_node = match of_node {
            Some(of_node) => Some(of_node.clone().acquire_owned().await.ok()?),
            None => None,
        };
        Some(Turn { _of_node: of_node, _of_all: all.clone().acquire_owned().await.ok()? })
    }
}
