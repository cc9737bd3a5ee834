//! The control messages. The data plane listens; a control plane connects, says `Hello` and gets the `State`: what
//! the data plane was given by the last one. Only from then on does the data plane obey it, and no longer the one before.
//! Descriptors travel beside a message, each with its meaning.

use crate::counter::Account;
use crate::setup::{Adjustable, Setup};
use pki::Epoch;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// Version of messages and of all layouts in shared memory; planes of different versions do not work together.
pub const VERSION: u32 = 7;
/// Most tags that are refused as poison.
pub const REFUSED_TAGS_MAX: usize = 2048;

/// What a descriptor beside a message is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Descriptor {
    /// `counter::Counters`.
    Counters,
    /// `ring::EventRings`.
    Events,
    /// `poison::InFlight`.
    InFlight,
    /// A listening socket.
    Listener(Listener),
    /// A sealed `snapshot::Snapshot`.
    Snapshot {
        /// Its serial.
        serial: u64,
    },
    /// `secret::Secrets`.
    Secrets,
    /// `replay::ReplaySet` of a mix key.
    ReplaySet {
        /// The key's epoch.
        epoch: Epoch,
    },
    /// Sealed bytes that only control planes understand.
    Remembered,
    /// `requests::PluginRings`, on a service node and on a gateway with a user database.
    PluginRings,
    /// The bell of the control plane, for requests.
    RequestBell,
    /// The bell of the data plane, for answers.
    AnswerBell,
    /// `loops::LoopCounts`.
    Loops,
    /// A sealed `roll::Roll`.
    Roll,
}

/// A listening socket that the control plane made. There may be several of one address over QUIC, the first of which is for
/// the first shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listener {
    /// Where it is bound.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transport: Transport,
}

/// For people: what is no TCP says so.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "{}", self.address),
            Transport::Quic => write!(f, "quic://{}", self.address),
        }
    }
}

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// QUIC over UDP.
    Quic,
}

impl Transport {
    /// The stable name: the scheme of its addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}

/// What a control plane can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// [`ToData::Attach`].
    Attach,
    /// [`ToData::Publish`].
    Publish,
    /// [`ToData::Keys`].
    Keys,
    /// [`ToData::Remember`].
    Remember,
    /// [`ToData::Adjust`].
    Adjust,
    /// [`ToData::CallRoll`].
    CallRoll,
    /// Any other message.
    Other,
}

impl ToData {
    /// As what the message is refused.
    pub fn order(&self) -> Order {
        match self {
            Self::Attach { .. } => Order::Attach,
            Self::Publish { .. } => Order::Publish,
            Self::Keys { .. } => Order::Keys,
            Self::Remember => Order::Remember,
            Self::Adjust { .. } => Order::Adjust,
            Self::CallRoll { .. } => Order::CallRoll,
            Self::Hello { .. } | Self::Ping { .. } | Self::Stop => Order::Other,
        }
    }
}

/// From the control plane to the data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToData {
    /// The first message: who is there? Answered by [`ToControl::State`].
    Hello {
        /// [`VERSION`].
        version: u32,
    },
    /// Start work. With [`Descriptor::Counters`], [`Descriptor::Events`], [`Descriptor::InFlight`] and the listeners, with
    /// [`Descriptor::Loops`], on a service node and on a gateway with a user database with [`Descriptor::PluginRings`] and
    /// the two bells; an attached data plane takes no second one.
    Attach {
        /// How to work.
        setup: Box<Setup>,
        /// Tags of packets that are refused as poison.
        refused: Vec<[u8; 32]>,
    },
    /// Go by this [`Descriptor::Snapshot`] from now on.
    Publish {
        /// Its serial.
        serial: u64,
    },
    /// Use these [`Descriptor::Secrets`] and no others from now on, with one [`Descriptor::ReplaySet`] for each epoch.
    /// A set for an epoch that is loaded already must be the same one, or may be left out.
    Keys {
        /// The epochs of the mix keys.
        epochs: Vec<Epoch>,
    },
    /// Keep this [`Descriptor::Remembered`] for the next control plane, instead of the last one.
    Remember,
    /// Are you there? Answered at once by [`ToControl::Pong`].
    Ping {
        /// Comes back.
        number: u64,
    },
    /// Go by these values from now on. Answered by [`ToControl::Adjusted`] once all links do.
    Adjust {
        /// Comes back.
        number: u64,
        /// The values.
        to: Adjustable,
    },
    /// Tell of all links to and from nodes. Answered by [`ToControl::Roll`] once all shards have.
    CallRoll {
        /// Comes back.
        number: u64,
    },
    /// Finish: close the listeners, send what is due, end.
    Stop,
}

/// From the data plane to the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToControl {
    /// Everything that the data plane holds, with copies of all its descriptors.
    State {
        /// [`VERSION`].
        version: u32,
        /// How it works, if a control plane has attached before.
        setup: Option<Box<Setup>>,
        /// The snapshot that it goes by; 0 is none.
        serial: u64,
        /// The epochs of its mix keys.
        epochs: Vec<Epoch>,
    },
    /// Work has begun.
    Attached,
    /// All shards go by the snapshot.
    Applied {
        /// Its serial.
        serial: u64,
    },
    /// All shards use the keys.
    KeysLoaded {
        /// Their epochs.
        epochs: Vec<Epoch>,
        /// Whether the kernel keeps all secrets out of swap; worth a warning if not.
        locked: bool,
    },
    /// The descriptor is kept.
    Remembered,
    /// The answer to [`ToData::Ping`].
    Pong {
        /// That of the question.
        number: u64,
    },
    /// All shards, and all links of clients, go by the values.
    Adjusted {
        /// That of the order.
        number: u64,
    },
    /// All links to and from nodes, in a [`Descriptor::Roll`].
    Roll {
        /// That of the question.
        number: u64,
    },
    /// A message was refused; everything is as before.
    Failed {
        /// Which.
        order: Order,
        /// Why, for the log.
        reason: String,
    },
    /// A signal has told the data plane to end: it takes no more connections and lets packets leave.
    Ending,
    /// The data plane ends.
    Stopped {
        /// Where every packet went.
        account: Account,
    },
}
