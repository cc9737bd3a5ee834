//! Rings in shared memory that carry events from the data plane to the control plane, one per shard: one writer, one
//! reader, no locks, no system calls. A full ring drops events and counts them; it never makes a shard wait.
//!
//! The reader trusts nothing that it finds: the writer may have crashed, or be of another mind about the layout.

#[cfg(test)]
mod tests;
pub(crate) mod words;

use crate::counter::SHARDS_MAX;
use crate::event::Event;
use crate::memory::{MemoryError, SharedMemory};
use rustix::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use words::Ring;

/// Bytes of each ring.
pub const RING_BYTES: usize = 1 << 16;
/// Most bytes of an encoded event.
pub const EVENT_BYTES_MAX: usize = 512;

const NAME: &str = "event rings";
const MAGIC: u64 = u64::from_le_bytes(*b"kzevents");
const HEADER_WORDS: usize = 16;
const CAPACITY: usize = RING_BYTES / 8;
/// The writer's word in which it counts what it dropped.
const DROPPED: usize = 0;
const RING_WORDS: usize = Ring::words(CAPACITY);

/// The rings of all shards, and one for everything else.
#[derive(Clone, Debug)]
pub struct EventRings {
    memory: Arc<SharedMemory>,
    rings: usize,
}

impl EventRings {
    /// New rings for a data plane of `shards` shards, and the descriptor to pass on.
    pub fn create(shards: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let (memory, fd) = SharedMemory::create(NAME, Self::bytes(shards)?)?;
        Ok((Self::initialise(memory, shards), fd))
    }

    /// New rings in this process alone.
    pub fn heap(shards: usize) -> Self {
        let shards = shards.min(SHARDS_MAX);
        Self::initialise(SharedMemory::heap((HEADER_WORDS + (shards + 1) * RING_WORDS) * 8), shards)
    }

    /// The rings behind a descriptor.
    pub fn attach(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        let [magic, shards] = [0, 1].map(|at| memory.words().get(at).map_or(0, |word| word.load(Ordering::Relaxed)));
        if magic != MAGIC {
            return Err(MemoryError::Foreign(NAME));
        }
        let shards = usize::try_from(shards).unwrap_or(usize::MAX);
        if memory.bytes() < Self::bytes(shards)? {
            return Err(MemoryError::Size { what: NAME, bytes: memory.bytes() as u64 });
        }
        Ok(Self { memory: Arc::new(memory), rings: shards + 1 })
    }

    fn bytes(shards: usize) -> Result<usize, MemoryError> {
        if shards > SHARDS_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: shards as u64 });
        }
        Ok((HEADER_WORDS + (shards + 1) * RING_WORDS) * 8)
    }

    fn initialise(memory: SharedMemory, shards: usize) -> Self {
        for (word, value) in memory.words().iter().zip([MAGIC, shards as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Self { memory: Arc::new(memory), rings: shards + 1 }
    }

    /// The writing end of one shard's ring, for that shard. `None` if there is no such shard.
    pub fn shard(&self, shard: usize) -> Option<EventWriter> {
        (shard + 1 < self.rings).then(|| self.writer(shard))
    }

    /// The writing end of the ring for what no shard says, for the attach thread.
    pub fn process(&self) -> EventWriter {
        self.writer(self.rings - 1)
    }

    /// The reading end of all rings, for the control plane.
    pub fn reader(&self) -> EventReader {
        EventReader { rings: self.clone(), damaged: 0 }
    }

    /// Events that found their ring full, since the rings were made.
    pub fn dropped(&self) -> u64 {
        let words = self.memory.words();
        (0..self.rings)
            .fold(0, |sum: u64, ring| sum.wrapping_add(ring_of(words, ring).of_writer(DROPPED).load(Ordering::Relaxed)))
    }

    fn writer(&self, ring: usize) -> EventWriter {
        EventWriter { memory: Arc::clone(&self.memory), ring }
    }
}

fn ring_of(words: &[AtomicU64], ring: usize) -> Ring<'_> {
    let start = HEADER_WORDS + ring * RING_WORDS;
    // The memory was checked to hold all rings.
    Ring::of(&words[start..start + RING_WORDS])
}

/// The writing end of one ring.
#[derive(Debug)]
pub struct EventWriter {
    memory: Arc<SharedMemory>,
    ring: usize,
}

impl EventWriter {
    /// Puts an event into the ring. False if it was dropped, which is counted.
    pub fn write(&mut self, event: &Event) -> bool {
        let mut buffer = [0; EVENT_BYTES_MAX];
        let encoded = postcard::to_slice(event, &mut buffer).map(|encoded| &*encoded);
        let written = encoded.is_ok_and(|encoded| ring_of(self.memory.words(), self.ring).put(&[], encoded));
        if !written {
            // This end is the only writer of the count.
            let ring = ring_of(self.memory.words(), self.ring);
            let dropped = ring.of_writer(DROPPED);
            dropped.store(dropped.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        written
    }
}

/// The reading end of all rings.
#[derive(Debug)]
pub struct EventReader {
    rings: EventRings,
    damaged: u64,
}

impl EventReader {
    /// Takes all events that are there now; the first argument of `take` is the ring, the one after the last shard's
    /// is the process's.
    pub fn drain(&mut self, mut take: impl FnMut(usize, Event)) {
        for ring in 0..self.rings.rings {
            self.drain_ring(ring, &mut take);
        }
    }

    /// Records, or whole contents of a ring, that made no sense and were skipped.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn drain_ring(&mut self, at: usize, take: &mut impl FnMut(usize, Event)) {
        let ring = ring_of(self.rings.memory.words(), at);
        let mut undecodable = 0;
        let skipped = ring.take(CAPACITY, &mut [0; EVENT_BYTES_MAX], |record| match postcard::from_bytes(record) {
            Ok(event) => take(at, event),
            Err(_) => undecodable += 1,
        });
        self.damaged += skipped + undecodable;
    }
}
