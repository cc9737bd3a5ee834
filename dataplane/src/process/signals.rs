//! Signals to the data plane. Only SIGTERM means something to it: leave. What a terminal, a log rotation or a mistaken
//! `killall` sends to every process of a name must not cost the node its links.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// All whose default action would end the process, but for those that tell of a fault in it.
const TAKEN: [Signal; 13] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGPIPE,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
];

/// The signals, as something to be read.
pub struct Signals(SignalFd);

impl Signals {
    /// Takes them over for this thread and all that it starts from now on.
    pub fn take_over() -> std::io::Result<Self> {
        let signals: SigSet = TAKEN.into_iter().collect();
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Reads those that have come; whether one of them means end.
    pub fn tell_to_end(&self) -> bool {
        loop {
            match self.0.read_signal() {
                Ok(Some(signal)) if signal.ssi_signo == Signal::SIGTERM as u32 => return true,
                Ok(Some(_)) | Err(Errno::EINTR) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
