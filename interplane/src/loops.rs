//! This node's own loops by segment, in shared memory: one shard of the data plane counts, the control plane reports
//! (server.md 7.4). The counts of an epoch stay for seven more.

#[cfg(test)]
mod tests;

use crate::memory::{MemoryError, SharedMemory};
use pki::Epoch;
use pki::descriptor::Segment;
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "loop counts";
const MAGIC: u64 = u64::from_le_bytes(*b"kz-loops");
const HEADER_WORDS: usize = 16;
/// Epochs that are kept.
const EPOCHS: u64 = 8;
/// Segments of one epoch; more are not counted.
const SEGMENTS_MAX: usize = 8192;
const SEGMENT_WORDS: usize = 8;
const ENTRY_WORDS: usize = SEGMENT_WORDS + 2;
const AT_SENT: usize = SEGMENT_WORDS;
const AT_COMPLETED: usize = SEGMENT_WORDS + 1;
/// The epoch and the number of entries stand before the entries.
const REGION_WORDS: usize = 2 + SEGMENTS_MAX * ENTRY_WORDS;
const WORDS: usize = HEADER_WORDS + EPOCHS as usize * REGION_WORDS;

/// The loops over one segment in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentCount {
    /// Both nodes.
    pub segment: Segment,
    /// Loops that were sent over it.
    pub sent: u64,
    /// Loops that came back over it.
    pub completed: u64,
}

impl SegmentCount {
    /// The beginnings of the ids of both nodes, for people.
    pub fn nodes(&self) -> (String, String) {
        let (from, to) = self.segment.split_at(32);
        let short = |id: &[u8]| id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        (short(from), short(to))
    }

    /// What the upload says of it: 1 where nothing came back at all, as the reference says it (server.md 7.4).
    pub fn ratio(&self) -> f64 {
        if self.completed == 0 { 1.0 } else { self.completed as f64 / self.sent as f64 }
    }
}

/// All counts.
#[derive(Clone, Debug)]
pub struct LoopCounts {
    memory: Arc<SharedMemory>,
}

impl LoopCounts {
    /// New ones, and the descriptor to pass on. Pages are taken as they are used.
    pub fn create() -> Result<(Self, OwnedFd), MemoryError> {
        let (memory, fd) = SharedMemory::create(NAME, WORDS * 8)?;
        memory.words()[0].store(MAGIC, Ordering::Relaxed);
        Ok((Self { memory: Arc::new(memory) }, fd))
    }

    /// The ones behind a descriptor.
    pub fn attach(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        match memory.words().first().map(|word| word.load(Ordering::Relaxed)) {
            Some(MAGIC) if memory.bytes() >= WORDS * 8 => Ok(Self { memory: Arc::new(memory) }),
            Some(MAGIC) => Err(MemoryError::Size { what: NAME, bytes: memory.bytes() as u64 }),
            _ => Err(MemoryError::Foreign(NAME)),
        }
    }

    /// The end of the only writer. It goes on with what another left.
    pub fn writer(&self) -> LoopWriter {
        let mut index = HashMap::new();
        for at in 0..EPOCHS {
            let region = self.region(at);
            for entry in 0..region.entries() {
                index.insert((region.epoch(), region.segment(entry)), entry);
            }
        }
        LoopWriter { counts: self.clone(), index }
    }

    /// The counts of an epoch, in no order; empty if there are none.
    pub fn read(&self, epoch: Epoch) -> Vec<SegmentCount> {
        let region = self.region(epoch.0);
        let entries = if region.epoch() == epoch.0 { region.entries() } else { 0 };
        let counts = (0..entries).map(|entry| region.count(entry)).collect();
        // What was overwritten meanwhile is of another epoch.
        if region.epoch() == epoch.0 { counts } else { Vec::new() }
    }

    /// The epochs that have counts, oldest first.
    pub fn epochs(&self) -> Vec<Epoch> {
        let regions = (0..EPOCHS).map(|at| self.region(at));
        let mut epochs: Vec<_> =
            regions.filter(|region| region.entries() > 0).map(|region| Epoch(region.epoch())).collect();
        epochs.sort_unstable();
        epochs
    }

    fn region(&self, epoch: u64) -> Region<'_> {
        let start = HEADER_WORDS + (epoch % EPOCHS) as usize * REGION_WORDS;
        // The memory was checked to hold all of them.
        Region { words: &self.memory.words()[start..start + REGION_WORDS] }
    }
}

/// The counts of one epoch.
struct Region<'a> {
    words: &'a [AtomicU64],
}

impl Region<'_> {
    fn epoch(&self) -> u64 {
        self.words[0].load(Ordering::Acquire)
    }

    /// Whatever a crashed writer left, no more than there is room for.
    fn entries(&self) -> usize {
        usize::try_from(self.words[1].load(Ordering::Acquire)).unwrap_or(usize::MAX).min(SEGMENTS_MAX)
    }

    fn entry(&self, at: usize) -> &[AtomicU64] {
        &self.words[2 + at * ENTRY_WORDS..][..ENTRY_WORDS]
    }

    fn segment(&self, at: usize) -> Segment {
        let mut segment = [0; 64];
        for (bytes, word) in segment.chunks_exact_mut(8).zip(self.entry(at)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        segment
    }

    fn count(&self, at: usize) -> SegmentCount {
        let [sent, completed] = [AT_SENT, AT_COMPLETED].map(|word| self.entry(at)[word].load(Ordering::Relaxed));
        SegmentCount { segment: self.segment(at), sent, completed }
    }

    fn begin(&self, epoch: u64) {
        self.words[1].store(0, Ordering::Release);
        self.words[0].store(epoch, Ordering::Release);
    }

    /// A new entry; none if there is no room.
    fn add(&self, segment: &Segment) -> Option<usize> {
        let at = self.entries();
        if at == SEGMENTS_MAX {
            return None;
        }
        let entry = self.entry(at);
        for (word, bytes) in entry.iter().zip(segment.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        entry[AT_SENT].store(0, Ordering::Relaxed);
        entry[AT_COMPLETED].store(0, Ordering::Relaxed);
        self.words[1].store(at as u64 + 1, Ordering::Release);
        Some(at)
    }
}

/// The end of the writer.
#[derive(Debug)]
pub struct LoopWriter {
    counts: LoopCounts,
    index: HashMap<(u64, Segment), usize>,
}

impl LoopWriter {
    /// A loop was sent over the segment.
    pub fn sent(&mut self, epoch: Epoch, segment: &Segment) {
        self.increment(epoch, segment, AT_SENT);
    }

    /// A loop came back that had been sent over the segment.
    pub fn completed(&mut self, epoch: Epoch, segment: &Segment) {
        self.increment(epoch, segment, AT_COMPLETED);
    }

    fn increment(&mut self, epoch: Epoch, segment: &Segment, word: usize) {
        let region = self.counts.region(epoch.0);
        if region.epoch() != epoch.0 {
            if region.epoch() > epoch.0 {
                return;
            }
            let over = region.epoch();
            self.index.retain(|(of, _), _| *of != over);
            region.begin(epoch.0);
        }
        let at = match self.index.get(&(epoch.0, *segment)) {
            Some(at) => *at,
            None => {
                let Some(at) = region.add(segment) else { return };
                self.index.insert((epoch.0, *segment), at);
                at
            }
        };
        let count = &region.entry(at)[word];
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}
