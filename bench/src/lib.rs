//! Measures: Sphinx in one process (`benches/`), and a whole node from outside ([`rig`]).
//!
//! It is never linked into a path that packets of users take, and nothing here is tuned to look good: figures come with
//! the machine, the ceiling of the rig that measured them, and the node's own account.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cases`] | the schemes and sizes of the Sphinx benchmarks, and the cost of one unwrap |
//! | [`rig`] | one node in real processes on loopback, and everything around it |
#![forbid(unsafe_code)]

pub mod cases;
pub mod rig;
