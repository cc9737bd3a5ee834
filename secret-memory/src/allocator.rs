//! The program's allocator: blocks of the arena inside [`within`], the system's elsewhere.

use crate::{arena, process};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

thread_local! {
    /// How many [`within`] this thread is in. Needs no destructor, so that the allocator may ask at any time.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Allocations inside [`within`] for which the arena had no room. From the first one on nothing tells a block with a
/// secret from any other, so that all are wiped when they are given back.
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);

/// Serves what is allocated inside [`within`] from the arena. Costs a look at a thread-local for an allocation and a
/// comparison for a deallocation.
pub struct SecretAllocator;

/// Runs `work` with the arena as the home of all that it allocates, and wipes the stack that it used. What it returns
/// by value is moved and lies wherever the caller puts it: return boxes and vectors, not arrays.
///
/// Deallocations need no scope: a block goes back where it came from.
pub fn within<T>(work: impl FnOnce() -> T) -> T {
    let result = scoped(work);
    process::wipe_stack();
    result
}

// Never inlined, so that the frame of `work` lies below that of `within`, where `wipe_stack` passes.
#[inline(never)]
fn scoped<T>(work: impl FnOnce() -> T) -> T {
    let _inside = Inside::enter();
    work()
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

fn is_inside() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

/// Allocations of secrets that the arena did not serve.
pub(crate) fn outside() -> usize {
    OUTSIDE.load(Ordering::Relaxed)
}

fn from_arena(layout: Layout) -> Option<*mut u8> {
    if !is_inside() {
        return None;
    }
    let block = arena::allocate(layout.size(), layout.align());
    if block.is_none() {
        OUTSIDE.fetch_add(1, Ordering::Relaxed);
    }
    block.map(NonNull::as_ptr)
}

/// Overwrites memory in a way that no compiler leaves out.
///
/// # Safety
///
/// `start` is valid for writes of `bytes`.
unsafe fn wipe_bytes(start: *mut u8, bytes: usize) {
    for at in 0..bytes {
        // SAFETY: inside the range that the caller vouches for.
        unsafe { start.add(at).write_volatile(0) };
    }
    compiler_fence(Ordering::SeqCst);
}

// SAFETY: blocks come from the arena or from the system's allocator, both of which hold to the contract; which of the
// two is decided by the address when they are given back.
unsafe impl GlobalAlloc for SecretAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        from_arena(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Blocks of the arena are zeroed.
        // SAFETY: the caller's layout is passed on.
        from_arena(layout).unwrap_or_else(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match NonNull::new(pointer) {
            // SAFETY: an address of the arena was given out by it for this layout.
            Some(block) if arena::contains(pointer as usize) => unsafe {
                arena::free(block, layout.size(), layout.align());
            },
            // SAFETY: all others came from the system's allocator and have the size of their layout.
            _ => unsafe {
                if outside() > 0 && !pointer.is_null() {
                    wipe_bytes(pointer, layout.size());
                }
                System.dealloc(pointer, layout);
            },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let is_secret = arena::contains(pointer as usize);
        if !is_secret && !is_inside() && outside() == 0 {
            // SAFETY: came from the system's allocator; the caller's arguments are passed on.
            return unsafe { System.realloc(pointer, layout, new_size) };
        }
        // A secret stays in the arena when it grows outside of a scope, and what grows inside of one moves there.
        // SAFETY: the caller vouches for the new size with this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let _inside = (is_secret || is_inside()).then(Inside::enter);
        // SAFETY: the layout is valid and, as the caller vouches, not empty.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both blocks hold that many bytes and are different ones; the old one is given up as it was got.
            unsafe {
                std::ptr::copy_nonoverlapping(pointer, moved, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        moved
    }
}
