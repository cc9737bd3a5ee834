//! What a shard asks of its input and output: one small trait, implemented by a simulated network and by backends.
//!
//! Every shard has its own [`Io`]. A backend owns the sockets, and a [`Driver`] calls [`Shard::poll`](crate::shard::Shard::poll) in a
//! loop; the shard never blocks and never waits.
//!
//! | module | what lives there |
//! |---|---|
//! | [`driver`] | shards on threads of their own: started, watched, woken, ended |
//! | [`choice`] | which backend this host has |
//! | [`under_way`], `sockets` | what backends have in common |
//! | [`sim`] | a simulated network and clock |
//! | [`half`] | the datagram half: the backend's own, or frames past the kernel |
//! | [`uring`] | one io_uring per shard |
//! | [`epoll`] | plain readiness, for hosts without io_uring |
//! | [`glommio`] | one glommio executor per shard |
//! | [`quic`] | streams over QUIC, beside those over TCP, for a backend that moves datagrams |
//!
//! Rules for implementations:
//!
//! * **Receiving.** [`Io::recv`] lends a piece of the backend's own buffer until the next call, with the moment at which
//!   it had arrived, never earlier, so that no packet leaves too early. `uring` knows it from the kernel, the others only
//!   when they have looked. The bytes may be
//!   changed in place.
//!   [`Event::Readable`] is an edge: after [`Received::WouldBlock`] it comes once when it is worth trying again; before
//!   that the shard does not try. A fresh connection counts as readable. What a shard does not fetch stays with the
//!   backend, which stops reading from the peer after a bounded amount.
//! * **Sending.** [`Io::send`] hands a buffer over. It is the backend's until [`Event::Sent`] brings it back; until then
//!   there is no second one for that connection, and [`Io::sending`] tells how far it is. Of a lost connection the
//!   buffer comes back with less taken than it holds. [`Io::send`] never reports by itself.
//! * **Names.** A [`ConnId`] is never used twice: the index may be, with another generation. Events of a connection
//!   that the shard has closed may still arrive; the shard ignores them. No [`Event::Sent`] does.
//! * **Closing.** After [`Received::Closed`], [`Received::Failed`], an [`Event::Sent`] that took less than all or
//!   [`Event::ConnectFailed`] the shard calls [`Io::close`] (for `ConnectFailed` too). It is allowed to close a
//!   connection that is still being made, or that has a buffer under way: what the connection has not taken by then may
//!   be lost.
//! * **Accepting.** The listener's shard gets [`Event::Accepted`] and decides who keeps the connection. With
//!   [`Io::hand_over`], where [`Io::can_hand_over`] allows it, it passes to another shard, which gets [`Event::Adopted`] (and is woken for it). The id of the
//!   connection at the new shard is a new one.
//! * **Sockets** have `TCP_NODELAY` and keep-alive of 3 minutes (server.md 3.1, 3.9).
//! * **Turns.** A shard that is always busy still gets what has happened to its connections: between two rounds the
//!   backend looks at its sockets, without waiting.
//! * **Waking.** [`Io::wake`] ends the sleep of another shard's driver; it is called only after the sender has swapped
//!   that shard's parked flag to false, so there is at most one call per sleep. A wake-up that arrives between
//!   `poll` returning [`Next::ParkUntil`](crate::shard::Next) and the driver's sleep must not be lost.
//!
//! These are streams. Datagrams are a trait of their own ([`datagram::Datagrams`]), which the backends implement too; what
//! makes streams of them ([`quic`]) stands between that trait and an [`Io`], so that a shard sees streams, whatever their
//! [`Transport`]. A backend alone connects over TCP only. Sockets for datagrams come among the listeners, and each shard
//! has its own.

pub mod choice;
pub mod driver;
pub mod epoll;
mod error;
pub mod glommio;
pub mod half;
pub mod quic;
pub mod sim;
mod sockets;
#[cfg(test)]
mod tests;
pub mod under_way;
pub mod uring;

pub use driver::Driver;
pub use error::DriverError;
pub use interplane::counter::AcceptFailure;

use crate::time::Instant;
use std::net::SocketAddr;
use std::time::Duration;

/// Names a connection of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Small and dense: shards index a table with it.
    pub index: u32,
    /// Tells connections apart that had the same index.
    pub generation: u32,
}

/// What carries a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// TCP.
    Tcp,
    /// One stream of a QUIC connection.
    Quic,
}

/// Where a connection is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Over what.
    pub transport: Transport,
    /// Whereto.
    pub address: SocketAddr,
}

impl Target {
    /// Over TCP.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address }
    }

    /// Over QUIC.
    pub fn quic(address: SocketAddr) -> Self {
        Self { transport: Transport::Quic, address }
    }
}

/// What happened to a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody connected to the listener of this shard.
    Accepted {
        /// The connection.
        conn: ConnId,
        /// Where from.
        peer: SocketAddr,
    },
    /// Somebody connected, or may have, but the operating system gives no connection.
    AcceptFailed {
        /// Why.
        failure: AcceptFailure,
        /// The operating system's error number.
        code: i32,
    },
    /// Another shard handed over a connection that it had accepted.
    Adopted {
        /// The connection.
        conn: ConnId,
        /// Where from.
        peer: SocketAddr,
    },
    /// A connection asked for with [`Io::connect`] is there.
    Connected {
        /// The connection.
        conn: ConnId,
    },
    /// It could not be made.
    ConnectFailed {
        /// The connection.
        conn: ConnId,
        /// Why.
        failure: ConnectFailure,
    },
    /// There may be something to receive, an end included.
    Readable {
        /// The connection.
        conn: ConnId,
    },
    /// The buffer comes back that [`Io::send`] handed over.
    Sent {
        /// The connection.
        conn: ConnId,
        /// The buffer, unchanged.
        buffer: Vec<u8>,
        /// How many of its bytes the connection took. If not all, it is lost.
        taken: usize,
    },
}

/// Why a connection could not be made: the reasons of `katzenpost_outgoing_dial_failures_total` (server.md 10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// Nobody listens there.
    Refused,
    /// No answer in time. Reported by the operating system; the shard has a limit of its own.
    TimedOut,
    /// No route.
    NoRoute,
    /// Anything else.
    Other,
}

/// Outcome of [`Io::recv`].
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// At least one byte.
    Bytes {
        /// Lent until the next call.
        bytes: &'a mut [u8],
        /// When they had arrived.
        at: Instant,
    },
    /// Nothing now.
    WouldBlock,
    /// The peer will send nothing more.
    Closed,
    /// The connection is lost.
    Failed,
}

/// How far the buffer is that a connection has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// How many of its bytes the connection has taken.
    pub taken: usize,
    /// When it last took some, or the buffer was handed over.
    pub progress_at: Instant,
}

/// The stream half of a shard's input and output. The rules stand in the [module's documentation](self).
pub trait Io {
    /// Monotonic time, the same for all shards of a process.
    fn now(&self) -> Instant;

    /// Civil time since the Unix epoch.
    fn unix_now(&self) -> Duration;

    /// The next thing that happened, in order; none if nothing did.
    fn next_event(&mut self) -> Option<Event>;

    /// Receives at most so many bytes, at least one may be asked for.
    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_>;

    /// Hands over a buffer to be sent, which is not empty. None may be under way.
    fn send(&mut self, conn: ConnId, buffer: Vec<u8>);

    /// How far the buffer under way is; none from the [`Event::Sent`] that brings it back to the next [`Io::send`].
    fn sending(&self, conn: ConnId) -> Option<Sending>;

    /// Begins to connect. Ends in [`Event::Connected`] or [`Event::ConnectFailed`], never before this call returns.
    fn connect(&mut self, to: Target) -> ConnId;

    /// Whether [`Io::connect`] may be asked for this.
    fn carries(&self, transport: Transport) -> bool {
        transport == Transport::Tcp
    }

    /// What was counted past the kernel; none where datagrams do not go there.
    fn lane(&self) -> Option<xdp::Counters> {
        None
    }

    /// What carries a connection.
    fn transport(&self, _conn: ConnId) -> Transport {
        Transport::Tcp
    }

    /// The connections over QUIC, for what they count; none where there is no QUIC.
    fn quic(&self) -> Option<&::quic::Endpoint> {
        None
    }

    /// Whether a connection that was just accepted may go to another shard. One over QUIC may not: its shard has the socket to
    /// which the peer's datagrams come.
    fn can_hand_over(&self, _conn: ConnId) -> bool {
        true
    }

    /// Passes a connection that was just accepted to another shard of this process. False if that is not possible; it
    /// is closed then.
    #[must_use]
    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool;

    /// Ends a connection in whatever state it is. What was sent before is still delivered where possible. Gives how
    /// many bytes the connection has taken of the buffer under way, which does not come back.
    fn close(&mut self, conn: ConnId) -> usize;

    /// Ends the sleep of another shard's driver.
    fn wake(&mut self, shard: usize);
}
