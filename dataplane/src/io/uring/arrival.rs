//! Receiving from a link together with the time at which the kernel had its bytes.

#[cfg(test)]
mod tests;

use crate::time::Instant;
use datagram::look::Look;
use io_uring::{opcode, squeue, types};
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Where the kernel puts the time.
const CONTROL_BYTES: usize = 64;

/// What a request to receive points to.
pub struct Header {
    message: libc::msghdr,
    control: Control,
}

/// One control message of the kind that is asked for, and room for one that is not.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Where in it the kernel writes the time.
const TIME_AT: usize = size_of::<libc::cmsghdr>().next_multiple_of(align_of::<libc::timespec>());

impl Header {
    /// For a link's socket, which notes from now on when its bytes come. A kernel that refuses it leaves no times.
    pub fn of(socket: &impl AsRawFd) -> Box<Self> {
        let on = 1i32;
        // SAFETY: the option's value is a number of the length that is said.
        let _no_times = unsafe {
            let length = size_of_val(&on) as libc::socklen_t;
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                std::ptr::from_ref(&on).cast(),
                length,
            )
        };
        // SAFETY: numbers and null pointers.
        Box::new(unsafe { std::mem::zeroed() })
    }

    /// A request that takes what there is, into a buffer of the group.
    ///
    /// The header must stay where it is, and is the request's alone, until it has completed.
    pub fn request(self: &mut Box<Self>, socket: &impl AsRawFd, group: u16) -> squeue::Entry {
        self.forget();
        self.message.msg_control = self.control.0.as_mut_ptr().cast();
        self.message.msg_controllen = CONTROL_BYTES;
        let receive = opcode::RecvMsg::new(types::Fd(socket.as_raw_fd()), &raw mut self.message);
        receive.buf_group(group).build().flags(squeue::Flags::BUFFER_SELECT)
    }

    /// No time is there until the next request.
    pub fn forget(&mut self) {
        self.control = Control([0; CONTROL_BYTES]);
    }

    /// When the last of the bytes came that a request has brought. What came before them counts from then, too.
    pub fn arrived_at(&self, look: Look) -> Instant {
        look.arrived_at(self.time())
    }

    /// The time since 1970 that the kernel has put there.
    fn time(&self) -> Option<Duration> {
        let bytes = &self.control.0;
        let number = |at: usize| Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(i64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let is_time = number(offset_of!(libc::cmsghdr, cmsg_level))? == libc::SOL_SOCKET
            && number(offset_of!(libc::cmsghdr, cmsg_type))? == libc::SCM_TIMESTAMPNS;
        let seconds = u64::try_from(word(TIME_AT + offset_of!(libc::timespec, tv_sec))?).ok()?;
        let nanos = u32::try_from(word(TIME_AT + offset_of!(libc::timespec, tv_nsec))?).ok()?;
        is_time.then_some(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
    }
}
