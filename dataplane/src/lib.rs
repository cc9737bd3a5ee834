//! The data plane of a mix node: links in, batches, unwrapping, replay look-up, delay, links out, one shard per core.
//!
//! It never allocates per packet, takes no lock on a packet's way, decides nothing about the network (documents and
//! keys come in ready) and, outside [`io`], touches no socket and no clock.
//!
//! | module | what lives there |
//! |---|---|
//! | [`time`] | monotonic time as a number |
//! | [`io`] | the trait between shard and driver; the simulated network |
//! | [`packet`] | slots for packets and what happens to the packets in them |
//! | [`delay`] | the wheel in which packets wait until they are due |
//! | [`random`] | a shard's random numbers |
//! | [`shard`] | the round: what one core does, in which order and how much of it at once |

pub mod delay;
pub mod io;
pub mod packet;
pub mod random;
pub mod shard;
pub mod time;

pub use shard::Next;
pub use time::Instant;
