//! The node under test and its neighbours.

use super::allocations::{Uncounted, counted};
use super::nodes::{self, EPOCH, OWN, address_of, geometry, id_of, key_ring, link_kem, unix_at, usual_snapshot};
use super::peers::FakePeer;
use crate::io::sim::{Host, HostId, Network, SimIo, Simulation};
use crate::shard::{Instruments, Next, Shard};
use crate::shared::{Facts, KeyRing, Shared};
use crate::time::Instant;
use interplane::counter::{Account, Counters, Family};
use interplane::loops::LoopCounts;
use interplane::poison::InFlight;
use interplane::requests::{Bell, PluginRings};
use interplane::ring::EventRings;
use interplane::setup::{Limits, Machine, Times};
use interplane::{Counter, DropReason, Setup};
use pki::neighbours::Role;
use std::sync::Arc;
use std::time::Duration;

/// What is polled.
pub enum Actor {
    Shard(Box<Shard>),
    Peer(Box<FakePeer>),
}

impl Host for Actor {
    fn poll(&mut self, io: &mut SimIo) -> Next {
        match self {
            Self::Shard(shard) => counted(|| shard.poll(&mut Uncounted(io))),
            Self::Peer(peer) => peer.poll(io),
        }
    }
}

/// A network around one node.
pub struct Net {
    pub simulation: Simulation<Actor>,
    pub shared: Arc<Shared>,
    pub counters: Counters,
    pub events: EventRings,
    pub in_flight: InFlight,
    pub shards: Vec<HostId>,
}

/// A node that is not yet on its hosts, and its network.
pub struct Parts {
    pub network: Network,
    pub shared: Arc<Shared>,
    pub counters: Counters,
    pub events: EventRings,
    pub in_flight: InFlight,
    pub shards: Vec<(HostId, Shard, SimIo)>,
}

/// How a network is made.
pub struct Plan {
    pub setup: Setup,
    pub keys: KeyRing,
    pub snapshot: Option<interplane::snapshot::Snapshot>,
    pub refused: Vec<[u8; 32]>,
    /// The rings of plugins, and the bell of the control plane.
    pub plugins: Option<(PluginRings, Bell)>,
    /// Where loops are counted.
    pub loops: Option<LoopCounts>,
    pub unix_start: Duration,
    pub seed: u8,
}

pub fn setup(shards: u16) -> Setup {
    Setup {
        name: "node".into(),
        node_id: id_of(OWN),
        role: Role::Mix,
        geometry: geometry(),
        wire_kem: link_kem().info().name.into(),
        epoch_period: nodes::clock().period(),
        times: Times::default(),
        limits: Limits::default(),
        clients: interplane::setup::Clients::default(),
        machine: Machine { shards, slots_per_shard: 1 << 14, ..Machine::default() },
        sends_decoys: false,
        populates_replay_sets: false,
        replay_buckets: 1 << 16,
    }
}

impl Plan {
    pub fn new(shards: u16) -> Self {
        Self {
            setup: setup(shards),
            keys: key_ring(EPOCH.0 - 1..=EPOCH.0 + 2),
            snapshot: Some(usual_snapshot(1)),
            refused: Vec::new(),
            plugins: None,
            loops: None,
            unix_start: unix_at(EPOCH, 1, 2),
            seed: 1,
        }
    }

    pub fn build(self) -> Net {
        let Parts { network, shared, counters, events, in_flight, shards } = self.parts();
        let mut simulation = Simulation::new(network);
        let mut ids = Vec::new();
        for (id, shard, io) in shards {
            simulation.add(id, Actor::Shard(Box::new(shard)), io);
            ids.push(id);
        }
        Net { simulation, shared, counters, events, in_flight, shards: ids }
    }

    /// The same without the hosts.
    pub fn parts(self) -> Parts {
        let facts = Facts::new(&self.setup).expect("a sound setup");
        let shards = facts.shards;
        let mut shared = Shared::new(facts, self.refused);
        if self.setup.sends_decoys {
            shared = shared.with_decoys([0xDE; 32]);
        }
        let shared = Arc::new(shared);
        shared.publish_keys(self.keys);
        if let Some(snapshot) = self.snapshot {
            shared.publish_directory(snapshot);
        }
        let network = Network::new([self.seed; 32], self.unix_start);
        let (counters, events) = (Counters::heap(shards), EventRings::heap(shards));
        let in_flight = InFlight::heap(shards);
        let (plugins, loops) = (self.plugins, self.loops);
        let mut made = Vec::new();
        for (index, (id, io)) in network.add_process(shards, address_of(OWN)).into_iter().enumerate() {
            let instruments = Instruments {
                counters: counters.shard(index).expect("a row for each shard"),
                events: events.shard(index).expect("a ring for each shard"),
                in_flight: in_flight.shard(index).expect("a place for each shard"),
                plugins: plugins.as_ref().and_then(|(rings, bell)| rings.shard(index, bell.clone())),
                loops: loops.clone(),
            };
            let seed = [self.seed.wrapping_add(index as u8); 32];
            let shard = Shard::new(index, Arc::clone(&shared), instruments, seed, network.now());
            made.push((id, shard.expect("a sound setup"), io));
        }
        network.listen(made[0].0, address_of(OWN));
        Parts { network, shared, counters, events, in_flight, shards: made }
    }

    /// With all downstream nodes listening.
    pub fn build_with_downstream(self) -> (Net, Vec<HostId>) {
        let mut net = self.build();
        let downstream = nodes::DOWNSTREAM.map(|node| net.add_listener(node)).to_vec();
        (net, downstream)
    }
}

impl Net {
    /// A peer that listens where its descriptor says.
    pub fn add_listener(&mut self, node: u8) -> HostId {
        let id = self.add_peer(FakePeer::new(node), node);
        self.simulation.network().listen(id, address_of(node));
        id
    }

    /// A peer that dials this node.
    pub fn add_dialler(&mut self, node: u8) -> HostId {
        self.add_peer(FakePeer::dialling(node, address_of(OWN)), node)
    }

    pub fn add_peer(&mut self, peer: FakePeer, node: u8) -> HostId {
        let network = self.simulation.network().clone();
        let (id, io) = network.add_process(1, address_of(node)).remove(0);
        self.simulation.add(id, Actor::Peer(Box::new(peer)), io);
        id
    }

    pub fn peer(&mut self, id: HostId) -> &mut FakePeer {
        match self.simulation.host_mut(id) {
            Some(Actor::Peer(peer)) => peer,
            _ => panic!("no such peer"),
        }
    }

    pub fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.simulation.hosts().filter_map(|actor| match actor {
            Actor::Shard(shard) => Some(&**shard),
            Actor::Peer(_) => None,
        })
    }

    pub fn now(&self) -> Instant {
        self.simulation.network().now()
    }

    /// Goes on for a time; the account must balance after every round.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now() + time;
        self.run(until, |_| false);
    }

    /// Goes on until `done`; fails after 10 simulated seconds.
    pub fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Simulation<Actor>) -> bool) {
        let until = self.now() + Duration::from_secs(10);
        assert!(self.run(until, &mut done), "{what} did not happen; {:?}", self.account());
    }

    /// Until this peer has so many packets.
    pub fn run_until_received(&mut self, peer: HostId, packets: usize) {
        self.run_until("the packets' arrival", |simulation| match simulation.host(peer) {
            Some(Actor::Peer(peer)) => peer.received.len() >= packets,
            _ => false,
        });
    }

    /// Until this peer has an established link.
    pub fn run_until_up(&mut self, peer: HostId) {
        self.run_until("a link", |simulation| match simulation.host(peer) {
            Some(Actor::Peer(peer)) => peer.is_up(),
            _ => false,
        });
    }

    fn run(&mut self, until: Instant, mut done: impl FnMut(&mut Simulation<Actor>) -> bool) -> bool {
        let counters = self.counters.clone();
        self.simulation.run_until(until, |simulation| {
            check_account(&counters, simulation);
            done(simulation)
        })
    }

    /// What the attach thread does after it has published something.
    pub fn wake_all(&mut self) {
        for shard in 0..self.shards.len() {
            if self.shared.unpark(shard) {
                let id = self.shards[shard];
                self.simulation.host_mut(id);
            }
        }
    }

    /// Stops the node.
    pub fn shut_down(&mut self) {
        self.simulation.for_each(|actor, io| {
            if let Actor::Shard(shard) = actor {
                shard.shut_down(io);
            }
        });
        self.shards.iter().for_each(|shard| self.simulation.set_stopped(*shard, true));
    }

    pub fn account(&self) -> Account {
        let held = self.shards().map(Shard::held).sum();
        Account { held, ..self.counters.account_total() }
    }

    pub fn total(&self, counter: Counter) -> u64 {
        self.counters.total(counter)
    }

    /// How many values a histogram has, and their sum.
    pub fn observed(&self, family: Family) -> (u64, u64) {
        self.observed_of(family, 0)
    }

    /// The same of one combination of the histogram's labels.
    pub fn observed_of(&self, family: Family, combination: usize) -> (u64, u64) {
        let mut cells: Vec<_> = Counter::of(family, combination).map(|cell| self.total(cell)).collect();
        let sum = cells.pop().unwrap_or_default();
        (cells.iter().sum(), sum)
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.total(Counter::dropped(reason))
    }

    /// Every packet dropped so far, by reason.
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        let count = |reason: &DropReason| (*reason, self.dropped(*reason));
        DropReason::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    /// All slots are somewhere: free, or with a packet.
    pub fn check_slots(&self) {
        let free: usize = self.shards().map(Shard::free_slots).sum();
        let sealed: u64 = self.shards().map(Shard::sealed).sum();
        let held: u64 = self.shards().map(Shard::held).sum();
        let all = self.shared.facts().slots * self.shared.facts().shards;
        assert_eq!(free as u64 + held - sealed, all as u64, "slots are lost");
    }
}

fn check_account(counters: &Counters, simulation: &Simulation<Actor>) {
    let held = simulation.hosts().map(|actor| match actor {
        Actor::Shard(shard) => shard.held(),
        Actor::Peer(_) => 0,
    });
    let account = Account { held: held.sum(), ..counters.account_total() };
    assert_eq!(account.difference(), 0, "{account:?}");
}
