//! What is on the way of datagrams: it loses some, and keeps, doubles and damages others.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Of so many datagrams one is lost, one comes late, one twice, and one damaged: 2 % each.
const ONE_OF: u64 = 50;
/// By how much late ones are: several others overtake them.
const LATE: Duration = Duration::from_millis(3);
/// The longest sleep: so soon the thread finds that it is not wanted any more.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// What has become of datagrams.
#[derive(Default)]
pub struct Harm {
    pub passed: AtomicU64,
    pub lost: AtomicU64,
    pub late: AtomicU64,
    pub doubled: AtomicU64,
    pub damaged: AtomicU64,
}

/// A way to an address over which datagrams come to harm, in both directions. It ends when it is dropped.
pub struct Weather {
    /// Where the way begins.
    pub address: SocketAddr,
    pub harm: Arc<Harm>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Weather {
    /// A socket for the way, before it is known where it leads.
    pub fn front() -> UdpSocket {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        front.set_nonblocking(true).expect("a socket");
        front
    }

    /// The way from `front` to `to`.
    pub fn new(front: UdpSocket, to: SocketAddr, seed: u64) -> Self {
        let address = front.local_addr().expect("an address");
        let (harm, is_over) = (Arc::new(Harm::default()), Arc::new(AtomicBool::new(false)));
        let way = Way {
            front,
            to,
            backs: Vec::new(),
            late: BTreeMap::new(),
            serial: 0,
            harm: harm.clone(),
            dice: seed * 2 + 1,
        };
        let ending = is_over.clone();
        let thread = Some(std::thread::spawn(move || way.run(&ending)));
        Self { address, harm, is_over, thread }
    }

    /// Every kind of harm has been done.
    #[track_caller]
    pub fn was_bad(&self) {
        let Harm { passed, lost, late, doubled, damaged } = &*self.harm;
        let counts = [passed, lost, late, doubled, damaged].map(|count| count.load(Ordering::Relaxed));
        println!("datagrams passed, lost, late, doubled, damaged: {counts:?}");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the way has panicked");
        }
    }
}

/// Which way a datagram goes.
#[derive(Clone, Copy)]
enum Leg {
    /// To where the way leads, for the sender with that number.
    There(usize),
    /// Back to a sender.
    Back(SocketAddr),
}

struct Way {
    front: UdpSocket,
    to: SocketAddr,
    /// One socket for each sender, and the sender.
    backs: Vec<(UdpSocket, SocketAddr)>,
    /// What leaves later.
    late: BTreeMap<(Instant, u64), (Leg, Vec<u8>)>,
    serial: u64,
    harm: Arc<Harm>,
    dice: u64,
}

impl Way {
    fn run(mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let due = self.late.keys().next().map(|(at, _)| at.saturating_duration_since(Instant::now()));
            let sleep = due.unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
            let sleep = Timespec { tv_sec: 0, tv_nsec: sleep.as_nanos() as i64 };
            let sockets = std::iter::once(&self.front).chain(self.backs.iter().map(|(back, _)| back));
            let mut polled: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
            let _nobody_spoke = poll(&mut polled, Some(&sleep));
            drop(polled);
            self.release();
            while let Some((bytes, from)) = receive(&self.front) {
                let sender = self.number_of(from);
                self.carry(Leg::There(sender), bytes);
            }
            for number in 0..self.backs.len() {
                while let Some((bytes, _)) = receive(&self.backs[number].0) {
                    self.carry(Leg::Back(self.backs[number].1), bytes);
                }
            }
        }
    }

    /// The number of a sender, whose datagrams go on from a socket of their own.
    fn number_of(&mut self, from: SocketAddr) -> usize {
        if let Some(known) = self.backs.iter().position(|(_, sender)| *sender == from) {
            return known;
        }
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        back.set_nonblocking(true).expect("a socket");
        self.backs.push((back, from));
        self.backs.len() - 1
    }

    fn carry(&mut self, leg: Leg, mut bytes: Vec<u8>) {
        let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        if self.happens() {
            add(&self.harm.lost);
            return;
        }
        if self.happens() {
            add(&self.harm.damaged);
            let at = self.roll() as usize % bytes.len().max(1);
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 0x10);
        }
        if self.happens() {
            add(&self.harm.doubled);
            self.leave(leg, &bytes);
        }
        if self.happens() {
            add(&self.harm.late);
            self.serial += 1;
            self.late.insert((Instant::now() + LATE, self.serial), (leg, bytes));
            return;
        }
        add(&self.harm.passed);
        self.leave(leg, &bytes);
    }

    fn release(&mut self) {
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            let (leg, bytes) = entry.remove();
            self.leave(leg, &bytes);
        }
    }

    fn leave(&self, leg: Leg, bytes: &[u8]) {
        // What finds no room, or nobody, is lost as other datagrams are.
        let _lost_or_not = match leg {
            Leg::There(sender) => self.backs[sender].0.send_to(bytes, self.to),
            Leg::Back(sender) => self.front.send_to(bytes, sender),
        };
    }

    fn happens(&mut self) -> bool {
        self.roll().is_multiple_of(ONE_OF)
    }

    /// A number as good as any.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        match socket.recv_from(&mut bytes) {
            Ok((count, from)) => {
                bytes.truncate(count);
                return Some((bytes, from));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            // Somebody at the other end is not there, or not yet.
            Err(_) => {}
        }
    }
}
