//! How much two shards do of what one does, when all packets come in through one link: the surplus queue's worth.
//!
//! Real shards on threads of their own, real handshakes, real packets of the default geometry; only the network is a
//! memory that hands out frames sealed before and swallows what is sent. Rounds of one and of two shards alternate.
//! Besides the rate by the clock there is one by processor time (packets by the busiest shard's seconds), which other
//! work on the machine hardly touches. `cargo bench -p bench --bench shards`.

use crypto_simd::cpu::{Level, level};
use crypto_simd::random::{OsRandom, Random};
use dataplane::io::{ConnId, Event, Io, Received, Sending, Target};
use dataplane::shared::EpochKey;
use dataplane::{Facts, Instant, Instruments, KeyRing, Next, Shard, Shared};
use interplane::counter::{Counters, PeerClass};
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use interplane::setup::{Limits, Machine, Setup, Times};
use interplane::snapshot::Snapshot;
use interplane::{Counter, ReplaySet};
use pki::document::Consensus;
use pki::neighbours::{NeighbourMap, Role as NodeRole};
use pki::policy::View;
use pki::{Epoch, VerifyingKey};
use rig::mill::{Delays, Pool, Purpose};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use sphinx::{Geometry, MixKey};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use testnet::network::{NODE_NAME, Network, Peer, clock_starting_at};
use testnet::session::{Identity, Session, unix_now};
use wire::{Command, Role};

/// Packets of one round: long enough that the last packets' delay of 1 ms does not show.
const PACKETS: usize = 16 << 10;
const DELAYS: Delays = Delays { mean_ms: 1.0, max_ms: 1 };
const ROUNDS: usize = 5;
const REPLAY_BUCKETS: u64 = 1 << 15;
const DELAY_MS_MAX: u64 = 10_000;

fn main() -> Result<(), String> {
    let world = World::new()?;
    let mut rates: [Vec<Rate>; 2] = Default::default();
    for round in 0..ROUNDS {
        for (shards, rates) in (1..).zip(&mut rates) {
            let rate = world.round(shards)?;
            println!(
                "round {round}, {shards} shard(s): {:.0} packets/s, by processor time {:.0}",
                rate.clock, rate.cpu
            );
            rates.push(rate);
        }
    }
    let of = |by: fn(&Rate) -> f64| rates.each_ref().map(|rates| median(rates.iter().map(by).collect()));
    for (what, [one, two]) in [("clock", of(|rate| rate.clock)), ("processor time", of(|rate| rate.cpu))] {
        println!("by {what}: one shard {one:.0} packets/s, two {two:.0}, ratio {:.2}", two / one);
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Packets per second.
struct Rate {
    clock: f64,
    cpu: f64,
}

/// The node, its neighbours, and the packets that all rounds use.
struct World {
    network: Network,
    epoch: Epoch,
    own: Peer,
    mix_key: Arc<MixKey>,
    document: Arc<[u8]>,
    packets: Pool,
}

impl World {
    fn new() -> Result<Self, String> {
        let geometry = Geometry::nike("X25519", 2000, 5, true).map_err(|error| error.to_string())?;
        let clock = clock_starting_at(unix_now(), Duration::from_secs(3600))?;
        let listening: Vec<SocketAddr> = (1..=4).map(|node| SocketAddr::from(([192, 0, 2, node], 30000))).collect();
        let network = Network::new(geometry.clone(), clock, 1.0, 1, &listening)?;
        let epoch = network.epoch();
        let address = SocketAddr::from(([192, 0, 2, 99], 30000));
        let own = Peer::generate(NODE_NAME.into(), NodeRole::Mix, Some(address), network.kem)?;
        let mut private = [0; 32];
        OsRandom.fill(&mut private);
        let mix_key = MixKey::new(&geometry, &private).map_err(|error| error.to_string())?;
        let descriptor = own.member().descriptor(epoch, |_| mix_key.public_key().to_vec());
        let document = network.document(epoch, descriptor)?.into();
        let next: Vec<[u8; 32]> = network.downstream.iter().map(|peer| peer.identity.id).collect();
        let packets =
            Pool::make(&geometry, mix_key.public_key(), Purpose::Forward { next: &next }, DELAYS, PACKETS, None)?;
        Ok(Self { network, epoch, own, mix_key: Arc::new(mix_key), document, packets })
    }

    fn snapshot(&self) -> Result<Snapshot, String> {
        let scheme = crypto_simd::schemes::signature::by_name("Ed25519").map_err(|error| error.to_string())?;
        let key = VerifyingKey::new(scheme, self.network.authority.public_key()).map_err(|error| error.to_string())?;
        let hash = self.network.geometry.hash();
        let consensus = Consensus::verify(Arc::clone(&self.document), &[key], 1, self.epoch, &hash, self.epoch);
        let map = NeighbourMap::new(&consensus.map_err(|error| error.to_string())?, &self.own.member().own());
        Ok(Snapshot {
            serial: 1,
            view: View::new(NodeRole::Mix, vec![map.map_err(|error| error.to_string())?]),
            delay_ms_max: [(self.epoch, DELAY_MS_MAX)].into_iter().collect(),
            client_documents: Vec::new(),
            services: Vec::new(),
        })
    }

    fn setup(&self, shards: u16) -> Setup {
        Setup {
            name: NODE_NAME.into(),
            node_id: self.own.identity.id,
            role: NodeRole::Mix,
            geometry: self.network.geometry.clone(),
            wire_kem: self.network.kem.info().name.into(),
            epoch_period: self.network.clock.period(),
            // A busy machine makes shards late, which is not what is measured.
            times: Times {
                unwrap_delay_ms: 10_000,
                scheduler_slack_ms: 10_000,
                send_slack_ms: 10_000,
                ..Times::default()
            },
            limits: Limits { link_queue_packets: PACKETS as u32, ..Limits::default() },
            clients: interplane::setup::Clients::default(),
            machine: Machine { shards, slots_per_shard: 8192, ..Machine::default() },
            sends_decoys: false,
            populates_replay_sets: false,
            replay_buckets: REPLAY_BUCKETS,
        }
    }

    /// One data plane from its start to the last packet.
    fn round(&self, shards: u16) -> Result<Rate, String> {
        let lanes = level().map_or(1, Level::lanes);
        let facts = Facts::new(&self.setup(shards)).map_err(|error| error.to_string())?.with_lanes(lanes);
        let shards = usize::from(shards);
        let shared = Arc::new(Shared::new(facts, []));
        let replays = Arc::new(ReplaySet::heap(self.epoch.0, REPLAY_BUCKETS, [1; 16]));
        let key = EpochKey { epoch: self.epoch, key: Arc::clone(&self.mix_key), replays };
        shared.publish_keys(KeyRing { link_key: Some(Arc::clone(&self.own.identity.link_key)), mix_keys: vec![key] });
        shared.publish_directory(self.snapshot()?);
        let (counters, events, in_flight) = (Counters::heap(shards), EventRings::heap(shards), InFlight::heap(shards));
        let memory = Arc::new(Memory::new(shards));
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for index in 0..shards {
                let instruments = Instruments {
                    counters: counters.shard(index).ok_or("no row")?,
                    events: events.shard(index).ok_or("no ring")?,
                    in_flight: in_flight.shard(index).ok_or("no place")?,
                    plugins: None,
                    loops: None,
                };
                let shard = Shard::new(index, Arc::clone(&shared), instruments, [index as u8; 32], Instant(0));
                let shard = shard.map_err(|error| error.to_string())?;
                let io = MemoryIo {
                    shard: index,
                    memory: Arc::clone(&memory),
                    pipes: Vec::new(),
                    sent: VecDeque::new(),
                    lent: Vec::new(),
                };
                threads.push(scope.spawn(move || run_shard(shard, io)));
            }
            let result = self.drive(&memory, &counters);
            memory.stop.store(true, Ordering::Release);
            threads.iter().for_each(|thread| thread.thread().unpark());
            let cpu = threads.into_iter().map(|thread| thread.join().unwrap_or_default()).max().unwrap_or_default();
            let clock = result?;
            Ok(Rate { clock: PACKETS as f64 / clock.as_secs_f64(), cpu: PACKETS as f64 / cpu.as_secs_f64() })
        })
    }

    /// Makes the links, hands over all packets at once, and waits for the last one to leave.
    fn drive(&self, memory: &Arc<Memory>, counters: &Counters) -> Result<Duration, String> {
        let mut linked = 0;
        while linked < self.network.downstream.len() {
            let Some((to, pipe)) = lock(&memory.dialled).pop() else {
                std::thread::sleep(Duration::from_micros(100));
                continue;
            };
            let peer = self.network.downstream.iter().find(|peer| peer.address == Some(to)).ok_or("a strange dial")?;
            let end = PipeEnd { memory: Arc::clone(memory), pipe: Arc::clone(&pipe) };
            self.shake_hands(end, Role::Responder, &peer.identity)?;
            lock(&pipe.ends).swallows = true;
            linked += 1;
        }
        let pipe = memory.dial(0);
        let end = PipeEnd { memory: Arc::clone(memory), pipe: Arc::clone(&pipe) };
        let session = self.shake_hands(end, Role::Initiator, &self.network.upstream[0].identity)?;
        let (_, mut transport) = session.into_parts()?;
        lock(&pipe.ends).swallows = true;
        let set = self.network.mixnet_session(Role::Initiator).command_set();
        let mut frames = Vec::new();
        for number in 0..PACKETS {
            let command = Command::SendPacket { packet: self.packets.packet(number) };
            transport.sealer.seal_command(&set, &command, &mut frames).map_err(|error| error.to_string())?;
        }
        while counters.total(Counter::connections(PeerClass::Outgoing)) < linked as u64
            || counters.total(Counter::connections(PeerClass::Incoming)) < 1
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The shards are parked now; the frames begin the measurement.
        memory.measuring.store(true, Ordering::Release);
        let start = std::time::Instant::now();
        memory.hand_in(&pipe, frames)?;
        loop {
            let account = counters.account_total();
            if account.dropped > 0 {
                return Err(format!("packets were dropped: {account:?}"));
            }
            if account.sent == PACKETS as u64 {
                return Ok(start.elapsed());
            }
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("it stands still: {account:?}"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn shake_hands(&self, pipe: PipeEnd, role: Role, identity: &Identity) -> Result<Session<PipeEnd>, String> {
        Session::over(pipe, &self.network.mixnet_session(role), identity, |_| true)
    }
}

/// Polls a shard until the end; gives the processor time since packets came.
fn run_shard(mut shard: Shard, mut io: MemoryIo) -> Duration {
    let memory = Arc::clone(&io.memory);
    // As the data plane's own threads are. Left alone, the scheduler keeps a thread beside the one that wakes it.
    let mut cpus = CpuSet::new();
    cpus.set(io.shard);
    let _unpinned = sched_setaffinity(None, &cpus);
    lock(&memory.seats[io.shard]).thread = Some(std::thread::current());
    let mut start = None;
    while !memory.stop.load(Ordering::Acquire) {
        if start.is_none() && memory.measuring.load(Ordering::Acquire) {
            start = Some(cpu_time());
        }
        if let Next::ParkUntil(at) = shard.poll(&mut io) {
            std::thread::park_timeout(at.since(io.now()).min(Duration::from_millis(50)));
        }
    }
    cpu_time() - start.unwrap_or_else(cpu_time)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// All connections of one data plane.
struct Memory {
    start: std::time::Instant,
    seats: Vec<Mutex<Seat>>,
    dialled: Mutex<Vec<(SocketAddr, Arc<Pipe>)>>,
    measuring: AtomicBool,
    stop: AtomicBool,
}

/// What waits for one shard.
#[derive(Default)]
struct Seat {
    thread: Option<Thread>,
    arrivals: VecDeque<Arrival>,
}

enum Arrival {
    Accepted(Arc<Pipe>),
    Adopted(Arc<Pipe>),
    Connected(ConnId),
    Readable(ConnId),
}

/// One connection.
#[derive(Default)]
struct Pipe {
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    to_shard: Vec<u8>,
    read: usize,
    from_shard: Vec<u8>,
    swallows: bool,
    owner: Option<(usize, ConnId)>,
}

impl Memory {
    fn new(shards: usize) -> Self {
        Self {
            start: std::time::Instant::now(),
            seats: (0..shards).map(|_| Mutex::default()).collect(),
            dialled: Mutex::default(),
            measuring: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }

    fn dial(&self, shard: usize) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::default());
        self.post(shard, Arrival::Accepted(Arc::clone(&pipe)));
        pipe
    }

    fn write(&self, pipe: &Pipe, bytes: &[u8]) {
        let mut ends = lock(&pipe.ends);
        ends.to_shard.extend_from_slice(bytes);
        if let Some((shard, conn)) = ends.owner {
            drop(ends);
            self.post(shard, Arrival::Readable(conn));
        }
    }

    /// All that comes on a link whose handshake has been read, without a copy.
    fn hand_in(&self, pipe: &Pipe, bytes: Vec<u8>) -> Result<(), String> {
        let mut ends = lock(&pipe.ends);
        if ends.read < ends.to_shard.len() {
            return Err("the handshake has not been read".into());
        }
        (ends.to_shard, ends.read) = (bytes, 0);
        let (shard, conn) = ends.owner.ok_or("nobody has taken the link")?;
        drop(ends);
        self.post(shard, Arrival::Readable(conn));
        Ok(())
    }

    fn post(&self, shard: usize, arrival: Arrival) {
        lock(&self.seats[shard]).arrivals.push_back(arrival);
        self.wake(shard);
    }

    fn wake(&self, shard: usize) {
        if let Some(thread) = &lock(&self.seats[shard]).thread {
            thread.unpark();
        }
    }
}

/// The end of a connection that no shard has, as a thing that blocks.
struct PipeEnd {
    memory: Arc<Memory>,
    pipe: Arc<Pipe>,
}

impl Read for PipeEnd {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let mut ends = lock(&self.pipe.ends);
            if !ends.from_shard.is_empty() || buffer.is_empty() {
                let count = ends.from_shard.len().min(buffer.len());
                ends.from_shard.drain(..count).zip(buffer).for_each(|(byte, place)| *place = byte);
                return Ok(count);
            }
            drop(ends);
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Write for PipeEnd {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.memory.write(&self.pipe, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One shard's view of the memory.
struct MemoryIo {
    shard: usize,
    memory: Arc<Memory>,
    pipes: Vec<Option<Arc<Pipe>>>,
    /// Buffers to be given back.
    sent: VecDeque<(ConnId, Vec<u8>)>,
    lent: Vec<u8>,
}

impl MemoryIo {
    fn add(&mut self, pipe: Arc<Pipe>) -> ConnId {
        let conn = ConnId { index: self.pipes.len() as u32, generation: 1 };
        lock(&pipe.ends).owner = Some((self.shard, conn));
        self.pipes.push(Some(pipe));
        conn
    }

    fn pipe(&self, conn: ConnId) -> Option<&Pipe> {
        self.pipes.get(conn.index as usize)?.as_deref()
    }
}

impl Io for MemoryIo {
    fn now(&self) -> Instant {
        Instant(self.memory.start.elapsed().as_nanos() as u64)
    }

    fn unix_now(&self) -> Duration {
        unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        if let Some((conn, buffer)) = self.sent.pop_front() {
            let taken = buffer.len();
            return Some(Event::Sent { conn, buffer, taken });
        }
        let arrival = lock(&self.memory.seats[self.shard]).arrivals.pop_front()?;
        let peer = SocketAddr::from(([192, 0, 2, 98], 1));
        Some(match arrival {
            Arrival::Accepted(pipe) => Event::Accepted { conn: self.add(pipe), peer },
            Arrival::Adopted(pipe) => Event::Adopted { conn: self.add(pipe), peer },
            Arrival::Connected(conn) => Event::Connected { conn },
            Arrival::Readable(conn) => Event::Readable { conn },
        })
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let at = self.now();
        let Some(Some(pipe)) = self.pipes.get(conn.index as usize) else { return Received::Failed };
        let ends = &mut *lock(&pipe.ends);
        let bytes = &ends.to_shard[ends.read..];
        let count = bytes.len().min(bytes_max);
        if count == 0 {
            return Received::WouldBlock;
        }
        self.lent.clear();
        self.lent.extend_from_slice(&bytes[..count]);
        ends.read += count;
        Received::Bytes { bytes: &mut self.lent, at }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let Some(pipe) = self.pipe(conn) else { return };
        let mut ends = lock(&pipe.ends);
        if !ends.swallows {
            ends.from_shard.extend_from_slice(&buffer);
        }
        drop(ends);
        self.sent.push_back((conn, buffer));
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let (_, buffer) = self.sent.iter().find(|(sent, _)| *sent == conn)?;
        Some(Sending { taken: buffer.len(), progress_at: self.now() })
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let pipe = Arc::new(Pipe::default());
        let conn = self.add(Arc::clone(&pipe));
        lock(&self.memory.dialled).push((to.address, pipe));
        self.memory.post(self.shard, Arrival::Connected(conn));
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let pipe = self.pipes.get_mut(conn.index as usize).and_then(Option::take);
        let is_there = pipe.is_some();
        pipe.into_iter().for_each(|pipe| self.memory.post(to_shard, Arrival::Adopted(pipe)));
        is_there
    }

    fn close(&mut self, conn: ConnId) -> usize {
        if let Some(pipe) = self.pipes.get_mut(conn.index as usize) {
            *pipe = None;
        }
        0
    }

    fn wake(&mut self, shard: usize) {
        self.memory.wake(shard);
    }
}
