//! Rings in shared memory that carry events from the data plane to the control plane, one per shard: one writer, one
//! reader, no locks, no system calls. A full ring drops events and counts them; it never makes a shard wait.
//!
//! The reader trusts nothing that it finds: the writer may have crashed, or be of another mind about the layout.

#[cfg(test)]
mod tests;

use crate::counter::SHARDS_MAX;
use crate::event::Event;
use crate::memory::{MemoryError, SharedMemory};
use rustix::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of each ring.
pub const RING_BYTES: usize = 1 << 16;
/// Most bytes of an encoded event.
pub const EVENT_BYTES_MAX: usize = 512;

const NAME: &str = "event rings";
const MAGIC: u64 = u64::from_le_bytes(*b"kzevents");
const HEADER_WORDS: usize = 16;
const CAPACITY: u64 = (RING_BYTES / 8) as u64;
/// Positions count words since the beginning of time; each stands on a pair of cache lines of its own.
const AT_HEAD: usize = 0;
const AT_TAIL: usize = 16;
const AT_DROPPED: usize = AT_HEAD + 1;
const AT_RECORDS: usize = 32;
const RING_WORDS: usize = AT_RECORDS + CAPACITY as usize;

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
            .fold(0, |sum: u64, ring| sum.wrapping_add(Ring::of(words, ring).words[AT_DROPPED].load(Ordering::Relaxed)))
    }

    fn writer(&self, ring: usize) -> EventWriter {
        EventWriter { memory: Arc::clone(&self.memory), ring }
    }
}

/// The words of one ring.
struct Ring<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Ring<'a> {
    fn of(words: &'a [AtomicU64], ring: usize) -> Self {
        let start = HEADER_WORDS + ring * RING_WORDS;
        // The memory was checked to hold all rings.
        Self { words: &words[start..start + RING_WORDS] }
    }

    fn head(&self) -> &AtomicU64 {
        &self.words[AT_HEAD]
    }

    fn tail(&self) -> &AtomicU64 {
        &self.words[AT_TAIL]
    }

    fn record(&self, position: u64) -> &AtomicU64 {
        &self.words[AT_RECORDS + (position % CAPACITY) as usize]
    }
}

/// The first word of a record: its length, and a number that garbage hardly has at this position.
fn mark(position: u64, length: u32) -> u64 {
    let check = (position as u32).wrapping_mul(0x9e37_79b1) ^ length.rotate_left(16) ^ 0x6b7a_7270;
    u64::from(check) << 32 | u64::from(length)
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
        let written = encoded.is_ok_and(|encoded| self.put(encoded));
        if !written {
            // This end is the only writer of the count.
            let dropped = &Ring::of(self.memory.words(), self.ring).words[AT_DROPPED];
            dropped.store(dropped.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        written
    }

    fn put(&self, bytes: &[u8]) -> bool {
        let ring = Ring::of(self.memory.words(), self.ring);
        let head = ring.head().load(Ordering::Relaxed);
        // The reader has finished with everything before the tail.
        let used = head.wrapping_sub(ring.tail().load(Ordering::Acquire));
        let needed = 1 + bytes.len().div_ceil(8) as u64;
        if used > CAPACITY || CAPACITY - used < needed {
            return false;
        }
        ring.record(head).store(mark(head, bytes.len() as u32), Ordering::Relaxed);
        let mut position = head;
        for chunk in bytes.chunks(8) {
            position = position.wrapping_add(1);
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            ring.record(position).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        // Publishes the record: a crash before this line leaves nothing to be seen.
        ring.head().store(head.wrapping_add(needed), Ordering::Release);
        true
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
        let ring = Ring::of(self.rings.memory.words(), at);
        // The writer finished everything before the head.
        let head = ring.head().load(Ordering::Acquire);
        let mut tail = ring.tail().load(Ordering::Relaxed);
        let mut left = head.wrapping_sub(tail);
        let mut buffer = [0; EVENT_BYTES_MAX];
        while left > 0 {
            let Some(record) = read(&ring, tail, left, &mut buffer) else {
                // Positions and content do not fit together: nothing in the ring can be found any more.
                self.damaged += 1;
                tail = head;
                break;
            };
            match postcard::from_bytes(record) {
                Ok(event) => take(at, event),
                Err(_) => self.damaged += 1,
            }
            let words = 1 + record.len().div_ceil(8) as u64;
            tail = tail.wrapping_add(words);
            left -= words;
        }
        ring.tail().store(tail, Ordering::Release);
    }
}

/// The record at `position`, if it can be one.
fn read<'b>(ring: &Ring<'_>, position: u64, left: u64, buffer: &'b mut [u8; EVENT_BYTES_MAX]) -> Option<&'b [u8]> {
    let first = ring.record(position).load(Ordering::Relaxed);
    let length = first as u32;
    let record = buffer.get_mut(..usize::try_from(length).ok()?)?;
    let words = 1 + u64::from(length).div_ceil(8);
    if left > CAPACITY || words > left || first != mark(position, length) {
        return None;
    }
    let mut at = position;
    for chunk in record.chunks_mut(8) {
        at = at.wrapping_add(1);
        let word = ring.record(at).load(Ordering::Relaxed).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    Some(record)
}
