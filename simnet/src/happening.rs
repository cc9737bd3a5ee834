//! What may be under way, or yet to happen.

use pki::Epoch;
use pki::voting::{Message, MessageKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Something under way between members, or yet to happen.
pub enum Happening {
    /// A message of one authority to another.
    Message {
        /// Who sends.
        from: usize,
        /// To whom.
        to: usize,
        /// What.
        message: Message,
        /// When the sender gives up, by its clock.
        last_try: Duration,
    },
    /// The answer to one.
    MessageAnswer {
        /// Who has answered.
        from: usize,
        /// Who had asked.
        to: usize,
        /// What the message was.
        kind: MessageKind,
        /// The answer.
        code: u8,
    },
    /// An authority asks the others for a document.
    AuthorityFetch {
        /// Who asks.
        who: usize,
        /// The document's epoch.
        epoch: Epoch,
    },
    /// A node's upload reaches an authority.
    Upload {
        /// Which node, and which life of its control plane.
        node: (usize, u64),
        /// To whom.
        authority: usize,
        /// For which epoch.
        epoch: Epoch,
        /// What.
        payload: Arc<[u8]>,
    },
    /// A node asks all authorities for a document.
    NodeFetch {
        /// Which node, and which life of its control plane.
        node: (usize, u64),
        /// The document's epoch.
        epoch: Epoch,
    },
    /// Something goes wrong, or is right again.
    Fault(Fault),
}

/// Something that goes wrong, or is right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Of 256 messages to authorities so many are lost from now on.
    Loss(u8),
    /// Of 256 messages to authorities, and documents from them, so many have a wrong bit from now on.
    WrongMessages(u8),
    /// So long may messages to authorities take from now on, and bytes on new connections.
    Delay(Duration),
    /// These members hear only each other. Connections across are lost, or stand still for so long.
    Island(BTreeSet<usize>, Option<Duration>),
    /// An authority dies; its disk too?
    KillAuthority(usize, bool),
    /// It comes back.
    StartAuthority(usize),
    /// A node's data plane dies.
    KillPlane(usize),
    /// A node's data plane dies, and somebody with its keys takes its place.
    Twin(usize),
    /// It comes back.
    StartPlane(usize),
    /// A node's control plane dies.
    KillControl(usize),
    /// It comes back.
    StartControl(usize),
    /// Both processes of a node die, and all that they had is lost.
    KillNode(usize),
    /// They come back.
    StartNode(usize),
    /// A member's clock is so many milliseconds ahead from now on.
    Clock(usize, i64),
    /// So many of the next pieces of bytes that a node or client receives have a wrong bit.
    WrongBytes(usize, u32),
    /// A node loses all its connections.
    Cut(usize),
    /// Connections between two members stand still for so long.
    Stall(usize, usize, Duration),
}
