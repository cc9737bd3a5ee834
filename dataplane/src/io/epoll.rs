//! The `epoll` backend: plain readiness, for hosts without io_uring.
//!
//! One epoll instance per shard, connections edge-triggered, listeners level-triggered, an eventfd for wake-ups from
//! everywhere. A sleep is a `ppoll` of the instance, which takes nanoseconds everywhere. Sockets for datagrams are
//! level-triggered too, and read and written by plain calls.

mod trains;

use super::driver::{Backend, Clock, Wakes};
use super::error::accept_failure;
use super::half::{Half, Lanes};
use super::quic::QuicIo;
use super::sockets::{connect_failure, peer_of, prepare, read, stream_to, write};
use super::under_way::UnderWay;
use super::{ConnId, ConnectFailure, DriverError, Event, Io, Received, Sending, Target};
use crate::shard::Next;
use crate::time::Instant;
use datagram::udp::plain::PlainSockets;
use datagram::{Datagrams, SocketId};
use quic::Common;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes received at once.
const RECEIVE_BYTES: usize = 256 << 10;
/// Events fetched at once.
const EVENTS_MAX: usize = 256;
/// Connections accepted from one listener between two rounds; more stay in the kernel's queue.
const ACCEPTS_MAX: usize = 64;
/// How long to leave the listeners alone after an error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// The longest sleep while datagrams wait for room in their sockets.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// What stands for the wake-ups, and for the listeners and the sockets for datagrams from there on, where others have a
/// connection's index.
const WAKE_UPS: u32 = u32::MAX;
const LISTENERS: u32 = u32::MAX - 1024;
const DATAGRAMS: u32 = u32::MAX - 2048;
/// What stands for frames past the kernel.
const FRAMES: u32 = DATAGRAMS - 1;

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
    adopted: Mutex<VecDeque<(OwnedFd, SocketAddr)>>,
}

impl Mailbox {
    fn adopted(&self) -> MutexGuard<'_, VecDeque<(OwnedFd, SocketAddr)>> {
        // A whole value after every statement, so a panic elsewhere cannot have torn it.
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fabric {
    /// For so many shards.
    pub fn new(shards: usize, clock: Clock) -> Result<Self, DriverError> {
        let mailbox = |shard| {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let bell = bell.map_err(|errno| DriverError::os(shard, "make an eventfd", &errno.into()))?;
            Ok(Mailbox { bell, adopted: Mutex::default() })
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
            // A counter that is full wakes as well.
            let _rung_already = rustix::io::write(&mailbox.bell, &1u64.to_ne_bytes());
        }
    }
}

impl Backend for Fabric {
    type Io = QuicIo<Half<EpollIo>>;

    fn run(
        self: Arc<Self>,
        shard: usize,
        listeners: Vec<OwnedFd>,
        mut round: impl FnMut(&mut QuicIo<Half<EpollIo>>) -> Option<Next> + 'static,
    ) -> Result<(), DriverError> {
        let failed = |what: &'static str| move |errno: Errno| DriverError::os(shard, what, &errno.into());
        let quic = self.quic.as_ref().map(|common| common.of_shard(shard));
        let (lane, clock) = (self.lanes.take(shard), self.clock);
        let io = EpollIo::new(shard, self, listeners).map_err(failed("make its epoll instance"))?;
        let mut half = Half::new(io, lane, clock);
        half.wait_for_frames().map_err(failed("wait for frames past the kernel"))?;
        let mut io = QuicIo::new(half, quic);
        while let Some(next) = round(&mut io) {
            let next = io.end_round(next);
            let limit = match io.backend().end_round(next) {
                Next::Busy => Duration::ZERO,
                Next::ParkUntil(at) => at.since(io.now()).min(SLEEP_MAX),
            };
            io.backend().kernel().gather(limit).map_err(failed("wait for its sockets"))?;
        }
        let _ended = io.end_round(Next::Busy);
        let _ended = io.backend().end_round(Next::Busy);
        Ok(())
    }
}

#[derive(Default)]
struct Entry {
    generation: u32,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Free,
    Connecting(OwnedFd),
    /// A dial that could not even begin.
    Failed,
    Open(Open),
}

struct Open {
    socket: OwnedFd,
    peer: SocketAddr,
    sends: Option<UnderWay>,
    /// The shard has been told that there is nothing to read.
    waits_to_read: bool,
    /// The last read took everything there was, and nothing has come since.
    is_drained: bool,
    /// The peer has ended its half, or all.
    is_ended: bool,
}

/// The input and output of one shard on epoll.
pub struct EpollIo {
    shard: usize,
    fabric: Arc<Fabric>,
    epoll: OwnedFd,
    listeners: Vec<OwnedFd>,
    /// The other half.
    udp: PlainSockets,
    /// When the listeners are looked at again, if they are left alone.
    accepts_again_at: Option<Instant>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    events: VecDeque<Event>,
    buffer: Box<[u8]>,
}

impl Half<EpollIo> {
    /// Has frames end sleeps, as long as any are left.
    fn wait_for_frames(&mut self) -> Result<(), Errno> {
        let Self::Xdp(bypass) = self else { return Ok(()) };
        epoll::add(&bypass.kernel().epoll, bypass.socket(), token(FRAMES, 0), EventFlags::IN)
    }
}

impl EpollIo {
    fn new(shard: usize, fabric: Arc<Fabric>, listeners: Vec<OwnedFd>) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mailbox = fabric.mailboxes.get(shard).ok_or(Errno::INVAL)?;
        epoll::add(&epoll, &mailbox.bell, token(WAKE_UPS, 0), EventFlags::IN)?;
        let (datagrams, listeners) = datagram::udp::set_apart(listeners);
        for listener in &listeners {
            rustix::io::ioctl_fionbio(listener, true)?;
        }
        let clock = fabric.clock;
        let udp = PlainSockets::new(datagrams, move || clock.now());
        let io = Self {
            shard,
            epoll,
            listeners,
            udp: udp.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))?,
            accepts_again_at: None,
            entries: Vec::new(),
            free: Vec::new(),
            events: VecDeque::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            fabric,
        };
        for (place, listener) in (0..).zip(&io.listeners) {
            epoll::add(&io.epoll, listener, token(LISTENERS + place, 0), EventFlags::IN)?;
        }
        for place in 0..io.udp.sockets().len() as u32 {
            io.watch(SocketId(place))?;
        }
        Ok(io)
    }

    /// Has the instance say when there are datagrams.
    fn watch(&self, socket: SocketId) -> Result<(), Errno> {
        let fd = self.udp.socket(socket).filter(|_| socket.0 < LISTENERS - DATAGRAMS).ok_or(Errno::BADF)?;
        epoll::add(&self.epoll, fd, token(DATAGRAMS + socket.0, 0), EventFlags::IN)
    }

    /// Looks at everything, and sleeps for so long at most if there is nothing.
    fn gather(&mut self, limit: Duration) -> Result<(), Errno> {
        let now = self.now();
        let limit = if self.events.is_empty() { limit } else { Duration::ZERO };
        let limit = self.accepts_again_at.map_or(limit, |at| limit.min(at.since(now)));
        let limit = if self.udp.flush() { limit.min(ROOM_PAUSE) } else { limit };
        if self.accepts_again_at.is_some_and(|at| at <= now) {
            self.accepts_again_at = None;
            self.set_listening(true)?;
        }
        if !limit.is_zero() {
            let time = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
            match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&time)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        let mut places = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_MAX];
        let (happened, _) = match epoll::wait(&self.epoll, &mut places, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(found) => found,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        for event in happened.iter() {
            let (data, flags) = (event.data.u64(), event.flags);
            match (data as u32, (data >> 32) as u32) {
                (WAKE_UPS, _) => self.answer_bell(),
                // The round that begins looks for them.
                (FRAMES, _) => {}
                (index, _) if index >= LISTENERS => self.accept(index - LISTENERS)?,
                (index, _) if index >= DATAGRAMS => self.udp.note_readable(SocketId(index - DATAGRAMS)),
                (index, generation) => self.notice(ConnId { index, generation }, flags),
            }
        }
        Ok(())
    }

    fn answer_bell(&mut self) {
        let fabric = Arc::clone(&self.fabric);
        let Some(mailbox) = fabric.mailboxes.get(self.shard) else { return };
        // Before the look at what was left there: who rings later is heard in the next round.
        let _nobody_rang = rustix::io::read(&mailbox.bell, &mut [0; 8]);
        while let Some((socket, peer)) = { mailbox.adopted().pop_front() } {
            if let Ok(conn) = self.settle(socket, peer) {
                self.events.push_back(Event::Adopted { conn, peer });
            }
        }
    }

    fn accept(&mut self, place: u32) -> Result<(), Errno> {
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.listeners.get(place as usize) else { return Ok(()) };
            let accepted = rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
            let error = match accepted.map(|socket| (peer_of(&socket), socket)) {
                Ok((Some(peer), socket)) => {
                    prepare(&socket);
                    let settled = self.settle(socket, peer);
                    settled.map(|conn| self.events.push_back(Event::Accepted { conn, peer })).err()
                }
                // A peer that is gone before it was looked at has no address; there is nothing to serve.
                Ok((None, _)) | Err(Errno::CONNABORTED | Errno::INTR) => None,
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => Some(errno),
            };
            if let Some(errno) = error {
                let code = errno.raw_os_error();
                self.events.push_back(Event::AcceptFailed { failure: accept_failure(code), code });
                self.accepts_again_at = Some(self.now() + ACCEPT_PAUSE);
                return self.set_listening(false);
            }
        }
        Ok(())
    }

    fn set_listening(&self, listens: bool) -> Result<(), Errno> {
        let flags = if listens { EventFlags::IN } else { EventFlags::empty() };
        let mut places = (0..).zip(&self.listeners);
        places.try_for_each(|(place, fd)| epoll::modify(&self.epoll, fd, token(LISTENERS + place, 0), flags))
    }

    fn notice(&mut self, conn: ConnId, flags: EventFlags) {
        let now = self.now();
        let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
        match self.entry(conn).map(|entry| &mut entry.state) {
            Some(State::Connecting(_)) => self.finish_dial(conn),
            Some(State::Open(open)) => {
                let mut happened = [None, None];
                if is_over || flags.contains(EventFlags::IN) {
                    open.is_drained = false;
                    open.is_ended |= is_over;
                    happened[0] = std::mem::take(&mut open.waits_to_read).then_some(Event::Readable { conn });
                }
                if is_over || flags.contains(EventFlags::OUT) {
                    happened[1] = open.push(now).then(|| sent(conn));
                }
                self.events.extend(happened.into_iter().flatten());
            }
            _ => {}
        }
    }

    fn finish_dial(&mut self, conn: ConnId) {
        let Some(entry) = self.entry(conn) else { return };
        let State::Connecting(socket) = &entry.state else { return };
        let outcome = match rustix::net::sockopt::socket_error(socket) {
            Ok(Ok(())) => peer_of(socket).ok_or(libc::ENOTCONN),
            Ok(Err(errno)) | Err(errno) => Err(errno.raw_os_error()),
        };
        let event = match (outcome, std::mem::take(&mut entry.state)) {
            (Ok(peer), State::Connecting(socket)) => {
                entry.state = State::Open(Open::new(socket, peer));
                Event::Connected { conn }
            }
            (outcome, _) => {
                entry.state = State::Failed;
                let failure = outcome.err().map_or(ConnectFailure::Other, connect_failure);
                Event::ConnectFailed { conn, failure }
            }
        };
        self.events.push_back(event);
    }

    fn settle(&mut self, socket: OwnedFd, peer: SocketAddr) -> Result<ConnId, Errno> {
        let conn = self.reserve();
        let registered = self.register(&socket, conn);
        if let Some(entry) = self.entry(conn) {
            entry.state = State::Open(Open::new(socket, peer));
        }
        if registered.is_err() {
            self.close(conn);
        }
        registered.map(|()| conn)
    }

    fn register(&self, socket: &OwnedFd, conn: ConnId) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, socket, token(conn.index, conn.generation), flags)
    }

    fn reserve(&mut self) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        ConnId { index, generation: self.entries.get(index as usize).map_or(0, |entry| entry.generation) }
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

    /// Takes a connection out of the table.
    fn take(&mut self, conn: ConnId) -> Option<State> {
        let entry = self.entry(conn)?;
        entry.generation = entry.generation.wrapping_add(1);
        let state = std::mem::take(&mut entry.state);
        self.free.push(conn.index);
        Some(state)
    }
}

impl Open {
    fn new(socket: OwnedFd, peer: SocketAddr) -> Self {
        Self { socket, peer, sends: None, waits_to_read: false, is_drained: false, is_ended: false }
    }

    /// Writes what is under way; true if it is to go back now.
    fn push(&mut self, now: Instant) -> bool {
        let Self { socket, sends, .. } = self;
        sends.as_mut().is_some_and(|sends| sends.write(now, |bytes| write(&*socket, bytes)))
    }
}

/// Stands in the queue for the buffer, which stays with its connection until the event is fetched.
fn sent(conn: ConnId) -> Event {
    Event::Sent { conn, buffer: Vec::new(), taken: 0 }
}

fn token(index: u32, generation: u32) -> EventData {
    EventData::new_u64(u64::from(generation) << 32 | u64::from(index))
}

impl Io for EpollIo {
    fn now(&self) -> Instant {
        self.fabric.clock.now()
    }

    fn unix_now(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            let Event::Sent { conn, .. } = event else { return Some(event) };
            let done = self.open(conn).and_then(|open| open.sends.take_if(|sends| sends.is_done()));
            if let Some(sends) = done {
                return Some(sends.sent(conn));
            }
        }
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let most = bytes_max.min(self.buffer.len());
        let entry = self.entries.get_mut(conn.index as usize).filter(|entry| entry.generation == conn.generation);
        let Some(Entry { state: State::Open(open), .. }) = entry else { return Received::Failed };
        if open.is_drained && !open.is_ended {
            open.waits_to_read = true;
            return Received::WouldBlock;
        }
        match read(&open.socket, &mut self.buffer[..most]) {
            Ok(0) => Received::Closed,
            Ok(count) => {
                // The edge for what comes from now on is still to come.
                open.is_drained = count < most;
                Received::Bytes { bytes: &mut self.buffer[..count], at: self.fabric.clock.now() }
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                open.waits_to_read = true;
                Received::WouldBlock
            }
            Err(_) => Received::Failed,
        }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let now = self.now();
        let Some(open) = self.open(conn) else { return };
        open.sends = Some(UnderWay::new(buffer, now));
        if open.push(now) {
            self.events.push_back(sent(conn));
        }
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let entry = self.entries.get(conn.index as usize).filter(|entry| entry.generation == conn.generation)?;
        match &entry.state {
            State::Open(open) => open.sends.as_ref().map(UnderWay::sending),
            _ => None,
        }
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let address = to.address;
        let conn = self.reserve();
        let begun = stream_to(to, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).and_then(|socket| {
            match rustix::net::connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(errno) => return Err(errno),
            }
            // A dial that is done already is told of in the next round, as writable.
            self.register(&socket, conn).map(|()| socket)
        });
        let (state, failure) = match begun {
            Ok(socket) => (State::Connecting(socket), None),
            Err(errno) => (State::Failed, Some(connect_failure(errno.raw_os_error()))),
        };
        if let Some(entry) = self.entry(conn) {
            entry.state = state;
        }
        self.events.extend(failure.map(|failure| Event::ConnectFailed { conn, failure }));
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let fabric = Arc::clone(&self.fabric);
        let (Some(State::Open(open)), Some(mailbox)) = (self.take(conn), fabric.mailboxes.get(to_shard)) else {
            return false;
        };
        if epoll::delete(&self.epoll, &open.socket).is_err() {
            return false;
        }
        mailbox.adopted().push_back((open.socket, open.peer));
        fabric.wake(to_shard);
        true
    }

    fn close(&mut self, conn: ConnId) -> usize {
        match self.take(conn) {
            Some(State::Open(open)) => open.sends.map_or(0, |sends| sends.sending().taken),
            _ => 0,
        }
    }

    fn wake(&mut self, shard: usize) {
        self.fabric.wake(shard);
    }
}
