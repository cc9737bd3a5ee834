//! One io_uring: requests in, completions out, sleeping in between.

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Requests that may wait for the next submission; more are submitted at once.
const REQUESTS: u32 = 512;
/// Completions that may wait to be fetched; more stay with the kernel.
const COMPLETIONS: u32 = 4096;

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// The request's name.
    pub name: u64,
    /// Its result: a count or descriptor, or an error number below zero.
    pub result: i32,
    /// Whether more will come of the same request.
    pub has_more: bool,
    /// The provided buffer that was filled.
    pub buffer: Option<u16>,
}

/// A ring that one thread uses.
pub struct Ring {
    ring: IoUring,
}

impl Ring {
    /// A new one.
    pub fn new() -> std::io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all();
        Ok(Self { ring: builder.dontfork().setup_cqsize(COMPLETIONS).build(REQUESTS)? })
    }

    /// For registrations.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    /// Its descriptor, for messages of other rings.
    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Adds a request, which is submitted with the next [`Ring::enter`].
    ///
    /// # Safety
    ///
    /// Everything that the request points to must stay as and where it is until its last completion.
    pub unsafe fn push(&mut self, request: &squeue::Entry) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        while unsafe { self.ring.submission().push(request) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    /// Submits what was added and lets the kernel complete what it can; sleeps for so long at most if there is nothing.
    pub fn enter(&mut self, sleep: Duration) -> std::io::Result<()> {
        let is_there = !self.ring.completion().is_empty();
        let outcome = if sleep.is_zero() || is_there {
            let submission = self.ring.submission();
            let has_nothing = submission.is_empty() && !submission.taskrun() && !submission.cq_overflow();
            drop(submission);
            if has_nothing { Ok(0) } else { self.ring.submit() }
        } else {
            let time = Timespec::new().sec(sleep.as_secs()).nsec(sleep.subsec_nanos());
            self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))
        };
        match outcome {
            Ok(_) => Ok(()),
            // The time is over, a signal came, or there are more completions than places: they are fetched next.
            Err(error)
                if [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN].map(Some).contains(&error.raw_os_error()) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches all completions that are there.
    pub fn fetch(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.ring.completion().map(|entry| Completion {
            name: entry.user_data(),
            result: entry.result(),
            has_more: io_uring::cqueue::more(entry.flags()),
            buffer: io_uring::cqueue::buffer_select(entry.flags()),
        }));
    }
}
