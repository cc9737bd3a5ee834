//! One io_uring: requests in, completions out, sleeping in between.

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Requests that the ring holds for the next submission; more wait outside.
const REQUESTS: u32 = 512;
/// Completions that may wait to be fetched; more stay with the kernel.
const COMPLETIONS: u32 = 4096;

/// Completions that end a sleep before they have gathered.
const GATHERED: usize = 32;

/// A sleep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sleep {
    /// It lasts so long at most; no time is no sleep.
    pub most: Duration,
    /// Before, completions gather and do not end it unless there are many, on kernels that can (6.12).
    pub gather: Duration,
}

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
    /// Requests that found no room.
    waiting: VecDeque<squeue::Entry>,
}

impl Ring {
    /// A new one.
    pub fn new() -> std::io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all();
        let ring = builder.dontfork().setup_cqsize(COMPLETIONS).build(REQUESTS)?;
        Ok(Self { ring, waiting: VecDeque::new() })
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
    pub unsafe fn push(&mut self, request: squeue::Entry) {
        // SAFETY: the caller's promise.
        if !self.waiting.is_empty() || unsafe { self.ring.submission().push(&request) }.is_err() {
            self.waiting.push_back(request);
        }
    }

    /// Submits what was added and lets the kernel complete what it can; sleeps if there is nothing.
    pub fn enter(&mut self, sleep: Sleep) -> std::io::Result<()> {
        while !self.waiting.is_empty() {
            bear(self.ring.submit())?;
            if !self.refill() {
                // The kernel takes nothing now: it has no memory, or its completions have to be fetched first.
                return Ok(());
            }
        }
        if sleep.most.is_zero() || !self.ring.completion().is_empty() {
            let submission = self.ring.submission();
            let has_nothing = submission.is_empty() && !submission.taskrun() && !submission.cq_overflow();
            drop(submission);
            if has_nothing { Ok(()) } else { bear(self.ring.submit()) }
        } else {
            let time = Timespec::new().sec(sleep.most.as_secs()).nsec(sleep.most.subsec_nanos());
            let arguments = SubmitArgs::new().timespec(&time);
            if !sleep.gather.is_zero() && self.ring.params().is_feature_min_timeout() {
                // Rounded up: who wakes before the time has nothing to do.
                let gather_us = u32::try_from(sleep.gather.as_micros() + 1).unwrap_or(u32::MAX);
                return bear(self.ring.submitter().submit_with_args(GATHERED, &arguments.min_wait_usec(gather_us)));
            }
            bear(self.ring.submitter().submit_with_args(1, &arguments))
        }
    }

    /// Gives requests that wait the room that there is; true if there was any.
    fn refill(&mut self) -> bool {
        let mut submission = self.ring.submission();
        let waited = self.waiting.len();
        while let Some(request) = self.waiting.front() {
            // SAFETY: whoever added it has promised that what it points to stays.
            if unsafe { submission.push(request) }.is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        self.waiting.len() < waited
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

/// What ends an enter call without harm: the time is over, a signal came, there is no memory for requests now, or there
/// are more completions than places: they are fetched next.
fn bear(outcome: std::io::Result<usize>) -> std::io::Result<()> {
    match outcome {
        Err(error)
            if ![libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN].map(Some).contains(&error.raw_os_error()) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
