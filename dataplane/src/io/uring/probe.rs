//! Whether a ring does here what shards ask of it: a sandbox may let one be made and refuse its use.

use super::arrival::Header;
use super::buffers::{Buffers, STREAMS};
use super::ring::{Completion, Ring, Sleep};
use crate::io::DriverError;
use io_uring::{opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// All of it is ready when it is asked for; the rest is for hosts that are busy otherwise.
const LIMIT: Duration = Duration::from_secs(2);

/// What is asked for, by the names of the requests.
const CALLS: [&str; 6] = [
    "IORING_OP_READ",
    "IORING_OP_ACCEPT",
    "IORING_OP_CONNECT",
    "IORING_OP_SEND",
    "IORING_OP_RECV",
    "IORING_OP_RECVMSG",
];

/// What the requests work on. The memory to which they point is never freed: the kernel may still write there after the
/// ring is closed. Descriptors it holds by itself.
struct Bench {
    bell: OwnedFd,
    rung: &'static mut [u8; 8],
    listener: Socket,
    address: &'static SockAddr,
    caller: Socket,
    sender: Socket,
    receiver: Socket,
    header: &'static mut Box<Header>,
}

impl Bench {
    fn new() -> io::Result<Self> {
        let socket = || Socket::new(Domain::UNIX, Type::STREAM, None);
        let listener = socket()?;
        // The kernel chooses a name that no file has.
        rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new_unnamed())?;
        listener.listen(1)?;
        let (sender, receiver) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        let address = Box::leak(Box::new(listener.local_addr()?));
        let bell = eventfd(1, EventfdFlags::CLOEXEC)?;
        let rung = Box::leak(Box::default());
        let header = Box::leak(Box::new(Header::of(&receiver)));
        Ok(Self { bell, rung, listener, address, caller: socket()?, sender, receiver, header })
    }

    fn requests(&mut self) -> [squeue::Entry; CALLS.len()] {
        let fd = |socket: &Socket| types::Fd(socket.as_raw_fd());
        [
            opcode::Read::new(types::Fd(self.bell.as_raw_fd()), self.rung.as_mut_ptr(), 8).build(),
            opcode::AcceptMulti::new(fd(&self.listener)).flags(libc::SOCK_CLOEXEC).build(),
            opcode::Connect::new(fd(&self.caller), self.address.as_ptr().cast(), self.address.len()).build(),
            opcode::Send::new(fd(&self.sender), CALLS[0].as_ptr(), 2).build(),
            opcode::Recv::new(fd(&self.receiver), std::ptr::null_mut(), 1)
                .buf_group(STREAMS.group)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT),
            self.header.request(&self.receiver, STREAMS.group),
        ]
    }
}

/// Makes as many rings as there are to be, and has one do one of everything.
pub fn probe(shards: usize) -> Result<(), DriverError> {
    let (mut ring, buffers) = ring()?;
    // Closed again at the end: a limit on locked memory or descriptors may let one be made and not all.
    let _others = (1..shards).map(|_| self::ring()).collect::<Result<Vec<_>, _>>()?;
    let mut bench = Bench::new().map_err(|error| DriverError::os(0, "make sockets", &error))?;
    // As the memory of the bench; once for each start.
    std::mem::forget(buffers);
    let outcome = exercise(&mut ring, &mut bench);
    drop(ring);
    // What was under way ends without data.
    for socket in [&bench.listener, &bench.caller, &bench.sender, &bench.receiver] {
        let _not_connected = socket.shutdown(std::net::Shutdown::Both);
    }
    outcome
}

fn ring() -> Result<(Ring, Buffers), DriverError> {
    let ring = Ring::new().map_err(|error| match error.raw_os_error() {
        // The newest of what is used.
        Some(libc::EINVAL) => DriverError::Feature { feature: "DEFER_TASKRUN", since: "6.1" },
        _ => DriverError::ring("io_uring_setup", &error),
    })?;
    let buffers = Buffers::register(&ring.submitter(), STREAMS);
    let buffers = buffers.map_err(|error| DriverError::ring("io_uring_register", &error))?;
    Ok((ring, buffers))
}

fn exercise(ring: &mut Ring, bench: &mut Bench) -> Result<(), DriverError> {
    let failed = |error| DriverError::ring("io_uring_enter", &error);
    for (name, request) in bench.requests().into_iter().enumerate() {
        // SAFETY: the bench's memory and the buffers are never freed.
        unsafe { ring.push(request.user_data(name as u64)) };
    }
    let (deadline, mut missing) = (Instant::now() + LIMIT, CALLS.map(Some));
    while missing.iter().any(Option::is_some) {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(failed(io::Error::from_raw_os_error(libc::ETIME)));
        }
        ring.enter(Sleep { most: rest, ..Default::default() }).map_err(failed)?;
        let mut completions = Vec::new();
        ring.fetch(&mut completions);
        for Completion { name, result, .. } in completions {
            let Some(call) = missing.get_mut(name as usize).and_then(Option::take) else { continue };
            if result < 0 {
                return Err(DriverError::ring(call, &io::Error::from_raw_os_error(-result)));
            }
            if call == CALLS[1] {
                close(result);
            }
        }
    }
    Ok(())
}

fn close(accepted: RawFd) {
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(accepted) });
}
