//! Real shards on the simulated network, with peers built on the wire crate and packets made by the sphinx crate. Each
//! test follows from one seed.

mod allocations;
mod anonymity;
mod clients;
mod dials;
mod epochs;
mod floods;
mod forwarding;
mod garbage;
mod links;
mod loops;
pub(crate) mod net;
pub(crate) mod nodes;
pub(crate) mod peers;
mod replays;
mod services;
mod sharing;
mod sockets;
mod threads;
