//! One connection on either side, and what waits to pass from one to the other.

use crate::link::wait;
use quic::{Endpoint, Handle, Read, Wrote};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use wire::Instant;

/// Bytes that are moved at once.
const BYTES: usize = 256 << 10;
/// Events that are taken at once.
const EVENTS_MAX: usize = 256;

/// What a descriptor is; with the number of its half and its own it makes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody dials.
    Listener,
    /// Datagrams.
    Socket,
    /// A connection with the rig.
    Stream,
}

const KINDS: [Kind; 3] = [Kind::Listener, Kind::Socket, Kind::Stream];

/// Which descriptor has something.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Whose it is.
    pub half: usize,
    /// What it is.
    pub kind: Kind,
    /// Which of them.
    pub number: u32,
}

/// All descriptors of a relay.
pub struct Ears(OwnedFd);

impl Ears {
    /// None yet.
    pub fn new() -> Result<Self, String> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(|error| error.to_string())
    }

    /// The listener of the half that dials the node, which is the first.
    pub fn add_listener(&self, listener: impl AsFd) -> Result<(), String> {
        self.add(listener, 0, Kind::Listener, 0, EventFlags::IN)
    }

    /// A socket that is told of once when it has datagrams, or room again.
    pub fn add_socket(&self, socket: impl AsFd, half: usize, number: u32) -> Result<(), String> {
        self.add(socket, half, Kind::Socket, number, EventFlags::IN | EventFlags::OUT | EventFlags::ET)
    }

    /// A connection that is told of once when it has bytes, or room again.
    pub fn add_stream(&self, stream: &TcpStream, half: usize, number: u32) -> Result<(), String> {
        self.add(stream, half, Kind::Stream, number, EventFlags::IN | EventFlags::OUT | EventFlags::ET)
    }

    fn add(&self, fd: impl AsFd, half: usize, kind: Kind, number: u32, flags: EventFlags) -> Result<(), String> {
        let name = (half as u64) << 40 | (kind as u64) << 32 | u64::from(number);
        epoll::add(&self.0, fd, EventData::new_u64(name), flags).map_err(|error| error.to_string())
    }

    /// Those that have something now, or within `limit`.
    pub fn listen(&self, limit: Duration) -> Result<Vec<Heard>, String> {
        if !limit.is_zero() {
            wait(vec![PollFd::new(&self.0, PollFlags::IN)], limit)?;
        }
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS_MAX];
        match epoll::wait(&self.0, &mut events[..], Some(&Timespec::default())) {
            Ok((events, _)) => Ok(events.iter().filter_map(|event| heard(event.data.u64())).collect()),
            Err(rustix::io::Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn heard(name: u64) -> Option<Heard> {
    let kind = KINDS.get((name >> 32) as usize & 0xff)?;
    Some(Heard { half: (name >> 40) as usize, kind: *kind, number: name as u32 })
}

/// Bytes on their way to the node.
struct Waiting {
    buffer: Box<[u8]>,
    rest: Range<usize>,
}

/// Bytes on their way to the rig.
#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    passed: usize,
}

/// A connection with the rig, and the one with the node that it goes on as.
pub struct Pair {
    /// The one with the node.
    pub conn: Handle,
    stream: TcpStream,
    to_node: Waiting,
    to_rig: Arrived,
    /// The one with the node has its stream.
    pub is_connected: bool,
    /// There may be something to move.
    pub is_listed: bool,
}

/// How a move ended.
#[derive(PartialEq, Eq)]
enum Moved {
    /// All that is there for now.
    All,
    /// One side has ended.
    Ended,
}

impl Pair {
    /// Nothing moved yet.
    pub fn new(conn: Handle, stream: TcpStream, is_connected: bool) -> Self {
        let to_node = Waiting { buffer: vec![0; BYTES].into_boxed_slice(), rest: 0..0 };
        Self { conn, stream, to_node, to_rig: Arrived::default(), is_connected, is_listed: false }
    }

    /// Moves what can be moved, both ways. False if one side has ended: the other one is to be ended then.
    pub fn pump(&mut self, endpoint: &mut Endpoint) -> bool {
        if !self.is_connected {
            return true;
        }
        self.pump_to_node(endpoint) == Moved::All && self.pump_to_rig(endpoint) == Moved::All
    }

    fn pump_to_node(&mut self, endpoint: &mut Endpoint) -> Moved {
        let Waiting { buffer, rest } = &mut self.to_node;
        loop {
            while rest.start < rest.end {
                match endpoint.write(self.conn, &buffer[rest.clone()]) {
                    Wrote::Bytes(count) => rest.start += count,
                    Wrote::WouldBlock => return Moved::All,
                    Wrote::Failed => return Moved::Ended,
                }
            }
            match self.stream.read(buffer) {
                Ok(0) => return Moved::Ended,
                Ok(count) => *rest = 0..count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Moved::All,
                Err(_) => return Moved::Ended,
            }
        }
    }

    fn pump_to_rig(&mut self, endpoint: &mut Endpoint) -> Moved {
        let Arrived { bytes, passed } = &mut self.to_rig;
        loop {
            while *passed < bytes.len() {
                match self.stream.write(&bytes[*passed..]) {
                    Ok(count) if count > 0 => *passed += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Moved::All,
                    _ => return Moved::Ended,
                }
            }
            bytes.clear();
            *passed = 0;
            match endpoint.read(self.conn, BYTES, bytes) {
                Read::Bytes { .. } => {}
                Read::WouldBlock => return Moved::All,
                Read::Closed | Read::Failed => return Moved::Ended,
            }
        }
    }

    /// Ends both.
    pub fn close(self, endpoint: &mut Endpoint, now: Instant) {
        endpoint.close(self.conn, now);
    }
}
