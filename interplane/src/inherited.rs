//! Descriptors that a service manager kept for this process, or opened for it (`sd_listen_fds(3)`).

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_setfd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The first of them.
const FIRST: i32 = 3;
/// A manager that keeps more than these keeps them for somebody else.
const COUNT_MAX: i32 = 256;

/// With their names.
type Inherited = Vec<(String, OwnedFd)>;

static SECURED: OnceLock<Mutex<Inherited>> = OnceLock::new();

/// Makes them this process's own. To be called before it opens anything: a number that the manager names and has not opened
/// would be somebody else's later.
pub fn secure() {
    SECURED.get_or_init(|| Mutex::new(from_environment()));
}

/// All of them; nothing at a second call, or where [`secure`] was not called.
pub fn take() -> Vec<(String, OwnedFd)> {
    let inherited = SECURED.get().map(|inherited| inherited.lock().unwrap_or_else(PoisonError::into_inner));
    inherited.map(|mut inherited| std::mem::take(&mut *inherited)).unwrap_or_default()
}

fn from_environment() -> Inherited {
    let number = |variable| std::env::var(variable).ok()?.parse::<i32>().ok();
    let are_ours = number("LISTEN_PID") == i32::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").unwrap_or(0);
    if !are_ours || !(1..=COUNT_MAX).contains(&count) {
        return Vec::new();
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
    let is_open = |number: i32| std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    let open = (FIRST..FIRST + count).zip(names).filter(|(number, _)| is_open(*number));
    open.map(|(number, name)| {
        // SAFETY: it is open, the manager has opened it for this very process, as LISTEN_PID says, nothing else here was
        // opened yet, and this runs once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        let _children_would_have_it = fcntl_setfd(&fd, FdFlags::CLOEXEC);
        (name, fd)
    })
    .collect()
}
