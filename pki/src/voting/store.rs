//! What outlives a restart (pki.md 11).

use crate::authority::ConsensusCode;
use crate::epoch::{Epoch, EpochTime};
use crate::identity::NodeId;
use super::message::MessageKind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a value is stored. All keys of one epoch go together when it is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKey {
    /// A node's signed upload.
    Descriptor {
        /// For this epoch.
        epoch: Epoch,
        /// The node.
        id: NodeId,
    },
    /// A replica's signed upload.
    ReplicaDescriptor {
        /// For this epoch.
        epoch: Epoch,
        /// The replica.
        id: NodeId,
    },
    /// A consensus certificate.
    Document {
        /// For this epoch.
        epoch: Epoch,
    },
    /// A message of the round for this epoch, own ones included, so that a restart in mid-vote goes on where it was.
    /// The own reveal is secret until it is sent: the store must not be readable by others.
    Message {
        /// The epoch that is voted on.
        epoch: Epoch,
        /// Which message.
        kind: MessageKind,
        /// Its author.
        author: NodeId,
    },
}

/// The documents that an authority holds; a cheap copy.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pub(super) held: Arc<BTreeMap<Epoch, Arc<[u8]>>>,
}

impl Documents {
    /// The answer to GetConsensus (pki.md 8.4), with the document's certificate if the code is `Ok`.
    pub fn answer(&self, epoch: Epoch, now: &EpochTime) -> (ConsensusCode, Option<Arc<[u8]>>) {
        if let Some(raw) = self.held.get(&epoch) {
            return (ConsensusCode::Ok, Some(raw.clone()));
        }
        let is_next = epoch == now.epoch.after(1);
        let code = match epoch {
            epoch if epoch <= now.epoch => ConsensusCode::Gone,
            _ if is_next && now.elapsed > now.fraction(7, 8) => ConsensusCode::Gone,
            _ => ConsensusCode::NotFound,
        };
        (code, None)
    }

    /// The epochs whose documents are held.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.held.keys().copied()
    }
}
