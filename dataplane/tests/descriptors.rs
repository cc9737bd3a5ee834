//! A process that has as many descriptors as it may: what cannot be accepted is told of, without spinning, and accepted
//! when there is room again. A test binary of its own, because the limit is the whole process's.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use dataplane::Next;
use dataplane::io::choice::Choice;
use dataplane::io::driver::{Clock, Plan, Task};
use dataplane::io::{AcceptFailure, ConnId, Event, Io};
use dataplane::time::Instant;
use interplane::setup::Backend;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const DIALS: u64 = 40;
/// Descriptors that are left for some of them, and for what the shard itself needs.
const SPARE: u64 = 25;

#[derive(Default)]
struct Board {
    ending: AtomicBool,
    accepted: AtomicU64,
    failed: AtomicU64,
}

struct Acceptor(Arc<Board>, Vec<ConnId>);

impl Task for Acceptor {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        while let Some(event) = io.next_event() {
            match event {
                Event::Accepted { conn, .. } => {
                    self.1.push(conn);
                    self.0.accepted.fetch_add(1, Ordering::SeqCst);
                }
                Event::AcceptFailed { failure, .. } => {
                    assert_eq!(failure, AcceptFailure::ProcessDescriptors);
                    self.0.failed.fetch_add(1, Ordering::SeqCst);
                }
                _ => {}
            }
        }
        (!self.0.ending.load(Ordering::SeqCst)).then_some(Next::ParkUntil(Instant::NEVER))
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_wait_until_there_are_descriptors_again() {
    for backend in [Backend::Uring, Backend::Epoll, Backend::Glommio] {
        let (clock, before) = (Clock::start(), open_descriptors());
        // The kernel may close the sockets of its trial a little later.
        drop(Choice::make(backend, 1, clock));
        wait_until("trying a backend costs no descriptors", || open_descriptors() == before);
        match Choice::make(backend, 1, clock) {
            Ok((choice, _)) => run_out(choice, clock),
            Err(refusal) => testhost::lacks("io_uring", format_args!("{backend:?}: {refusal}")),
        }
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

fn run_out(choice: Choice, clock: Clock) {
    let name = choice.name();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let dials: Vec<_> = (0..DIALS).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")).collect();
    let highest = dials.iter().map(AsRawFd::as_raw_fd).max().expect("some") as u64;
    let before = getrlimit(Resource::Nofile);
    // Before the shard starts: io_uring goes by the limit at the moment at which it is asked to accept.
    setrlimit(Resource::Nofile, Rlimit { current: Some(highest + SPARE), ..before }).expect("a lower one");
    let board = Arc::new(Board::default());
    let task = Acceptor(Arc::clone(&board), Vec::new());
    let plan = Plan { cpu: None, listeners: vec![OwnedFd::from(listener)], task };
    let driver = choice.spawn(clock, vec![plan]).expect("a thread");
    driver.wait_until_ready(Duration::from_secs(20)).expect("a shard that polls");
    let start = std::time::Instant::now();
    dials.iter().for_each(|dial| dial.connect(&address.into()).expect("the kernel queues it"));
    wait_until("a failure", || board.failed.load(Ordering::SeqCst) > 0);
    assert!(board.accepted.load(Ordering::SeqCst) < DIALS, "{name}");
    std::thread::sleep(Duration::from_millis(300));
    let (failed, ms) = (board.failed.load(Ordering::SeqCst), start.elapsed().as_millis() as u64);
    setrlimit(Resource::Nofile, before).expect("the old one");
    assert!(failed <= 2 + ms / 25, "{name} spins: {failed} failures in {ms} ms");
    wait_until("all connections", || board.accepted.load(Ordering::SeqCst) == DIALS);
    board.ending.store(true, Ordering::SeqCst);
    driver.join();
}
