//! Measures this project's cryptography: in turns with the best libraries, and by itself (`benches/`). A whole node is
//! measured by the crate `rig`.
//!
//! It is never linked into a path that packets of users take, and nothing here is tuned to look good: figures come with
//! the machine and with what else was measured there at the same time.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cases`] | the schemes of the Sphinx benchmarks, with keys and packets |
//! | [`measures`] | the table of cases: operations, sizes, batches |
//! | [`subjects`] | what is timed: ours, the peer's, the floor |
//! | [`peers`] | the fastest libraries, and one packet's way through them; the only `unsafe` |
//! | [`table`] | ours, peers and floor in turns on one core, with a guard against busy neighbours, and the limits |
//! | [`statistics`] | medians and quartiles |
#![deny(unsafe_code)]

pub mod cases;
pub mod measures;
pub mod peers;
pub mod statistics;
pub mod subjects;
pub mod table;
