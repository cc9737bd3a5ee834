//! The `glommio` backend: one executor per shard, kernel TCP over io_uring.
//!
//! The shard is the executor's only long task. Its sockets are glommio streams that are polled directly: each half of
//! a connection has a waker of its own that notes the connection in the shard's mailbox and wakes the shard's
//! task, so that no task per connection is needed. Between two rounds the task sleeps on a timer of a microsecond:
//! glommio looks at its rings only when no task is runnable or its preempt timer has fired, and a shard that merely
//! yielded would starve its own sockets for the 100 ms of that timer. Datagrams are read and written by plain calls; a
//! task per socket waits for them.
//!
//! glommio 0.9.0 can park for ever with runnable tasks when its preempt timer fires before the first task of a round
//! has run. The timer stays at its default, which makes this rare, and the attach thread wakes a shard whose heartbeat
//! stands still, or that has slept past its time ([`Fabric::wake`]), which makes it harmless.

mod trains;

use super::driver::{Backend, Clock, Wakes};
use super::error::accept_failure;
use super::quic::QuicIo;
use super::sockets::{connect_failure, prepare};
use super::under_way::{UnderWay, Wrote};
use super::{ConnId, ConnectFailure, DriverError, Event, Io, Received, Sending, Target, Transport};
use crate::shard::Next;
use crate::time::Instant;
use datagram::udp::plain::PlainSockets;
use datagram::{Datagrams, SocketId};
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement};
use quic::Common;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use trains::Watch;

/// Bytes of registered buffers per executor: the smallest that starts quickly; nothing here uses them.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Bytes received at once: application batching is worth more than the choice of a runtime.
const RECEIVE_BYTES: usize = 256 << 10;

/// glommio's own limit of a dial: the shard's is shorter.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);

/// What glommio wants to be allowed to lock.
const LOCKED_BYTES: u64 = 512 << 10;

/// Connections that may wait to be looked at by the accepting shard; more stay in the kernel's queue.
const ACCEPTED_MAX: usize = 256;

/// The sleep between two rounds of a busy shard. A timer that is already due is ready at once in glommio, and the task
/// would never go through the reactor: a saturated shard would accept nothing, and hear nothing of its dials and
/// wake-ups, for as long as the load lasts.
const BUSY_SLEEP: Duration = Duration::from_micros(1);

/// The longest sleep while datagrams wait for room in their sockets.
const ROOM_PAUSE: Duration = Duration::from_millis(1);

/// A round that took longer is followed by [`TURNS`] ways through the reactor instead of one: each step of a handshake
/// needs some, and between long rounds they are few. After short ones they would be what costs most.
const LONG_ROUND: Duration = Duration::from_micros(250);
const TURNS: usize = 3;

/// How long to leave a listener alone after an error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the shards' executors of one process share: a mailbox per shard.
pub struct Fabric {
    mailboxes: Arc<[Mailbox]>,
    clock: Clock,
    /// What connections over QUIC have in common, if there are to be any.
    quic: Option<Common>,
}

impl Fabric {
    /// For so many shards, if this host lets executors be made: glommio itself panics where it does not.
    pub fn new(shards: usize, clock: Clock) -> Result<Self, DriverError> {
        io_uring::IoUring::new(8).map_err(|error| DriverError::ring("io_uring_setup", &error))?;
        let may = rustix::process::getrlimit(rustix::process::Resource::Memlock).current.unwrap_or(u64::MAX);
        if may < LOCKED_BYTES {
            return Err(DriverError::LockedMemory { needs: LOCKED_BYTES, may });
        }
        Ok(Self { mailboxes: (0..shards).map(|_| Mailbox::default()).collect(), clock, quic: None })
    }

    /// Shards have connections over QUIC too.
    pub fn with_quic(self, common: Common) -> Self {
        Self { quic: Some(common), ..self }
    }
}

impl Wakes for Fabric {
    // Also cures the executor's hang: a waker called from outside ends the executor's wait for its ring.
    fn wake(&self, shard: usize) {
        if let Some(mailbox) = self.mailboxes.get(shard) {
            mailbox.wake();
        }
    }
}

impl Backend for Fabric {
    type Io = QuicIo<GlommioIo>;

    fn run(
        self: Arc<Self>,
        shard: usize,
        listeners: Vec<OwnedFd>,
        round: impl FnMut(&mut QuicIo<GlommioIo>) -> Option<Next> + 'static,
    ) -> Result<(), DriverError> {
        // The thread is pinned already, if it is to be.
        let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(IO_MEMORY_BYTES);
        let refused = |reason: String| DriverError::Backend { shard, backend: "glommio", reason };
        let executor = builder.make().map_err(|error| refused(error.to_string()))?;
        executor.run(async move {
            let (datagrams, listeners) = datagram::udp::set_apart(listeners);
            let quic = self.quic.as_ref().map(|common| common.of_shard(shard));
            let io = GlommioIo::new(shard, self, datagrams);
            let io = io.map_err(|error| DriverError::os(shard, "use a socket for datagrams", &error))?;
            for listener in listeners {
                io.listen(listener);
            }
            drive(QuicIo::new(io, quic), round).await;
            Ok(())
        })
    }
}

/// What reaches a shard's task from its wakers and from other threads.
#[derive(Default)]
struct Mailbox {
    woken: AtomicBool,
    waker: Mutex<Option<Waker>>,
    ready: Mutex<VecDeque<(ConnId, Half)>>,
    adopted: Mutex<VecDeque<(OwnedFd, SocketAddr)>>,
}

impl Mailbox {
    fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

// The data under these locks is whole after every statement, so a panic elsewhere cannot have torn it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Read,
    Write,
}

/// Notes one half of one connection as ready and wakes the shard.
struct HalfWaker {
    conn: ConnId,
    half: Half,
    noted: AtomicBool,
    shard: usize,
    fabric: Arc<Fabric>,
}

impl Wake for HalfWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.noted.swap(true, Ordering::AcqRel)
            && let Some(mailbox) = self.fabric.mailboxes.get(self.shard)
        {
            lock(&mailbox.ready).push_back((self.conn, self.half));
            mailbox.wake();
        }
    }
}

struct Open {
    stream: TcpStream,
    peer: SocketAddr,
    read: Arc<HalfWaker>,
    write: Arc<HalfWaker>,
    read_waker: Waker,
    write_waker: Waker,
    sends: Option<UnderWay>,
}

impl Open {
    /// Writes what is under way; true if it is to go back now.
    fn push(&mut self, now: Instant) -> bool {
        let Some(sends) = &mut self.sends else { return false };
        let mut context = Context::from_waker(&self.write_waker);
        let stream = &mut self.stream;
        sends.write(now, |bytes| match Pin::new(&mut *stream).poll_write(&mut context, bytes) {
            Poll::Ready(Ok(count)) if count > 0 => Wrote::Bytes(count),
            Poll::Ready(_) => Wrote::Failed,
            Poll::Pending => Wrote::WouldBlock,
        })
    }
}

#[derive(Default)]
enum State {
    #[default]
    Free,
    Connecting,
    Open(Box<Open>),
}

#[derive(Default)]
struct Entry {
    generation: u32,
    state: State,
}

/// What the executor's helper tasks (accepting, connecting) leave for the shard.
enum Arrival {
    Accepted(TcpStream, SocketAddr),
    AcceptFailed(i32),
    Connected(ConnId, TcpStream, SocketAddr),
    ConnectFailed(ConnId, ConnectFailure),
}

/// The input and output of one shard on glommio.
pub struct GlommioIo {
    shard: usize,
    fabric: Arc<Fabric>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    arrivals: Rc<RefCell<VecDeque<Arrival>>>,
    /// Connections whose buffer goes back.
    sent: VecDeque<ConnId>,
    buffer: Box<[u8]>,
    /// The other half, with who waits for its sockets.
    udp: PlainSockets,
    watches: Vec<Rc<Watch>>,
}

async fn drive(mut both: QuicIo<GlommioIo>, mut round: impl FnMut(&mut QuicIo<GlommioIo>) -> Option<Next>) {
    let mut begun = both.now();
    while let Some(next) = round(&mut both) {
        let next = both.end_round(next);
        let io = both.backend();
        let sleep = match next {
            Next::Busy => BUSY_SLEEP,
            Next::ParkUntil(Instant::NEVER) => Duration::from_secs(3600),
            Next::ParkUntil(moment) => moment.since(io.now()),
        };
        let sleep = if io.udp.flush() { sleep.min(ROOM_PAUSE) } else { sleep };
        let sleep = if io.has_datagrams() { BUSY_SLEEP } else { sleep };
        // A wake-up cuts a sleep short, but not the way through the reactor.
        let sleep = sleep.max(BUSY_SLEEP);
        let is_turn = sleep == BUSY_SLEEP;
        let turns = if is_turn && io.now().since(begun) > LONG_ROUND { TURNS } else { 1 };
        for _ in 0..turns {
            Sleep { fabric: io.fabric.clone(), shard: io.shard, timer: Timer::new(sleep), is_turn }.await;
        }
        begun = io.now();
    }
    let _ended = both.end_round(Next::Busy);
}

/// Ends when the shard is woken or the timer fires.
struct Sleep {
    fabric: Arc<Fabric>,
    shard: usize,
    timer: Timer,
    /// It is there for the reactor's sake: nothing cuts it short.
    is_turn: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let fabric = self.fabric.clone();
        let Some(mailbox) = fabric.mailboxes.get(self.shard) else { return Poll::Ready(()) };
        {
            let mut waker = lock(&mailbox.waker);
            if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                *waker = Some(context.waker().clone());
            }
        }
        if mailbox.woken.swap(false, Ordering::SeqCst) && !self.is_turn {
            return Poll::Ready(());
        }
        Pin::new(&mut self.timer).poll(context).map(|_| ())
    }
}

impl GlommioIo {
    fn new(shard: usize, fabric: Arc<Fabric>, datagrams: Vec<OwnedFd>) -> std::io::Result<Self> {
        let clock = fabric.clock;
        let mut io = Self {
            shard,
            fabric,
            udp: PlainSockets::new(datagrams, move || clock.now())?,
            watches: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            arrivals: Rc::default(),
            sent: VecDeque::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
        };
        (0..io.udp.sockets().len() as u32).try_for_each(|place| io.watch(SocketId(place)))?;
        Ok(io)
    }

    /// Whether datagrams have come that were not read.
    fn has_datagrams(&self) -> bool {
        self.udp.may_have_more() || self.watches.iter().any(|watch| watch.is_noted())
    }

    fn listen(&self, listener: OwnedFd) {
        // SAFETY: the descriptor is owned and given up here, so the listener is its only owner.
        let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
        let (arrivals, fabric, shard) = (self.arrivals.clone(), self.fabric.clone(), self.shard);
        glommio::spawn_local(async move {
            loop {
                if arrivals.borrow().len() >= ACCEPTED_MAX {
                    Timer::new(ACCEPT_PAUSE).await;
                    continue;
                }
                match listener.accept().await {
                    // A peer that is gone before it was looked at has no address; there is nothing to serve.
                    Ok(stream) => {
                        if let Ok(peer) = stream.peer_addr() {
                            prepare_stream(&stream);
                            arrivals.borrow_mut().push_back(Arrival::Accepted(stream, peer));
                            fabric.wake(shard);
                        }
                    }
                    Err(error) => {
                        let code = std::io::Error::from(error).raw_os_error().unwrap_or(0);
                        arrivals.borrow_mut().push_back(Arrival::AcceptFailed(code));
                        fabric.wake(shard);
                        Timer::new(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
        .detach();
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
        match self.entry(conn) {
            Some(Entry { state: State::Open(open), .. }) => Some(open),
            _ => None,
        }
    }

    fn settle(&mut self, conn: ConnId, stream: TcpStream, peer: SocketAddr) {
        let half = |half| {
            Arc::new(HalfWaker {
                conn,
                half,
                noted: AtomicBool::new(false),
                shard: self.shard,
                fabric: self.fabric.clone(),
            })
        };
        let (read, write) = (half(Half::Read), half(Half::Write));
        let open = Open {
            stream,
            peer,
            read_waker: Waker::from(read.clone()),
            write_waker: Waker::from(write.clone()),
            read,
            write,
            sends: None,
        };
        if let Some(entry) = self.entry(conn) {
            entry.state = State::Open(Box::new(open));
        }
    }

    fn next_arrival(&mut self) -> Option<Event> {
        loop {
            let arrival = self.arrivals.borrow_mut().pop_front()?;
            match arrival {
                Arrival::Accepted(stream, peer) => {
                    let conn = self.reserve();
                    self.settle(conn, stream, peer);
                    return Some(Event::Accepted { conn, peer });
                }
                Arrival::AcceptFailed(code) => {
                    return Some(Event::AcceptFailed { failure: accept_failure(code), code });
                }
                Arrival::Connected(conn, stream, peer) if self.is_connecting(conn) => {
                    self.settle(conn, stream, peer);
                    return Some(Event::Connected { conn });
                }
                Arrival::ConnectFailed(conn, failure) if self.is_connecting(conn) => {
                    return Some(Event::ConnectFailed { conn, failure });
                }
                // The shard has closed it in the meantime.
                Arrival::Connected(..) | Arrival::ConnectFailed(..) => {}
            }
        }
    }

    fn is_connecting(&mut self, conn: ConnId) -> bool {
        matches!(self.entry(conn), Some(Entry { state: State::Connecting, .. }))
    }

    fn next_adopted(&mut self) -> Option<Event> {
        let mailbox = self.fabric.mailboxes.get(self.shard)?;
        let (descriptor, peer) = lock(&mailbox.adopted).pop_front()?;
        // SAFETY: the descriptor is owned and given up here, so the stream is its only owner.
        let stream = unsafe { TcpStream::from_raw_fd(descriptor.into_raw_fd()) };
        let conn = self.reserve();
        self.settle(conn, stream, peer);
        Some(Event::Adopted { conn, peer })
    }

    fn next_ready(&mut self) -> Option<Event> {
        loop {
            let (conn, half) = lock(&self.fabric.mailboxes.get(self.shard)?.ready).pop_front()?;
            let now = self.now();
            let Some(open) = self.open(conn) else { continue };
            match half {
                Half::Read => {
                    open.read.noted.store(false, Ordering::Release);
                    return Some(Event::Readable { conn });
                }
                Half::Write => {
                    open.write.noted.store(false, Ordering::Release);
                    if open.push(now) {
                        self.sent.push_back(conn);
                    }
                }
            }
        }
    }

    fn next_sent(&mut self) -> Option<Event> {
        loop {
            let conn = self.sent.pop_front()?;
            let Some(open) = self.open(conn) else { continue };
            if let Some(sends) = open.sends.take_if(|sends| sends.is_done()) {
                return Some(sends.sent(conn));
            }
        }
    }
}

impl Io for GlommioIo {
    fn now(&self) -> Instant {
        self.fabric.clock.now()
    }

    fn unix_now(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.next_arrival().or_else(|| self.next_adopted()).or_else(|| self.next_ready()).or_else(|| self.next_sent())
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let most = bytes_max.min(buffer.len());
        let polled = self.open(conn).map(|open| {
            let mut context = Context::from_waker(&open.read_waker);
            Pin::new(&mut open.stream).poll_read(&mut context, &mut buffer[..most])
        });
        self.buffer = buffer;
        match polled {
            Some(Poll::Ready(Ok(0))) => Received::Closed,
            Some(Poll::Ready(Ok(count))) => {
                let at = self.now();
                Received::Bytes { bytes: &mut self.buffer[..count], at }
            }
            Some(Poll::Pending) => Received::WouldBlock,
            Some(Poll::Ready(Err(_))) | None => Received::Failed,
        }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let now = self.now();
        if let Some(open) = self.open(conn) {
            open.sends = Some(UnderWay::new(buffer, now));
            if open.push(now) {
                self.sent.push_back(conn);
            }
        }
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let entry = self.entries.get(conn.index as usize).filter(|entry| entry.generation == conn.generation)?;
        match &entry.state {
            State::Open(open) => open.sends.as_ref().map(UnderWay::sending),
            State::Free | State::Connecting => None,
        }
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let conn = self.reserve();
        if let Some(entry) = self.entry(conn) {
            entry.state = State::Connecting;
        }
        if to.transport != Transport::Tcp {
            self.arrivals.borrow_mut().push_back(Arrival::ConnectFailed(conn, ConnectFailure::Other));
            return conn;
        }
        let to = to.address;
        let (arrivals, fabric, shard) = (self.arrivals.clone(), self.fabric.clone(), self.shard);
        glommio::spawn_local(async move {
            let arrival = match TcpStream::connect_timeout(to, CONNECT_LIMIT).await {
                Ok(stream) => {
                    prepare_stream(&stream);
                    Arrival::Connected(conn, stream, to)
                }
                Err(error) => Arrival::ConnectFailed(conn, failure(error.into())),
            };
            arrivals.borrow_mut().push_back(arrival);
            fabric.wake(shard);
        })
        .detach();
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let Some(open) = self.open(conn) else { return false };
        let peer = open.peer;
        // SAFETY: the stream owns the descriptor and outlives this borrow of it.
        let borrowed = unsafe { BorrowedFd::borrow_raw(open.stream.as_raw_fd()) };
        let copy = borrowed.try_clone_to_owned();
        self.close(conn);
        // Out of descriptors: the peer sees a closed connection and dials again.
        let (Ok(copy), Some(mailbox)) = (copy, self.fabric.mailboxes.get(to_shard)) else { return false };
        lock(&mailbox.adopted).push_back((copy, peer));
        mailbox.wake();
        true
    }

    fn close(&mut self, conn: ConnId) -> usize {
        let Some(entry) = self.entry(conn) else { return 0 };
        entry.generation = entry.generation.wrapping_add(1);
        let ended = std::mem::take(&mut entry.state);
        self.free.push(conn.index);
        match ended {
            State::Open(open) => open.sends.map_or(0, |sends| sends.sending().taken),
            State::Free | State::Connecting => 0,
        }
    }

    fn wake(&mut self, shard: usize) {
        self.fabric.wake(shard);
    }
}

fn prepare_stream(stream: &TcpStream) {
    // SAFETY: the stream owns the descriptor and outlives this borrow of it.
    prepare(unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) });
}

fn failure(error: std::io::Error) -> ConnectFailure {
    match error.kind() {
        // glommio's own, without an error number.
        std::io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        _ => connect_failure(error.raw_os_error().unwrap_or(0)),
    }
}
