//! A shard's access to slots: its own pool, and the way home for those of others.

use super::pool::{Pool, Slot};
use crate::shared::Shared;
use interplane::setup::PoolSize;
use std::sync::Arc;

/// Takes slots from one pool and gives all slots back to theirs.
pub struct Slots {
    shard: usize,
    pool: Pool,
    shared: Arc<Shared>,
}

impl Slots {
    /// Makes the pool of `shard`.
    pub fn new(shard: usize, shared: Arc<Shared>) -> Self {
        let facts = shared.facts();
        Self { shard, pool: Pool::new(shard, facts.slots, facts.geometry.packet_length), shared }
    }

    /// A free slot of this shard.
    pub fn take(&mut self) -> Option<Box<Slot>> {
        self.pool.take()
    }

    /// Sends a slot home.
    pub fn give(&mut self, slot: Box<Slot>) {
        if slot.home() == self.shard {
            self.pool.give(slot);
        } else if let Some(port) = self.shared.ports().get(slot.home()) {
            // The queue has room for all slots of that pool.
            let returned = port.home.push(slot);
            debug_assert!(returned.is_ok(), "the way home is wide enough");
        }
    }

    /// Takes in the slots that others gave back, and says to all whether this shard is short of slots.
    pub fn collect(&mut self) {
        let Some(port) = self.shared.ports().get(self.shard) else { return };
        while let Some(slot) = port.home.pop() {
            self.pool.give(slot);
        }
        port.say_short(self.pool.free() < PoolSize::reserve(self.pool.total()));
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// All slots of this shard.
    pub fn total(&self) -> usize {
        self.pool.total()
    }
}
