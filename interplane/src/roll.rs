//! What a data plane says of its links to and from other nodes when it is asked: one sealed memfd for each time. Links of
//! clients are not among them.

#[cfg(test)]
mod tests;

use crate::counter::Direction;
use crate::memory::{self, MemoryError, SealedMemory};
use crate::message::Transport;
use pki::NodeId;
use rustix::fd::{AsFd, OwnedFd};
use serde::{Deserialize, Serialize};

const NAME: &str = "roll";
/// Bytes of the longest: some hundred for each of the links that a node may have.
const ROLL_BYTES_MAX: usize = 16 << 20;
/// Links that one tells of: far more than a network has nodes. What is read takes more memory than what is written.
const LINKS_MAX: usize = 1 << 14;

/// A connection that takes nothing for so long is slow.
pub const SLOW_SEND_MS: u64 = 1_000;
/// So is one for which so many of a hundred packets were too late lately, however long the line.
pub const SLOW_LOSS_PERCENT: u64 = 1;

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// It waits for the next dial.
    Waiting,
    /// It is being dialled.
    Dialling,
    /// The handshake is under way.
    Handshaking,
    /// Packets can pass.
    Up,
}

impl LinkState {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dialling => "dialling",
            Self::Handshaking => "handshaking",
            Self::Up => "up",
        }
    }
}

/// Packets that were to go over a link, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// They went, or came in.
    pub packets: u64,
    /// They waited for longer than SendSlack, or found the queue full.
    pub too_late: u64,
    /// They were dropped for another reason: the link broke, or the documents do not allow them.
    pub dropped: u64,
}

/// One link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The node at the other end.
    pub node: NodeId,
    /// Who dials.
    pub direction: Direction,
    /// The shard that has it.
    pub shard: u16,
    /// What carries it; none while there is no connection.
    pub transport: Option<Transport>,
    /// How far it is.
    pub state: LinkState,
    /// Whether packets may pass, by the documents.
    pub may_send: bool,
    /// Since when it is so far.
    pub state_ms: u64,
    /// How long ago the last packet went over it or came in, if one has.
    pub last_packet_ms: Option<u64>,
    /// Packets that wait for it.
    pub queued: u64,
    /// Packets that are sealed for it and not wholly taken by the connection.
    pub sealed: u64,
    /// How long the connection has taken nothing of what it was given, if it was given something.
    pub stalled_ms: Option<u64>,
    /// Dials and handshakes that have failed since it was up last.
    pub failures: u32,
    /// Since this data plane knows the node, or the connection is there.
    pub all: Passed,
    /// In the last half minute to minute.
    pub lately: Passed,
}

impl LinkReport {
    /// Whether the node, or the way to it, takes packets more slowly than they come.
    pub fn is_slow(&self) -> bool {
        self.state == LinkState::Up && is_slow(self.lately, self.stalled_ms)
    }
}

/// Whether a link that is up is slow that has carried so much lately and has taken nothing for so long.
pub fn is_slow(lately: Passed, stalled_ms: Option<u64>) -> bool {
    let Passed { packets, too_late, .. } = lately;
    let all = packets.saturating_add(too_late);
    let loses = too_late > 0 && too_late.saturating_mul(100) >= all.saturating_mul(SLOW_LOSS_PERCENT);
    loses || stalled_ms.is_some_and(|ms| ms >= SLOW_SEND_MS)
}

/// All links, as they were when each shard looked at its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll(pub Vec<LinkReport>);

impl Roll {
    /// In a sealed memfd.
    pub fn to_file(&self) -> Result<OwnedFd, MemoryError> {
        if self.0.len() > LINKS_MAX {
            return Err(MemoryError::Content(NAME));
        }
        let encoded = postcard::to_stdvec(self).map_err(|_| MemoryError::Content(NAME))?;
        if encoded.len() > ROLL_BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: encoded.len() as u64 });
        }
        memory::seal(NAME, &encoded)
    }

    /// Reads it from one.
    pub fn open(fd: impl AsFd) -> Result<Self, MemoryError> {
        let content = SealedMemory::open(fd, NAME, ROLL_BYTES_MAX)?;
        // The number of links comes first.
        let links = postcard::take_from_bytes::<usize>(&content).map_or(usize::MAX, |(links, _)| links);
        if links > LINKS_MAX {
            return Err(MemoryError::Content(NAME));
        }
        postcard::from_bytes(&content).map_err(|_| MemoryError::Content(NAME))
    }
}
