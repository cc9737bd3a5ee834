//! Descriptors that a service manager kept for this process, or opened for it (`sd_listen_fds(3)`).

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_setfd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first of them.
const FIRST: i32 = 3;
/// A manager that keeps more than these keeps them for somebody else.
const COUNT_MAX: i32 = 256;

/// All of them with their names; nothing at a second call. Children of this process do not get them.
pub fn take() -> Vec<(String, OwnedFd)> {
    static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |variable| std::env::var(variable).ok()?.parse::<i32>().ok();
    let are_ours = number("LISTEN_PID") == i32::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").unwrap_or(0);
    if !are_ours || !(1..=COUNT_MAX).contains(&count) || ARE_TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    (FIRST..FIRST + count)
        .map(|number| {
            // SAFETY: the manager has opened it for this very process, which LISTEN_PID says, nobody else here knows of it,
            // and it is taken once.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            let _children_would_have_it = fcntl_setfd(&fd, FdFlags::CLOEXEC);
            (names.next().unwrap_or_default().to_owned(), fd)
        })
        .collect()
}
