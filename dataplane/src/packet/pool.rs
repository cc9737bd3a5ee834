//! Slots: one packet each, for its whole life in this node, moved by ownership and never copied or reallocated.
//!
//! Layout, so that a frame is opened from the bytes that were received into the slot, and sealed from the slot into the
//! bytes that are sent:
//!
//! ```text
//! | command header 6 | packet (PacketLength) |
//! ```
//!
//! Workload assumed: thousands of slots per shard, 3 kB each, most of them waiting in the wheel for a fraction of a
//! second, few of them in an idle node. A slot is two allocations: the struct (two cache lines, which lists and the wheel
//! touch) and the bytes. Some are made at start, the others when as many are in use for the first time, and none is
//! given back: so memory follows the largest load, and a shard that has seen its load allocates nothing more. Slots
//! wander between shards and go home to the pool that they came from.

#[cfg(test)]
mod tests;

use super::route::{Arrival, Delivery, Sender};
use crate::delay::Link;
use crate::time::Instant;
use wire::command::COMMAND_HEADER_BYTES;

/// A packet and what the node knows about it.
pub struct Slot {
    bytes: Box<[u8]>,
    next: Option<Box<Slot>>,
    home: u32,
    /// Its neighbours in the wheel, while it is there.
    pub(crate) link: Link,
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
            bytes: vec![0; COMMAND_HEADER_BYTES + packet_bytes].into_boxed_slice(),
            next: None,
            home,
            link: Link::default(),
            recv_at: Instant::default(),
            due: Instant::default(),
            dispatch_at: Instant::default(),
            source: Source::default(),
            sender: Sender::default(),
            arrival: Arrival::Deliver(Delivery::default()),
        })
    }

    /// The shard whose pool it belongs to.
    pub fn home(&self) -> usize {
        self.home as usize
    }

    /// The packet.
    pub fn packet(&self) -> &[u8] {
        &self.bytes[COMMAND_HEADER_BYTES..]
    }

    /// The packet.
    pub fn packet_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[COMMAND_HEADER_BYTES..]
    }

    /// The command that carries the packet.
    pub fn command_mut(&mut self) -> &mut [u8] {
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
}

impl Drop for SlotList {
    /// One by one: the derived order would recurse once per slot.
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Bytes of the slots that are made at start.
const MADE_AT_START_BYTES: usize = 16 << 20;

/// The free slots of one shard.
pub struct Pool {
    free: SlotList,
    made: usize,
    total: usize,
    shard: u32,
    packet_bytes: usize,
}

impl Pool {
    /// The pool of `shard`, which has at most so many slots.
    pub fn new(shard: usize, slots: usize, packet_bytes: usize) -> Self {
        let shard = u32::try_from(shard).expect("shards are few");
        let made = slots.min(MADE_AT_START_BYTES / (COMMAND_HEADER_BYTES + packet_bytes));
        let mut free = SlotList::default();
        (0..made).for_each(|_| free.push(Slot::new(packet_bytes, shard)));
        Self { free, made, total: slots, shard, packet_bytes }
    }

    /// A free slot; none when all are in use, which the caller treats as back-pressure.
    pub fn take(&mut self) -> Option<Box<Slot>> {
        self.free.pop().or_else(|| {
            let is_left = self.made < self.total;
            self.made += usize::from(is_left);
            is_left.then(|| Slot::new(self.packet_bytes, self.shard))
        })
    }

    /// Takes a slot of this shard back.
    pub fn give(&mut self, slot: Box<Slot>) {
        debug_assert_eq!(slot.home, self.shard, "slots go home");
        self.free.push(slot);
    }

    /// Free slots, those that are not made yet included.
    pub fn free(&self) -> usize {
        self.free.len() + (self.total - self.made)
    }

    /// Slots that are made.
    pub fn made(&self) -> usize {
        self.made
    }

    /// All slots, wherever they are.
    pub fn total(&self) -> usize {
        self.total
    }
}
