//! The replay set of one mix key: which packets were seen, in memory that all shards and both planes share.
//!
//! A set is an array of buckets of one cache line, eight fingerprints of eight bytes each. A tag begins at a bucket
//! that a key of the set chooses, and tries slot after slot, bucket after bucket, up to [`PROBE_BUCKETS`], always in
//! the same order; slots fill once and are never cleared. Therefore two writers with one tag meet at the same empty
//! slot, and one compare-and-swap decides who was first: between shards, between processes, and after a crash, since a
//! slot is either empty or complete.
//!
//! A set never forgets and never grows. When there is no room for a tag the answer is [`Insert::Full`], and the packet
//! must be dropped: whether it is new cannot be known later.

pub mod kept;
mod keyed;
mod probe;
#[cfg(test)]
mod tests;

use crate::memory::{MemoryError, SharedMemory};
use keyed::siphash_128;
use rustix::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Fingerprints of a bucket: one cache line.
pub const BUCKET_SLOTS: usize = 8;
/// The part of a set that packets may take which come before the epoch of the set's key. Honest ones are the few that
/// cross a boundary; whoever fills it ahead of time must not take the epoch itself. With the design fill it makes 80 %.
pub const EARLY_PERCENT: u64 = 20;
/// Buckets that a tag may be in. Measured: the first refusal comes at 84 % fill, with 16 buckets at 78 %.
pub const PROBE_BUCKETS: u64 = 64;
/// Fill for which sets are sized.
pub const DESIGN_FILL_PERCENT: u64 = 60;
/// Fill from which a warning is due: traffic is above the configured line rate.
pub const WARN_FILL_PERCENT: u64 = 70;
/// Fewest buckets of a set: one probe sequence.
pub const BUCKETS_MIN: u64 = PROBE_BUCKETS;
/// Most buckets of a set: 512 GiB.
pub const BUCKETS_MAX: u64 = 1 << 33;
/// Bytes of a replay tag.
pub const TAG_BYTES: usize = 32;

const NAME: &str = "replay set";
const MAGIC: u64 = u64::from_le_bytes(*b"kzreplay");
const LAYOUT: u64 = 1;

/// Words of a cache line.
const LINE: usize = 8;
/// Partial counts of tags, on a line each, so that shards seldom meet when they count.
const COUNTS: usize = 63;
/// Words before the first bucket: one line of header, then the counts. One page.
const HEADER_WORDS: usize = LINE * (COUNTS + 1);
const AT_MAGIC: usize = 0;
const AT_LAYOUT: usize = 1;
const AT_EPOCH: usize = 2;
const AT_BUCKETS: usize = 3;
const AT_KEY: usize = 4;
const AT_EARLY: usize = 6;

/// What an insertion found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// The tag was not in the set and is now.
    New,
    /// The tag was in the set.
    Seen,
    /// The tag was not in the set and there is no room for it.
    Full,
}

/// How many tags a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Tags inserted.
    pub tags: u64,
    /// Tags that there are slots for.
    pub slots: u64,
}

impl Fill {
    /// Tags in percent of the slots.
    pub fn percent(&self) -> u64 {
        u64::try_from(u128::from(self.tags) * 100 / u128::from(self.slots.max(1))).unwrap_or(u64::MAX)
    }

    /// Whether the operator should know.
    pub fn is_warning(&self) -> bool {
        self.percent() >= WARN_FILL_PERCENT
    }
}

/// Buckets of a set for a line rate: 60 % full after one epoch at that rate, which is 16 kB per packet/s and key when
/// epochs last 20 minutes. Honest packets use a key during its own epoch only. It is accepted for two epochs and more,
/// as the next and as the previous one too; what is free at the design fill takes 0.4 of a second epoch at the full
/// rate (the first refusal comes at 84 %). Whoever expects floods with the keys of other epochs configures twice the
/// line rate.
pub fn replay_capacity(packets_per_second: u64, epoch_seconds: u64) -> u64 {
    let tags = u128::from(packets_per_second) * u128::from(epoch_seconds.max(1));
    let slots = tags.saturating_mul(100).div_ceil(u128::from(DESIGN_FILL_PERCENT));
    let buckets = u64::try_from(slots.div_ceil(BUCKET_SLOTS as u128)).unwrap_or(u64::MAX);
    buckets.clamp(BUCKETS_MIN, BUCKETS_MAX)
}

/// Bytes of memory of a set.
pub fn memory_bytes(buckets: u64) -> u64 {
    buckets.saturating_mul(BUCKET_SLOTS as u64 * 8).saturating_add(HEADER_WORDS as u64 * 8)
}

/// Where a tag belongs in one set. It means nothing to another set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: u64,
    fingerprint: u64,
}

/// The tags seen with one mix key.
#[derive(Debug)]
pub struct ReplaySet {
    memory: SharedMemory,
    epoch: u64,
    buckets: u64,
    key: [u64; 2],
}

impl ReplaySet {
    /// A new set in a memfd. `key` is random; it keeps senders from choosing buckets.
    pub fn create(epoch: u64, buckets: u64, key: [u8; 16]) -> Result<(Self, OwnedFd), MemoryError> {
        let buckets = checked_buckets(buckets)?;
        let bytes = memory_bytes(buckets);
        let bytes = usize::try_from(bytes).map_err(|_| MemoryError::Size { what: NAME, bytes })?;
        let (memory, fd) = SharedMemory::create(NAME, bytes)?;
        Ok((Self::initialise(memory, epoch, buckets, key), fd))
    }

    /// A new set in this process alone.
    pub fn heap(epoch: u64, buckets: u64, key: [u8; 16]) -> Self {
        let buckets = buckets.clamp(BUCKETS_MIN, BUCKETS_MAX);
        let bytes = usize::try_from(memory_bytes(buckets)).unwrap_or(usize::MAX);
        Self::initialise(SharedMemory::heap(bytes), epoch, buckets, key)
    }

    /// The set behind a descriptor.
    pub fn attach(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        let header = |at: usize| memory.words().get(at).map_or(0, |word| word.load(Ordering::Relaxed));
        if header(AT_MAGIC) != MAGIC || header(AT_LAYOUT) != LAYOUT {
            return Err(MemoryError::Foreign(NAME));
        }
        let buckets = checked_buckets(header(AT_BUCKETS))?;
        let bytes = memory.bytes() as u64;
        if bytes < memory_bytes(buckets) {
            return Err(MemoryError::Size { what: NAME, bytes });
        }
        let (epoch, key) = (header(AT_EPOCH), [header(AT_KEY), header(AT_KEY + 1)]);
        Ok(Self { memory, epoch, buckets, key })
    }

    fn initialise(memory: SharedMemory, epoch: u64, buckets: u64, key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        let key = [key as u64, (key >> 64) as u64];
        for (word, value) in memory.words().iter().zip([MAGIC, LAYOUT, epoch, buckets, key[0], key[1]]) {
            word.store(value, Ordering::Relaxed);
        }
        Self { memory, epoch, buckets, key }
    }

    /// The epoch of the mix key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many buckets there are.
    pub fn buckets(&self) -> u64 {
        self.buckets
    }

    /// Where a tag belongs. Begins to fetch its first bucket, so that what follows does not wait for memory: locate
    /// all tags of a batch, then look them up.
    #[inline]
    pub fn locate(&self, tag: &[u8; TAG_BYTES]) -> Place {
        let [choice, fingerprint] = siphash_128(self.key, words_of(tag));
        let bucket = ((u128::from(choice) * u128::from(self.buckets)) >> 64) as u64;
        prefetch(self.bucket(bucket));
        // Zero is the empty slot. Two tags share a fingerprint by this with a chance of 2^-64, like all others.
        Place { bucket, fingerprint: fingerprint.max(1) }
    }

    /// Begins to fetch the buckets of all tags.
    pub fn prefetch(&self, tags: &[[u8; TAG_BYTES]]) {
        for tag in tags {
            self.locate(tag);
        }
    }

    /// Whether the tag was inserted before. Changes nothing: a "no" may be old by the time it is read.
    pub fn contains(&self, tag: &[u8; TAG_BYTES]) -> bool {
        self.contains_at(self.locate(tag))
    }

    /// [`Self::contains`] for a tag that was located in this set.
    pub fn contains_at(&self, place: Place) -> bool {
        probe::contains(self.probe(place), place.fingerprint)
    }

    /// Inserts the tag, and tells whether it was new: of all callers with one tag, in all processes, exactly one gets
    /// [`Insert::New`].
    pub fn insert(&self, tag: &[u8; TAG_BYTES]) -> Insert {
        self.insert_at(self.locate(tag))
    }

    /// [`Self::insert`] for a tag that was located in this set.
    pub fn insert_at(&self, place: Place) -> Insert {
        let inserted = probe::insert(self.probe(place), place.fingerprint);
        if inserted == Insert::New {
            self.count(place).fetch_add(1, Ordering::Relaxed);
        }
        inserted
    }

    /// [`Self::insert_at`] for a packet that comes before the epoch of the set's key: [`Insert::Full`] as soon as such
    /// packets have used up their part of the set.
    pub fn insert_early_at(&self, place: Place) -> Insert {
        let slots = self.buckets * BUCKET_SLOTS as u64;
        let early = &self.memory.words()[AT_EARLY];
        if early.load(Ordering::Relaxed) >= slots / 100 * EARLY_PERCENT {
            return if self.contains_at(place) { Insert::Seen } else { Insert::Full };
        }
        let inserted = self.insert_at(place);
        if inserted == Insert::New {
            early.fetch_add(1, Ordering::Relaxed);
        }
        inserted
    }

    /// How full the set is. A crash between an insertion and its counting can lose single counts.
    pub fn fill(&self) -> Fill {
        let counts = self.memory.words().iter().skip(LINE).step_by(LINE).take(COUNTS);
        let tags = counts.fold(0, |sum: u64, count| sum.wrapping_add(count.load(Ordering::Relaxed)));
        Fill { tags, slots: self.buckets * BUCKET_SLOTS as u64 }
    }

    /// Makes all memory of the set, which else comes page by page at the first use. Slow: 0.2 to 0.4 s per 256 MB.
    pub fn populate(&self) {
        self.memory.populate();
    }

    /// The same, and merges it into huge pages; false if the kernel cannot, which does no harm. About 0.5 s per 256 MB:
    /// for a helper thread of the control plane, ahead of the key's epoch.
    pub fn populate_and_collapse(&self) -> bool {
        self.memory.populate_and_collapse()
    }

    #[inline]
    fn bucket(&self, bucket: u64) -> &[AtomicU64] {
        let start = HEADER_WORDS + bucket as usize * BUCKET_SLOTS;
        // The memory was checked to hold all buckets.
        &self.memory.words()[start..start + BUCKET_SLOTS]
    }

    /// All slots in which the tag may be, in the one order.
    #[inline]
    fn probe(&self, place: Place) -> impl Iterator<Item = &AtomicU64> {
        (0..PROBE_BUCKETS).flat_map(move |step| {
            let bucket = place.bucket + step;
            self.bucket(if bucket < self.buckets { bucket } else { bucket - self.buckets })
        })
    }

    #[inline]
    fn count(&self, place: Place) -> &AtomicU64 {
        &self.memory.words()[LINE + place.fingerprint as usize % COUNTS * LINE]
    }
}

fn checked_buckets(buckets: u64) -> Result<u64, MemoryError> {
    if (BUCKETS_MIN..=BUCKETS_MAX).contains(&buckets) {
        Ok(buckets)
    } else {
        Err(MemoryError::Size { what: NAME, bytes: memory_bytes(buckets) })
    }
}

fn words_of(tag: &[u8; TAG_BYTES]) -> [u64; 4] {
    let (words, _) = tag.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

#[inline]
fn prefetch(line: &[AtomicU64]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 CPU has the instruction, and it does not access memory as the program sees it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
