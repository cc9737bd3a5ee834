//! Which packets were being unwrapped when a data plane crashed. A packet that crashes the data plane would else do it
//! again whenever its sender repeats it.

#[cfg(test)]
mod tests;

use crate::counter::SHARDS_MAX;
use crate::memory::{MemoryError, SharedMemory};
use crate::message::REFUSED_TAGS_MAX;
use crate::setup::BATCH_PACKETS_MAX;
use rustix::fd::{AsFd, OwnedFd};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

/// Most tags that are remembered from crashes before: what the largest data plane may have in flight.
const SUSPECTS_MAX: usize = SHARDS_MAX * BATCH_PACKETS_MAX;

const NAME: &str = "packets in flight";
const MAGIC: u64 = u64::from_le_bytes(*b"kzflight");
const HEADER_WORDS: usize = 8;
const TAG_WORDS: usize = 4;
/// Words of a shard's part: the number of tags on a line of its own, then the tags.
const SHARD_WORDS: usize = 8 + BATCH_PACKETS_MAX * TAG_WORDS;

/// The tags that each shard is working on.
#[derive(Clone, Debug)]
pub struct InFlight {
    memory: Arc<SharedMemory>,
    shards: usize,
}

impl InFlight {
    /// New memory for a data plane of `shards` shards, and the descriptor to pass on.
    pub fn create(shards: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let (memory, fd) = SharedMemory::create(NAME, Self::bytes(shards)?)?;
        Ok((Self::initialise(memory, shards), fd))
    }

    /// New memory in this process alone.
    pub fn heap(shards: usize) -> Self {
        let shards = shards.min(SHARDS_MAX);
        Self::initialise(SharedMemory::heap((HEADER_WORDS + shards * SHARD_WORDS) * 8), shards)
    }

    /// The memory behind a descriptor.
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
        Ok(Self { memory: Arc::new(memory), shards })
    }

    fn bytes(shards: usize) -> Result<usize, MemoryError> {
        if shards > SHARDS_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: shards as u64 });
        }
        Ok((HEADER_WORDS + shards * SHARD_WORDS) * 8)
    }

    fn initialise(memory: SharedMemory, shards: usize) -> Self {
        for (word, value) in memory.words().iter().zip([MAGIC, shards as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Self { memory: Arc::new(memory), shards }
    }

    /// One shard's part, for that shard. `None` if there is no such shard.
    pub fn shard(&self, shard: usize) -> Option<ShardInFlight> {
        (shard < self.shards)
            .then(|| ShardInFlight { memory: Arc::clone(&self.memory), start: HEADER_WORDS + shard * SHARD_WORDS })
    }

    /// The tags of all shards, after the data plane has ended, and clears them.
    pub fn take(&self) -> Vec<[u8; 32]> {
        let mut tags = Vec::new();
        let parts = self.memory.words().get(HEADER_WORDS..).unwrap_or_default().chunks_exact(SHARD_WORDS);
        for part in parts.take(self.shards) {
            let count = part[0].swap(0, Ordering::Relaxed);
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(BATCH_PACKETS_MAX);
            tags.extend(part[8..].chunks_exact(TAG_WORDS).take(count).map(|words| {
                let mut tag = [0; 32];
                for (bytes, word) in tag.chunks_exact_mut(8).zip(words) {
                    bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
                }
                tag
            }));
        }
        tags
    }
}

/// The tags that one shard is working on.
#[derive(Debug)]
pub struct ShardInFlight {
    memory: Arc<SharedMemory>,
    start: usize,
}

impl ShardInFlight {
    /// Notes the tags of the batch that is about to be unwrapped; those beyond a batch are not noted.
    pub fn begin<'a>(&mut self, tags: impl IntoIterator<Item = &'a [u8; 32]>) {
        // Parts are made inside the memory.
        let part = &self.memory.words()[self.start..self.start + SHARD_WORDS];
        let mut count = 0;
        for (words, tag) in part[8..].chunks_exact(TAG_WORDS).zip(tags) {
            let (tag, _) = tag.as_chunks::<8>();
            for (word, bytes) in words.iter().zip(tag) {
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
            count += 1;
        }
        // The reader comes after this process has ended, so only the compiler could reorder what it sees.
        part[0].store(count, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
    }

    /// Forgets them: the batch is unwrapped.
    pub fn end(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.memory.words()[self.start].store(0, Ordering::Release);
    }
}

/// Decides after each crash which tags are refused from now on: those that were in flight at two. Whatever else was in
/// flight at one of them only shared a batch with what crashed it.
#[derive(Debug, Default)]
pub struct Suspects {
    /// In flight at one crash so far, the newest last.
    once: VecDeque<[u8; 32]>,
    refused: Vec<[u8; 32]>,
}

impl Suspects {
    /// A data plane crashed with `tags` in flight.
    pub fn crashed(&mut self, tags: Vec<[u8; 32]>) {
        // Copies in one batch are one packet.
        for tag in BTreeSet::from_iter(tags) {
            if self.refused.contains(&tag) {
                continue;
            }
            match self.once.iter().position(|known| *known == tag) {
                Some(at) => {
                    self.once.remove(at);
                    self.refused.push(tag);
                }
                None => self.once.push_back(tag),
            }
        }
        // The newest matter most.
        self.once.drain(..self.once.len().saturating_sub(SUSPECTS_MAX));
        self.refused.drain(..self.refused.len().saturating_sub(REFUSED_TAGS_MAX));
    }

    /// The tags that the next data plane must refuse.
    pub fn refused(&self) -> &[[u8; 32]] {
        &self.refused
    }
}
