//! A packet on its way through one node.

pub mod pool;
