//! The pages and their blocks.
//!
//! Workload: some tens of keys that live for epochs, some thousand short-lived copies while keys are read, made and
//! signed with; nothing per packet. One reservation of address space, committed and locked in steps from its beginning;
//! blocks have sizes of powers of two, free ones hang in a list per size. One spin lock guards it: no operation holds it
//! for longer than a few instructions and, now and then, two system calls.

use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, compiler_fence};

/// Address space. Keys of all schemes that are built in take less than a thirtieth of it.
const RESERVED_BYTES: usize = 64 << 20;
/// What is committed and locked at once.
const STEP_BYTES: usize = 128 << 10;
/// The smallest block.
const BLOCK_BYTES_MIN: usize = 16;
/// The largest block.
const BLOCK_BYTES_MAX: usize = 8 << 20;
const CLASSES: usize = (BLOCK_BYTES_MAX / BLOCK_BYTES_MIN).ilog2() as usize + 1;
/// Larger alignments are not served.
const ALIGN_BYTES_MAX: usize = 4096;

/// Where the reservation begins; 0 before it is made. Read without the lock by every deallocation of the program.
static START: AtomicUsize = AtomicUsize::new(0);
static ARENA: Arena = Arena { taken: AtomicBool::new(false), inner: UnsafeCell::new(Inner::NEW) };
static LOCKING: AtomicU8 = AtomicU8::new(UNUSED);

const UNUSED: u8 = 0;
const LOCKED: u8 = 1;
const REFUSED: u8 = 2;

struct Arena {
    taken: AtomicBool,
    inner: UnsafeCell<Inner>,
}

// SAFETY: `inner` is only reached through `with`, which one thread at a time passes.
unsafe impl Sync for Arena {}

struct Inner {
    /// Bytes from the beginning that are committed and locked.
    committed: usize,
    /// Bytes from the beginning that belong to blocks.
    used: usize,
    free: [*mut Free; CLASSES],
}

/// What stands in a block that nobody has.
struct Free {
    next: *mut Free,
}

impl Inner {
    const NEW: Self = Self { committed: 0, used: 0, free: [null_mut(); CLASSES] };
}

impl Arena {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        while self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::hint::spin_loop();
            std::thread::yield_now();
        }
        // SAFETY: `taken` was false and is true now, so that no other thread is here. `act` does not come back here:
        // it allocates nothing and cannot panic.
        let result = act(unsafe { &mut *self.inner.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

/// The class of a block that holds so many bytes so aligned, if there is one.
fn class_of(bytes: usize, align: usize) -> Option<usize> {
    let block = bytes.max(align).max(BLOCK_BYTES_MIN).checked_next_power_of_two()?;
    (align <= ALIGN_BYTES_MAX && block <= BLOCK_BYTES_MAX).then(|| (block / BLOCK_BYTES_MIN).ilog2() as usize)
}

fn block_bytes(class: usize) -> usize {
    BLOCK_BYTES_MIN << class
}

/// A zeroed block, or none: too large, or the arena is full or cannot be had.
pub(crate) fn allocate(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    let class = class_of(bytes, align)?;
    ARENA.with(|inner| take(inner, class))
}

/// Wipes a block and takes it back.
///
/// # Safety
///
/// `block` came from [`allocate`] with the same `bytes` and `align`, and nobody uses it any more.
pub(crate) unsafe fn free(block: NonNull<u8>, bytes: usize, align: usize) {
    // An allocation that was served has a class.
    let Some(class) = class_of(bytes, align) else { return };
    // SAFETY: the block has that many bytes and nobody else uses it.
    unsafe { wipe(block, block_bytes(class)) };
    ARENA.with(|inner| {
        let freed = block.cast::<Free>();
        // SAFETY: every block is large enough and aligned for a pointer, and is the arena's own now.
        unsafe { freed.write(Free { next: inner.free[class] }) };
        inner.free[class] = freed.as_ptr();
    });
}

fn take(inner: &mut Inner, class: usize) -> Option<NonNull<u8>> {
    if let Some(block) = NonNull::new(inner.free[class]) {
        // SAFETY: what hangs in the list was put there by `free` and is the arena's own.
        inner.free[class] = unsafe { block.read() }.next;
        // SAFETY: as above. The rest of the block was wiped when it was given back.
        unsafe { block.write(Free { next: null_mut() }) };
        return Some(block.cast());
    }
    let start = reservation()?;
    let from = inner.used.next_multiple_of(block_bytes(class).min(ALIGN_BYTES_MAX));
    let end = from.checked_add(block_bytes(class)).filter(|end| *end <= RESERVED_BYTES)?;
    if end > inner.committed {
        let committed = end.next_multiple_of(STEP_BYTES).min(RESERVED_BYTES);
        commit(start.get() + inner.committed, committed - inner.committed)?;
        inner.committed = committed;
    }
    inner.used = end;
    NonNull::new((start.get() + from) as *mut u8)
}

/// Where the reservation begins. Made at the first call, under the arena's lock.
fn reservation() -> Option<std::num::NonZeroUsize> {
    if let Some(start) = std::num::NonZeroUsize::new(START.load(Ordering::Relaxed)) {
        return Some(start);
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new reservation at an address of the kernel's choice.
    let start = unsafe { libc::mmap(null_mut(), RESERVED_BYTES, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    for advice in [libc::MADV_DONTDUMP, libc::MADV_WIPEONFORK] {
        // SAFETY: the reservation just made, which holds nothing yet. A kernel that does not know the advice leaves
        // the process's own settings (see `process`) to keep dumps away.
        unsafe { libc::madvise(start, RESERVED_BYTES, advice) };
    }
    START.store(start as usize, Ordering::Release);
    std::num::NonZeroUsize::new(start as usize)
}

/// Makes pages usable and locks them; none if they cannot be had at all. Pages that cannot be locked are used, and
/// [`crate::Protection`] says so.
fn commit(start: usize, bytes: usize) -> Option<()> {
    // SAFETY: a part of the reservation that no block lies in yet.
    if unsafe { libc::mprotect(start as *mut libc::c_void, bytes, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
        return None;
    }
    // SAFETY: as above; locking changes no content.
    let locked = unsafe { libc::mlock(start as *const libc::c_void, bytes) } == 0;
    if !locked {
        LOCKING.store(REFUSED, Ordering::Relaxed);
    } else if LOCKING.load(Ordering::Relaxed) == UNUSED {
        LOCKING.store(LOCKED, Ordering::Relaxed);
    }
    Some(())
}

/// Overwrites memory in a way that no compiler leaves out.
///
/// # Safety
///
/// `start` is valid for writes of `bytes`, which is a multiple of 16.
unsafe fn wipe(start: NonNull<u8>, bytes: usize) {
    let words = start.cast::<u64>();
    for at in 0..bytes / 8 {
        // SAFETY: inside the range that the caller vouches for; blocks are aligned to 16 bytes.
        unsafe { words.add(at).write_volatile(0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// Whether an address is the arena's.
pub(crate) fn contains(address: usize) -> bool {
    let start = START.load(Ordering::Relaxed);
    start != 0 && address.wrapping_sub(start) < RESERVED_BYTES
}

/// Whether the bytes lie in the arena.
pub fn is_secret(bytes: &[u8]) -> bool {
    contains(bytes.as_ptr() as usize)
}

/// Whether the kernel has locked all that was committed.
pub(crate) fn is_locked() -> bool {
    LOCKING.load(Ordering::Relaxed) != REFUSED
}
