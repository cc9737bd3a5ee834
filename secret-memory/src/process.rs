//! What the kernel is told about the process and its threads' stacks.

use crate::{allocator, arena};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

/// Bytes of a thread's stack that are locked, from where it begins: more than any use of a private key reaches.
const STACK_LOCKED_BYTES: usize = 512 << 10;
/// What the arena grows to in a node with keys of the largest schemes, with room to spare.
const ARENA_BYTES_USUAL: usize = 1 << 20;
/// Bytes below a scope that are wiped after it.
const STACK_WIPED_BYTES: usize = 96 << 10;
/// Stack of a thread made by [`with_protected_stack`].
const STACK_BYTES: usize = 4 << 20;

/// Stacks that could not be locked.
static STACKS_UNLOCKED: AtomicUsize = AtomicUsize::new(0);

/// How well secrets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The kernel keeps all secrets and the protected stacks out of swap.
    pub locked: bool,
    /// Allocations of secrets that found no room in the arena: they lie in ordinary memory, and are not locked.
    pub outside: usize,
}

/// How well secrets are kept by now.
pub fn protection() -> Protection {
    let outside = allocator::outside();
    let locked = outside == 0 && arena::is_locked() && STACKS_UNLOCKED.load(Ordering::Relaxed) == 0;
    Protection { locked, outside }
}

/// Bytes that a process with so many protected threads must be allowed to lock: the kernel counts the whole of each
/// range, whatever is used of it.
pub const fn locked_bytes(threads: usize) -> usize {
    ARENA_BYTES_USUAL + threads * STACK_LOCKED_BYTES
}

/// To be called first: no core is ever written of this process, and nobody but root may look into it.
pub fn harden() -> std::io::Result<()> {
    let hard = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: hard.map(|_| 0).or(Some(0)) })?;
    // SAFETY: the call takes integers and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Keeps the used end of the calling thread's stack out of swap and dumps: keys pass over it while they are worked
/// with. For threads other than the first, whose stack grows and would break a limit of locked memory by itself.
pub fn protect_stack() {
    let Some((start, bytes)) = stack() else {
        STACKS_UNLOCKED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let used = bytes.min(STACK_LOCKED_BYTES);
    let from = (start + bytes - used) as *mut libc::c_void;
    // SAFETY: the range is this thread's own stack; neither call changes its content. Locking on first use, so that
    // what is never reached takes no memory; it counts against the limit all the same.
    let locked = unsafe {
        libc::madvise(from, used, libc::MADV_DONTDUMP);
        libc::mlock2(from, used, libc::MLOCK_ONFAULT) == 0 || libc::mlock(from, used) == 0
    };
    if !locked {
        STACKS_UNLOCKED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread of its own with a protected stack and waits for it.
pub fn with_protected_stack<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, || {
            protect_stack();
            work()
        })?;
        thread.join().map_err(|_| std::io::Error::other("the program's main thread panicked"))
    })
}

/// Where the calling thread's stack begins and how many bytes it has.
fn stack() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut start, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are filled in by the first call before the others read them, and destroyed once.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &mut start, &mut bytes);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (found == 0).then_some((start as usize, bytes))
    }
}

/// Overwrites the stack below the caller, where what has just returned had its frames.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut below = [0_u64; STACK_WIPED_BYTES / 8];
    for word in &mut below {
        // SAFETY: a word of a local array.
        unsafe { std::ptr::from_mut(word).write_volatile(0) };
    }
    compiler_fence(Ordering::SeqCst);
    std::hint::black_box(&below);
}
