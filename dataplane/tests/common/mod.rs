//! A real data plane on one of the backends with real sockets on loopback, and peers in threads of their own.

use crate::nodes::{DOWNSTREAM, EPOCH, OWN, UPSTREAM, geometry, id_of, key_ring, link_kem, unix_at, usual_snapshot};
use crate::peers::FakePeer;
use crate::sockets::{self, SocketIo};
use dataplane::io::choice::Choice;
use dataplane::io::driver::{Clock, Plan, Task};
use dataplane::io::{ConnId, Driver, Event, Io, Received, Sending, Target};
use dataplane::{Facts, Instant, Instruments, Next, Shard, Shared};
use interplane::Setup;
use interplane::counter::{Counter, Counters, PeerClass};
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use interplane::setup::{Limits, Machine, Times};
use pki::neighbours::Role;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What stands around a shard's rounds, and around every call of its input and output.
#[derive(Clone, Copy)]
pub struct Hooks {
    pub before_round: fn(),
    pub after_round: fn(),
    pub before_call: fn(),
    pub after_call: fn(),
}

/// A backend in the tests' epoch, with the descriptors' addresses led to loopback.
struct Led<'a, I> {
    io: &'a mut I,
    addresses: &'a HashMap<SocketAddr, SocketAddr>,
    hooks: Hooks,
}

impl<I: Io> Led<'_, I> {
    fn call<T>(&mut self, act: impl FnOnce(&mut I) -> T) -> T {
        (self.hooks.before_call)();
        let result = act(self.io);
        (self.hooks.after_call)();
        result
    }
}

impl<I: Io> Io for Led<'_, I> {
    fn now(&self) -> Instant {
        self.io.now()
    }
    fn unix_now(&self) -> Duration {
        unix_at(EPOCH, 1, 2) + Duration::from_nanos(self.io.now().0)
    }
    fn next_event(&mut self) -> Option<Event> {
        self.call(|io| io.next_event())
    }
    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        (self.hooks.before_call)();
        let received = self.io.recv(conn, bytes_max);
        (self.hooks.after_call)();
        received
    }
    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        self.call(|io| io.send(conn, buffer));
    }
    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.io.sending(conn)
    }
    fn connect(&mut self, to: Target) -> ConnId {
        let to = Target { address: self.addresses.get(&to.address).copied().unwrap_or(to.address), ..to };
        self.call(|io| io.connect(to))
    }
    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        self.call(|io| io.hand_over(conn, to_shard))
    }
    fn close(&mut self, conn: ConnId) -> usize {
        self.call(|io| io.close(conn))
    }
    fn wake(&mut self, shard: usize) {
        self.call(|io| io.wake(shard));
    }
}

/// One shard on its thread.
struct Polled {
    shard: Shard,
    ending: Arc<AtomicBool>,
    addresses: Arc<HashMap<SocketAddr, SocketAddr>>,
    hooks: Hooks,
}

impl Task for Polled {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        if self.ending.load(Ordering::Acquire) {
            self.shard.shut_down(io);
            return None;
        }
        (self.hooks.before_round)();
        let next = self.shard.poll(&mut Led { io, addresses: &self.addresses, hooks: self.hooks });
        (self.hooks.after_round)();
        Some(next)
    }
}

/// A running data plane with links to all of downstream.
pub struct Plane {
    pub counters: Counters,
    pub address: SocketAddr,
    pub received: Arc<AtomicU64>,
    pub shared: Arc<Shared>,
    driver: Driver,
    ending: Arc<AtomicBool>,
    peers: Vec<JoinHandle<()>>,
}

impl Plane {
    /// Starts it on a backend that works here.
    pub fn start(backend: Choice, clock: Clock, shards: u16, hooks: Hooks) -> Self {
        let facts = Facts::new(&setup(shards)).expect("a sound setup");
        let shards = usize::from(shards);
        let shared = Arc::new(Shared::new(facts, []));
        shared.publish_keys(key_ring([EPOCH.0]));
        shared.publish_directory(usual_snapshot(1));
        let (counters, events, in_flight) = (Counters::heap(shards), EventRings::heap(shards), InFlight::heap(shards));
        let (ending, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut addresses, mut peers) = (HashMap::new(), Vec::new());
        for node in DOWNSTREAM {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.set_nonblocking(true).expect("a socket");
            addresses.insert(crate::nodes::address_of(node), listener.local_addr().expect("a bound socket"));
            let io = socket_io(Some(listener));
            peers.push(run_peer(FakePeer::new(node), io, Arc::clone(&ending), Arc::clone(&received)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let addresses = Arc::new(addresses);
        let mut listeners = vec![OwnedFd::from(listener)];
        let mut plans = Vec::new();
        for index in 0..shards {
            let instruments = Instruments {
                counters: counters.shard(index).expect("a row"),
                events: events.shard(index).expect("a ring"),
                in_flight: in_flight.shard(index).expect("a place"),
                plugins: None,
                loops: None,
            };
            let shard = Shard::new(index, Arc::clone(&shared), instruments, [index as u8; 32], clock.now());
            let shard = shard.expect("a sound setup");
            let (ending, addresses) = (Arc::clone(&ending), Arc::clone(&addresses));
            let task = Polled { shard, ending, addresses, hooks };
            plans.push(Plan { cpu: None, listeners: std::mem::take(&mut listeners), task });
        }
        let driver = backend.spawn(clock, plans).expect("threads");
        driver.wait_until_ready(Duration::from_secs(20)).expect("shards that poll");
        let plane = Self { counters, address, received, shared, driver, ending, peers };
        let links = || plane.counters.total(Counter::connections(PeerClass::Outgoing));
        plane.wait_until("links out", || links() == DOWNSTREAM.len() as u64);
        plane
    }

    /// Sends packets through one link from upstream.
    pub fn send(&mut self, packets: Vec<Vec<u8>>) {
        let mut peer = FakePeer::dialling(UPSTREAM[0], self.address);
        packets.into_iter().for_each(|packet| peer.send(packet));
        self.peers.push(run_peer(peer, socket_io(None), Arc::clone(&self.ending), Arc::default()));
    }

    /// Waits 60 s at most.
    pub fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        for _ in 0..60_000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{what} did not come within 60 s: {:?}", self.counters.account_total());
    }

    /// Ends everything.
    pub fn stop(self) {
        self.ending.store(true, Ordering::Release);
        self.driver.join();
        self.peers.into_iter().for_each(|peer| peer.join().expect("no panic"));
    }
}

fn setup(shards: u16) -> Setup {
    let slack = 10_000;
    Setup {
        name: "node".into(),
        node_id: id_of(OWN),
        role: Role::Mix,
        geometry: geometry(),
        wire_kem: link_kem().info().name.into(),
        epoch_period: crate::nodes::clock().period(),
        // A machine that does other things at the same time makes packets late; these tests are not about that.
        times: Times { unwrap_delay_ms: slack, scheduler_slack_ms: slack, send_slack_ms: slack, ..Times::default() },
        limits: Limits { link_queue_packets: 1 << 16, ..Limits::default() },
        clients: interplane::setup::Clients::default(),
        machine: Machine { shards, slots_per_shard: 4096, ..Machine::default() },
        sends_decoys: false,
        populates_replay_sets: false,
        replay_buckets: 1 << 16,
    }
}

fn run_peer(mut peer: FakePeer, mut io: SocketIo, ending: Arc<AtomicBool>, received: Arc<AtomicU64>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !ending.load(Ordering::Relaxed) {
            io.gather();
            let _ = peer.poll(&mut io);
            received.fetch_add(peer.received.len() as u64, Ordering::Relaxed);
            peer.received.clear();
            std::thread::sleep(Duration::from_micros(500));
        }
    })
}

fn socket_io(listener: Option<TcpListener>) -> SocketIo {
    SocketIo::new(0, &Arc::new(sockets::Process::default()), std::time::Instant::now(), listener, &Arc::default())
}
