//! Cryptography for batches of packets: kernels over lanes, and the registry of schemes.

pub mod random;
pub mod schemes;
