//! The time of shards: that of the links they drive.

pub use wire::Instant;
