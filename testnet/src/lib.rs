//! One small signed network, for all who need one around them: the rig, the tests of the whole program, benchmarks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`network`] | who is in the network, and the documents about it, signed by its one authority |
//! | [`session`] | blocking links between any two of its members |
//!
//! It is never linked into a node's own path: keys are made fresh and live for one run.
#![forbid(unsafe_code)]

pub mod network;
pub mod session;
