//! Streams over QUIC, and over TCP beside them, between shards on the kernel's sockets.

use super::*;
use crate::io::Transport;
use crate::io::half::Lanes;
use datagram::udp::{bind, local_address};
use quic::Common;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::OnceLock;

/// One certificate for all tests.
fn common() -> Common {
    static COMMON: OnceLock<Common> = OnceLock::new();
    COMMON.get_or_init(|| Common::new().expect("a certificate")).clone()
}

/// A shard that sends everything back, at that address over both.
fn echo(backend: Backend, address: std::net::IpAddr) -> Option<(Rig, SocketAddr)> {
    let Ok(listener) = bind((address, 0).into(), true) else {
        testhost::lacks("ipv6", "no socket");
        return None;
    };
    let over_quic = local_address(&listener).expect("a bound socket");
    let streams = TcpListener::bind((address, 0)).expect("a port");
    let over_tcp = streams.local_addr().expect("a bound socket");
    let clock = Clock::start();
    let (choice, _) = Choice::make(backend, 1, clock).expect("it was tried");
    let boards: Arc<[Board]> = Arc::new([Board::default()]);
    let task =
        Echo { shard: 0, boards: Arc::clone(&boards), connections: HashMap::new(), readable: Vec::new(), dealt: 0 };
    let listeners = vec![streams.into(), listener];
    let driver = choice
        .with_quic(common(), Lanes::default())
        .spawn(clock, vec![Plan { cpu: None, listeners, task }])
        .expect("a thread");
    driver.wait_until_ready(Duration::from_secs(20)).expect("a shard that polls");
    Some((Rig { boards, driver: Some(driver), address: over_tcp }, over_quic))
}

fn on_each_family(case: impl Fn(Backend, Rig, SocketAddr)) {
    on_each(|backend| {
        for address in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
            if let Some((rig, over_quic)) = echo(backend, address) {
                case(backend, rig, over_quic);
            }
        }
    });
}

/// What became of a call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// All came back.
    Echoed,
    /// It could not be made.
    Failed,
    /// The other end has ended it.
    Ended,
}

/// Calls all of `targets`, says the same to each, and keeps the connections.
struct Caller {
    targets: Vec<Target>,
    says: Arc<[u8]>,
    calls: HashMap<ConnId, Vec<u8>>,
    outcomes: Sender<Outcome>,
    rounds: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    /// Between the end of its connections and its own.
    last_rounds: u32,
}

impl Caller {
    fn listen(&mut self, io: &mut impl Io, conn: ConnId) {
        let Some(heard) = self.calls.get_mut(&conn) else { return };
        loop {
            match io.recv(conn, 50_000) {
                Received::Bytes { bytes, .. } => {
                    heard.extend_from_slice(bytes);
                    assert!(heard.len() <= self.says.len() && self.says.starts_with(heard), "not what was said");
                    if heard.len() == self.says.len() {
                        self.outcomes.send(Outcome::Echoed).expect("the test waits");
                    }
                }
                Received::WouldBlock => return,
                Received::Closed | Received::Failed => {
                    io.close(conn);
                    self.calls.remove(&conn);
                    return self.outcomes.send(Outcome::Ended).expect("the test waits");
                }
            }
        }
    }
}

impl Task for Caller {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        for target in std::mem::take(&mut self.targets) {
            io.connect(target);
        }
        while let Some(event) = io.next_event() {
            match event {
                Event::Connected { conn } => {
                    self.calls.insert(conn, Vec::new());
                    io.send(conn, self.says.to_vec());
                    self.listen(io, conn);
                }
                Event::Readable { conn } => self.listen(io, conn),
                Event::Sent { buffer, taken, .. } => assert_eq!(buffer.len(), taken),
                Event::ConnectFailed { conn, .. } => {
                    io.close(conn);
                    self.outcomes.send(Outcome::Failed).expect("the test waits");
                }
                other => panic!("{other:?}"),
            }
        }
        if self.ending.load(Ordering::SeqCst) {
            for (conn, _) in self.calls.drain() {
                io.close(conn);
            }
            // The ring keeps streams that it has requests for: a process that ends closes them, a test goes on.
            self.last_rounds = self.last_rounds.checked_sub(1)?;
            return Some(Next::Busy);
        }
        Some(Next::ParkUntil(Instant::NEVER))
    }
}

/// A running caller.
struct Calls {
    driver: Option<Driver>,
    outcomes: std::sync::mpsc::Receiver<Outcome>,
    rounds: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
}

impl Calls {
    fn begin(backend: Backend, targets: Vec<Target>, says: &[u8]) -> Self {
        let clock = Clock::start();
        let (choice, _) = Choice::make(backend, 1, clock).expect("it was tried");
        let (sender, outcomes) = channel();
        let (rounds, ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let last_rounds = if targets.iter().any(|target| target.transport == Transport::Tcp) { 5 } else { 0 };
        let task = Caller {
            last_rounds,
            targets,
            says: says.into(),
            calls: HashMap::new(),
            outcomes: sender,
            rounds: rounds.clone(),
            ending: ending.clone(),
        };
        let driver = choice
            .with_quic(common(), Lanes::default())
            .spawn(clock, vec![Plan { cpu: None, listeners: Vec::new(), task }]);
        Self { driver: Some(driver.expect("a thread")), outcomes, rounds, ending }
    }

    fn next(&self) -> Outcome {
        self.outcomes.recv_timeout(Duration::from_secs(40)).expect("something happens")
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        self.driver.take().expect("once").join();
    }
}

#[test]
fn streams_over_quic_and_tcp_carry_everything_both_ways() {
    on_each_family(|backend, rig, over_quic| {
        for bytes in [1, 3000, 3_000_000] {
            let targets = [[Target::quic(over_quic), Target::tcp(rig.address)]; 3].concat();
            let calls = Calls::begin(backend, targets, &pattern(bytes));
            (0..6).for_each(|_| assert_eq!(calls.next(), Outcome::Echoed, "{backend:?}"));
            drop(calls);
        }
        rig.wait_until("all ends", |boards| count(&boards[0].ended) == 18);
    });
}

#[test]
fn a_host_that_says_nothing_keeps_nobody_else_waiting() {
    on_each_family(|backend, rig, over_quic| {
        let silent = UdpSocket::bind((over_quic.ip(), 0)).expect("a socket");
        let closed = UdpSocket::bind((over_quic.ip(), 0)).expect("a socket").local_addr().expect("an address");
        let silent = [silent.local_addr().expect("an address"), closed].map(Target::quic);
        let targets = [&silent[..], &[Target::quic(over_quic), Target::tcp(rig.address)]].concat();
        let calls = Calls::begin(backend, targets, &pattern(10_000));
        (0..2).for_each(|_| assert_eq!(calls.next(), Outcome::Echoed, "{backend:?}"));
        // It ends although two dials are under way.
    });
}

#[test]
fn the_end_of_a_shard_is_told_to_its_peers_at_once() {
    on_each_family(|backend, rig, over_quic| {
        let calls = Calls::begin(backend, vec![Target::quic(over_quic)], &pattern(3000));
        assert_eq!(calls.next(), Outcome::Echoed);
        drop(calls);
        rig.wait_until("the end", |boards| count(&boards[0].ended) == 1);
    });
}

#[test]
fn shards_with_idle_connections_sleep() {
    on_each_family(|backend, rig, over_quic| {
        let calls = Calls::begin(backend, vec![Target::quic(over_quic)], &pattern(3000));
        assert_eq!(calls.next(), Outcome::Echoed);
        // Acknowledgements, and the search for the path's packets.
        std::thread::sleep(Duration::from_millis(500));
        let rounds = || [count(&calls.rounds), count(&rig.boards[0].rounds)];
        let before = rounds();
        std::thread::sleep(Duration::from_secs(1));
        let after = rounds();
        for (before, after) in before.into_iter().zip(after) {
            assert!(after - before <= 10, "{backend:?}: {} rounds without work", after - before);
        }
    });
}
