//! Memory that the kernel has too: the frames, and the rings that say whose they are.
//!
//! Both ends of a ring count up without end and take the low bits for the place; what is between the two counters is full. Each
//! end writes its own counter only, so that each entry belongs to one end at any time.
#![allow(unsafe_code, reason = "the kernel shares it")]

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::net::xdp::XdpRingOffset;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

/// A mapping of this process.
struct Mapping {
    begin: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it is memory like any other; who has the value has it alone, but for the kernel.
unsafe impl Send for Mapping {}

impl Mapping {
    fn place<T>(&self, offset: u64, count: usize) -> Result<NonNull<T>, Errno> {
        let offset = usize::try_from(offset).map_err(|_| Errno::OVERFLOW)?;
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        if end.is_none_or(|end| end > self.bytes) || offset % align_of::<T>() != 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: the offset is inside the mapping.
        Ok(unsafe { self.begin.add(offset) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody has references into it but who owns it.
        let _never_fails = unsafe { munmap(self.begin.as_ptr().cast(), self.bytes) };
    }
}

fn mapping(begin: *mut std::ffi::c_void, bytes: usize) -> Result<Mapping, Errno> {
    Ok(Mapping { begin: NonNull::new(begin.cast()).ok_or(Errno::NOMEM)?, bytes })
}

/// The frames of a queue.
pub struct Area(Mapping);

impl Area {
    /// So many bytes of zeros.
    pub fn new(bytes: usize) -> Result<Self, Errno> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh place of the kernel's choice.
        let begin = unsafe { mmap_anonymous(null_mut(), bytes, protection, MapFlags::PRIVATE) }?;
        mapping(begin, bytes).map(Self)
    }

    /// Where it begins, for the kernel.
    pub fn address(&self) -> u64 {
        self.0.begin.as_ptr() as u64
    }

    /// A piece that is ours: the kernel has not got it from us, or has given it back. None outside the area.
    pub fn piece(&mut self, at: usize, bytes: usize) -> Option<&mut [u8]> {
        if at.checked_add(bytes)? > self.0.bytes {
            return None;
        }
        // SAFETY: inside the mapping, and lent out of the one owner. The kernel writes to what it was given alone.
        Some(unsafe { std::slice::from_raw_parts_mut(self.0.begin.as_ptr().add(at), bytes) })
    }
}

/// A ring with entries of `T`, seen from one end.
struct Ring<T> {
    _mapping: Mapping,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: Option<NonNull<AtomicU32>>,
    entries: NonNull<T>,
    count: u32,
    /// Our counter, ahead of what the kernel has been told.
    ours: u32,
    /// The other end's counter when last seen.
    theirs: u32,
}

// SAFETY: the pointers lead into the mapping, which moves along.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    fn map(fd: BorrowedFd<'_>, page: u64, offsets: &XdpRingOffset, count: u32) -> Result<Self, Errno> {
        if !count.is_power_of_two() {
            return Err(Errno::INVAL);
        }
        let bytes = usize::try_from(offsets.desc).map_err(|_| Errno::OVERFLOW)? + count as usize * size_of::<T>();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh place of the kernel's choice.
        let begin = unsafe { mmap(null_mut(), bytes, protection, MapFlags::SHARED | MapFlags::POPULATE, fd, page) }?;
        let mapping = mapping(begin, bytes)?;
        let flags = offsets.flags.map(|offset| mapping.place(offset, 1)).transpose()?;
        Ok(Self {
            producer: mapping.place(offsets.producer, 1)?,
            consumer: mapping.place(offsets.consumer, 1)?,
            flags,
            entries: mapping.place(offsets.desc, count as usize)?,
            _mapping: mapping,
            count,
            ours: 0,
            theirs: 0,
        })
    }

    fn counter(place: &NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: inside the mapping, aligned, and both ends use it atomically.
        unsafe { place.as_ref() }
    }

    fn place(&self, counter: u32) -> NonNull<T> {
        // SAFETY: the count is a power of two, so the remainder is inside.
        unsafe { self.entries.add((counter & (self.count - 1)) as usize) }
    }
}

/// A ring that we fill.
pub struct Producer<T>(Ring<T>);

impl<T: Copy> Producer<T> {
    /// The ring of the socket that lies there.
    pub fn map(fd: BorrowedFd<'_>, page: u64, offsets: &XdpRingOffset, count: u32) -> Result<Self, Errno> {
        let mut ring = Ring::map(fd, page, offsets, count)?;
        ring.ours = Ring::<T>::counter(&ring.producer).load(Ordering::Relaxed);
        ring.theirs = Ring::<T>::counter(&ring.consumer).load(Ordering::Acquire);
        Ok(Self(ring))
    }

    /// Puts one more; false if there is no room. The kernel sees it after [`Producer::publish`].
    #[must_use]
    pub fn push(&mut self, entry: T) -> bool {
        if self.waiting_at_most() == self.0.count && self.waiting() == self.0.count {
            return false;
        }
        // SAFETY: the entry is ours until we publish it.
        unsafe { self.0.place(self.0.ours).write(entry) };
        self.0.ours = self.0.ours.wrapping_add(1);
        true
    }

    /// Shows the kernel what was put.
    pub fn publish(&mut self) {
        Ring::<T>::counter(&self.0.producer).store(self.0.ours, Ordering::Release);
    }

    /// How many the kernel has not taken yet.
    pub fn waiting(&mut self) -> u32 {
        self.0.theirs = Ring::<T>::counter(&self.0.consumer).load(Ordering::Acquire);
        self.waiting_at_most()
    }

    fn waiting_at_most(&self) -> u32 {
        self.0.ours.wrapping_sub(self.0.theirs).min(self.0.count)
    }

    /// Whether the kernel wants to be told; always where it is too old to say.
    pub fn needs_wakeup(&self) -> bool {
        const NEED_WAKEUP: u32 = 1;
        self.0.flags.is_none_or(|flags| Ring::<T>::counter(&flags).load(Ordering::Relaxed) & NEED_WAKEUP != 0)
    }
}

/// A ring that the kernel fills.
pub struct Consumer<T>(Ring<T>);

impl<T: Copy> Consumer<T> {
    /// The ring of the socket that lies there.
    pub fn map(fd: BorrowedFd<'_>, page: u64, offsets: &XdpRingOffset, count: u32) -> Result<Self, Errno> {
        let mut ring = Ring::map(fd, page, offsets, count)?;
        ring.ours = Ring::<T>::counter(&ring.consumer).load(Ordering::Relaxed);
        ring.theirs = Ring::<T>::counter(&ring.producer).load(Ordering::Acquire);
        Ok(Self(ring))
    }

    /// Takes the next one. The kernel may use its place after [`Consumer::release`].
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the kernel has published the entry, and leaves it alone until we release it.
        let entry = unsafe { self.0.place(self.0.ours).read() };
        self.0.ours = self.0.ours.wrapping_add(1);
        Some(entry)
    }

    /// Whether there is nothing to take now.
    pub fn is_empty(&mut self) -> bool {
        if self.0.ours == self.0.theirs {
            self.0.theirs = Ring::<T>::counter(&self.0.producer).load(Ordering::Acquire);
        }
        self.0.ours == self.0.theirs
    }

    /// Gives the kernel the places of what was taken.
    pub fn release(&mut self) {
        Ring::<T>::counter(&self.0.consumer).store(self.0.ours, Ordering::Release);
    }
}
