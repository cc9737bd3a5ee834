//! What is asked for.

use super::line::{self, Transport};
use super::measured::Shard;

/// The most shards of a node.
pub const SHARDS_OF_NODE_MAX: usize = 256;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Packets per second; none is what the line carries.
    pub rate: Option<f64>,
    /// The card's line.
    pub card_gbit: u32,
    /// What carries links.
    pub transport: Transport,
    /// Links on either side.
    pub links: usize,
    /// How busy shards may be.
    pub busy: f64,
    /// Cores of one host.
    pub cores: Option<usize>,
    /// Memory of one host.
    pub memory_bytes: Option<u64>,
    /// The mean delay.
    pub delay_ms: f64,
}

impl Demand {
    /// Packets per second of that size.
    pub fn rate(&self, packet_bytes: usize) -> f64 {
        self.rate.unwrap_or_else(|| line::packets_per_second(self.card_gbit, packet_bytes, self.transport).floor())
    }

    /// Shards for a rate, of which each does a share of what it does alone.
    pub fn shards(&self, rate: f64, shard: &Shard, efficiency: f64) -> usize {
        (rate / (self.busy * shard.packets_per_second * efficiency)).ceil().max(1.0) as usize
    }
}
