//! The connections of one shard, whatever sockets they use: one bidirectional stream each.
//!
//! | part | what it does |
//! |---|---|
//! | `arrival` | datagrams to their connections; newcomers, within [`limits`] |
//! | `departure` | trains of datagrams, answers to strangers |
//! | `connection` | one connection from the dial to its end |
//! | `deadlines` | when to look at which |
//! | `resets` | what a peer learns from who does not know its connection |
//!
//! A round is: [`Endpoint::begin_round`], [`Endpoint::handle`] for what has arrived, [`Endpoint::next_event`], reads and
//! writes, [`Endpoint::poll_transmit`] until it gives none. [`Endpoint::next_timeout`] says when the next one is due.
//!
//! Rules, as for streams of a shard (`dataplane::io`): [`Event::Readable`] and [`Event::Writable`] are edges, they come once after
//! [`Read::WouldBlock`] and [`Wrote::WouldBlock`]. A fresh connection counts as readable and writable. After
//! [`Event::ConnectFailed`], [`Read::Closed`], [`Read::Failed`] or [`Wrote::Failed`] the connection is closed by
//! [`Endpoint::close`], from which on its handle means nothing.

mod arrival;
mod connection;
mod deadlines;
mod departure;
mod resets;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::limits;
use crate::profile::{self, ProfileError};
use arrival::Newcomers;
use connection::{Conn, Stage};
use deadlines::Deadlines;
use departure::Answer;
use quinn_proto::{ClientConfig, ServerConfig, Side};
use resets::Resets;
use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use wire::Instant;

/// What all endpoints of a process have in common: one certificate, one secret for stateless resets.
#[derive(Clone)]
pub struct Common {
    server: Arc<ServerConfig>,
    crowded_server: Arc<ServerConfig>,
    client: ClientConfig,
    resets: Resets,
}

impl Common {
    /// With a new certificate. Makes one connection with itself, so that the first dial takes no longer than others.
    pub fn new() -> Result<Self, ProfileError> {
        let server = profile::server_config()?;
        let mut crowded_server = server.clone();
        crowded_server.transport_config(Arc::new(profile::transport(limits::CROWDED)));
        profile::warm_up()?;
        Ok(Self {
            server: Arc::new(server),
            crowded_server: Arc::new(crowded_server),
            client: profile::client_config()?,
            resets: Resets::new()?,
        })
    }

    /// The same for the endpoint of a shard, the one of its number in the process. What is said of resets is of such endpoints: others
    /// have keys of their own.
    pub fn of_shard(&self, shard: usize) -> Self {
        Self { resets: self.resets.of_shard(shard as u32), ..self.clone() }
    }

    /// Peers of this process learn from the next one that knows `secret`, at their next datagram, that it was killed: if the
    /// shard and the order of its sockets are the same. The first secret counts.
    pub fn outlive(&self, secret: &[u8]) -> Result<(), ProfileError> {
        self.resets.outlive(secret)
    }
}

/// Names a socket of the endpoint, in the order of [`Endpoint::add_port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortId(pub u32);

/// Names a connection of the endpoint. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// Small and dense.
    pub index: u32,
    /// Tells connections apart that had the same index.
    pub generation: u32,
}

/// Datagrams of one size that came from one sender; the last may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// At which socket.
    pub port: PortId,
    /// Where from, as the packets say.
    pub from: SocketAddr,
    /// Where to, if that is known.
    pub to: Option<IpAddr>,
    /// The two bits of congestion notification.
    pub ecn: u8,
    /// When they had arrived.
    pub at: Instant,
    /// The size of each but the last. All of them are one if it is zero.
    pub segment_bytes: usize,
    /// All of them.
    pub bytes: &'a [u8],
}

/// Where datagrams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// From which socket.
    pub port: PortId,
    /// Where to.
    pub to: SocketAddr,
    /// From which address of the socket, if it matters.
    pub from: Option<IpAddr>,
    /// The two bits of congestion notification.
    pub ecn: u8,
    /// The size of each but the last. Not zero.
    pub segment_bytes: usize,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer has connected and opened its stream.
    Accepted {
        /// The connection.
        conn: Handle,
        /// Where from.
        peer: SocketAddr,
    },
    /// A connection asked for is there.
    Connected {
        /// The connection.
        conn: Handle,
    },
    /// It could not be made.
    ConnectFailed {
        /// The connection.
        conn: Handle,
        /// Why.
        failure: ConnectFailure,
    },
    /// There may be something to read, an end included.
    Readable {
        /// The connection.
        conn: Handle,
    },
    /// There may be room to write, or the connection is lost.
    Writable {
        /// The connection.
        conn: Handle,
    },
}

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The peer does not want it.
    Refused,
    /// No answer in time.
    TimedOut,
    /// Anything else.
    Other,
}

/// Outcome of [`Endpoint::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At least one byte was read.
    Bytes {
        /// When all of them had arrived.
        at: Instant,
    },
    /// Nothing now.
    WouldBlock,
    /// The peer will send nothing more.
    Closed,
    /// The connection is lost.
    Failed,
}

/// Outcome of [`Endpoint::write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// So many bytes were taken, at least one.
    Bytes(usize),
    /// No room now.
    WouldBlock,
    /// The connection is lost.
    Failed,
}

/// A dial needs one more socket of this family of addresses: [`Endpoint::add_port`], then dial again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsPort {
    /// Which family.
    pub is_ipv6: bool,
}

/// What became of strangers and of connections, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections whose peer opened its stream.
    pub accepted: u64,
    /// Newcomers that were asked to show that they can be reached.
    pub retried: u64,
    /// Newcomers that were refused, as there are too many connections.
    pub refused: u64,
    /// First packets that were ignored, as too many waited, or for too long.
    pub ignored: u64,
    /// Datagrams of handshakes that were not looked at, as there were too many in one round.
    pub skipped: u64,
    /// Handshakes that failed, or took too long.
    pub failed: u64,
    /// Connections whose peer did not open a stream in time.
    pub silent: u64,
    /// Unfinished connections that made room for newer ones.
    pub displaced: u64,
    /// Answers to strangers that found no room.
    pub unanswered: u64,
}

/// The connections.
pub struct Endpoint {
    common: Common,
    clock: Clock,
    ports: Vec<Port>,
    conns: Vec<Entry>,
    free: Vec<u32>,
    /// Connections that are not free.
    live: usize,
    events: VecDeque<Event>,
    newcomers: Newcomers,
    deadlines: Deadlines,
    answers: VecDeque<Answer>,
    /// Connections with something to send, written since the last time.
    to_send: VecDeque<u32>,
    /// Connections that may have to acknowledge, or to say something else of their own.
    to_acknowledge: VecDeque<u32>,
    counts: Counts,
    serials: u64,
}

#[derive(Default)]
struct Entry {
    generation: u32,
    conn: Option<Box<Conn>>,
}

/// One socket, which the library calls an endpoint.
struct Port {
    endpoint: quinn_proto::Endpoint,
    is_listener: bool,
    is_ipv6: bool,
    /// Places of connections, by the library's numbers.
    places: Vec<Option<u32>>,
    /// Peers that have a connection dialled from here: the library tells connections without ids apart by them.
    dialled: HashSet<SocketAddr>,
}

impl Endpoint {
    /// Without sockets.
    pub fn new(common: Common, now: Instant) -> Self {
        Self {
            common,
            clock: Clock::start(now),
            ports: Vec::new(),
            conns: Vec::new(),
            free: Vec::new(),
            live: 0,
            events: VecDeque::new(),
            newcomers: Newcomers::default(),
            deadlines: Deadlines::default(),
            answers: VecDeque::new(),
            to_send: VecDeque::new(),
            to_acknowledge: VecDeque::new(),
            counts: Counts::default(),
            serials: 0,
        }
    }

    /// One more socket.
    pub fn add_port(&mut self, is_listener: bool, is_ipv6: bool) -> PortId {
        let side = if is_listener { Side::Server } else { Side::Client };
        let server = is_listener.then(|| Arc::clone(&self.common.server));
        let mut config = profile::endpoint_config(side);
        if let Some(key) = self.common.resets.of_port(self.ports.len() as u32) {
            config.reset_key(key);
        }
        let endpoint = quinn_proto::Endpoint::new(Arc::new(config), server, true, None);
        self.ports.push(Port { endpoint, is_listener, is_ipv6, places: Vec::new(), dialled: HashSet::new() });
        PortId(self.ports.len() as u32 - 1)
    }

    /// What became of strangers and of connections.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Connections of all kinds.
    pub fn connections(&self) -> usize {
        self.live
    }

    /// What happened next.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Begins to connect.
    pub fn connect(&mut self, to: SocketAddr, now: Instant) -> Result<Handle, NeedsPort> {
        let is_ipv6 = to.is_ipv6();
        let fits = |port: &Port| !port.is_listener && port.is_ipv6 == is_ipv6;
        let found = self.ports.iter().position(|port| fits(port) && !port.dialled.contains(&to));
        let place = match found {
            Some(place) => place,
            None if self.ports.iter().filter(|port| fits(port)).count() < limits::DIALLING_PORTS_MAX => {
                return Err(NeedsPort { is_ipv6 });
            }
            // Too many connections to one address at a time.
            None => return Ok(self.failed_dial()),
        };
        let port = &mut self.ports[place];
        let (client, name) = (self.common.client.clone(), profile::server_name(to.ip()));
        match port.endpoint.connect(self.clock.library(now), client, to, &name) {
            Ok((number, inner)) => {
                port.dialled.insert(to);
                let index = self.settle_in(place, number, inner, Stage::Dialling);
                self.list_to_send(index);
                self.settle(index, now);
                Ok(self.handle_of(index))
            }
            Err(_) => Ok(self.failed_dial()),
        }
    }

    /// A dial that has failed before it began: what a shard gets where there is no socket for it.
    pub fn failed_dial(&mut self) -> Handle {
        let index = self.take_place();
        let conn = self.handle_of(index);
        // Nothing is there; the place is free, and its name spent.
        self.release_place(index);
        self.events.push_back(Event::ConnectFailed { conn, failure: ConnectFailure::Other });
        conn
    }

    /// Reads at most so many bytes and appends them to `into`, which is empty.
    pub fn read(&mut self, conn: Handle, bytes_max: usize, into: &mut Vec<u8>) -> Read {
        let Some(found) = self.find(conn) else { return Read::Failed };
        let read = found.read(bytes_max, into);
        if matches!(read, Read::Bytes { .. }) {
            // The peer may have to learn that there is room again.
            self.list_to_acknowledge(conn.index);
        }
        read
    }

    /// Takes as much as there is room for.
    pub fn write(&mut self, conn: Handle, bytes: &[u8]) -> Wrote {
        let Some(found) = self.find(conn) else { return Wrote::Failed };
        let wrote = found.write(bytes);
        if wrote != Wrote::Failed {
            self.list_to_send(conn.index);
        }
        wrote
    }

    /// Ends a connection in whatever state it is. What was written is still delivered where possible. The handle means nothing
    /// any more.
    pub fn close(&mut self, conn: Handle, now: Instant) {
        if self.find(conn).is_none() {
            return;
        }
        let at = self.clock.library(now);
        let entry = &mut self.conns[conn.index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        if let Some(found) = &mut entry.conn {
            found.close(now, at);
        }
        self.list_to_send(conn.index);
        self.settle(conn.index, now);
    }

    /// The place for a new connection.
    fn take_place(&mut self) -> u32 {
        self.live += 1;
        self.free.pop().unwrap_or_else(|| {
            self.conns.push(Entry::default());
            self.conns.len() as u32 - 1
        })
    }

    fn release_place(&mut self, index: u32) {
        let entry = &mut self.conns[index as usize];
        if let Some(conn) = entry.conn.take() {
            self.deadlines.remove(conn.entered_at, index);
        }
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        self.live -= 1;
    }

    fn handle_of(&self, index: u32) -> Handle {
        Handle { index, generation: self.conns[index as usize].generation }
    }

    /// The connection that the shard means.
    fn find(&mut self, conn: Handle) -> Option<&mut Conn> {
        let entry = self.conns.get_mut(conn.index as usize).filter(|entry| entry.generation == conn.generation)?;
        entry.conn.as_deref_mut().filter(|found| found.is_held())
    }

    fn conn(&mut self, index: u32) -> Option<&mut Conn> {
        self.conns.get_mut(index as usize)?.conn.as_deref_mut()
    }
}
