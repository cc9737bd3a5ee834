//! All that crosses between the control plane and the data plane: messages, descriptors and shared memory.
//!
//! It decides nothing about peers or packets, knows no key material beyond opaque bytes, and never blocks a shard. What
//! the other process sent or left in memory is checked before use: it may have crashed in the middle of a write.
//!
//! | module | what it holds |
//! |---|---|
//! | [`reason`] | every drop reason, with label, meaning, remedy and reference counters |
//! | [`counter`] | every counter of the data plane, in shared memory, one row per shard |
//! | [`setup`] | what a data plane is told once, when a control plane attaches |
//! | [`snapshot`] | documents and rates, immutable, in a sealed memfd |
//! | [`secret`] | private keys in locked memory and in a memfd of their own |
//! | [`message`] | the control messages and what their descriptors mean |
//! | [`channel`] | the socket on which messages and descriptors travel |
//! | [`peer`] | the process at the other end of it |
//! | [`event`], [`ring`] | what the data plane tells the log, and the rings that carry it |
//! | [`inherited`] | descriptors that a service manager kept for this process |
//! | [`requests`] | requests to plugins and their answers |
//! | [`roll`] | what is said of links to and from nodes, for people who ask |
//! | [`loops`] | which of this node's own loops came back, by segment |
//! | [`replay`] | which packets were seen with a mix key |
//! | [`poison`] | which packets were in flight when a data plane crashed |
//! | [`memory`] | memfds: making, sealing, checking, mapping |
//! | [`socket_path`] | paths of sockets in folders with long names |
//!
//! Every shared thing is made by one process and attached by the other, a replay set for example:
//!
//! ```
//! use interplane::{Insert, ReplaySet};
//!
//! let (ours, memory) = ReplaySet::create(253_104, 1024, [7; 16])?;
//! let theirs = ReplaySet::attach(&memory)?;
//! assert_eq!(ours.insert(&[1; 32]), Insert::New);
//! assert!(theirs.contains(&[1; 32]));
//! assert_eq!(theirs.insert(&[1; 32]), Insert::Seen);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod channel;
pub mod counter;
pub mod event;
pub mod inherited;
pub mod loops;
pub mod memory;
pub mod message;
pub mod peer;
pub mod poison;
pub mod reason;
pub mod replay;
pub mod requests;
pub mod ring;
pub mod roll;
pub mod secret;
pub mod setup;
pub mod snapshot;
pub mod socket_path;

pub use counter::{Counter, Counters, Histogram, ShardCounters};
pub use reason::DropReason;
pub use replay::{Insert, ReplaySet};
pub use setup::Setup;
pub use socket_path::SocketPath;
