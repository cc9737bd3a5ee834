//! A whole mix network in one process under a clock of its own, from one seed: the data planes' shards, the authorities'
//! state machine, the nodes' schedule and the client that ship, over the simulated network of `dataplane::io::sim`.
//!
//! It never opens a socket, reads a clock or draws randomness that is not the seed's: the same seed makes the same run,
//! so that a failure is replayed from its number.
//!
//! | module | what it holds |
//! |---|---|
//! | [`members`] | who is in the network: names, addresses, keys |
//! | [`air`] | what happens to one member on its way to the network: wrong clocks, unreachable peers, wrong bytes |
//! | [`authority`] | an authority and its store |
//! | [`node`] | a node: its shard, and what its control plane does around it |
//! | [`twin`] | somebody with a node's keys, who sends packets again and again |
//! | [`user`] | a client and whoever pings with it |
//! | [`world`] | all of them, the clock, what is under way |
//! | [`happening`] | what may be under way, or yet to happen |
//! | [`directory`] | votes, uploads and fetches: carried as messages |
//! | [`faults`] | what goes wrong, and when |
//! | `run` | a run from a seed to its report, and what has to hold after every step |
//! | [`scale`] | one node with many shards: how far it grows, where each stage costs what it was measured to cost |
//!
//! Real are the bytes between clients, gateways, mixes and service nodes, links and handshakes included. Links to
//! authorities are not: what they carry is handed over whole, late, twice, with a wrong bit or not at all.
#![forbid(unsafe_code)]

pub mod air;
pub mod authority;
pub mod directory;
pub mod faults;
pub mod happening;
pub mod members;
pub mod node;
pub mod run;
pub mod scale;
#[cfg(test)]
mod tests;
pub mod twin;
pub mod user;
pub mod world;

pub use members::Shape;
pub use run::{Failure, Plan, Report, run};
