//! What a shard asks of its input and output: one small trait, implemented by a simulated network and by drivers.
//!
//! Every shard has its own [`Io`]. A driver owns the sockets and calls [`Shard::poll`](crate::shard::Shard::poll) in a
//! loop; the shard never blocks and never waits.
//!
//! Rules for implementations:
//!
//! * **Edges.** [`Event::Readable`] and [`Event::Writable`] are edges: after [`Recv::WouldBlock`] (or
//!   [`Sent::WouldBlock`]) the implementation reports the event once when it is worth trying again; before that the
//!   shard does not try. A fresh connection counts as readable and writable.
//! * **Names.** A [`ConnId`] is never used twice: the index may be, with another generation. Events of a connection
//!   that the shard has closed may still arrive; the shard ignores them.
//! * **Closing.** After [`Recv::Closed`], [`Recv::Failed`], [`Sent::Failed`] or [`Event::ConnectFailed`] the shard calls
//!   [`Io::close`] (for `ConnectFailed` too). It is allowed to close a connection that is still being made.
//! * **Accepting.** The listener's shard gets [`Event::Accepted`] and decides who keeps the connection. With
//!   [`Io::hand_over`] it passes to another shard, which gets [`Event::Adopted`] (and is woken for it). The id of the
//!   connection at the new shard is a new one.
//! * **Sockets** have `TCP_NODELAY` and keep-alive of 3 minutes (server.md 3.1, 3.9).
//! * **Waking.** [`Io::wake`] ends the sleep of another shard's driver; it is called only after the sender has swapped
//!   that shard's parked flag to false, so there is at most one call per sleep. A wake-up that arrives between
//!   `poll` returning [`Next::ParkUntil`](crate::shard::Next) and the driver's sleep must not be lost.

pub mod glommio;
pub mod sim;

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

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody connected to the listener of this shard.
    Accepted {
        /// The connection.
        conn: ConnId,
        /// Where from.
        peer: SocketAddr,
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
    /// There may be room to send.
    Writable {
        /// The connection.
        conn: ConnId,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recv {
    /// That many bytes, at least one.
    Bytes(usize),
    /// Nothing now.
    WouldBlock,
    /// The peer will send nothing more.
    Closed,
    /// The connection is lost.
    Failed,
}

/// Outcome of [`Io::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// That many bytes were taken, at least one.
    Bytes(usize),
    /// No room now.
    WouldBlock,
    /// The connection is lost.
    Failed,
}

/// The stream half of a shard's input and output. The rules stand in the [module's documentation](self).
pub trait Io {
    /// Monotonic time, the same for all shards of a process.
    fn now(&self) -> Instant;

    /// Civil time since the Unix epoch.
    fn unix_now(&self) -> Duration;

    /// The next thing that happened, in order; none if nothing did.
    fn next_event(&mut self) -> Option<Event>;

    /// Receives into `buffer`, which is not empty.
    fn recv(&mut self, conn: ConnId, buffer: &mut [u8]) -> Recv;

    /// Sends from `bytes`, which is not empty.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent;

    /// Begins to connect. Ends in [`Event::Connected`] or [`Event::ConnectFailed`], never before this call returns.
    fn connect(&mut self, to: SocketAddr) -> ConnId;

    /// Passes a connection that was just accepted to another shard of this process.
    fn hand_over(&mut self, conn: ConnId, to_shard: usize);

    /// Ends a connection in whatever state it is. What was sent before is still delivered where possible.
    fn close(&mut self, conn: ConnId);

    /// Ends the sleep of another shard's driver.
    fn wake(&mut self, shard: usize);
}
