//! The sockets of one shard, and what all ways to use them have in common.

use super::{bind, drops, local_address, prepare};
use crate::{Socket, SocketId, TRAIN_BYTES_MAX, Train};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Buffers that are kept to be used again.
const SPARE_MAX: usize = 64;

/// Sockets, and the buffers of what leaves through them.
#[derive(Debug, Default)]
pub struct Sockets {
    fds: Vec<OwnedFd>,
    known: Vec<Socket>,
    /// What the kernel cuts up.
    segments_max: usize,
    spare: Vec<Vec<u8>>,
    /// Datagrams to be sent that found no room.
    lost: u64,
}

/// What becomes of a train that was given to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is gone, to the other end or not.
    Gone,
    /// The kernel does not cut it up: it has to go in pieces of [`Sockets::piece_bytes`].
    InPieces,
}

impl Sockets {
    /// For others to reach.
    pub fn new(listeners: Vec<OwnedFd>) -> io::Result<Self> {
        let mut sockets = Self { segments_max: usize::MAX, ..Self::default() };
        listeners.into_iter().try_for_each(|socket| sockets.add(socket, true).map(drop))?;
        Ok(sockets)
    }

    /// One that reaches others, at a port of the kernel's choice.
    pub fn open(&mut self, is_ipv6: bool) -> io::Result<SocketId> {
        let any: IpAddr = if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.add(bind(SocketAddr::new(any, 0), false)?, false)
    }

    fn add(&mut self, socket: OwnedFd, is_listener: bool) -> io::Result<SocketId> {
        let granted = prepare(&socket)?;
        self.segments_max = self.segments_max.min(granted.segments_max);
        self.known.push(Socket { local: local_address(&socket)?, is_listener });
        self.fds.push(socket);
        Ok(SocketId(self.fds.len() as u32 - 1))
    }

    /// What is known of them, by their numbers.
    pub fn known(&self) -> &[Socket] {
        &self.known
    }

    /// One of them.
    pub fn get(&self, socket: SocketId) -> Option<BorrowedFd<'_>> {
        self.fds.get(socket.0 as usize).map(AsFd::as_fd)
    }

    /// How many datagrams the kernel cuts up.
    pub fn segments_max(&self) -> usize {
        if self.fds.is_empty() { 1 } else { self.segments_max }
    }

    /// How many bytes of a train go at once.
    pub fn piece_bytes(&self, train: &Train) -> usize {
        let segment = train.segment_bytes.max(1);
        segment * self.segments_max().min(TRAIN_BYTES_MAX / segment).max(1)
    }

    /// An empty buffer.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes one back.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Notes what the kernel says to a train of so many bytes: nothing, or an error number. No error is fatal: a path
    /// that is gone may come back.
    pub fn note(&mut self, train: &Train, bytes: usize, code: Option<i32>) -> After {
        match code {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => self.note_lost(train, bytes),
            // Something on the way, a card or a tunnel, cannot do its part of it.
            Some(libc::EIO) if bytes > train.segment_bytes => {
                self.segments_max = 1;
                return After::InPieces;
            }
            _ => {}
        }
        After::Gone
    }

    /// Notes that so many bytes of a train found no room.
    pub fn note_lost(&mut self, train: &Train, bytes: usize) {
        self.lost += bytes.div_ceil(train.segment_bytes.max(1)) as u64;
    }

    /// How many datagrams found no room, here and in the sockets. Asks the kernel.
    pub fn lost(&self) -> u64 {
        self.lost + self.fds.iter().map(drops).sum::<u64>()
    }
}
