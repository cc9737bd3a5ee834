//! The data plane of a mix node: links in, batches, unwrapping, replay look-up, delay, links out, one shard per core.
//!
//! It never allocates per packet, takes no lock on a packet's way, decides nothing about the network (documents and
//! keys come in ready) and, outside [`io`] and [`process`], touches no socket and no clock.
//!
//! | module | what lives there |
//! |---|---|
//! | [`time`] | the time of shards: that of the links they drive |
//! | [`io`] | the trait between shard and driver; the simulated network |
//! | [`shard`] | the round: what one core does, in which order and how much of it at once |
//! | [`shared`] | what shards share: documents, keys, queues between them |
//! | [`link`] | links to other nodes: handshakes, frames in, queues and frames out |
//! | [`packet`] | slots for packets, and what happens to the packets in them |
//! | [`ends`] | what ends at this node instead of passing through |
//! | [`delay`] | the wheel in which packets wait until they are due |
//! | [`account`] | where every packet went |
//! | [`random`] | a shard's random numbers |
//! | [`process`] | the process: the thread that talks to the control plane, and the shards' threads |
//!
//! # Running it
//!
//! A driver makes one [`Shared`] from the control plane's setup, and on each core a [`Shard`] with its row of
//! counters, its event ring and its place for tags in flight. It publishes documents and keys through the `Shared`.
//! Each core then does nothing but this, where `io` is its implementation of [`io::Io`]:
//!
//! ```text
//! loop {
//!     match shard.poll(&mut io) {
//!         Next::Busy => {}                                  // let the reactor run, without waiting
//!         Next::ParkUntil(at) => io.sleep_until_event_or_wake(at),
//!     }
//! }
//! ```

pub mod account;
pub mod delay;
pub mod ends;
pub mod io;
pub mod link;
pub mod packet;
pub mod process;
pub mod random;
pub mod shard;
pub mod shared;
pub mod time;

pub use shard::{Instruments, Next, Shard};
pub use shared::{Facts, KeyRing, Shared};
pub use time::Instant;
