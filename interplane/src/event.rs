//! What the data plane tells the log. Events hold no tags, no ids of replies, no user names and no client addresses.

#[cfg(test)]
mod tests;

use crate::counter::{AdmissionRefusal, DialFailure, Direction, HandshakeState, LinkEnd, PeerRefusal};
use crate::reason::DropReason;
use pki::{Epoch, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;

/// Most bytes of a [`Detail`].
const DETAIL_BYTES_MAX: usize = 224;

/// Something that an operator may want to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A link is up.
    LinkUp {
        /// Which side began it.
        direction: Direction,
        /// The peer.
        peer: Peer,
    },
    /// An established link ended.
    LinkDown {
        /// Which side began it.
        direction: Direction,
        /// The peer.
        peer: Peer,
        /// Why.
        end: LinkEnd,
        /// More about it.
        detail: Detail,
    },
    /// A handshake failed.
    HandshakeFailed {
        /// Which side began it.
        direction: Direction,
        /// Where it stopped.
        state: HandshakeState,
        /// The peer, as far as it is known.
        peer: Peer,
        /// More about it.
        detail: Detail,
    },
    /// A peer was refused by its identity, at the handshake or later.
    PeerRefused {
        /// Why.
        reason: PeerRefusal,
        /// The peer.
        peer: Peer,
    },
    /// A document lists the peer with another link key.
    LinkKeyMismatch {
        /// The peer.
        peer: Peer,
    },
    /// A connection was closed before its handshake.
    AdmissionRefused {
        /// Why.
        reason: AdmissionRefusal,
    },
    /// A connection was closed because the node has no usable document.
    NoDocument,
    /// A dial failed.
    DialFailed {
        /// Whom.
        peer: Peer,
        /// Why.
        reason: DialFailure,
        /// More about it.
        detail: Detail,
    },
    /// A connection could not be accepted.
    AcceptFailed {
        /// More about it.
        detail: Detail,
    },
    /// A packet was dropped for a reason that should not happen, or that the reference logs as an error.
    PacketDropped {
        /// Why.
        reason: DropReason,
    },
    /// The replay set of a key is fuller than it was sized for.
    ReplaySetFilling {
        /// The key's epoch.
        epoch: Epoch,
        /// How full it is.
        percent: u8,
    },
    /// The replay set of a key refuses packets.
    ReplaySetFull {
        /// The key's epoch.
        epoch: Epoch,
    },
    /// How the shards do input and output.
    BackendChosen {
        /// The backend.
        name: Detail,
        /// Why it is not a faster one.
        refusal: Option<Detail>,
    },
    /// What carries datagrams, where it is not the kernel's sockets.
    DatagramsChosen {
        /// What, where, and for how many shards.
        detail: Detail,
    },
    /// Datagrams were to go past the kernel, and do not.
    DatagramsRefused {
        /// Why, and what would help.
        detail: Detail,
    },
    /// A shard has ended or cannot be helped; the data plane ends.
    ShardEnded {
        /// Which, and why.
        detail: Detail,
    },
    /// The document allows longer delays than each shard has packet slots for at the line rate.
    SlotsTooFew {
        /// The longest delay.
        delay_ms: u64,
        /// Slots of each shard that it takes.
        needed: u64,
        /// Slots that each shard has.
        slots: u64,
    },
    /// The guard woke a shard that stood still.
    ShardRescued {
        /// Which.
        shard: u16,
    },
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its node id; `None` for clients and until it is known.
    pub id: Option<NodeId>,
    /// Its address; `None` for clients.
    pub address: Option<SocketAddr>,
}

/// A few words, cut to a length that fits an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail(String);

impl Detail {
    /// The beginning of what `of` displays.
    pub fn new(of: impl fmt::Display) -> Self {
        struct Cut(String);

        impl fmt::Write for Cut {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let room = DETAIL_BYTES_MAX - self.0.len();
                self.0.push_str(&text[..text.floor_char_boundary(room)]);
                // An error ends the formatting: no need to go on with something long.
                if text.len() > room { Err(fmt::Error) } else { Ok(()) }
            }
        }

        let mut cut = Cut(String::new());
        let _ = write!(cut, "{of}");
        Self(cut.0)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for something.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warning,
    /// Worth getting up.
    Error,
}

impl Event {
    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            // A probe that closes before its first byte is no news (server.md 10.3).
            Self::HandshakeFailed { state: HandshakeState::Message1Receive, .. } | Self::NoDocument => Level::Debug,
            Self::LinkUp { .. } | Self::LinkDown { .. } | Self::BackendChosen { .. } | Self::DatagramsChosen { .. } => {
                Level::Info
            }
            Self::ShardEnded { .. }
            | Self::HandshakeFailed { .. }
            | Self::ReplaySetFull { .. }
            | Self::PacketDropped { .. } => Level::Error,
            _ => Level::Warning,
        }
    }
}
