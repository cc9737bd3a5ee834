//! Slots: one packet each, for its whole life in this node, moved by ownership and never copied or reallocated.
//!
//! Layout, so that a frame is opened, unwrapped and sealed in place:
//!
//! ```text
//! | frame header 20 | command header 6 | packet (PacketLength) | tag 16 |
//! ```
//!
//! Workload assumed: thousands of slots per shard, 3 kB each, most of them waiting in the wheel for a fraction of a
//! second. A slot is two allocations made at start: the struct (two cache lines, which lists and the wheel touch) and
//! the bytes. Slots wander between shards and go home to the pool that they came from.

#[cfg(test)]
mod tests;

use super::route::{Arrival, Sender};
use crate::time::Instant;
use wire::command::COMMAND_HEADER_BYTES;
use wire::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES};

/// Bytes around a packet in its slot and on the wire.
pub const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + COMMAND_HEADER_BYTES + FRAME_BODY_TAG_BYTES;
const PACKET_START: usize = FRAME_HEADER_BYTES + COMMAND_HEADER_BYTES;

/// A packet and what the node knows about it.
pub struct Slot {
    bytes: Box<[u8]>,
    next: Option<Box<Slot>>,
    home: u32,
    /// When its last byte was received.
    pub recv_at: Instant,
    /// When it may leave, at the earliest.
    pub due: Instant,
    /// When it left the wheel.
    pub dispatch_at: Instant,
    /// The link that it came in by.
    pub source: Source,
    /// What its link says about its sender.
    pub sender: Sender,
    /// What becomes of it, once it is routed.
    pub arrival: Arrival,
}

/// Where a packet came from. The shard is the slot's home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Place in that shard's table of connections.
    pub link: u32,
    /// The key that matched this link's last packet: the one to try first.
    pub hint: KeyHint,
}

/// Which of the three keys a packet is expected to be for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHint {
    /// This epoch's.
    #[default]
    Current,
    /// The last epoch's.
    Previous,
    /// The next epoch's.
    Next,
}

impl KeyHint {
    /// All of them, in the order in which keys are tried (server.md 3.6).
    pub const ALL: [Self; 3] = [Self::Current, Self::Previous, Self::Next];

    /// Its position in [`KeyHint::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The hint at a position; the usual one if there is none.
    pub fn from_index(index: u8) -> Self {
        Self::ALL.get(usize::from(index)).copied().unwrap_or_default()
    }
}

impl Slot {
    fn new(packet_bytes: usize, home: u32) -> Box<Self> {
        Box::new(Self {
            bytes: vec![0; packet_bytes + FRAME_OVERHEAD_BYTES].into_boxed_slice(),
            next: None,
            home,
            recv_at: Instant::default(),
            due: Instant::default(),
            dispatch_at: Instant::default(),
            source: Source::default(),
            sender: Sender::default(),
            arrival: Arrival::Deliver,
        })
    }

    /// The shard whose pool it belongs to.
    pub fn home(&self) -> usize {
        self.home as usize
    }

    /// The packet.
    pub fn packet(&self) -> &[u8] {
        &self.bytes[PACKET_START..self.bytes.len() - FRAME_BODY_TAG_BYTES]
    }

    /// The packet.
    pub fn packet_mut(&mut self) -> &mut [u8] {
        let end = self.bytes.len() - FRAME_BODY_TAG_BYTES;
        &mut self.bytes[PACKET_START..end]
    }

    /// Room for a frame's body: command header, packet and tag.
    pub fn body_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[FRAME_HEADER_BYTES..]
    }

    /// Room for a whole frame.
    pub fn frame_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// Slots in a chain through themselves: no memory beyond the slots. Last in, first out.
#[derive(Default)]
pub struct SlotList {
    head: Option<Box<Slot>>,
    len: usize,
}

impl SlotList {
    /// How many slots it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a slot.
    pub fn push(&mut self, mut slot: Box<Slot>) {
        slot.next = self.head.take();
        self.head = Some(slot);
        self.len += 1;
    }

    /// Takes the slot that was added last.
    pub fn pop(&mut self) -> Option<Box<Slot>> {
        let mut slot = self.head.take()?;
        self.head = slot.next.take();
        self.len -= 1;
        Some(slot)
    }

    /// Takes the slot at a position, counted from the last added.
    pub fn remove(&mut self, position: usize) -> Option<Box<Slot>> {
        if position >= self.len {
            return None;
        }
        let mut before = SlotList::default();
        while before.len < position
            && let Some(slot) = self.pop()
        {
            before.push(slot);
        }
        let removed = self.pop();
        while let Some(slot) = before.pop() {
            self.push(slot);
        }
        removed
    }
}

impl Drop for SlotList {
    /// One by one: the derived order would recurse once per slot.
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// The free slots of one shard.
pub struct Pool {
    free: SlotList,
    total: usize,
    shard: usize,
}

impl Pool {
    /// Makes all slots of `shard`.
    pub fn new(shard: usize, slots: usize, packet_bytes: usize) -> Self {
        let mut free = SlotList::default();
        for _ in 0..slots {
            free.push(Slot::new(packet_bytes, u32::try_from(shard).expect("shards are few")));
        }
        Self { free, total: slots, shard }
    }

    /// A free slot; none when all are in use, which the caller treats as back-pressure.
    pub fn take(&mut self) -> Option<Box<Slot>> {
        self.free.pop()
    }

    /// Takes a slot of this shard back.
    pub fn give(&mut self, slot: Box<Slot>) {
        debug_assert_eq!(slot.home(), self.shard, "slots go home");
        self.free.push(slot);
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// All slots, wherever they are.
    pub fn total(&self) -> usize {
        self.total
    }
}
