//! One small signed network, for all who need one around them: the rig, the tests of the whole program, benchmarks; and
//! networks of real processes, for `katzensprung testnet` and `genconfig`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`members`] | members by number, whose keys follow from it, and documents that list them |
//! | [`network`] | who is in the network, and the documents about it, signed by its one authority |
//! | [`authority`] | takes descriptors, serves documents, misbehaves on demand |
//! | [`files`] | the configuration file of a node in it |
//! | [`neighbours`] | the mixes before and behind the node: dialling, being dialled |
//! | [`session`] | blocking links between any two of its members |
//! | [`layout`] | who is in a network of processes: names, layers, ports |
//! | [`settings`] | what such a network is like: packets, schemes, rates |
//! | [`generate`] | its files: configurations and keys |
//! | [`compose`] | what runs such a network in containers |
//! | [`processes`] | its processes: started, watched, stopped |
//!
//! It is never linked into a node's own path: keys are made fresh and live for one run, or follow from a number.
#![forbid(unsafe_code)]

pub mod authority;
pub mod compose;
pub mod files;
pub mod generate;
pub mod layout;
pub mod members;
pub mod neighbours;
pub mod network;
pub mod processes;
pub mod session;
pub mod settings;
