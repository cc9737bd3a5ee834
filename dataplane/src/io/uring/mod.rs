//! The `uring` backend: one io_uring per shard, and no executor: the shard is one task already.
//!
//! Accepts are multishot. Received bytes lie in buffers that the shard provides (`buffers`) and lends to whoever reads
//! them; each receive asks once, when the shard has read what was there, so that nothing is fetched ahead of it: that would
//! have left its cache when it is opened, and a shard that is behind would hold many buffers. Requests are collected during a round and submitted with the enter call that ends it, which is
//! also the sleep. Shards wake each other with a message from ring to ring, other threads through an eventfd on which a
//! read is always pending.
//!
//! Sockets are ordinary descriptors: an accepted one has to pass to another shard's ring, and a direct descriptor would
//! have to be installed as one first. They are in blocking mode, or the ring would give `EAGAIN` instead of waiting.
//!
//! Datagrams are received by one multishot request per socket, into buffers that this socket alone has: a flood at one
//! of them takes none from the others. Each buffer takes a whole train (`udp`); what leaves has places of its own
//! (`places`). Zero-copy sends always cost more.

mod arrival;
mod buffers;
mod connection;
mod nap;
mod places;
mod probe;
mod request;
mod ring;
mod starving;
mod stream;
mod trains;
mod udp;

use super::driver::{Backend, Clock, Wakes};
use super::error::accept_failure;
use super::half::{Half, Lanes};
use super::quic::QuicIo;
use super::sockets::{connect_failure, peer_of, prepare, stream_to};
use super::under_way::{UnderWay, Wrote};
use super::{ConnId, DriverError, Event, Io, Received, Sending, Target};
use crate::shard::Next;
use crate::time::Instant;
use arrival::Header;
use buffers::{Buffers, STREAMS};
use connection::{Entry, Open, Piece, State};
use datagram::look::Look;
use io_uring::{opcode, squeue, types};
use nap::{AT_ONCE, nap};
use quic::Common;
use request::{What, name, named};
use ring::{Completion, Ring, Sleep};
use rustix::event::{EventfdFlags, eventfd};
use starving::Starving;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use udp::Udp;

/// How long to leave a listener alone after an error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Who asks for fewer bytes than these is in the middle of a handshake: a round of a link takes several packets.
const LINK_BYTES_MIN: usize = 8 << 10;
/// Stands for a ring that is not there yet, or not any more.
const NO_RING: i32 = -1;

/// What the shards share: a mailbox each.
pub struct Fabric {
    mailboxes: Box<[Mailbox]>,
    clock: Clock,
    /// What connections over QUIC have in common, if there are to be any.
    quic: Option<Common>,
    /// Ways past the kernel for their datagrams.
    lanes: Lanes,
}

struct Mailbox {
    bell: OwnedFd,
    ring: AtomicI32,
    adopted: Mutex<VecDeque<(OwnedFd, SocketAddr)>>,
}

impl Mailbox {
    fn adopted(&self) -> MutexGuard<'_, VecDeque<(OwnedFd, SocketAddr)>> {
        // A whole value after every statement, so a panic elsewhere cannot have torn it.
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fabric {
    /// For so many shards, if the kernel lets a ring be made and has everything that is used.
    pub fn new(shards: usize, clock: Clock) -> Result<Self, DriverError> {
        probe::probe(shards)?;
        let mailbox = |shard| {
            let bell = eventfd(0, EventfdFlags::CLOEXEC);
            let bell = bell.map_err(|errno| DriverError::os(shard, "make an eventfd", &errno.into()))?;
            Ok(Mailbox { bell, ring: AtomicI32::new(NO_RING), adopted: Mutex::default() })
        };
        Ok(Self {
            mailboxes: (0..shards).map(mailbox).collect::<Result<_, _>>()?,
            clock,
            quic: None,
            lanes: Lanes::default(),
        })
    }

    /// Shards have connections over QUIC too, whose datagrams go over these lanes where there are some.
    pub fn with_quic(self, common: Common, lanes: Lanes) -> Self {
        Self { quic: Some(common), lanes, ..self }
    }
}

impl Wakes for Fabric {
    fn wake(&self, shard: usize) {
        if let Some(mailbox) = self.mailboxes.get(shard) {
            let _cannot_fail = rustix::io::write(&mailbox.bell, &1u64.to_ne_bytes());
        }
    }
}

impl Backend for Fabric {
    type Io = QuicIo<Half<UringIo>>;

    fn run(
        self: Arc<Self>,
        shard: usize,
        listeners: Vec<OwnedFd>,
        mut round: impl FnMut(&mut QuicIo<Half<UringIo>>) -> Option<Next> + 'static,
    ) -> Result<(), DriverError> {
        let quic = self.quic.as_ref().map(|common| common.of_shard(shard));
        let (lane, clock) = (self.lanes.take(shard), self.clock);
        let mut half = Half::new(UringIo::new(shard, self, listeners)?, lane, clock);
        let frames = half.frames().map(|socket| socket.as_raw_fd());
        half.kernel().frames = frames;
        let mut io = QuicIo::new(half, quic);
        while let Some(next) = round(&mut io) {
            let next = io.end_round(next);
            let next = io.backend().end_round(next);
            let ring = io.backend().kernel();
            match next {
                Next::ParkUntil(until) if !ring.is_woken => ring.turn(until.min(ring.now() + SLEEP_MAX)),
                _ => ring.turn(AT_ONCE),
            }
            ring.is_woken = false;
            if let Some(error) = ring.error.take() {
                return Err(DriverError::ring("io_uring_enter", &error));
            }
        }
        let _ended = io.end_round(Next::Busy);
        let _ended = io.backend().end_round(Next::Busy);
        io.backend().kernel().turn(AT_ONCE);
        Ok(())
    }
}

/// The input and output of one shard on io_uring.
pub struct UringIo {
    // Closed before what its requests point to is freed.
    ring: Ring,
    buffers: Buffers,
    bell: Box<[u8; 8]>,
    shard: usize,
    fabric: Arc<Fabric>,
    listeners: Vec<OwnedFd>,
    /// The other half, if there are datagrams.
    udp: Option<Box<Udp>>,
    /// A socket that can be read from when frames have arrived past the kernel: it outlives the ring.
    frames: Option<RawFd>,
    /// The ring waits for it.
    waits_for_frames: bool,
    /// Listeners that are left alone, until then.
    accepts_again: Vec<(u32, Instant)>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    events: VecDeque<Event>,
    completions: Vec<Completion>,
    /// The buffer that was lent last, if nothing of it is left.
    lent: Option<u16>,
    /// Connections that want to receive: those that found no free buffer, and those that came after them.
    starving: Starving,
    /// Something is to be sent since the last turn.
    has_sends: bool,
    /// Somebody has rung since the last sleep.
    is_woken: bool,
    /// What no call can report.
    error: Option<std::io::Error>,
}

impl UringIo {
    fn new(shard: usize, fabric: Arc<Fabric>, listeners: Vec<OwnedFd>) -> Result<Self, DriverError> {
        let ring = Ring::new().map_err(|error| DriverError::ring("io_uring_setup", &error))?;
        let buffers = Buffers::register(&ring.submitter(), STREAMS);
        let buffers = buffers.map_err(|error| DriverError::ring("io_uring_register", &error))?;
        let (datagrams, listeners) = datagram::udp::set_apart(listeners);
        let udp = if datagrams.is_empty() { Ok(None) } else { Udp::new(&ring.submitter(), datagrams).map(Some) };
        let udp = udp.map_err(|error| DriverError::os(shard, "use a socket for datagrams", &error))?;
        for listener in &listeners {
            let blocking = rustix::io::ioctl_fionbio(listener, false);
            blocking.map_err(|errno| DriverError::os(shard, "use a listener", &errno.into()))?;
        }
        if let Some(mailbox) = fabric.mailboxes.get(shard) {
            mailbox.ring.store(ring.fd(), Ordering::Release);
        }
        let mut io = Self {
            ring,
            buffers,
            bell: Box::default(),
            shard,
            fabric,
            listeners,
            udp: udp.map(Box::new),
            frames: None,
            waits_for_frames: false,
            accepts_again: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            events: VecDeque::new(),
            completions: Vec::new(),
            lent: None,
            starving: Starving::default(),
            has_sends: false,
            is_woken: false,
            error: None,
        };
        io.listen_to_bell();
        (0..io.listeners.len() as u32).for_each(|place| io.accept(place));
        io.turn(AT_ONCE);
        match io.error.take() {
            Some(error) => Err(DriverError::ring("io_uring_enter", &error)),
            None => Ok(io),
        }
    }

    /// Submits, sleeps until then at most if nothing has happened, and notes what has.
    fn turn(&mut self, until: Instant) {
        self.take_back();
        self.feed();
        let now = self.now();
        let may_sleep = self.events.is_empty() && (self.starving.is_empty() || self.buffers.provided() == 0);
        let mut until = if may_sleep { until } else { AT_ONCE };
        if let Some(udp) = &mut self.udp {
            until = until.min(udp.prepare_turn(&mut self.ring, now));
        }
        for (place, at) in std::mem::take(&mut self.accepts_again) {
            if at <= now {
                self.accept(place);
            } else {
                self.accepts_again.push((place, at));
                until = until.min(at);
            }
        }
        if until > now {
            self.wait_for_frames();
        }
        self.has_sends = false;
        if let Err(error) = self.ring.enter(nap(now, until)) {
            self.error.get_or_insert(error);
        }
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.fetch(&mut completions);
        let look = Look::now(|| self.fabric.clock.now());
        for completion in completions.drain(..) {
            self.complete(completion, look);
        }
        self.completions = completions;
    }

    /// Adds a request.
    ///
    /// # Safety
    ///
    /// Everything that the request points to must stay as and where it is until its last completion.
    unsafe fn push(&mut self, request: squeue::Entry, what: What, index: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.ring.push(request.user_data(name(what, index))) };
    }

    fn listen_to_bell(&mut self) {
        let fabric = Arc::clone(&self.fabric);
        let Some(mailbox) = fabric.mailboxes.get(self.shard) else { return };
        let read = opcode::Read::new(types::Fd(mailbox.bell.as_raw_fd()), self.bell.as_mut_ptr(), 8);
        // SAFETY: the bytes are boxed and live as long as the ring; the eventfd lives in the fabric.
        unsafe { self.push(read.build(), What::Bell, 0) };
    }

    /// Has frames end the sleep that begins. Who does not sleep looks for them anyway.
    fn wait_for_frames(&mut self) {
        let Some(socket) = self.frames.filter(|_| !self.waits_for_frames) else { return };
        self.waits_for_frames = true;
        let poll = opcode::PollAdd::new(types::Fd(socket), libc::POLLIN as u32);
        // SAFETY: the request points to nothing.
        unsafe { self.push(poll.build(), What::Frames, 0) };
    }

    fn accept(&mut self, place: u32) {
        let Some(listener) = self.listeners.get(place as usize) else { return };
        let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        // SAFETY: the request points to nothing.
        unsafe { self.push(accept.build(), What::Accept, place) };
    }

    fn complete(&mut self, completion: Completion, look: Look) {
        let Completion { name, result, has_more, .. } = completion;
        let Some((what, index)) = named(name) else { return };
        match what {
            What::Bell => {
                self.listen_to_bell();
                self.adopt();
            }
            What::Message => self.adopt(),
            // The other ring is gone, or the kernel cannot: the bell is always there.
            What::Wake if result < 0 => self.fabric.wake(index as usize),
            What::Accept => self.accepted(index, result, has_more),
            What::Connect | What::Receive | What::Send => {
                if !has_more && let Some(entry) = self.entries.get_mut(index as usize) {
                    entry.requests = entry.requests.saturating_sub(1);
                }
                match what {
                    What::Connect => self.connected(index, result),
                    What::Receive => self.received(index, completion, look),
                    _ => self.sent(index, result, look.at),
                }
                self.bury(index);
            }
            What::Arrive => self.udp.iter_mut().for_each(|udp| udp.arrived(index, completion, look)),
            What::Leave => self.left(index, result),
            What::Frames => self.waits_for_frames = false,
            What::Wake | What::Cancel => {}
        }
    }

    fn adopt(&mut self) {
        self.is_woken = true;
        let fabric = Arc::clone(&self.fabric);
        let Some(mailbox) = fabric.mailboxes.get(self.shard) else { return };
        while let Some((socket, peer)) = { mailbox.adopted().pop_front() } {
            let conn = self.settle(State::Open(Open::new(socket, peer)));
            self.events.push_back(Event::Adopted { conn, peer });
        }
    }

    fn accepted(&mut self, place: u32, result: i32, has_more: bool) {
        let again_at = if result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
            let socket = unsafe { OwnedFd::from_raw_fd(result) };
            // A peer that is gone before it was looked at has no address; there is nothing to serve.
            if let Some(peer) = peer_of(&socket) {
                prepare(&socket);
                let conn = self.settle(State::Open(Open::new(socket, peer)));
                self.events.push_back(Event::Accepted { conn, peer });
            }
            None
        } else if [libc::ECONNABORTED, libc::EINTR, libc::ECANCELED].contains(&-result) {
            None
        } else {
            let code = -result;
            self.events.push_back(Event::AcceptFailed { failure: accept_failure(code), code });
            Some(self.now() + ACCEPT_PAUSE)
        };
        match again_at {
            _ if has_more => {}
            Some(at) => self.accepts_again.push((place, at)),
            None => self.accept(place),
        }
    }

    fn connected(&mut self, index: u32, result: i32) {
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let conn = ConnId { index, generation: entry.generation };
        match std::mem::take(&mut entry.state) {
            State::Connecting { socket, target } if result >= 0 => {
                entry.state = State::Open(Open::new(socket, target));
                self.events.push_back(Event::Connected { conn });
            }
            State::Connecting { .. } => {
                entry.state = State::Failed;
                self.events.push_back(Event::ConnectFailed { conn, failure: connect_failure(-result) });
            }
            other => entry.state = other,
        }
    }

    fn received(&mut self, index: u32, completion: Completion, look: Look) {
        let Completion { result, buffer, .. } = completion;
        if buffer.is_some() {
            self.buffers.note_filled(usize::try_from(result).unwrap_or(0));
        }
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let conn = ConnId { index, generation: entry.generation };
        let State::Open(open) = &mut entry.state else {
            // Closed in the meantime.
            return buffer.into_iter().for_each(|number| self.give_back(number));
        };
        open.is_receiving = false;
        match (buffer, result) {
            (Some(number), 1..) => {
                let at = open.header.as_ref().map_or(look.at, |header| header.arrived_at(look));
                open.piece = Some(Piece { number, start: 0, end: result as usize, at });
            }
            (Some(number), _) => {
                open.end = Some(Received::Closed);
                self.give_back(number);
            }
            (None, 0) => open.end = Some(Received::Closed),
            (None, _) if [libc::ENOBUFS, libc::ECANCELED, libc::EINTR].contains(&-result) => {}
            (None, _) => open.end = Some(Received::Failed),
        }
        let Some(open) = self.open(conn) else { return };
        if open.piece.is_some() || open.end.is_some() {
            self.events.push_back(Event::Readable { conn });
        } else if result == -libc::ENOBUFS {
            self.buffers.note_missing();
            self.starve(conn);
        } else {
            self.want(conn);
        }
    }

    fn sent(&mut self, index: u32, result: i32, now: Instant) {
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let conn = ConnId { index, generation: entry.generation };
        let State::Open(open) = &mut entry.state else { return };
        let Some(sends) = &mut open.sends else { return };
        let wrote = match result {
            1.. => Wrote::Bytes(result as usize),
            _ if [libc::EINTR, libc::EAGAIN].contains(&-result) => Wrote::WouldBlock,
            _ => Wrote::Failed,
        };
        if sends.note(wrote, now) {
            self.events.push_back(Event::Sent { conn, buffer: Vec::new(), taken: 0 });
        } else {
            self.send_rest(conn);
        }
    }

    /// Asks for what the connection receives, in its turn: who has just been read does not come before those that wait.
    fn want(&mut self, conn: ConnId) {
        if self.starving.is_empty() {
            self.receive(conn);
        } else {
            self.starve(conn);
        }
    }

    fn starve(&mut self, conn: ConnId) {
        let Some(open) = self.open(conn) else { return };
        if !std::mem::replace(&mut open.is_starving, true) {
            let is_little = open.asked_bytes < LINK_BYTES_MIN;
            self.starving.push(conn, is_little);
        }
    }

    /// Asks once for what the connection receives. Where the shard has asked for little it gets no more than that: in a
    /// handshake it lets the rest lie until it has time for the next step.
    fn receive(&mut self, conn: ConnId) {
        let Some(open) = self.open(conn) else { return };
        open.is_receiving = true;
        let receive = if open.asked_bytes < LINK_BYTES_MIN {
            open.header.iter_mut().for_each(|header| header.forget());
            let receive =
                opcode::Recv::new(types::Fd(open.socket.as_raw_fd()), std::ptr::null_mut(), open.asked_bytes as u32);
            receive.buf_group(STREAMS.group).build().flags(squeue::Flags::BUFFER_SELECT)
        } else {
            let header = open.header.get_or_insert_with(|| Header::of(&open.socket));
            header.request(&open.socket, STREAMS.group)
        };
        self.entries[conn.index as usize].requests += 1;
        // SAFETY: the bytes go into provided buffers, which live as long as the ring. The header is boxed, belongs to this
        // connection's one receive, and stays in its place in the table, or in `State::Closing`, as long as the
        // connection has requests.
        unsafe { self.push(receive, What::Receive, conn.index) };
    }

    /// Sends what is left of the buffer under way.
    fn send_rest(&mut self, conn: ConnId) {
        let Some(open) = self.open(conn) else { return };
        let Some(sends) = &open.sends else { return };
        let rest = sends.rest();
        let count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(types::Fd(open.socket.as_raw_fd()), rest.as_ptr(), count);
        let send = send.flags(libc::MSG_NOSIGNAL).build();
        self.entries[conn.index as usize].requests += 1;
        self.has_sends = true;
        // SAFETY: the buffer is neither changed nor freed before the request has completed: it stays in its place in
        // the table, or in `State::Closing`, as long as the connection has requests.
        unsafe { self.push(send, What::Send, conn.index) };
    }

    /// The kernel may fill what was lent, now that nobody reads it any more.
    fn take_back(&mut self) {
        if let Some(number) = self.lent.take() {
            self.give_back(number);
        }
    }

    fn give_back(&mut self, number: u16) {
        self.buffers.give_back(number);
    }

    /// Asks for those that wait for a buffer, as many as there are buffers. Some of them may have nothing to receive, so
    /// that this goes on in the next turn, which is no sleep as long as somebody waits and has a buffer.
    fn feed(&mut self) {
        let mut asked = 0;
        while asked < self.buffers.provided()
            && let Some(conn) = self.starving.pop()
        {
            let Some(open) = self.open(conn) else { continue };
            open.is_starving = false;
            if !open.is_receiving && open.piece.is_none() {
                self.receive(conn);
                asked += 1;
            }
        }
        if !self.starving.is_empty() {
            self.buffers.note_missing();
        }
    }

    fn settle(&mut self, state: State) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.entries[index as usize];
        entry.state = state;
        ConnId { index, generation: entry.generation }
    }

    fn entry(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.entries.get_mut(conn.index as usize).filter(|entry| entry.generation == conn.generation)
    }

    fn open(&mut self, conn: ConnId) -> Option<&mut Open> {
        match &mut self.entry(conn)?.state {
            State::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Frees the place of a connection that is closed, once the kernel has nothing to do with it any more.
    fn bury(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize)
            && entry.requests == 0
            && matches!(entry.state, State::Closing(_))
        {
            entry.state = State::Free;
            self.free.push(index);
        }
    }
}

impl Drop for UringIo {
    fn drop(&mut self) {
        if let Some(mailbox) = self.fabric.mailboxes.get(self.shard) {
            mailbox.ring.store(NO_RING, Ordering::Release);
        }
        // The kernel ends what is under way when the ring is closed, but not before this returns: what it may still
        // read from is left to the end of the process.
        for entry in &mut self.entries {
            let requests = entry.requests;
            match std::mem::take(&mut entry.state) {
                State::Open(open) if requests > 0 => std::mem::forget((open.sends, open.header)),
                State::Closing(ended) if requests > 0 => std::mem::forget(ended),
                _ => {}
            }
            std::mem::forget(entry.address.take());
        }
        if let Some(udp) = self.udp.take() {
            udp.leave_to_the_kernel();
        }
    }
}
