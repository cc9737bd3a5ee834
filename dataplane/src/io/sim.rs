//! A simulated network and clock: everything follows from one seed, nothing waits for real time.
//!
//! [`Network`] holds the clock, the connections and what is under way. Every host (one shard, or one fake peer) has its
//! own [`SimIo`]. [`Simulation`] polls hosts in turn and lets time pass when all of them sleep.
//!
//! Connections are streams with latency, bandwidth and a bounded buffer, so that a peer that does not read stalls its
//! sender. What can go wrong is in `harm`: connections are cut or stalled, hosts crash, addresses swallow dials. Datagrams
//! (`datagrams`) are lost, doubled, late and damaged as their [`Weather`] says, and come from whoever they say.

mod connections;
mod datagrams;
mod harm;
mod simulation;
#[cfg(test)]
mod tests;

pub use datagrams::Weather;
pub use harm::Holdings;
pub use simulation::{Host, Simulation};

use super::under_way::{UnderWay, Wrote};
use super::{ConnId, ConnectFailure, Event, Io, Received, Sending, Target, Transport};
use crate::random::ShardRandom;
use crate::time::Instant;
use connections::{Connections, End};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What a path between two hosts is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// One way.
    pub latency: Duration,
    /// Added to each transfer, uniformly random up to this; the order of bytes is kept.
    pub jitter: Duration,
    /// Each way.
    pub bytes_per_second: u64,
    /// Bytes under way and waiting at the receiver, each way.
    pub buffer_bytes: usize,
}

impl Default for Path {
    /// A data centre: 100 us, 10 Gbit/s, 1 MB.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100),
            jitter: Duration::from_micros(20),
            bytes_per_second: 1_250_000_000,
            buffer_bytes: 1 << 20,
        }
    }
}

/// Names a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostId(usize);

/// The network. Clones are the same network.
#[derive(Clone)]
pub struct Network(Rc<RefCell<State>>);

/// One host's input and output.
pub struct SimIo {
    state: Rc<RefCell<State>>,
    host: usize,
    /// What was received last.
    lent: Vec<u8>,
    datagrams: datagrams::Sockets,
}

struct State {
    now: Instant,
    unix_start: Duration,
    /// What each look at the clock takes.
    tick: Duration,
    path: Path,
    random: ShardRandom,
    hosts: Vec<HostState>,
    listeners: HashMap<SocketAddr, usize>,
    black_holes: HashSet<SocketAddr>,
    connections: Connections,
    air: datagrams::Air,
    agenda: BinaryHeap<Reverse<Appointment>>,
    appointments: u64,
}

/// Connections, wake-ups and events of one host.
struct HostState {
    /// The first host of its process, and its number there: hosts of a process hand connections over to each other.
    process: usize,
    address: SocketAddr,
    events: VecDeque<Event>,
    woken: bool,
    table: Vec<TableEntry>,
    free: Vec<u32>,
}

#[derive(Clone, Copy)]
struct TableEntry {
    generation: u32,
    end: Option<End>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Appointment {
    at: Instant,
    number: u64,
    what: Happening,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Dial { host: usize, conn: (u32, u32), to: SocketAddr },
    DialFailed { host: usize, conn: (u32, u32) },
    Established { connection: usize },
    Arrival { connection: usize, side: usize, bytes: Vec<u8> },
    End { connection: usize, side: usize },
    Loss { connection: usize, side: usize },
    Datagram { to: SocketAddr, datagram: datagrams::Datagram },
}

impl Happening {
    /// The connection that it is about.
    fn connection(&self) -> Option<usize> {
        match self {
            Self::Dial { .. } | Self::DialFailed { .. } | Self::Datagram { .. } => None,
            Self::Established { connection }
            | Self::Arrival { connection, .. }
            | Self::End { connection, .. }
            | Self::Loss { connection, .. } => Some(*connection),
        }
    }
}

impl Network {
    /// An empty network at time zero, which is `unix_start` on civil clocks.
    pub fn new(seed: [u8; 32], unix_start: Duration) -> Self {
        Self(Rc::new(RefCell::new(State {
            now: Instant::default(),
            unix_start,
            tick: Duration::ZERO,
            path: Path::default(),
            random: ShardRandom::new(seed),
            hosts: Vec::new(),
            listeners: HashMap::new(),
            black_holes: HashSet::new(),
            connections: Connections::default(),
            air: datagrams::Air::default(),
            agenda: BinaryHeap::new(),
            appointments: 0,
        })))
    }

    /// The path of connections that are made from now on.
    pub fn set_path(&self, path: Path) {
        self.0.borrow_mut().path = path;
    }

    /// A process of several hosts; its dials come from `address`.
    pub fn add_process(&self, hosts: usize, address: SocketAddr) -> Vec<(HostId, SimIo)> {
        let mut state = self.0.borrow_mut();
        let process = state.hosts.len();
        let host = |_| HostState {
            process,
            address,
            events: VecDeque::new(),
            woken: false,
            table: Vec::new(),
            free: Vec::new(),
        };
        state.hosts.extend((0..hosts).map(host));
        drop(state);
        (process..process + hosts)
            .map(|host| (HostId(host), SimIo::new(Rc::clone(&self.0), host)))
            .collect()
    }

    /// From now on `host` accepts connections to `address`.
    pub fn listen(&self, host: HostId, address: SocketAddr) {
        self.0.borrow_mut().listeners.insert(address, host.0);
    }

    /// From now on nobody accepts connections to `address`.
    pub fn stop_listening(&self, address: SocketAddr) {
        self.0.borrow_mut().listeners.remove(&address);
    }

    /// Lets so much time pass with every look of a host at its clock, so that its work takes time.
    pub fn set_tick(&self, tick: Duration) {
        self.0.borrow_mut().tick = tick;
    }

    /// The clock.
    pub fn now(&self) -> Instant {
        self.0.borrow().now
    }

    /// The civil clock.
    pub fn unix_now(&self) -> Duration {
        self.0.borrow().unix_now()
    }

    /// When the next thing happens by itself.
    pub fn next_at(&self) -> Option<Instant> {
        self.0.borrow().agenda.peek().map(|Reverse(appointment)| appointment.at)
    }

    /// Lets time pass, and what is due happen. The clock does not go back.
    pub fn advance_to(&self, to: Instant) {
        self.0.borrow_mut().advance_to(to);
    }

    /// Whether something happened to a host since the last question, or it still has events.
    pub fn take_wake_up(&self, host: HostId) -> bool {
        let host = &mut self.0.borrow_mut().hosts[host.0];
        std::mem::take(&mut host.woken) || !host.events.is_empty()
    }
}

impl State {
    fn advance_to(&mut self, to: Instant) {
        while let Some(Reverse(appointment)) = self.agenda.peek()
            && appointment.at <= to
        {
            let Some(Reverse(appointment)) = self.agenda.pop() else { break };
            self.now = self.now.max(appointment.at);
            self.happen(appointment.what);
        }
        self.now = self.now.max(to);
    }

    fn unix_now(&self) -> Duration {
        self.unix_start + Duration::from_nanos(self.now.0)
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        if let Some(connection) = what.connection() {
            self.connections.hold(connection);
        }
        self.appointments += 1;
        self.agenda.push(Reverse(Appointment { at, number: self.appointments, what }));
    }

    fn event(&mut self, host: usize, event: Event) {
        let host = &mut self.hosts[host];
        host.events.push_back(event);
        host.woken = true;
    }

    fn new_conn(&mut self, host: usize, end: Option<End>) -> ConnId {
        let host = &mut self.hosts[host];
        let index = host.free.pop().unwrap_or_else(|| {
            host.table.push(TableEntry { generation: 0, end: None });
            host.table.len() as u32 - 1
        });
        let entry = &mut host.table[index as usize];
        entry.generation += 1;
        entry.end = end;
        ConnId { index, generation: entry.generation }
    }

    /// The entry of a connection that the host has not closed.
    fn entry(&mut self, host: usize, conn: ConnId) -> Option<&mut TableEntry> {
        self.hosts[host].table.get_mut(conn.index as usize).filter(|entry| entry.generation == conn.generation)
    }

    fn happen(&mut self, what: Happening) {
        let connection = what.connection();
        self.carry_out(what);
        if let Some(connection) = connection {
            self.connections.release(connection);
        }
    }

    fn carry_out(&mut self, what: Happening) {
        match what {
            Happening::Dial { host, conn, to } => self.dial(host, id(conn), to),
            Happening::DialFailed { host, conn } => {
                if self.entry(host, id(conn)).is_some() {
                    self.event(host, Event::ConnectFailed { conn: id(conn), failure: ConnectFailure::Refused });
                }
            }
            Happening::Established { connection } => {
                let side = self.connections.side(End { connection, side: 0 });
                if let Some(conn) = side.conn {
                    let host = side.host;
                    self.event(host, Event::Connected { conn });
                }
            }
            Happening::Arrival { connection, side, bytes } => self.arrive(End { connection, side }, &bytes),
            Happening::End { connection, side } => {
                let end = End { connection, side };
                self.connections.side(end).ended = true;
                self.readable(end);
            }
            Happening::Loss { connection, side } => self.lose(End { connection, side }),
            Happening::Datagram { to, datagram } => self.arrives(to, datagram),
        }
    }

    /// The dial reaches the other side.
    fn dial(&mut self, host: usize, conn: ConnId, to: SocketAddr) {
        if self.entry(host, conn).is_none() || self.black_holes.contains(&to) {
            return;
        }
        let back = self.now + self.path.latency;
        let Some(&listener) = self.listeners.get(&to) else {
            self.schedule(back, Happening::DialFailed { host, conn: (conn.index, conn.generation) });
            return;
        };
        let connection = self.connections.add(self.path, [host, listener]);
        if let Some(entry) = self.entry(host, conn) {
            entry.end = Some(End { connection, side: 0 });
        }
        let accepted = self.new_conn(listener, Some(End { connection, side: 1 }));
        self.connections.side(End { connection, side: 0 }).conn = Some(conn);
        self.connections.side(End { connection, side: 1 }).conn = Some(accepted);
        let peer = self.hosts[host].address;
        self.event(listener, Event::Accepted { conn: accepted, peer });
        self.schedule(back, Happening::Established { connection });
    }

    fn arrive(&mut self, end: End, bytes: &[u8]) {
        let side = self.connections.side(end);
        side.under_way -= bytes.len();
        if side.conn.is_none() {
            // Closed here: the sender learns of it.
            let at = self.now + self.connections.path(end.connection).latency;
            self.schedule(at, Happening::Loss { connection: end.connection, side: end.other().side });
            return;
        }
        side.arrived.extend(bytes);
        self.readable(end);
    }

    fn lose(&mut self, end: End) {
        let side = self.connections.side(end);
        side.lost = true;
        side.waits_to_read = true;
        self.readable(end);
        self.push(end);
    }

    fn readable(&mut self, end: End) {
        let side = self.connections.side(end);
        if std::mem::take(&mut side.waits_to_read)
            && let Some(conn) = side.conn
        {
            let host = side.host;
            self.event(host, Event::Readable { conn });
        }
    }

    /// Puts what has arrived into `lent`; without anything, gives why.
    fn recv(&mut self, end: End, bytes_max: usize, lent: &mut Vec<u8>) -> Option<Received<'static>> {
        let side = self.connections.side(end);
        if side.lost {
            return Some(Received::Failed);
        }
        let count = bytes_max.min(side.arrived.len());
        if count == 0 {
            if side.ended {
                return Some(Received::Closed);
            }
            side.waits_to_read = true;
            return Some(Received::WouldBlock);
        }
        lent.extend(side.arrived.drain(..count));
        self.push(end.other());
        None
    }

    /// Gives the path as much as it has room for of what the end has under way.
    fn push(&mut self, end: End) {
        let Some(mut sends) = self.connections.side(end).sends.take() else { return };
        let now = self.now;
        let is_done = sends.write(now, |bytes| self.write(end, bytes));
        let side = self.connections.side(end);
        side.sends = Some(sends);
        if is_done && let Some(conn) = side.conn {
            let host = side.host;
            self.event(host, sent(conn));
        }
    }

    fn write(&mut self, end: End, bytes: &[u8]) -> Wrote {
        let path = self.connections.path(end.connection);
        if self.connections.side(end).lost {
            return Wrote::Failed;
        }
        let receiver = self.connections.side(end.other());
        let room = path.buffer_bytes.saturating_sub(receiver.under_way + receiver.arrived.len());
        let count = bytes.len().min(room);
        if count == 0 {
            return Wrote::WouldBlock;
        }
        receiver.under_way += count;
        let at = self.departure(end, path, count);
        let arrival =
            Happening::Arrival { connection: end.connection, side: end.other().side, bytes: bytes[..count].to_vec() };
        self.schedule(at, arrival);
        Wrote::Bytes(count)
    }

    /// When so many bytes from `end` arrive, if they are given to the line now.
    fn departure(&mut self, end: End, path: Path, bytes: usize) -> Instant {
        let jitter = self.random.below(u32::try_from(path.jitter.as_nanos()).unwrap_or(u32::MAX).saturating_add(1));
        let now = self.now;
        let side = self.connections.side(end);
        let transfer_ns = bytes as u128 * 1_000_000_000 / u128::from(path.bytes_per_second.max(1));
        side.line_free_at =
            side.line_free_at.max(now) + Duration::from_nanos(u64::try_from(transfer_ns).unwrap_or(u64::MAX));
        let at = side.line_free_at + path.latency + Duration::from_nanos(u64::from(jitter));
        side.last_arrival = side.last_arrival.max(at);
        side.last_arrival
    }

    fn close(&mut self, host: usize, conn: ConnId) -> usize {
        let Some(entry) = self.entry(host, conn) else { return 0 };
        let end = entry.end.take();
        // The name is spent: the next user of the index has another generation.
        entry.generation += 1;
        self.hosts[host].free.push(conn.index);
        let Some(end) = end else { return 0 };
        let path = self.connections.path(end.connection);
        let side = self.connections.side(end);
        side.conn = None;
        side.arrived.clear();
        let taken = side.sends.take().map_or(0, |sends| sends.sending().taken);
        let at = self.departure(end, path, 0);
        self.schedule(at, Happening::End { connection: end.connection, side: end.other().side });
        taken
    }

    fn hand_over(&mut self, host: usize, conn: ConnId, to: usize) -> bool {
        let Some(entry) = self.entry(host, conn) else { return false };
        let Some(end) = entry.end.take() else { return false };
        entry.generation += 1;
        self.hosts[host].free.push(conn.index);
        let dialler = self.connections.side(end.other()).host;
        let peer = self.hosts[dialler].address;
        let adopted = self.new_conn(to, Some(end));
        let side = self.connections.side(end);
        side.host = to;
        side.conn = Some(adopted);
        side.waits_to_read = false;
        self.event(to, Event::Adopted { conn: adopted, peer });
        true
    }
}

/// Stands in the queue for the buffer, which stays with its connection until the event is fetched.
fn sent(conn: ConnId) -> Event {
    Event::Sent { conn, buffer: Vec::new(), taken: 0 }
}

fn id((index, generation): (u32, u32)) -> ConnId {
    ConnId { index, generation }
}

impl Io for SimIo {
    fn now(&self) -> Instant {
        let mut state = self.state.borrow_mut();
        if !state.tick.is_zero() {
            let to = state.now + state.tick;
            state.advance_to(to);
        }
        state.now
    }

    fn unix_now(&self) -> Duration {
        self.state.borrow().unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        let mut state = self.state.borrow_mut();
        loop {
            let event = state.hosts[self.host].events.pop_front()?;
            let Event::Sent { conn, .. } = event else { return Some(event) };
            let Some(end) = state.entry(self.host, conn).and_then(|entry| entry.end) else { continue };
            if let Some(sends) = state.connections.side(end).sends.take_if(|sends| sends.is_done()) {
                return Some(sends.sent(conn));
            }
        }
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let mut state = self.state.borrow_mut();
        let Some(end) = state.entry(self.host, conn).and_then(|entry| entry.end) else { return Received::Failed };
        self.lent.clear();
        let nothing = state.recv(end, bytes_max, &mut self.lent);
        nothing.unwrap_or(Received::Bytes { bytes: &mut self.lent, at: state.now })
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let mut state = self.state.borrow_mut();
        let sends = UnderWay::new(buffer, state.now);
        if let Some(end) = state.entry(self.host, conn).and_then(|entry| entry.end) {
            state.connections.side(end).sends = Some(sends);
            state.push(end);
        }
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let mut state = self.state.borrow_mut();
        let end = state.entry(self.host, conn)?.end?;
        state.connections.side(end).sends.as_ref().map(UnderWay::sending)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let mut state = self.state.borrow_mut();
        let conn = state.new_conn(self.host, None);
        let at = state.now + state.path.latency;
        let (host, name) = (self.host, (conn.index, conn.generation));
        let dial = match to.transport {
            Transport::Tcp => Happening::Dial { host, conn: name, to: to.address },
            Transport::Quic => Happening::DialFailed { host, conn: name },
        };
        state.schedule(at, dial);
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let to = state.hosts[self.host].process + to_shard;
        state.hand_over(self.host, conn, to)
    }

    fn close(&mut self, conn: ConnId) -> usize {
        self.state.borrow_mut().close(self.host, conn)
    }

    fn wake(&mut self, shard: usize) {
        let mut state = self.state.borrow_mut();
        let host = state.hosts[self.host].process + shard;
        state.hosts[host].woken = true;
    }
}
