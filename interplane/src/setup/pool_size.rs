//! How many packet slots a shard needs: the sum of those who hold them.

use super::BATCH_PACKETS_MAX;
use std::time::Duration;

/// How long a packet may wait for its link.
const QUEUED_MS: u64 = 50;

/// Who holds slots of one shard, at most (written down, not guessed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Opened and waiting to be unwrapped, surplus queue included: three batches.
    pub opened: u64,
    /// The batch in the unwrapper, and one that another shard pulled.
    pub unwrapping: u64,
    /// In the wheel: the line rate times the longest delay, if all senders choose it.
    pub delayed: u64,
    /// On the way to another shard, or back.
    pub handed_over: u64,
    /// In the queues of outgoing links.
    pub queued: u64,
}

impl PoolSize {
    /// Most slots of a shard.
    pub const SLOTS_MAX: u64 = 1 << 22;
    /// Bytes of a slot beside its packet: the frame around it, and what the node knows about it.
    pub const SLOT_OVERHEAD_BYTES: u64 = 192;

    /// For one of `shards` shards of a node that carries so many packets per second, with delays of up to `delay_max`.
    pub fn new(packets_per_second: u64, shards: u64, delay_max: Duration) -> Self {
        let shards = shards.max(1);
        // Links are dealt out by their number, so one shard may get twice its share of the traffic.
        let share =
            if shards == 1 { packets_per_second } else { packets_per_second.saturating_mul(2).div_ceil(shards) };
        let within = |ms: u64| share.saturating_mul(ms).div_ceil(1000);
        let batch = BATCH_PACKETS_MAX as u64;
        Self {
            opened: 3 * batch,
            unwrapping: 2 * batch,
            delayed: within(u64::try_from(delay_max.as_millis()).unwrap_or(u64::MAX)),
            handed_over: if shards == 1 { 0 } else { 1024 },
            queued: within(QUEUED_MS),
        }
    }

    /// The sum, and an eighth more, which a shard keeps free ([`PoolSize::reserve`]).
    pub fn slots(&self) -> u64 {
        let sum = [self.opened, self.unwrapping, self.delayed, self.handed_over, self.queued];
        let sum = sum.into_iter().fold(0, u64::saturating_add);
        sum.saturating_add(sum.div_ceil(7))
    }

    /// Of so many slots, those that are kept free for packets that come in: with fewer, delayed packets make room.
    pub fn reserve(slots: usize) -> usize {
        slots / 8
    }
}
