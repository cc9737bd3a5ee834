//! The node in its network: who is there, how packets flow, and one run from the first link to the last packet.

use super::costs::{Costs, Work};
use super::packets::Packets;
use super::peers::{Identity, Sink, Sources, Supply};
use super::processor::{Ledger, Processor};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, kem};
use dataplane::io::sim::{Host, HostId, Network, Path, SimIo, Simulation};
use dataplane::shared::{EpochKey, KeyRing};
use dataplane::{Facts, Instruments, Next, Shard, Shared};
use interplane::counter::Counters;
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use interplane::setup::{BATCH_PACKETS_MAX, Clients, Limits, Machine, Setup, Times};
use interplane::snapshot::Snapshot;
use interplane::{Counter, DropReason, ReplaySet};
use pki::neighbours::{NeighbourMap, Role};
use pki::policy::View;
use pki::{Epoch, EpochClock};
use sphinx::{Geometry, MixKey, Scheme};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use testnet::members::{self, Member, listing};

/// The most links on either side.
pub const LINKS_MAX: usize = 32;
/// The most shards.
pub const SHARDS_MAX: usize = 64;

const EPOCH: Epoch = Epoch(1000);
const DELAY_MS_MAX: u64 = 10_000;
/// The node, the first of those before it and the first of those behind.
const OWN: u8 = 4;
const UPSTREAM: u8 = 10;
const DOWNSTREAM: u8 = 60;
const GATEWAY: u8 = 100;
const SERVICE: u8 = 200;

/// Faster than any link of one shard.
const PATH: Path = Path {
    latency: Duration::from_micros(20),
    jitter: Duration::ZERO,
    bytes_per_second: 12_500_000_000,
    buffer_bytes: 1 << 20,
};
const REPLAY_BUCKETS: u64 = 1 << 16;
const SLOTS: u32 = 1 << 12;
/// Packets in the node for each of its links and each of its shards: what waits to be read, two batches, and what is
/// delayed.
const WINDOW_OF_EACH: usize = 192;
/// The share of the packets that have left when the figures begin.
const RAMP: f64 = 0.3;
/// Simulated time that nothing takes.
const LONG: Duration = Duration::from_secs(20);
/// Between two looks at what has happened.
const STEP: Duration = Duration::from_micros(50);

/// The numbers of the nodes behind.
pub fn downstream(links: usize) -> impl Iterator<Item = u8> {
    (DOWNSTREAM..).take(links)
}

fn upstream(links: usize) -> impl Iterator<Item = u8> {
    (UPSTREAM..).take(links)
}

/// A seed for one purpose.
pub fn seed_of(seed: u64, purpose: &str) -> [u8; 32] {
    pki::hash(format!("{seed} {purpose}").as_bytes())
}

/// The node's mix key.
pub fn mix_key(geometry: &Geometry, seed: u64) -> Result<MixKey, String> {
    let mut random = SeededRandom::new(&seed_of(seed, "mix key"));
    let private = Scheme::of(geometry).map_err(|error| error.to_string())?.generate(&mut random);
    MixKey::new(geometry, &private).map_err(|error| error.to_string())
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 30_000))
}

fn link_kem() -> Result<&'static dyn Kem, String> {
    kem::by_name("x25519").map_err(|error| error.to_string())
}

fn identity(number: u8, seed: u64) -> Result<Identity, String> {
    let private = link_kem()?.generate(&mut SeededRandom::new(&seed_of(seed, &format!("link key {number}"))));
    let link_key: Arc<dyn KemDecapsulationKey> =
        Arc::from(link_kem()?.load(&private).map_err(|error| error.to_string())?);
    Ok(Identity { id: members::id(number), link_key })
}

/// The node's counters.
#[derive(Clone)]
pub struct Books(Counters);

impl Books {
    /// Packets that have left.
    pub fn sent(&self) -> usize {
        self.0.total(Counter::SENT) as usize
    }

    fn drops(&self) -> Vec<String> {
        let count = |reason: &DropReason| (reason.label(), self.0.total(Counter::dropped(*reason)));
        let drops = DropReason::ALL.iter().map(count).filter(|(_, count)| *count > 0);
        drops.map(|(reason, count)| format!("{count} {reason}")).collect()
    }
}

/// Whoever is polled.
enum Actor {
    Processor(Box<Processor>),
    Sources(Box<Sources>),
    Sink(Box<Sink>),
}

impl Host for Actor {
    fn poll(&mut self, io: &mut SimIo) -> Next {
        match self {
            Self::Processor(processor) => processor.poll(io),
            Self::Sources(sources) => sources.poll(io),
            Self::Sink(sink) => sink.poll(io),
        }
    }
}

/// What a run shows.
pub struct Found {
    pub packets_per_second: f64,
    /// The simulated time in which that was found.
    pub seconds: f64,
    /// What each shard did in it.
    pub work: Vec<Work>,
}

/// The node and everybody around it.
pub struct Site {
    simulation: Simulation<Actor>,
    sources: HostId,
    books: Books,
    window: usize,
    links: usize,
}

impl Site {
    /// A node of so many shards, with so many links on either side.
    pub fn new(geometry: &Geometry, costs: Costs, links: usize, shards: usize, seed: u64) -> Result<Self, String> {
        let window = WINDOW_OF_EACH * (links + shards);
        let setup = setup(geometry, shards, window)?;
        let facts = Facts::new(&setup).map_err(|error| error.to_string())?.with_lanes(costs.lanes);
        let replays = Arc::new(ReplaySet::heap(EPOCH.0, REPLAY_BUCKETS, [1; 16]));
        let shared = Arc::new(Shared::new(facts.clone(), []));
        let key = EpochKey { epoch: EPOCH, key: Arc::new(mix_key(geometry, seed)?), replays: Arc::clone(&replays) };
        shared.publish_keys(KeyRing { link_key: Some(identity(OWN, seed)?.link_key), mix_keys: vec![key] });
        shared.publish_directory(snapshot(geometry, links, seed)?);
        let counters = Counters::heap(shards);
        let batch = BATCH_PACKETS_MAX as u64;
        let ledger = Ledger::new(costs, batch, facts.frame_bytes(), replays, counters.clone(), shards);
        let network = Network::new(seed_of(seed, "network"), members::unix_at(EPOCH, 1, 2));
        network.set_path(PATH);
        let mut simulation = Simulation::new(network.clone());
        add_node(&mut simulation, &shared, ledger, seed)?;
        for number in downstream(links) {
            let (id, io) = network.add_process(1, address(number)).remove(0);
            network.listen(id, address(number));
            let sink = Sink::new(identity(number, seed)?, facts.clone(), random(seed, number));
            simulation.add(id, Actor::Sink(Box::new(sink)), io);
        }
        let identities = upstream(links).map(|number| identity(number, seed)).collect::<Result<_, _>>()?;
        let (sources, io) = network.add_process(1, address(UPSTREAM)).remove(0);
        let all = Sources::new(identities, address(OWN), facts, random(seed, UPSTREAM));
        simulation.add(sources, Actor::Sources(Box::new(all)), io);
        Ok(Self { simulation, sources, books: Books(counters), window, links })
    }

    /// Lets so many packets through.
    pub fn run(mut self, packets: &Rc<Packets>, count: usize) -> Result<Found, String> {
        let links = self.links;
        self.wait("links", |site| {
            let up = site.processors().flat_map(|processor| {
                downstream(links).filter(|number| processor.shard.is_linked_to(&members::id(*number)))
            });
            up.count() == links && site.sources().is_some_and(Sources::are_up)
        })?;
        let (packets, books, window) = (Rc::clone(packets), self.books.clone(), self.window);
        if let Some(Actor::Sources(sources)) = self.simulation.host_mut(self.sources) {
            sources.begin(Supply { packets, next: 0, end: count, window, books });
        }
        self.wait("the first packets", |site| site.books.sent() >= (count as f64 * RAMP) as usize)?;
        let begin = self.look();
        self.wait("packets", |site| site.sources().is_some_and(Sources::are_done))?;
        let end = self.look();
        self.wait("the last packets", |site| site.books.sent() == count)?;
        let seconds = end.0.since(begin.0).as_secs_f64();
        let work = end.2.iter().zip(&begin.2).map(|(end, begin)| *end - *begin).collect();
        Ok(Found { packets_per_second: (end.1 - begin.1) as f64 / seconds, seconds, work })
    }
}

impl Site {
    fn processors(&self) -> impl Iterator<Item = &Processor> {
        self.simulation.hosts().filter_map(|actor| match actor {
            Actor::Processor(processor) => Some(&**processor),
            Actor::Sources(_) | Actor::Sink(_) => None,
        })
    }

    fn sources(&self) -> Option<&Sources> {
        match self.simulation.host(self.sources)? {
            Actor::Sources(sources) => Some(sources),
            Actor::Processor(_) | Actor::Sink(_) => None,
        }
    }

    /// The time, the packets that have left, and what each shard has done.
    fn look(&self) -> (dataplane::Instant, usize, Vec<Work>) {
        (self.simulation.network().now(), self.books.sent(), self.processors().map(|one| one.work).collect())
    }

    /// Goes on until that has happened.
    fn wait(&mut self, what: &str, has_happened: impl Fn(&Self) -> bool) -> Result<(), String> {
        let limit = self.simulation.network().now() + LONG;
        while !has_happened(self) {
            let now = self.simulation.network().now();
            let drops = self.books.drops();
            if !drops.is_empty() {
                return Err(format!("the simulated node has dropped packets: {}", drops.join(", ")));
            }
            if now >= limit {
                return Err(format!("{what}: nothing in {LONG:?} of simulated time"));
            }
            self.simulation.run_until(now + STEP, |_| false);
        }
        Ok(())
    }
}

fn random(seed: u64, number: u8) -> SeededRandom {
    SeededRandom::new(&seed_of(seed, &format!("peer {number}")))
}

/// The shards, each on its processor, the first of which listens.
fn add_node(
    simulation: &mut Simulation<Actor>,
    shared: &Arc<Shared>,
    ledger: Ledger,
    seed: u64,
) -> Result<(), String> {
    let network = simulation.network().clone();
    let shards = shared.facts().shards;
    let (events, in_flight) = (EventRings::heap(shards), InFlight::heap(shards));
    let counters = ledger.counters.clone();
    let ledger = Rc::new(RefCell::new(ledger));
    for (index, (id, io)) in network.add_process(shards, address(OWN)).into_iter().enumerate() {
        let instruments = Instruments {
            counters: counters.shard(index).ok_or("no row of counters")?,
            events: events.shard(index).ok_or("no ring for events")?,
            in_flight: in_flight.shard(index).ok_or("no place for what is in flight")?,
            plugins: None,
            loops: None,
        };
        let own = seed_of(seed, &format!("shard {index}"));
        let shard = Shard::new(index, Arc::clone(shared), instruments, own, network.now());
        let shard = shard.map_err(|error| error.to_string())?;
        if index == 0 {
            network.listen(id, address(OWN));
        }
        simulation.add(id, Actor::Processor(Box::new(Processor::new(index, shard, &ledger))), io);
    }
    Ok(())
}

fn setup(geometry: &Geometry, shards: usize, window: usize) -> Result<Setup, String> {
    Ok(Setup {
        name: members::member(OWN).name,
        node_id: members::id(OWN),
        role: Role::Mix,
        geometry: geometry.clone(),
        wire_kem: link_kem()?.info().name.into(),
        epoch_period: EpochClock::default().period(),
        // More is offered than a node carries: it waits, and nothing is to be dropped for it.
        times: Times { unwrap_delay_ms: 60_000, scheduler_slack_ms: 60_000, send_slack_ms: 60_000, ..Times::default() },
        limits: Limits { link_queue_packets: window as u32, ..Limits::default() },
        clients: Clients::default(),
        machine: Machine { shards: shards as u16, slots_per_shard: SLOTS.max(2 * window as u32), ..Machine::default() },
        sends_decoys: false,
        populates_replay_sets: false,
        replay_buckets: REPLAY_BUCKETS,
    })
}

/// The document of the only epoch, as the node sees it.
fn snapshot(geometry: &Geometry, links: usize, seed: u64) -> Result<Snapshot, String> {
    let member = |number: u8| -> Result<Member, String> {
        let link_key = identity(number, seed)?.link_key.public_key().to_vec();
        Ok(Member { link_key, ..members::member(number) })
    };
    let own_key = mix_key(geometry, seed)?.public_key().to_vec();
    let layer = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers.map(|number| Ok(member(number)?.descriptor(EPOCH, |_| own_key.clone()))).collect::<Result<Vec<_>, String>>()
    };
    let mut own = std::iter::once(OWN);
    let topology = vec![layer(&mut upstream(links))?, layer(&mut own)?, layer(&mut downstream(links))?];
    let document = listing(
        EPOCH,
        topology,
        vec![members::descriptor(GATEWAY, EPOCH)],
        vec![members::descriptor(SERVICE, EPOCH)],
    );
    let map = NeighbourMap::new(&members::consensus(&document), &member(OWN)?.own());
    Ok(Snapshot {
        serial: 1,
        view: View::new(Role::Mix, vec![map.map_err(|error| error.to_string())?]),
        delay_ms_max: [(EPOCH, DELAY_MS_MAX)].into_iter().collect(),
        client_documents: Vec::new(),
        services: Vec::new(),
    })
}
