//! Who may send what, and the answers (pki.md 7, 8.2 to 8.4).

use crate::epoch::Epoch;
use crate::identity::NodeId;
use std::sync::Arc;

/// Who is at the other end of a connection that a peer opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody without additional data.
    Client,
    /// Claims to be this configured mix, gateway or service node.
    Node(NodeId),
    /// The authority with this number; its link key has been compared.
    Authority(usize),
    /// Claims to be this configured replica.
    Replica(NodeId),
}

/// What authorities send to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// Command 22.
    Vote,
    /// Command 25.
    Reveal,
    /// Command 29.
    Certificate,
    /// Command 27.
    Signature,
}

/// One message between authorities: the body of a Vote, Reveal, Cert or Sig command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which command.
    pub kind: MessageKind,
    /// The command's epoch.
    pub epoch: Epoch,
    /// The author's identity key.
    pub public_key: Vec<u8>,
    /// The payload.
    pub payload: Arc<[u8]>,
}

/// What a peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Command 18. Better answered from [`super::Documents`] directly.
    GetConsensus {
        /// The document's epoch.
        epoch: Epoch,
    },
    /// Command 20.
    PostDescriptor {
        /// The command's epoch.
        epoch: Epoch,
        /// The signed upload.
        payload: Vec<u8>,
    },
    /// Command 11.
    PostReplicaDescriptor {
        /// The command's epoch.
        epoch: Epoch,
        /// The signed upload.
        payload: Vec<u8>,
    },
    /// Commands 22, 25, 27 and 29.
    Message(Message),
}

/// The answer: the command's code, and a refusal's reason for log and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Command 19.
    Consensus {
        /// The code.
        code: u8,
        /// The document's certificate, empty unless the code is 0.
        payload: Arc<[u8]>,
    },
    /// Command 21.
    PostDescriptorStatus {
        /// The code.
        code: u8,
        /// Why it was refused.
        refusal: Option<Refusal>,
    },
    /// Command 10.
    PostReplicaDescriptorStatus {
        /// The code.
        code: u8,
        /// Why it was refused.
        refusal: Option<Refusal>,
    },
    /// Commands 23, 26, 28 and 30: the status that belongs to the kind.
    MessageStatus {
        /// What was sent.
        kind: MessageKind,
        /// The code.
        code: u8,
        /// Why it was refused.
        refusal: Option<Refusal>,
    },
}
