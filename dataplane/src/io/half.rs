//! The datagram half of a shard: its backend's own, or frames past the kernel with that beneath. Streams are the backend's.

use super::driver::Clock;
use super::{ConnId, Event, Io, Received, Sending, Target, Transport};
use crate::shard::Next;
use crate::time::Instant;
use datagram::{Arrived, Datagrams, Socket, SocketId, Train};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use xdp::{Bypass, Lane};

/// Who moves a shard's datagrams.
pub enum Half<B> {
    /// The kernel's sockets, as the backend has them.
    Kernel(B),
    /// AF_XDP, and the kernel's sockets for what cannot go that way.
    Xdp(Box<Bypass<B>>),
}

/// The lanes past the kernel, by shard, until the shards take them.
#[derive(Default)]
pub struct Lanes(Mutex<Vec<Option<Lane>>>);

impl Lanes {
    /// One for each shard, from the first on; none stays with the kernel.
    pub fn new(lanes: Vec<Option<Lane>>) -> Self {
        Self(Mutex::new(lanes))
    }

    /// That of a shard.
    pub fn take(&self, shard: usize) -> Option<Lane> {
        // A whole value after every statement, so a panic elsewhere cannot have torn it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(shard)?.take()
    }
}

impl<B: Io + Datagrams> Half<B> {
    /// Over the lane, if there is one.
    pub fn new(backend: B, lane: Option<Lane>, clock: Clock) -> Self {
        match lane {
            None => Self::Kernel(backend),
            Some(lane) => Self::Xdp(Box::new(Bypass::new(backend, lane, move || clock.now()))),
        }
    }

    /// The backend.
    pub fn kernel(&mut self) -> &mut B {
        match self {
            Self::Kernel(backend) => backend,
            Self::Xdp(bypass) => bypass.kernel_mut(),
        }
    }

    fn kernel_ref(&self) -> &B {
        match self {
            Self::Kernel(backend) => backend,
            Self::Xdp(bypass) => bypass.kernel(),
        }
    }

    /// What can be read from when frames have arrived, if there are any.
    pub fn frames(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Kernel(_) => None,
            Self::Xdp(bypass) => Some(bypass.socket()),
        }
    }

    /// A round is over, and everything was handed over: frames leave. Gives what the driver does next.
    pub fn end_round(&mut self, next: Next) -> Next {
        let has_more = match self {
            Self::Kernel(_) => false,
            Self::Xdp(bypass) => bypass.end_round(),
        };
        if has_more { Next::Busy } else { next }
    }
}

impl<B: Io + Datagrams> Io for Half<B> {
    fn now(&self) -> Instant {
        self.kernel_ref().now()
    }

    fn unix_now(&self) -> Duration {
        self.kernel_ref().unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.kernel().next_event()
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        self.kernel().recv(conn, bytes_max)
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        self.kernel().send(conn, buffer);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.kernel_ref().sending(conn)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        self.kernel().connect(to)
    }

    fn carries(&self, transport: Transport) -> bool {
        self.kernel_ref().carries(transport)
    }

    fn lane(&self) -> Option<xdp::Counters> {
        match self {
            Self::Kernel(_) => None,
            Self::Xdp(bypass) => Some(bypass.counters()),
        }
    }

    fn can_hand_over(&self, conn: ConnId) -> bool {
        self.kernel_ref().can_hand_over(conn)
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        self.kernel().hand_over(conn, to_shard)
    }

    fn close(&mut self, conn: ConnId) -> usize {
        self.kernel().close(conn)
    }

    fn wake(&mut self, shard: usize) {
        self.kernel().wake(shard);
    }
}

impl<B: Io + Datagrams> Datagrams for Half<B> {
    fn sockets(&self) -> &[Socket] {
        match self {
            Self::Kernel(backend) => backend.sockets(),
            Self::Xdp(bypass) => bypass.sockets(),
        }
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        match self {
            Self::Kernel(backend) => backend.open(is_ipv6),
            Self::Xdp(bypass) => bypass.open(is_ipv6),
        }
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        match self {
            Self::Kernel(backend) => backend.next_train(),
            Self::Xdp(bypass) => bypass.next_train(),
        }
    }

    fn segments_max(&self) -> usize {
        match self {
            Self::Kernel(backend) => backend.segments_max(),
            Self::Xdp(bypass) => bypass.segments_max(),
        }
    }

    fn datagram_bytes_max(&self) -> usize {
        match self {
            Self::Kernel(backend) => backend.datagram_bytes_max(),
            Self::Xdp(bypass) => bypass.datagram_bytes_max(),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Kernel(backend) => backend.room(),
            Self::Xdp(bypass) => bypass.room(),
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        match self {
            Self::Kernel(backend) => backend.buffer(),
            Self::Xdp(bypass) => bypass.buffer(),
        }
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        match self {
            Self::Kernel(backend) => backend.transmit(train, bytes),
            Self::Xdp(bypass) => bypass.transmit(train, bytes),
        }
    }

    fn lost(&self) -> u64 {
        match self {
            Self::Kernel(backend) => backend.lost(),
            Self::Xdp(bypass) => bypass.lost(),
        }
    }
}
