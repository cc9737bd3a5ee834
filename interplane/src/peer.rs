//! The process at the other end of a control channel, by a descriptor: its number can be another process's by the time
//! that somebody wants to end it.

use crate::channel::{Channel, ChannelError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// A process that cannot be taken for another one.
#[derive(Debug)]
pub struct PeerProcess {
    pidfd: OwnedFd,
    pid: Pid,
}

impl PeerProcess {
    /// The process that connected or listens at the other end of `channel`.
    pub fn of(channel: &Channel) -> Result<Self, ChannelError> {
        let failed = |what| move |errno| ChannelError::Os { what, errno };
        let pid = rustix::net::sockopt::socket_peercred(channel).map_err(failed("SO_PEERCRED"))?.pid;
        if let Some(pidfd) = peer_pidfd(channel) {
            return Ok(Self { pidfd, pid });
        }
        // Kernels before 6.5: the number is still that of the peer if its end of the channel is open afterwards.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(failed("pidfd_open"))?;
        if channel.is_closed() {
            return Err(ChannelError::Closed);
        }
        Ok(Self { pidfd, pid })
    }

    /// Its number, for the log.
    pub fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Ends it as nothing can prevent.
    pub fn kill(&self) {
        // One that has ended needs no signal.
        let _gone = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits until it has ended, no longer than `limit`; whether it has.
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(timeout) = Timespec::try_from(rest) else { return false };
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&timeout)) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// SO_PEERPIDFD, where the kernel has it.
fn peer_pidfd(channel: &Channel) -> Option<OwnedFd> {
    let mut pidfd: libc::c_int = -1;
    let mut bytes = size_of::<libc::c_int>() as libc::socklen_t;
    let asked = retry_on_intr(|| {
        // SAFETY: both pointers are to live variables of the sizes that the option asks for.
        let result = unsafe {
            libc::getsockopt(
                channel.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERPIDFD,
                (&raw mut pidfd).cast(),
                &raw mut bytes,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
        }
    });
    // SAFETY: the kernel has just made this descriptor for the caller.
    (asked.is_ok() && pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) })
}
