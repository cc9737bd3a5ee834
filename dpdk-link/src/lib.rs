//! Datagrams over a card that DPDK owns: frames are read and written by the shard itself, and the kernel never sees them.
//!
//! The card is gone from the kernel then, and with it all that the kernel did: [`neighbours`] answers who looks for our
//! addresses, and finds those of others. [`Link`] is the datagram half on top of one queue of the card.
//!
//! DPDK is C with most of its packet path in inline functions. `shim/shim.c` has ten calls of it, compiled with the flags
//! that pkg-config gives; buffers are opaque on this side. That, and the calls themselves in `queue`, is all that is unsafe.
//!
//! | module | what lives there |
//! |---|---|
//! | [`neighbours`] | who has which address on the wire: ARP and neighbour discovery; no I/O |
//! | [`link`] | datagrams in frames, for whoever moves frames |
//! | `queue` | DPDK: the process's start, ports, bursts (feature `dpdk`) |
#![deny(unsafe_code)]

pub mod link;
pub mod neighbours;
#[cfg(feature = "dpdk")]
mod queue;

pub use link::{Frames, Link, Settings};
pub use neighbours::{Neighbours, Network};
#[cfg(feature = "dpdk")]
pub use queue::{Dpdk, DpdkError, Port, Queue};
