//! Datagrams on the simulated network: as fast and as late as [`Path`](super::Path) says, and harmed as [`Weather`] says.

use super::{Happening, Network, SimIo, State};
use crate::time::Instant;
use datagram::{Arrived, Datagrams, Ecn, Socket, SocketId, TRAIN_BYTES_MAX, Train};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What waits at a host that does not fetch it: as much as a socket's buffer holds.
const INBOX_BYTES_MAX: usize = 4 << 20;
/// The largest datagram that gets through.
const DATAGRAM_BYTES_MAX: usize = 1472;
/// The first port of sockets that are opened to reach others.
const FIRST_PORT: u16 = 40_000;
/// Datagrams in one train.
const SEGMENTS_MAX: usize = 64;
/// Trains that one call takes after the other.
const ROOM: usize = 256;

/// What happens to datagrams on their way, each in a million, by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Lost.
    pub lost: u32,
    /// Arrive twice.
    pub doubled: u32,
    /// Arrive late, by up to two milliseconds, behind others.
    pub late: u32,
    /// Arrive with one byte changed.
    pub damaged: u32,
}

/// A datagram under way, or at its host.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    from: SocketAddr,
    ecn: u8,
    bytes: Vec<u8>,
}

/// Everything about datagrams that is not a host's own.
#[derive(Default)]
pub struct Air {
    weather: Weather,
    /// Who has an address.
    bound: HashMap<SocketAddr, (usize, SocketId)>,
    inboxes: HashMap<usize, Inbox>,
    /// When the line of a host is free, and when its last datagram in order arrives.
    lines: HashMap<usize, (Instant, Instant)>,
    next_port: u16,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<(SocketId, Instant, Datagram)>,
    bytes: usize,
    lost: u64,
}

/// The sockets of one host.
#[derive(Default)]
pub struct Sockets {
    sockets: Vec<Socket>,
    lent: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Network {
    /// What becomes of datagrams that are sent from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.0.borrow_mut().air.weather = weather;
    }

    /// A datagram that says it comes from there, whoever sent it.
    pub fn inject(&self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let mut state = self.0.borrow_mut();
        let at = state.now + state.path.latency;
        state.schedule(at, Happening::Datagram { to, datagram: Datagram { from, ecn: 0, bytes } });
    }
}

impl Air {
    /// The host's process has died: nobody has its addresses.
    pub fn crash(&mut self, host: usize) {
        self.bound.retain(|_, (owner, _)| *owner != host);
        self.inboxes.remove(&host);
    }
}

impl State {
    /// A datagram gets to an address, where somebody may be.
    pub(super) fn arrives(&mut self, to: SocketAddr, datagram: Datagram) {
        let Some(&(host, socket)) = self.air.bound.get(&to) else { return };
        let now = self.now;
        let inbox = self.air.inboxes.entry(host).or_default();
        if inbox.bytes + datagram.bytes.len() > INBOX_BYTES_MAX {
            inbox.lost += 1;
            return;
        }
        inbox.bytes += datagram.bytes.len();
        inbox.waiting.push_back((socket, now, datagram));
        self.hosts[host].woken = true;
    }

    /// One datagram leaves.
    fn leaves(&mut self, host: usize, from: SocketAddr, to: SocketAddr, ecn: u8, bytes: &[u8]) {
        let (path, now, weather) = (self.path, self.now, self.air.weather);
        let transfer_ns = bytes.len() as u128 * 1_000_000_000 / u128::from(path.bytes_per_second.max(1));
        let transfer = Duration::from_nanos(u64::try_from(transfer_ns).unwrap_or(u64::MAX));
        let jitter = self.some(path.jitter);
        let (free_at, last_at) = self.air.lines.entry(host).or_default();
        *free_at = (*free_at).max(now) + transfer;
        let mut at = (*free_at + path.latency + jitter).max(*last_at);
        *last_at = at;
        if bytes.len() > DATAGRAM_BYTES_MAX || self.happens(weather.lost) {
            return;
        }
        if self.happens(weather.late) {
            at += self.some(Duration::from_millis(2));
        }
        let mut bytes = bytes.to_vec();
        if self.happens(weather.damaged)
            && let Some(byte) = bytes.len().checked_sub(1).map(|last| self.random.below(last as u32 + 1) as usize)
        {
            bytes[byte] ^= 1 << self.random.below(8);
        }
        if self.happens(weather.doubled) {
            let again = at + self.some(path.latency);
            let datagram = Datagram { from, ecn, bytes: bytes.clone() };
            self.schedule(again, Happening::Datagram { to, datagram });
        }
        self.schedule(at, Happening::Datagram { to, datagram: Datagram { from, ecn, bytes } });
    }

    fn happens(&mut self, in_a_million: u32) -> bool {
        in_a_million > 0 && self.random.below(1_000_000) < in_a_million
    }

    fn some(&mut self, span: Duration) -> Duration {
        let span = u32::try_from(span.as_nanos()).unwrap_or(u32::MAX).saturating_add(1);
        Duration::from_nanos(u64::from(self.random.below(span)))
    }
}

impl SimIo {
    /// The input and output of one host.
    pub(super) fn new(state: Rc<RefCell<State>>, host: usize) -> Self {
        Self { state, host, lent: Vec::new(), datagrams: Sockets::default() }
    }

    /// A socket for datagrams that others reach under this address.
    pub fn bind(&mut self, address: SocketAddr) -> SocketId {
        self.bind_as(address, true)
    }

    fn bind_as(&mut self, local: SocketAddr, is_listener: bool) -> SocketId {
        let socket = SocketId(self.datagrams.sockets.len() as u32);
        self.datagrams.sockets.push(Socket { local, is_listener });
        self.state.borrow_mut().air.bound.insert(local, (self.host, socket));
        socket
    }
}

impl Datagrams for SimIo {
    fn sockets(&self) -> &[Socket] {
        &self.datagrams.sockets
    }

    fn open(&mut self, _is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        let mut state = self.state.borrow_mut();
        let port = FIRST_PORT + state.air.next_port;
        state.air.next_port += 1;
        let local = SocketAddr::new(state.hosts[self.host].address.ip(), port);
        drop(state);
        Ok(self.bind_as(local, false))
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        let mut state = self.state.borrow_mut();
        let inbox = state.air.inboxes.get_mut(&self.host)?;
        let (socket, at, first) = inbox.waiting.pop_front()?;
        let Datagram { from, ecn, bytes } = first;
        let segment_bytes = bytes.len();
        let lent = &mut self.datagrams.lent;
        *lent = bytes;
        // As a kernel does it: what came in one go from one sender, of one size but for the last.
        let mut is_whole = segment_bytes > 0;
        let mut last_at = at;
        while is_whole
            && let Some((next_socket, next_at, next)) = inbox.waiting.front()
            && (*next_socket, next.from, next.ecn) == (socket, from, ecn)
            && next.bytes.len() <= segment_bytes
            && lent.len() + next.bytes.len() <= TRAIN_BYTES_MAX
        {
            is_whole = next.bytes.len() == segment_bytes;
            last_at = *next_at;
            lent.extend_from_slice(&next.bytes);
            inbox.waiting.pop_front();
        }
        inbox.bytes = inbox.bytes.saturating_sub(lent.len());
        let to = self.datagrams.sockets.get(socket.0 as usize).map(|socket| socket.local.ip());
        let ecn = Ecn::from_bits(ecn);
        Some(Arrived { socket, from, to, ecn, at: last_at, segment_bytes: segment_bytes.max(1), bytes: lent })
    }

    fn segments_max(&self) -> usize {
        SEGMENTS_MAX
    }

    fn datagram_bytes_max(&self) -> usize {
        DATAGRAM_BYTES_MAX
    }

    fn room(&self) -> usize {
        ROOM
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.datagrams.spare.pop().unwrap_or_default()
    }

    fn transmit(&mut self, train: Train, mut bytes: Vec<u8>) {
        let Some(socket) = self.datagrams.sockets.get(train.socket.0 as usize) else { return };
        let mut state = self.state.borrow_mut();
        for datagram in bytes.chunks(train.segment_bytes.max(1)) {
            state.leaves(self.host, socket.local, train.to, train.ecn.map_or(0, |ecn| ecn as u8), datagram);
        }
        bytes.clear();
        self.datagrams.spare.push(bytes);
    }

    fn lost(&self) -> u64 {
        self.state.borrow().air.inboxes.get(&self.host).map_or(0, |inbox| inbox.lost)
    }
}
