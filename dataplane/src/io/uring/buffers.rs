//! The buffers that a shard provides to its ring for everything that it receives.

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU16, Ordering};

/// Which buffers.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The group under which requests name them.
    pub group: u16,
    /// How many there are, a power of two.
    pub count: u16,
    /// How many the kernel may fill at a time, as long as these are enough. It fills them in their turn, so that few stay
    /// in the cache; what comes back is provided again before what was never used.
    pub provided_min: u16,
    /// The same where many have little each.
    pub provided_max: u16,
    /// What is more than a little.
    pub little_bytes: usize,
    /// Bytes of one.
    pub bytes: usize,
}

/// For the bytes of connections. Each holds several batches: other shards get what is left of one read. Many connections have
/// little each as a gateway's clients do; clients that were not read for a moment have sent some packets each: they are
/// still many.
pub const STREAMS: Kind = Kind {
    group: 0,
    count: 64,
    provided_min: 2,
    provided_max: 32,
    little_bytes: STREAM_BYTES / 4,
    bytes: STREAM_BYTES,
};
const STREAM_BYTES: usize = 256 << 10;

impl Kind {
    /// Bytes of the ring in front of them: whole pages.
    fn ring_bytes(&self) -> usize {
        (usize::from(self.count) * size_of::<BufRingEntry>()).next_multiple_of(4096)
    }

    fn all_bytes(&self) -> usize {
        self.ring_bytes() + usize::from(self.count) * self.bytes
    }
}

/// A ring of free buffers, which the kernel takes from, and the buffers.
pub struct Buffers {
    kind: Kind,
    base: *mut c_void,
    tail: u16,
    /// Those that the kernel may fill, as far as its completions have been seen.
    provided: u16,
    /// How many these are to be.
    wanted: u16,
    /// Those that nobody has; the last is the next.
    spare: Vec<u16>,
}

impl Buffers {
    /// All of them free, and known to the ring behind `submitter`, which must be closed before this is dropped.
    pub fn register(submitter: &Submitter<'_>, kind: Kind) -> std::io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), kind.all_bytes(), protection, flags) }?;
        let spare = (0..kind.count).rev().collect();
        let mut buffers = Self { kind, base, tail: 0, provided: 0, wanted: kind.provided_min, spare };
        // SAFETY: the ring lies at the beginning of the mapping, on a page of its own, has room for as many entries, and
        // stays until the caller has closed the io_uring.
        unsafe { submitter.register_buf_ring_with_flags(base as u64, kind.count, kind.group, 0) }?;
        buffers.refill();
        Ok(buffers)
    }

    /// Takes back one that the kernel has filled and whose bytes nobody uses any more.
    pub fn give_back(&mut self, number: u16) {
        self.spare.push(number);
        self.refill();
    }

    /// Notes that the kernel has filled one, with so many bytes.
    pub fn note_filled(&mut self, bytes: usize) {
        self.provided = self.provided.saturating_sub(1);
        if bytes > self.kind.little_bytes {
            self.wanted = (self.wanted - 1).max(self.kind.provided_min);
        }
        self.refill();
    }

    /// Notes that there were too few for those that want to receive.
    pub fn note_missing(&mut self) {
        self.wanted = (self.wanted * 2).min(self.kind.provided_max);
        self.refill();
    }

    /// How many the kernel may fill now.
    pub fn provided(&self) -> u16 {
        self.provided
    }

    fn refill(&mut self) {
        while self.provided < self.wanted
            && let Some(number) = self.spare.pop()
        {
            self.provide(number);
        }
    }

    fn provide(&mut self, number: u16) {
        let place = usize::from(self.tail % self.kind.count);
        let address = self.address(number) as u64;
        // SAFETY: the place is inside the ring, and belongs to this side until the tail passes it: there are only as
        // many buffers as places.
        let entry = unsafe { &mut *self.base.cast::<BufRingEntry>().add(place) };
        entry.set_addr(address);
        entry.set_len(self.kind.bytes as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        self.provided += 1;
        // SAFETY: the base is the address of the ring's first entry, which holds the tail; it is aligned, and the
        // kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.base.cast()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Bytes that the kernel has put there.
    pub fn bytes(&mut self, number: u16, start: usize, count: usize) -> &mut [u8] {
        let start = start.min(self.kind.bytes);
        let count = count.min(self.kind.bytes - start);
        // SAFETY: the range is inside one buffer of the mapping, which the kernel has filled and not been given back.
        unsafe { std::slice::from_raw_parts_mut(self.address(number).add(start), count) }
    }

    fn address(&self, number: u16) -> *mut u8 {
        let offset = self.kind.ring_bytes() + usize::from(number % self.kind.count) * self.kind.bytes;
        // SAFETY: the offset is inside the mapping.
        unsafe { self.base.cast::<u8>().add(offset) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and the ring that knew it is closed.
        let _leaked = unsafe { munmap(self.base, self.kind.all_bytes()) };
    }
}
