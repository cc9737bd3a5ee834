//! Mappings. Every `unsafe` that concerns addresses is here.

use super::{FIXED_SIZE, HUGE_PAGE_BYTES, IMMUTABLE, MemoryError, memfd, require_seals, size};
use rustix::fd::{AsFd, OwnedFd};
use rustix::mm::{MapFlags, ProtFlags};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroize;

/// Bytes of a page.
const PAGE_BYTES: usize = 4096;
/// Largest piece of memory that is mapped at all.
const BYTES_MAX: u64 = 1 << 40;

/// Zeroed memory that other threads and processes write at the same time. It can be seen as atomics only.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    bytes: usize,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Mapped,
    Heap(Layout),
}

// SAFETY: the memory belongs to this value until it is dropped, and it is only reachable as atomics.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; atomics may be shared.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// New memory in a memfd whose size is fixed from now on.
    pub fn create(name: &'static str, bytes: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let bytes = checked_size(name, bytes as u64)?.next_multiple_of(8);
        let fd = memfd(name)?;
        rustix::fs::ftruncate(&fd, bytes as u64).map_err(MemoryError::os("ftruncate"))?;
        rustix::fs::fcntl_add_seals(&fd, FIXED_SIZE).map_err(MemoryError::os("seal memfd"))?;
        Ok((Self::map(&fd, bytes)?, fd))
    }

    /// Memory that another process made. `what` names it in errors.
    pub fn attach(fd: impl AsFd, what: &'static str) -> Result<Self, MemoryError> {
        require_seals(&fd, what, FIXED_SIZE)?;
        let bytes = checked_size(what, size(&fd)?)?;
        Self::map(fd, bytes)
    }

    /// Memory of this process alone, for tests and for runs in one process.
    pub fn heap(bytes: usize) -> Self {
        let bytes = bytes.next_multiple_of(PAGE_BYTES).max(PAGE_BYTES);
        let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("sizes in memory fit a layout");
        // SAFETY: the size is not zero.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { std::alloc::handle_alloc_error(layout) };
        Self { start, bytes, origin: Origin::Heap(layout) }
    }

    fn map(fd: impl AsFd, bytes: usize) -> Result<Self, MemoryError> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let start = map_aligned(fd, bytes, protection)?;
        let memory = Self { start, bytes, origin: Origin::Mapped };
        // A core dump with gigabytes of fingerprints helps nobody; failing to leave them out harms nobody.
        let _ = memory.advise(libc::MADV_DONTDUMP);
        Ok(memory)
    }

    /// All of it as 64-bit words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the memory is mapped or allocated for `bytes`, zeroed by its maker, aligned to a page, and lives as
        // long as `self`. Every bit pattern is a valid AtomicU64, and nothing forms a plain reference into it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<AtomicU64>(), self.bytes / 8) }
    }

    /// Keeps it out of swap; false if the kernel does not allow it.
    pub fn lock(&self) -> bool {
        lock(self.start, self.bytes)
    }

    /// Writes `content` at the beginning, as far as there is room.
    pub fn store(&self, content: &[u8]) {
        for (word, bytes) in self.words().iter().zip(content.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
            padded.zeroize();
        }
    }

    /// Copies the beginning to `to`, as far as there is content.
    pub fn load(&self, to: &mut [u8]) {
        for (word, bytes) in self.words().iter().zip(to.chunks_mut(8)) {
            let mut padded = word.load(Ordering::Relaxed).to_ne_bytes();
            bytes.copy_from_slice(&padded[..bytes.len()]);
            padded.zeroize();
        }
    }

    /// Overwrites all of it with zeros.
    pub fn wipe(&self) {
        self.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks the kernel for all pages now, so that no later access waits for one.
    pub fn populate(&self) {
        if self.advise(libc::MADV_POPULATE_WRITE).is_err() {
            // Kernels before 5.14: a write that changes nothing makes the page.
            for page in self.words().chunks(PAGE_BYTES / 8) {
                if let Some(word) = page.first() {
                    word.fetch_or(0, Ordering::Relaxed);
                }
            }
        }
    }

    /// Populates and merges pages into huge ones, whatever the system's policy says. False if the kernel cannot.
    pub fn populate_and_collapse(&self) -> bool {
        self.populate();
        let whole = self.bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        matches!(self.origin, Origin::Mapped) && whole > 0 && self.advise_first(whole, libc::MADV_COLLAPSE).is_ok()
    }

    fn advise(&self, advice: libc::c_int) -> std::io::Result<()> {
        self.advise_first(self.bytes, advice)
    }

    fn advise_first(&self, bytes: usize, advice: libc::c_int) -> std::io::Result<()> {
        // SAFETY: the range is inside this value's memory and none of the advices used here changes its content.
        match unsafe { libc::madvise(self.start.as_ptr().cast(), bytes, advice) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        match self.origin {
            Origin::Mapped => {
                // SAFETY: the range was mapped by `map_aligned` and no reference outlives `self`.
                let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
            }
            // SAFETY: allocated by `heap` with this layout.
            Origin::Heap(layout) => unsafe { std::alloc::dealloc(self.start.as_ptr(), layout) },
        }
    }
}

/// Content of a memfd that nobody can change any more.
#[derive(Debug)]
pub struct SealedMemory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to this value until it is dropped and never changes.
unsafe impl Send for SealedMemory {}
// SAFETY: as above.
unsafe impl Sync for SealedMemory {}

impl SealedMemory {
    /// Maps a memfd after checking that the kernel guards its content. `what` names it in errors.
    pub fn open(fd: impl AsFd, what: &'static str, bytes_max: usize) -> Result<Self, MemoryError> {
        require_seals(&fd, what, IMMUTABLE)?;
        let bytes = checked_size(what, size(&fd)?)?;
        if bytes > bytes_max {
            return Err(MemoryError::Size { what, bytes: bytes as u64 });
        }
        let start = map_aligned(fd, bytes, ProtFlags::READ)?;
        Ok(Self { start, bytes })
    }
}

impl std::ops::Deref for SealedMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped for `bytes` until drop; the seals WRITE and SHRINK were found set, so that no process can
        // change or cut it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for SealedMemory {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map_aligned` and no reference outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Maps `fd`, at a multiple of [`HUGE_PAGE_BYTES`] if it is at least that large.
fn map_aligned(fd: impl AsFd, bytes: usize, protection: ProtFlags) -> Result<NonNull<u8>, MemoryError> {
    let failed = MemoryError::os("mmap");
    if bytes < HUGE_PAGE_BYTES {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0) };
        return start.map_err(failed).and_then(non_null);
    }
    let room = bytes.next_multiple_of(PAGE_BYTES) + HUGE_PAGE_BYTES;
    // SAFETY: a new reservation at an address of the kernel's choice.
    let reserved =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE) };
    let reserved = reserved.map_err(MemoryError::os("mmap"))?.cast::<u8>();
    let before = reserved.align_offset(HUGE_PAGE_BYTES);
    let start = reserved.wrapping_add(before);
    let used = bytes.next_multiple_of(PAGE_BYTES);
    // SAFETY: `start .. start + bytes` lies inside the reservation, which nothing else knows of.
    let mapped =
        unsafe { rustix::mm::mmap(start.cast(), bytes, protection, MapFlags::SHARED | MapFlags::FIXED, fd, 0) };
    if let Err(errno) = mapped {
        // SAFETY: the reservation is ours and unused.
        let _ = unsafe { rustix::mm::munmap(reserved.cast(), room) };
        return Err(failed(errno));
    }
    // SAFETY: the parts of the reservation before and after the mapping are ours and unused.
    unsafe {
        if before > 0 {
            let _ = rustix::mm::munmap(reserved.cast(), before);
        }
        let _ = rustix::mm::munmap(start.wrapping_add(used).cast(), room - before - used);
    }
    non_null(start.cast())
}

fn non_null(start: *mut std::ffi::c_void) -> Result<NonNull<u8>, MemoryError> {
    NonNull::new(start.cast()).ok_or(MemoryError::Os { what: "mmap", errno: rustix::io::Errno::FAULT })
}

fn checked_size(what: &'static str, bytes: u64) -> Result<usize, MemoryError> {
    match usize::try_from(bytes) {
        Ok(size) if bytes > 0 && bytes <= BYTES_MAX => Ok(size),
        _ => Err(MemoryError::Size { what, bytes }),
    }
}

/// A private mapping for secrets: locked, left out of core dumps, wiped on drop.
#[derive(Debug)]
pub(crate) struct LockedPages {
    start: NonNull<u8>,
    bytes: usize,
    locked: bool,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for LockedPages {}
// SAFETY: it is changed through `&mut` only.
unsafe impl Sync for LockedPages {}

impl LockedPages {
    /// Zeroed pages for at least `bytes`.
    pub(crate) fn new(bytes: usize) -> Result<Self, MemoryError> {
        let bytes = bytes.next_multiple_of(PAGE_BYTES).max(PAGE_BYTES);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE) };
        let start = start.map_err(MemoryError::os("mmap")).and_then(non_null)?;
        let locked = lock(start, bytes);
        Ok(Self { start, bytes, locked })
    }

    /// Whether the kernel promised not to swap them out.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// The content.
    pub(crate) fn content(&self) -> &[u8] {
        // SAFETY: mapped for `bytes` until drop; changes go through `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    /// The content, to be changed.
    pub(crate) fn content_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for LockedPages {
    fn drop(&mut self) {
        self.content_mut().zeroize();
        // SAFETY: the range was mapped by `new` and no reference outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Keeps pages out of swap and core dumps. False if they may be swapped out: containers often allow few locked bytes.
fn lock(start: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: the caller's mapping; neither call changes its content.
    unsafe {
        let _ = libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTDUMP);
        rustix::mm::mlock(start.as_ptr().cast(), bytes).is_ok()
    }
}
