//! Trains that are on their way out: where they lie until the kernel has taken them.

use super::request::{What, name};
use super::ring::Ring;
use datagram::Train;
use datagram::udp::control::{self, Control, NAME_BYTES};
use io_uring::{opcode, types};
use std::os::fd::{AsRawFd, BorrowedFd};

/// How many trains may be on their way: four megabytes, as much as their sockets hold.
pub const PLACES_MAX: usize = 64;

/// What a request to send points to, with what it sends.
struct Place {
    message: libc::msghdr,
    part: libc::iovec,
    name: [u8; NAME_BYTES],
    control: Control,
    train: Train,
    bytes: Vec<u8>,
    is_leaving: bool,
}

/// All places, used again and again.
#[derive(Default)]
pub struct Places {
    #[expect(clippy::vec_box, reason = "the kernel knows where they are, and the list may move")]
    all: Vec<Box<Place>>,
    free: Vec<u32>,
}

impl Places {
    /// How many trains find room.
    pub fn room(&self) -> usize {
        self.free.len() + PLACES_MAX.saturating_sub(self.all.len())
    }

    /// Has the ring send a train, in one piece. Gives it back if there is no room.
    pub fn send(
        &mut self,
        ring: &mut Ring,
        socket: BorrowedFd<'_>,
        train: &Train,
        bytes: Vec<u8>,
    ) -> Result<(), Vec<u8>> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.all.len() < PLACES_MAX => {
                self.all.push(Place::new(*train));
                self.all.len() as u32 - 1
            }
            None => return Err(bytes),
        };
        let Some(place) = self.all.get_mut(number as usize) else { return Err(bytes) };
        let request = place.request(socket, train, bytes);
        // SAFETY: the message is boxed with all that it points to, but for the bytes, which are in memory of their own. The
        // place is neither changed nor freed before the request has completed: `left` alone gives it free, and who
        // drops this first calls `leave_to_the_kernel`.
        unsafe { ring.push(request.user_data(name(What::Leave, number))) };
        Ok(())
    }

    /// A request has completed: what it was to send.
    pub fn left(&mut self, number: u32) -> Option<(Train, Vec<u8>)> {
        let place = self.all.get_mut(number as usize).filter(|place| place.is_leaving)?;
        place.is_leaving = false;
        self.free.push(number);
        Some((place.train, std::mem::take(&mut place.bytes)))
    }

    /// What the kernel may still read is not freed.
    pub fn leave_to_the_kernel(self) {
        self.all.into_iter().filter(|place| place.is_leaving).for_each(std::mem::forget);
    }
}

impl Place {
    fn new(train: Train) -> Box<Self> {
        Box::new(Self {
            // SAFETY: numbers and null pointers.
            message: unsafe { std::mem::zeroed() },
            part: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
            name: [0; NAME_BYTES],
            control: Control::default(),
            train,
            bytes: Vec::new(),
            is_leaving: false,
        })
    }

    fn request(&mut self, socket: BorrowedFd<'_>, train: &Train, bytes: Vec<u8>) -> io_uring::squeue::Entry {
        self.train = *train;
        self.bytes = bytes;
        self.is_leaving = true;
        self.part = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() };
        let control_bytes = control::write(train, self.bytes.len(), &mut self.control);
        let message = &mut self.message;
        message.msg_namelen = control::write_name(train.to, &mut self.name) as libc::socklen_t;
        message.msg_name = self.name.as_mut_ptr().cast();
        message.msg_control = if control_bytes > 0 { self.control.0.as_mut_ptr().cast() } else { std::ptr::null_mut() };
        message.msg_controllen = control_bytes;
        message.msg_iov = &raw mut self.part;
        message.msg_iovlen = 1;
        let send = opcode::SendMsg::new(types::Fd(socket.as_raw_fd()), &raw const self.message);
        send.flags(libc::MSG_NOSIGNAL as u32).build()
    }
}
