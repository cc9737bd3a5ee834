//! The same cases over every backend that this host has: what a shard may rely on, whatever is below.

mod crowds;
mod datagrams;
mod hoarders;
mod newcomers;

use super::choice::Choice;
use super::driver::{Clock, Driver, Plan, Task};
use super::{ConnId, ConnectFailure, Event, Io, Received, Target};
use crate::shard::Next;
use crate::time::Instant;
use interplane::setup::Backend;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BACKENDS: [Backend; 3] = [Backend::Glommio, Backend::Uring, Backend::Epoll];

/// Runs `case` on each backend.
fn on_each(case: impl Fn(Backend)) {
    for backend in BACKENDS {
        match Choice::make(backend, 1, Clock::start()) {
            Ok(_) => case(backend),
            Err(refusal) => testhost::lacks("io_uring", format_args!("{backend:?}: {refusal}")),
        }
    }
}

/// What a test tells a shard, and what it saw.
#[derive(Default)]
struct Board {
    ending: AtomicBool,
    /// Never parks.
    is_busy: AtomicBool,
    /// Does not read.
    is_deaf: AtomicBool,
    rounds: AtomicU64,
    /// Buffers that came back, and those that came back with less than all taken.
    sent: AtomicU64,
    unsent: AtomicU64,
    accepted: AtomicU64,
    accept_failures: AtomicU64,
    adopted: AtomicU64,
    connected: AtomicU64,
    failures: Mutex<Vec<ConnectFailure>>,
    ended: AtomicU64,
    orders: Mutex<Vec<Order>>,
}

enum Order {
    Connect(SocketAddr),
    /// And ends the dial at once.
    ConnectAndClose(SocketAddr),
    /// On every connection.
    Send(Vec<u8>),
    Wake(usize),
}

/// Sends everything back that it gets. Connections are dealt over the shards in turn.
struct Echo {
    shard: usize,
    boards: Arc<[Board]>,
    connections: HashMap<ConnId, Vec<u8>>,
    readable: Vec<ConnId>,
    dealt: usize,
}

impl Echo {
    fn board(&self) -> &Board {
        &self.boards[self.shard]
    }

    fn handle(&mut self, io: &mut impl Io, event: Event) {
        let board = &self.boards[self.shard];
        match event {
            Event::Accepted { conn, .. } => {
                board.accepted.fetch_add(1, Ordering::SeqCst);
                let to = self.dealt % self.boards.len();
                self.dealt += 1;
                if to == self.shard {
                    self.add(conn);
                } else {
                    assert!(io.hand_over(conn, to));
                }
            }
            Event::Adopted { conn, .. } => {
                board.adopted.fetch_add(1, Ordering::SeqCst);
                self.add(conn);
            }
            Event::Connected { conn } => {
                board.connected.fetch_add(1, Ordering::SeqCst);
                self.add(conn);
            }
            Event::ConnectFailed { conn, failure } => {
                io.close(conn);
                board.failures.lock().unwrap().push(failure);
            }
            Event::AcceptFailed { .. } => drop(board.accept_failures.fetch_add(1, Ordering::SeqCst)),
            Event::Readable { conn } => self.readable.push(conn),
            Event::Sent { conn, buffer, taken } => {
                if taken == buffer.len() {
                    board.sent.fetch_add(1, Ordering::SeqCst);
                } else {
                    board.unsent.fetch_add(1, Ordering::SeqCst);
                    self.end(io, conn);
                }
            }
        }
    }

    fn add(&mut self, conn: ConnId) {
        self.connections.insert(conn, Vec::new());
        self.readable.push(conn);
    }

    fn end(&mut self, io: &mut impl Io, conn: ConnId) {
        if self.connections.remove(&conn).is_some() {
            io.close(conn);
            self.board().ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One read; false when there is nothing more.
    fn read(&mut self, io: &mut impl Io, conn: ConnId) -> bool {
        let now = io.now();
        let Some(out) = self.connections.get_mut(&conn) else { return false };
        match io.recv(conn, 10_000) {
            Received::Bytes { bytes, at } => {
                assert!(at <= now || at.since(now) < Duration::from_secs(60));
                out.extend_from_slice(bytes);
                true
            }
            Received::WouldBlock => false,
            Received::Closed | Received::Failed => {
                // What is under way still goes out.
                if io.sending(conn).is_none() && self.connections[&conn].is_empty() {
                    self.end(io, conn);
                    false
                } else {
                    true
                }
            }
        }
    }

    fn obey(&mut self, io: &mut impl Io) {
        let orders = std::mem::take(&mut *self.board().orders.lock().unwrap());
        for order in orders {
            match order {
                Order::Connect(to) => drop(io.connect(Target::tcp(to))),
                Order::ConnectAndClose(to) => {
                    let conn = io.connect(Target::tcp(to));
                    io.close(conn);
                }
                Order::Send(bytes) => self.connections.values_mut().for_each(|out| out.extend_from_slice(&bytes)),
                Order::Wake(shard) => io.wake(shard),
            }
        }
    }
}

impl Task for Echo {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        self.board().rounds.fetch_add(1, Ordering::SeqCst);
        if self.board().ending.load(Ordering::SeqCst) {
            return None;
        }
        self.obey(io);
        while let Some(event) = io.next_event() {
            self.handle(io, event);
        }
        let mut is_busy = self.board().is_busy.load(Ordering::SeqCst);
        if !self.board().is_deaf.load(Ordering::SeqCst) {
            for conn in std::mem::take(&mut self.readable) {
                if self.read(io, conn) {
                    self.readable.push(conn);
                    is_busy = true;
                }
            }
        }
        for (conn, out) in &mut self.connections {
            if !out.is_empty() && io.sending(*conn).is_none() {
                io.send(*conn, std::mem::take(out));
            }
        }
        while let Some(event) = io.next_event() {
            self.handle(io, event);
            is_busy = true;
        }
        Some(if is_busy { Next::Busy } else { Next::ParkUntil(Instant::NEVER) })
    }
}

/// Running shards that echo.
struct Rig {
    boards: Arc<[Board]>,
    driver: Option<Driver>,
    address: SocketAddr,
}

impl Rig {
    fn new(backend: Backend, shards: usize) -> Self {
        let clock = Clock::start();
        let (choice, _) = Choice::make(backend, shards, clock).expect("it was tried");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let boards: Arc<[Board]> = (0..shards).map(|_| Board::default()).collect();
        let mut listeners = vec![OwnedFd::from(listener)];
        let plan = |shard| Plan {
            cpu: None,
            listeners: std::mem::take(&mut listeners),
            task: Echo {
                shard,
                boards: Arc::clone(&boards),
                connections: HashMap::new(),
                readable: Vec::new(),
                dealt: 0,
            },
        };
        let driver = choice.spawn(clock, (0..shards).map(plan).collect()).expect("threads");
        driver.wait_until_ready(Duration::from_secs(20)).expect("shards that poll");
        Self { boards, driver: Some(driver), address }
    }

    fn order(&self, shard: usize, order: Order) {
        self.boards[shard].orders.lock().unwrap().push(order);
        self.wake(shard);
    }

    fn wake(&self, shard: usize) {
        self.driver.as_ref().expect("not ended").wake(shard);
    }

    fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream
    }

    fn wait_until(&self, what: &str, done: impl Fn(&[Board]) -> bool) {
        let start = std::time::Instant::now();
        while !done(&self.boards) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} did not happen");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.boards.iter().for_each(|board| board.ending.store(true, Ordering::SeqCst));
        self.driver.take().expect("once").join();
    }
}

/// One shard with that task, and where it listens.
fn start(backend: Backend, task: impl Task) -> (Driver, SocketAddr) {
    let clock = Clock::start();
    let (choice, _) = Choice::make(backend, 1, clock).expect("it was tried");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let driver = choice.spawn(clock, vec![Plan { cpu: None, listeners: vec![listener.into()], task }]);
    let driver = driver.expect("a thread");
    driver.wait_until_ready(Duration::from_secs(20)).expect("a shard that polls");
    (driver, address)
}

/// Waits, a minute at most; whether there are as many then.
fn reaches(of: &AtomicU64, wanted: usize) -> bool {
    let start = std::time::Instant::now();
    while count(of) < wanted as u64 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    count(of) == wanted as u64
}

fn count(of: &AtomicU64) -> u64 {
    of.load(Ordering::SeqCst)
}

fn echoed(stream: &mut TcpStream, bytes: &[u8]) {
    let mut copy = stream.try_clone().expect("a socket");
    let sent = bytes.to_vec();
    let sender = std::thread::spawn(move || copy.write_all(&sent).expect("a connection"));
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("an echo");
    sender.join().expect("no panic");
    assert!(back == bytes);
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn all_sizes_come_back() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        let mut stream = rig.dial();
        for bytes in [1, 2, 3000, 10_000, 10_001, 300_000, 3_000_000, 1] {
            echoed(&mut stream, &pattern(bytes));
        }
        drop(stream);
        rig.wait_until("the end", |boards| count(&boards[0].ended) == 1);
    });
}

#[test]
fn a_burst_of_connections_is_served_over_two_shards() {
    on_each(|backend| {
        let rig = Rig::new(backend, 2);
        let mut streams: Vec<_> = (0..60).map(|_| rig.dial()).collect();
        streams.iter_mut().for_each(|stream| echoed(stream, &pattern(5000)));
        assert_eq!((count(&rig.boards[0].accepted), count(&rig.boards[1].adopted)), (60, 30));
        // More at once than there are buffers to receive into.
        let bytes = pattern(40_000);
        streams.iter_mut().for_each(|stream| stream.write_all(&bytes).expect("a connection"));
        for stream in &mut streams {
            let mut back = vec![0; bytes.len()];
            stream.read_exact(&mut back).expect("an echo");
            assert!(back == bytes);
        }
        drop(streams);
        rig.wait_until("all ends", |boards| boards.iter().map(|board| count(&board.ended)).sum::<u64>() == 60);
    });
}

#[test]
fn a_busy_shard_still_accepts_dials_and_answers() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        rig.boards[0].is_busy.store(true, Ordering::SeqCst);
        rig.wake(0);
        let before = count(&rig.boards[0].rounds);
        rig.wait_until("a busy shard", |boards| count(&boards[0].rounds) > before + 1000);
        // While it never parks.
        let mut streams: Vec<_> = (0..20).map(|_| rig.dial()).collect();
        streams.iter_mut().for_each(|stream| echoed(stream, &pattern(3000)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        rig.order(0, Order::Connect(listener.local_addr().expect("a bound socket")));
        let (mut stream, _) = listener.accept().expect("its dial");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        rig.wait_until("its dial's end", |boards| count(&boards[0].connected) == 1);
        echoed(&mut stream, &pattern(3000));
        assert!(rig.boards[0].is_busy.load(Ordering::SeqCst));
    });
}

#[test]
fn dials_are_refused_and_can_be_closed_at_once() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("a bound socket");
        rig.order(0, Order::Connect(nobody));
        rig.wait_until("a refusal", |boards| *boards[0].failures.lock().unwrap() == [ConnectFailure::Refused]);
        for _ in 0..50 {
            rig.order(0, Order::ConnectAndClose(rig.address));
            rig.order(0, Order::ConnectAndClose(nobody));
        }
        echoed(&mut rig.dial(), b"still there");
        assert_eq!(count(&rig.boards[0].connected), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_stops_the_sender_and_nobody_else() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        let mut deaf = rig.dial();
        rig.wait_until("the connection", |boards| count(&boards[0].accepted) == 1);
        let bytes = pattern(16 << 20);
        rig.order(0, Order::Send(bytes.clone()));
        echoed(&mut rig.dial(), &pattern(100_000));
        let mut back = vec![0; bytes.len()];
        deaf.read_exact(&mut back).expect("all of it");
        assert!(back == bytes);
        rig.wait_until("the buffer", |boards| count(&boards[0].sent) >= 2);
    });
}

#[test]
fn a_shard_that_does_not_read_stops_the_peer() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        let mut stream = rig.dial();
        echoed(&mut stream, b"there");
        rig.boards[0].is_deaf.store(true, Ordering::SeqCst);
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
        let mut written = 0;
        let piece = pattern(1 << 16);
        // 64 MB are more than any socket's buffers and the backend's hold.
        while written < 1024 && stream.write_all(&piece).is_ok() {
            written += 1;
        }
        assert!(written < 1024, "the backend reads on and on");
        rig.boards[0].is_deaf.store(false, Ordering::SeqCst);
        rig.wake(0);
        let mut back = vec![0; written * piece.len()];
        stream.read_exact(&mut back).expect("an echo");
        assert!(back.chunks(piece.len()).all(|chunk| chunk == piece));
    });
}

#[test]
fn a_half_close_lets_the_answer_out_and_a_reset_ends_the_connection() {
    on_each(|backend| {
        let rig = Rig::new(backend, 1);
        let mut stream = rig.dial();
        stream.write_all(&pattern(200_000)).expect("a connection");
        stream.shutdown(std::net::Shutdown::Write).expect("a connection");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("an echo, and its end");
        assert!(back == pattern(200_000));
        // Closed with something unread: a reset.
        let mut stream = rig.dial();
        stream.write_all(&pattern(3000)).expect("a connection");
        rig.wait_until("the answer", |boards| count(&boards[0].sent) > 0 && count(&boards[0].accepted) == 2);
        rig.order(0, Order::Send(pattern(16 << 20)));
        stream.peek(&mut [0]).expect("something");
        drop(stream);
        rig.wait_until("both ends", |boards| count(&boards[0].ended) == 2);
        assert!(count(&rig.boards[0].unsent) <= 1);
    });
}

#[test]
fn no_wake_up_is_lost() {
    on_each(|backend| {
        let rig = Rig::new(backend, 2);
        for number in 0..2000 {
            let before = count(&rig.boards[1].rounds);
            if number % 2 == 0 {
                rig.wake(1);
            } else {
                rig.order(0, Order::Wake(1));
            }
            rig.wait_until("a round", |boards| count(&boards[1].rounds) > before);
        }
    });
}

/// Whoever wakes another shard, because it leaves packets to it, goes on with others in the same round.
#[test]
fn a_wake_up_does_not_wait_for_the_end_of_the_wakers_round() {
    struct Waker {
        shard: usize,
        other_has_woken: Arc<AtomicBool>,
        in_time: Sender<bool>,
        was_asleep: bool,
    }
    impl Task for Waker {
        fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
            while io.next_event().is_some() {}
            if self.shard == 0 {
                // The other one should sleep by then; if not, its second round comes all the more.
                std::thread::sleep(Duration::from_millis(100));
                io.wake(1);
                let start = std::time::Instant::now();
                while !self.other_has_woken.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(20) {
                    std::thread::yield_now();
                }
                self.in_time.send(self.other_has_woken.load(Ordering::SeqCst)).expect("the test waits");
                return None;
            }
            self.other_has_woken.store(self.was_asleep, Ordering::SeqCst);
            if std::mem::replace(&mut self.was_asleep, true) { None } else { Some(Next::ParkUntil(Instant::NEVER)) }
        }
    }
    on_each(|backend| {
        let clock = Clock::start();
        let (other_has_woken, (in_time, outcome)) = (Arc::<AtomicBool>::default(), channel());
        let (choice, _) = Choice::make(backend, 2, clock).expect("it was tried");
        let plan = |shard| Plan {
            cpu: None,
            listeners: Vec::new(),
            task: Waker {
                shard,
                other_has_woken: other_has_woken.clone(),
                in_time: in_time.clone(),
                was_asleep: false,
            },
        };
        let driver = choice.spawn(clock, vec![plan(0), plan(1)]).expect("threads");
        let in_time = outcome.recv_timeout(Duration::from_secs(40));
        driver.join();
        assert_eq!(in_time, Ok(true), "{backend:?}");
    });
}

#[test]
fn a_sleep_ends_at_its_moment() {
    struct Sleeper(Arc<AtomicU64>, Instant);
    impl Task for Sleeper {
        fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
            while io.next_event().is_some() {}
            if io.now() >= self.1 && self.1 != Instant::default() {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
            if self.0.load(Ordering::SeqCst) == 20 {
                return None;
            }
            self.1 = io.now() + Duration::from_millis(3);
            Some(Next::ParkUntil(self.1))
        }
    }
    on_each(|backend| {
        let clock = Clock::start();
        let slept = Arc::new(AtomicU64::new(0));
        let (choice, _) = Choice::make(backend, 1, clock).expect("it was tried");
        let task = Sleeper(Arc::clone(&slept), Instant::default());
        let driver = choice.spawn(clock, vec![Plan { cpu: None, listeners: Vec::new(), task }]).expect("a thread");
        let start = std::time::Instant::now();
        while count(&slept) < 20 {
            assert!(start.elapsed() < Duration::from_secs(20), "{backend:?} oversleeps");
            std::thread::sleep(Duration::from_millis(1));
        }
        driver.join();
    });
}
