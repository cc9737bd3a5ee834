//! The node in its network: who is there, how packets flow, and one run from the first link to the last packet.

use super::card::{Card, CardOptions};
use super::costs::{Costs, Work};
use super::packets::Packets;
use super::parties::{
    EPOCH, OWN, UPSTREAM, address, downstream, identity, link_kem, mix_key, random, seed_of, snapshot, upstream,
};
use super::peers::{Sink, Sources, Supply};
use super::processor::{Books, Ledger, Processor};
use crypto_simd::random::{Random, SeededRandom};
use dataplane::io::sim::{Host, HostId, Network, Path, SimIo, Simulation};
use dataplane::shared::{EpochKey, KeyRing};
use dataplane::{Facts, Instant, Instruments, Next, Shard, Shared};
use interplane::ReplaySet;
use interplane::counter::Counters;
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use interplane::setup::{BATCH_PACKETS_MAX, Clients, Limits, Machine, Setup, Times};
use pki::EpochClock;
use pki::neighbours::Role;
use sphinx::Geometry;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use testnet::members;

/// The most links on either side.
pub const LINKS_MAX: usize = 32;
/// The most shards.
pub const SHARDS_MAX: usize = 64;

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
/// The first port of those from which hosts dial.
const PORTS_FROM: u16 = 32_768;
/// Simulated time that nothing takes.
const LONG: Duration = Duration::from_secs(20);
/// Between two looks at what has happened.
const STEP: Duration = Duration::from_micros(50);

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
    /// What the node carries.
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
    card: Option<Rc<RefCell<Card>>>,
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
        Ok(Self { simulation, sources, books: Books(counters), window, links, card: None })
    }

    /// Puts a card before it, over which so many packets come.
    pub fn put_card(&mut self, options: CardOptions, packets_per_second: f64, seed: u64) -> Rc<RefCell<Card>> {
        let shards = self.processors().count();
        let mut random = random(seed, OWN);
        let flows: Vec<SocketAddrV4> = upstream(self.links).map(|number| flow(number, &mut random)).collect();
        let to = v4(address(OWN));
        let card = Card::new(options, packets_per_second, shards, &flows, to, random);
        let card = Rc::new(RefCell::new(card));
        self.simulation.for_each(|actor, _| {
            if let Actor::Processor(processor) = actor {
                processor.card = Some(Rc::clone(&card));
            }
        });
        self.card = Some(Rc::clone(&card));
        card
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
        let card = self.card.clone();
        if let Some(card) = &card {
            card.borrow_mut().begin(self.simulation.network().now());
        }
        if let Some(Actor::Sources(sources)) = self.simulation.host_mut(self.sources) {
            sources.begin(Supply { packets, next: 0, end: count, window, books, card });
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
    fn look(&self) -> (Instant, usize, Vec<Work>) {
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

/// Where the link of a peer comes from: its address, and a port as dials have them.
fn flow(number: u8, random: &mut SeededRandom) -> SocketAddrV4 {
    let mut drawn = [0; 2];
    random.fill(&mut drawn);
    let port = PORTS_FROM + u16::from_le_bytes(drawn) % (u16::MAX - PORTS_FROM);
    SocketAddrV4::new(*v4(address(number)).ip(), port)
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, address.port()),
    }
}

/// The shards, each on its processor, the first of which listens.
fn add_node(simulation: &mut Simulation<Actor>, shared: &Arc<Shared>, ledger: Ledger, seed: u64) -> Result<(), String> {
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
