//! Requests to plugins and their answers, and the questions of a gateway to its user database: for each shard a ring there and a ring back, in shared memory. Packets and
//! reply blocks stay in the data plane; what crosses is a number and a payload (server.md 6.4).
//!
//! Each reader that sleeps says so in its ring, and who brings it something then rings its bell once. A full ring never
//! makes anybody wait: the request is dropped, and so is the answer.

#[cfg(test)]
mod tests;

use crate::counter::SHARDS_MAX;
use crate::memory::{MemoryError, SharedMemory};
use crate::ring::words::Ring;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

const NAME: &str = "plugin rings";
const MAGIC: u64 = u64::from_le_bytes(*b"kzplugin");
const HEADER_WORDS: usize = 16;
/// Records for which a ring has room, if they are not large.
const RECORDS: usize = 512;
/// Bytes of a ring, unless two records take more.
const RING_BYTES_MAX: usize = 8 << 20;
/// Bytes of a record before its payload.
const REQUEST_HEADER_BYTES: usize = 32;
const ANSWER_HEADER_BYTES: usize = 8;
/// The reader's word that says whether it sleeps.
const ASLEEP: usize = 0;
/// The most plugins of a node: a request's number has room for so many.
pub const PLUGINS_MAX: usize = 1 << 12;

/// Names a request among all of a data plane: the shard that waits for the answer, the plugin, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl RequestId {
    const PLUGIN_BITS: u32 = PLUGINS_MAX.trailing_zeros();
    const SHARD_BITS: u32 = 12;
    const NUMBER_BITS: u32 = 64 - Self::PLUGIN_BITS - Self::SHARD_BITS;

    /// The request `number` of a shard to a plugin; numbers come again after 2^40.
    pub fn new(shard: usize, plugin: u16, number: u64) -> Self {
        let shard = shard as u64 & ((1 << Self::SHARD_BITS) - 1);
        let plugin = u64::from(plugin) & ((1 << Self::PLUGIN_BITS) - 1);
        let number = number & ((1 << Self::NUMBER_BITS) - 1);
        Self(((shard << Self::PLUGIN_BITS | plugin) << Self::NUMBER_BITS) | number)
    }

    /// The shard.
    pub fn shard(self) -> usize {
        (self.0 >> (64 - Self::SHARD_BITS)) as usize
    }

    /// The plugin.
    pub fn plugin(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16 & (PLUGINS_MAX as u16 - 1)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

/// A request on its way to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its number.
    pub id: RequestId,
    /// When its packet came, since the Unix epoch.
    pub received_at: Duration,
    /// What is left of the reply's delay.
    pub delay: Duration,
    /// Whether an answer can be sent.
    pub wants_reply: bool,
    /// The user payload.
    pub payload: &'a [u8],
}

/// An eventfd, by which one process wakes the other.
#[derive(Clone, Debug)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// A new one.
    pub fn new() -> Result<Self, MemoryError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        eventfd(0, flags).map(Arc::new).map(Self).map_err(|errno| MemoryError::Os { what: "eventfd", errno })
    }

    /// The one behind a descriptor.
    pub fn adopt(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }

    /// Wakes whoever waits.
    pub fn ring(&self) {
        // It can fail only because it has rung very often already.
        let _rings_already = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Silence until the next ring.
    pub fn still(&self) {
        let _was_silent = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The rings of all shards.
#[derive(Clone, Debug)]
pub struct PluginRings {
    memory: Arc<SharedMemory>,
    shards: usize,
    payload_bytes_max: usize,
    capacity: usize,
}

impl PluginRings {
    /// New rings for a data plane of `shards` shards, for payloads of so many bytes, and the descriptor to pass on.
    pub fn create(shards: usize, payload_bytes_max: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let (memory, fd) = SharedMemory::create(NAME, Self::bytes(shards, payload_bytes_max)?)?;
        for (word, value) in memory.words().iter().zip([MAGIC, shards as u64, payload_bytes_max as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Ok((Self::of(memory, shards, payload_bytes_max), fd))
    }

    /// The rings behind a descriptor.
    pub fn attach(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        let [magic, shards, payload_bytes_max] =
            [0, 1, 2].map(|at| memory.words().get(at).map_or(0, |word| word.load(Ordering::Relaxed)));
        if magic != MAGIC {
            return Err(MemoryError::Foreign(NAME));
        }
        let [shards, payload_bytes_max] =
            [shards, payload_bytes_max].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        if memory.bytes() < Self::bytes(shards, payload_bytes_max)? {
            return Err(MemoryError::Size { what: NAME, bytes: memory.bytes() as u64 });
        }
        Ok(Self::of(memory, shards, payload_bytes_max))
    }

    fn of(memory: SharedMemory, shards: usize, payload_bytes_max: usize) -> Self {
        let capacity = Self::capacity(payload_bytes_max);
        Self { memory: Arc::new(memory), shards, payload_bytes_max, capacity }
    }

    /// Words of one ring's records.
    fn capacity(payload_bytes_max: usize) -> usize {
        let record = 1 + (REQUEST_HEADER_BYTES + payload_bytes_max).div_ceil(8);
        (record * RECORDS).min(RING_BYTES_MAX / 8).max(2 * record).next_power_of_two()
    }

    fn bytes(shards: usize, payload_bytes_max: usize) -> Result<usize, MemoryError> {
        if shards > SHARDS_MAX || payload_bytes_max > sphinx::geometry::USER_FORWARD_PAYLOAD_BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: shards as u64 });
        }
        Ok((HEADER_WORDS + 2 * shards * Ring::words(Self::capacity(payload_bytes_max))) * 8)
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The data plane's ends for one shard. `None` if there is no such shard.
    pub fn shard(&self, shard: usize, bell: Bell) -> Option<ShardEnd> {
        (shard < self.shards).then(|| ShardEnd { rings: self.clone(), shard, bell, buffer: self.buffer() })
    }

    /// The control plane's end for requests; there is one.
    pub fn requests(&self) -> Requests {
        Requests { rings: self.clone(), buffer: self.buffer() }
    }

    /// The control plane's end for answers; there is one.
    pub fn answers(&self, bell: Bell) -> Answers {
        Answers { rings: self.clone(), bell }
    }

    /// Whether a shard has answers to read: for the attach thread, whose bell has rung.
    pub fn has_answers(&self, shard: usize) -> bool {
        shard < self.shards && !self.answers_of(shard).is_empty()
    }

    fn buffer(&self) -> Vec<u8> {
        vec![0; REQUEST_HEADER_BYTES + self.payload_bytes_max]
    }

    fn requests_of(&self, shard: usize) -> Ring<'_> {
        self.ring(2 * shard)
    }

    fn answers_of(&self, shard: usize) -> Ring<'_> {
        self.ring(2 * shard + 1)
    }

    fn ring(&self, at: usize) -> Ring<'_> {
        let words = Ring::words(self.capacity);
        let start = HEADER_WORDS + at * words;
        // The memory was checked to hold all rings.
        Ring::of(&self.memory.words()[start..start + words])
    }
}

/// Puts a record into a ring and rings the bell of a reader that sleeps.
fn put(ring: &Ring<'_>, bell: &Bell, header: &[u8], payload: &[u8]) -> bool {
    if !ring.put(header, payload) {
        return false;
    }
    // Whoever says that it sleeps looks once more after that; one of the two sees the other.
    fence(Ordering::SeqCst);
    let asleep = ring.of_reader(ASLEEP);
    if asleep.load(Ordering::Relaxed) != 0 && asleep.swap(0, Ordering::Relaxed) != 0 {
        bell.ring();
    }
    true
}

/// Says that a reader is about to sleep; false if there is something to read.
fn fall_asleep(ring: &Ring<'_>) -> bool {
    ring.of_reader(ASLEEP).store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    ring.is_empty()
}

fn awake(asleep: &AtomicU64) {
    if asleep.load(Ordering::Relaxed) != 0 {
        asleep.store(0, Ordering::Relaxed);
    }
}

/// One shard's ends.
#[derive(Debug)]
pub struct ShardEnd {
    rings: PluginRings,
    shard: usize,
    bell: Bell,
    buffer: Vec<u8>,
}

impl ShardEnd {
    /// Hands a request over; false if the ring is full.
    pub fn ask(&mut self, request: &Request<'_>) -> bool {
        if request.payload.len() > self.rings.payload_bytes_max {
            return false;
        }
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut header = [0; REQUEST_HEADER_BYTES];
        let words =
            [request.id.0, nanoseconds(request.received_at), nanoseconds(request.delay), request.wants_reply.into()];
        for (place, word) in header.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        put(&self.rings.requests_of(self.shard), &self.bell, &header, request.payload)
    }

    /// Takes at most `most` of the answers that are there. The shard is awake.
    pub fn answers(&mut self, most: usize, mut take: impl FnMut(RequestId, &[u8])) {
        let ring = self.rings.answers_of(self.shard);
        awake(ring.of_reader(ASLEEP));
        ring.take(most, &mut self.buffer, |record| {
            if let Some((id, payload)) = record.split_first_chunk() {
                take(RequestId(u64::from_le_bytes(*id)), payload);
            }
        });
    }

    /// Whether there are answers.
    pub fn has_answers(&self) -> bool {
        self.rings.has_answers(self.shard)
    }

    /// Says that the shard is about to sleep; false if there are answers.
    pub fn fall_asleep(&self) -> bool {
        fall_asleep(&self.rings.answers_of(self.shard))
    }
}

/// The control plane's end of the rings there.
#[derive(Debug)]
pub struct Requests {
    rings: PluginRings,
    buffer: Vec<u8>,
}

impl Requests {
    /// Takes the requests that are there, at most `most` of each shard. Gives whether there may be more.
    pub fn take(&mut self, most: usize, mut take: impl FnMut(Request<'_>)) -> bool {
        let mut is_more = false;
        for shard in 0..self.rings.shards {
            let ring = self.rings.requests_of(shard);
            awake(ring.of_reader(ASLEEP));
            let mut read = 0;
            ring.take(most, &mut self.buffer, |record| {
                read += 1;
                if let Some(request) = read_request(record).filter(|request| request.id.shard() == shard) {
                    take(request);
                }
            });
            is_more |= read == most;
        }
        is_more
    }

    /// Says that the control plane is about to sleep; false if there are requests.
    pub fn fall_asleep(&self) -> bool {
        // All of them have to be told, whatever one says.
        let with_requests = (0..self.rings.shards).filter(|shard| !fall_asleep(&self.rings.requests_of(*shard)));
        with_requests.count() == 0
    }
}

/// The control plane's end of the rings back.
#[derive(Debug)]
pub struct Answers {
    rings: PluginRings,
    bell: Bell,
}

impl Answers {
    /// Brings an answer to the shard that waits; false if there is no room, no such shard, or the answer is too long.
    pub fn give(&mut self, id: RequestId, payload: &[u8]) -> bool {
        if id.shard() >= self.rings.shards || payload.len() > self.rings.payload_bytes_max {
            return false;
        }
        let header: [u8; ANSWER_HEADER_BYTES] = id.0.to_le_bytes();
        put(&self.rings.answers_of(id.shard()), &self.bell, &header, payload)
    }
}

fn read_request(record: &[u8]) -> Option<Request<'_>> {
    let (header, payload) = record.split_first_chunk::<REQUEST_HEADER_BYTES>()?;
    let word = |at: usize| header[8 * at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (received_at, delay) = (Duration::from_nanos(word(1)), Duration::from_nanos(word(2)));
    Some(Request { id: RequestId(word(0)), received_at, delay, wants_reply: word(3) != 0, payload })
}
