//! The counters of the data plane: one row per shard and one for everything else, in memory that the control plane
//! reads. A new data plane goes on counting where the last one ended.
//!
//! Each row has one writer; adding is a plain load and store. Readers see each cell as it was at some moment, not all
//! cells at the same moment.

mod account;
mod handle;
mod label;
mod registry;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use handle::{Counter, Histogram};
pub use label::{
    AcceptFailure, AdmissionRefusal, Destination, DialFailure, Dimension, Direction, DocumentRefusal, HandshakeState,
    KeyEpoch, LaneEvent, Letter, LinkEnd, Origin, Outcome, PacketStage, PeerClass, PeerRefusal, Queue, QuicArrival,
    Request,
};
pub use registry::{CELLS, Family, Kind};

use crate::memory::{MemoryError, SharedMemory};
use crate::reason::{Also, DropReason};
use rustix::fd::{AsFd, OwnedFd};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most shards that a data plane has.
pub const SHARDS_MAX: usize = 256;

const NAME: &str = "counters";
const MAGIC: u64 = u64::from_le_bytes(*b"kzcount\x01");
/// Words before the first row: magic, cells per row, rows.
const HEADER_WORDS: usize = 16;
/// Words of a row: whole pairs of cache lines, so that neighbours never share one.
const ROW_WORDS: usize = CELLS.next_multiple_of(16);

/// The rows of all shards, in shared memory.
#[derive(Clone, Debug)]
pub struct Counters {
    memory: Arc<SharedMemory>,
    shards: usize,
}

impl Counters {
    /// New counters at zero for a data plane of `shards` shards, and the descriptor to pass on.
    pub fn create(shards: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let (memory, fd) = SharedMemory::create(NAME, Self::bytes(shards)?)?;
        Ok((Self::initialise(memory, shards), fd))
    }

    /// New counters in this process alone.
    pub fn heap(shards: usize) -> Self {
        let shards = shards.min(SHARDS_MAX);
        Self::initialise(SharedMemory::heap((HEADER_WORDS + (shards + 1) * ROW_WORDS) * 8), shards)
    }

    /// The counters behind a descriptor.
    pub fn attach(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        let [magic, cells, shards] =
            [0, 1, 2].map(|at| memory.words().get(at).map(|word| word.load(Ordering::Relaxed)));
        if (magic, cells) != (Some(MAGIC), Some(CELLS as u64)) {
            return Err(MemoryError::Foreign(NAME));
        }
        let shards = usize::try_from(shards.unwrap_or(0)).unwrap_or(usize::MAX);
        if memory.bytes() < Self::bytes(shards)? {
            return Err(MemoryError::Size { what: NAME, bytes: memory.bytes() as u64 });
        }
        Ok(Self { memory: Arc::new(memory), shards })
    }

    fn bytes(shards: usize) -> Result<usize, MemoryError> {
        if shards > SHARDS_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: shards as u64 });
        }
        Ok((HEADER_WORDS + (shards + 1) * ROW_WORDS) * 8)
    }

    fn initialise(memory: SharedMemory, shards: usize) -> Self {
        for (word, value) in memory.words().iter().zip([MAGIC, CELLS as u64, shards as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Self { memory: Arc::new(memory), shards }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The row of one shard, for its only writer. `None` if there is no such shard.
    pub fn shard(&self, shard: usize) -> Option<ShardCounters> {
        (shard < self.shards).then(|| self.writer(shard))
    }

    /// The row for what no shard does, for its only writer: the attach thread.
    pub fn process(&self) -> ShardCounters {
        self.writer(self.shards)
    }

    fn writer(&self, row: usize) -> ShardCounters {
        let start = HEADER_WORDS + row * ROW_WORDS;
        ShardCounters { memory: Arc::clone(&self.memory), start, single: PhantomData }
    }

    /// One cell of one row; the row after the last shard is the process's.
    pub fn get(&self, row: usize, counter: Counter) -> u64 {
        self.cells(row).get(counter.cell()).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// One cell, summed over all rows.
    pub fn total(&self, counter: Counter) -> u64 {
        (0..=self.shards).fold(0, |sum, row| sum.wrapping_add(self.get(row, counter)))
    }

    /// One of the reference's counters that the drop reasons feed (server.md 3.10).
    pub fn total_also(&self, also: Also) -> u64 {
        let reasons = DropReason::ALL.iter().filter(|reason| reason.increments(also));
        reasons.fold(0, |sum, reason| sum.wrapping_add(self.total(Counter::dropped(*reason))))
    }

    fn cells(&self, row: usize) -> &[AtomicU64] {
        let start = HEADER_WORDS + row * ROW_WORDS;
        self.memory.words().get(start..start + CELLS).unwrap_or_default()
    }
}

/// One row, held by its writer. It can move to another thread, but not be used by two.
#[derive(Debug)]
pub struct ShardCounters {
    memory: Arc<SharedMemory>,
    start: usize,
    single: PhantomData<Cell<()>>,
}

impl ShardCounters {
    #[inline]
    fn cell(&self, counter: Counter) -> &AtomicU64 {
        // Rows are made inside the memory and counters inside a row, so the index is in range.
        &self.memory.words()[self.start + counter.cell()]
    }

    /// Adds to a counter or gauge.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        let cell = self.cell(counter);
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Sets a gauge of this shard.
    #[inline]
    pub fn set(&self, gauge: Counter, value: u64) {
        self.cell(gauge).store(value, Ordering::Relaxed);
    }

    /// Reads a cell back.
    #[inline]
    pub fn get(&self, counter: Counter) -> u64 {
        self.cell(counter).load(Ordering::Relaxed)
    }

    /// Enters a value into a histogram, in its unit of observation (microseconds for all durations).
    #[inline]
    pub fn observe(&self, histogram: Histogram, value: u64) {
        self.observe_shares(histogram, value, 1);
    }

    /// Enters the value that `count` have together, each with its share of it; nothing if there are none.
    #[inline]
    pub fn observe_shares(&self, histogram: Histogram, value: u64, count: u64) {
        if let Some(share) = value.checked_div(count) {
            let (bucket, sum) = histogram.cells(share);
            self.add(bucket, count);
            self.add(sum, value);
        }
    }

    /// Counts a dropped packet. What the reason increments besides is summed by readers.
    #[inline]
    pub fn dropped(&self, reason: DropReason) {
        self.increment(Counter::dropped(reason));
    }
}
