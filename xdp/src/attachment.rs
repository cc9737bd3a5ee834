//! The program at its interface, and which sockets it picks for.
//!
//! An interface has room for one program, so all shards share one attachment: each enters the socket of its queue and the endpoints of
//! its sockets. When the last holder is gone, by whatever end, the kernel detaches the program.

use crate::bpf::{self, Table, TableKind};
use crate::netlink::{Interface, Netlink};
use crate::program::{ENDPOINT_BYTES, endpoint, program};
use crate::refusal::{Refusal, Step};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many queues may have sockets: one bit each.
const QUEUES_MAX: u32 = 64;
/// How many endpoints all shards may have together.
const ENDPOINTS_MAX: u32 = 4096;
/// How long what a process had that was just killed may take to go.
const GONE_AFTER: Duration = Duration::from_millis(800);

/// Where the kernel runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, on the frame as the card has left it.
    Native,
    /// Behind the driver, on the kernel's packet: with any driver, and slower on most.
    Generic,
}

impl Mode {
    /// What is tried, best first.
    pub const ALL: [Self; 2] = [Self::Native, Self::Generic];

    fn flags(self) -> u32 {
        const GENERIC: u32 = 1 << 1;
        const NATIVE: u32 = 1 << 2;
        match self {
            Self::Native => NATIVE,
            Self::Generic => GENERIC,
        }
    }
}

/// The program at an interface.
pub struct Attachment {
    interface: Interface,
    mode: Mode,
    endpoints: Table<ENDPOINT_BYTES, 8>,
    sockets: Table<4, 4>,
    /// What is in the table of endpoints: a bit per queue.
    entered: Mutex<HashMap<SocketAddr, u64>>,
    _link: OwnedFd,
}

impl Attachment {
    /// Attaches the program to the interface of that name, in the first of the modes that it has.
    pub fn new(name: &str, modes: &[Mode]) -> Result<Arc<Self>, Refusal> {
        let refused = |step| move |code| Refusal::of(code, step, name, 0);
        let found = Netlink::open().and_then(|mut netlink| netlink.interface(name));
        let interface = found.map_err(refused(Step::Interface))?;
        if interface.mac.is_none() {
            return Err(Refusal::NotEthernet { name: name.to_owned() });
        }
        let endpoints = Table::new(TableKind::Hash, ENDPOINTS_MAX).map_err(refused(Step::Tables))?;
        let sockets = Table::new(TableKind::Sockets, QUEUES_MAX).map_err(refused(Step::Tables))?;
        let instructions = program(endpoints.number(), sockets.number());
        let loaded = bpf::load(&instructions).map_err(refused(Step::Program))?;
        let (mode, link) = attach(&loaded, interface.index, modes).map_err(refused(Step::Attach))?;
        Ok(Arc::new(Self { interface, mode, endpoints, sockets, entered: Mutex::default(), _link: link }))
    }

    /// The interface, as it was.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Where the program runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Frames that arrive at the queue go to this socket from now on until it is closed.
    pub(crate) fn enter_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Refusal> {
        if queue >= QUEUES_MAX {
            return Err(Refusal::NoQueue { name: self.interface.name.clone(), queue });
        }
        let entered = self.sockets.set(&queue.to_ne_bytes(), &socket.as_raw_fd().to_ne_bytes());
        entered.map_err(|code| Refusal::of(code, Step::Enter, &self.interface.name, queue))
    }

    /// From now on datagrams for the endpoint are picked that arrive at the queue, or no longer.
    pub(crate) fn set_endpoint(&self, address: SocketAddr, queue: u32, is_picked: bool) -> Result<(), Errno> {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let before = entered.get(&address).copied().unwrap_or_default();
        let bit = 1_u64.checked_shl(queue).ok_or(Errno::RANGE)?;
        let after = if is_picked { before | bit } else { before & !bit };
        if after == 0 {
            entered.remove(&address);
            return if before == 0 { Ok(()) } else { self.endpoints.clear(&endpoint(address)) };
        }
        self.endpoints.set(&endpoint(address), &after.to_ne_bytes())?;
        entered.insert(address, after);
        Ok(())
    }
}

fn attach(program: &OwnedFd, interface: u32, modes: &[Mode]) -> Result<(Mode, OwnedFd), Errno> {
    let mut refused = Errno::OPNOTSUPP;
    for &mode in modes {
        match once_gone(|| bpf::attach(program, interface, mode.flags())) {
            Ok(link) => return Ok((mode, link)),
            // Another program or too few rights are in the way of the other mode as well.
            Err(code @ (Errno::BUSY | Errno::EXIST | Errno::PERM | Errno::ACCESS)) => return Err(code),
            Err(code) => refused = code,
        }
    }
    Err(refused)
}

/// Tries again while something is occupied: the kernel takes a moment to let go of what a killed process had.
pub(crate) fn once_gone<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let begin = Instant::now();
    loop {
        match attempt() {
            // In the other mode a program that is about to go is "there already".
            Err(Errno::BUSY | Errno::EXIST) if begin.elapsed() < GONE_AFTER => thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}
