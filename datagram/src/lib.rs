//! Datagrams in batches: what carries QUIC, whoever moves them. The kernel's sockets, AF_XDP, DPDK and a simulated network
//! implement [`Datagrams`]; nobody above them knows which one it is.
//!
//! Rules for implementations:
//!
//! * **Batches.** What goes through the kernel at once costs the same whatever its size, so both ways work with *trains*:
//!   datagrams of one size in one piece of memory, from or to one address, the last of which may be shorter.
//! * **Arriving.** [`Datagrams::next_train`] lends a train until the next call. It gives none when nothing has come; then the
//!   driver says when to look again.
//! * **Leaving.** [`Datagrams::transmit`] never waits and never fails: what finds no room is lost, as datagrams may be, and
//!   counted. Who asks [`Datagrams::room`] first loses nothing here.
//! * **Sockets** are numbered from zero, those that were given at the start first. They are never closed.
//! * **Nothing that arrives is trusted**: lengths are checked, an address is only what the packet says.
//!
//! | module | what lives there |
//! |---|---|
//! | [`udp`] | the kernel's sockets: how they are set up, what is said to and by the kernel with a train, plain calls |
//! | [`frame`] | headers of Ethernet, IP and UDP, for who moves datagrams past the kernel |
//! | [`look`] | when the kernel had what is read only now |
//! | [`frame`] | headers of Ethernet, IP and UDP, for who moves datagrams past the kernel |
#![deny(unsafe_code)]

pub mod frame;
pub mod look;
pub mod udp;

use std::net::{IpAddr, SocketAddr};
use wire::Instant;

/// The most bytes of a train: what one call of the kernel takes.
pub const TRAIN_BYTES_MAX: usize = 65_000;

/// Names one socket of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// The two bits of congestion notification in the header of IP (RFC 3168).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// ECT(1).
    Ect1 = 1,
    /// ECT(0).
    Ect0 = 2,
    /// A router was congested.
    Ce = 3,
}

impl Ecn {
    /// From the low two bits; none where the sender does not take part.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            1 => Some(Self::Ect1),
            2 => Some(Self::Ect0),
            3 => Some(Self::Ce),
            _ => None,
        }
    }
}

/// Datagrams that came from one sender.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// At which socket.
    pub socket: SocketId,
    /// Where from, as the packets say.
    pub from: SocketAddr,
    /// Where to, if that is known: answers leave from there.
    pub to: Option<IpAddr>,
    /// The congestion bits of all of them.
    pub ecn: Option<Ecn>,
    /// When they had arrived, never earlier.
    pub at: Instant,
    /// The size of each but the last. Not zero.
    pub segment_bytes: usize,
    /// All of them. May be changed in place.
    pub bytes: &'a mut [u8],
}

/// Datagrams for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// From which socket.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
    /// The sender's address, where the socket has several.
    pub from: Option<IpAddr>,
    /// The congestion bits of all of them.
    pub ecn: Option<Ecn>,
    /// The size of each but the last. Not zero.
    pub segment_bytes: usize,
}

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The address that it is bound to.
    pub local: SocketAddr,
    /// It was given at the start, for others to reach; else it was opened to reach others.
    pub is_listener: bool,
}

/// The datagram half of a shard's input and output. The rules stand in the [crate's documentation](self).
pub trait Datagrams {
    /// The sockets, by their numbers.
    fn sockets(&self) -> &[Socket];

    /// Opens a socket with which others can be reached over this family of addresses.
    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error>;

    /// The next datagrams that have arrived; none if there are none now.
    fn next_train(&mut self) -> Option<Arrived<'_>>;

    /// How many datagrams one train may have: 1 where nobody cuts them up for us.
    fn segments_max(&self) -> usize;

    /// The largest datagram that can be sent in one piece, without the headers of IP and UDP.
    fn datagram_bytes_max(&self) -> usize;

    /// How many trains [`Datagrams::transmit`] takes now.
    fn room(&self) -> usize;

    /// An empty buffer for a train, used again if there is one.
    fn buffer(&mut self) -> Vec<u8>;

    /// Sends a train. It leaves at the end of the round at the latest.
    fn transmit(&mut self, train: Train, bytes: Vec<u8>);

    /// How many datagrams were lost here since the start for want of room: those to be sent, and those that the socket or the card
    /// reported as overrun.
    fn lost(&self) -> u64;
}
