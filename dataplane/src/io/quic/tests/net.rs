//! A node whose neighbours are reached over QUIC, or over TCP, and its neighbours.

use crate::io::Transport;
use crate::io::quic::QuicIo;
use crate::io::sim::{Host, HostId, Network, SimIo, Simulation, Weather};
use crate::shard::tests::net::{Actor, Parts, Plan};
use crate::shard::tests::nodes::{self, DOWNSTREAM, EPOCH, OWN, UPSTREAM, address_of};
use crate::shard::tests::peers::FakePeer;
use crate::shard::{Next, Shard};
use crate::time::Instant;
use interplane::Counter;
use interplane::counter::{Account, Counters, QuicArrival};
use interplane::snapshot::Snapshot;
use quic::Common;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

pub type Io = QuicIo<SimIo>;

impl Host<Io> for Actor {
    fn poll(&mut self, io: &mut Io) -> Next {
        let next = match self {
            Self::Shard(shard) => shard.poll(io),
            Self::Peer(peer) => peer.poll(io),
        };
        io.end_round(next)
    }
}

/// The certificate and all that of this process.
pub fn common() -> Common {
    static COMMON: OnceLock<Common> = OnceLock::new();
    COMMON.get_or_init(|| Common::new().expect("QUIC's settings")).clone()
}

/// A node with peers around it.
pub struct Net {
    pub simulation: Simulation<Actor, Io>,
    pub counters: Counters,
}

/// Documents in which these nodes are reached over QUIC alone.
pub fn documents_with_quic(over_quic: &[u8]) -> Snapshot {
    let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
    let documents = epochs.map(|epoch| {
        let mut document = nodes::document(epoch, &UPSTREAM, &DOWNSTREAM);
        for descriptor in document.topology.iter_mut().flatten() {
            if let Some(node) = over_quic.iter().find(|node| descriptor.name == format!("node{node}")) {
                let urls = BTreeMap::from([("quic".to_owned(), vec![format!("quic://{}", address_of(*node))])]);
                descriptor.addresses = Some((&urls).into());
            }
        }
        document
    });
    nodes::snapshot(1, &documents)
}

impl Net {
    /// With so many shards, each of which has a socket for datagrams of its own; over QUIC to these nodes.
    pub fn new(shards: u16, over_quic: &[u8], seed: u8) -> Self {
        let mut plan = Plan::new(shards);
        plan.snapshot = Some(documents_with_quic(over_quic));
        plan.seed = seed;
        let Parts { network, counters, shards: made, .. } = plan.parts();
        let mut simulation = Simulation::new(network);
        for (index, (id, shard, mut io)) in made.into_iter().enumerate() {
            io.bind(shard_address(index));
            simulation.add(id, Actor::Shard(Box::new(shard)), QuicIo::new(io, Some(common())));
        }
        Self { simulation, counters }
    }

    pub fn network(&self) -> &Network {
        self.simulation.network()
    }

    pub fn set_loss(&self, percent: u32) {
        let lost = percent * 10_000;
        self.network().set_weather(Weather { lost, doubled: lost / 2, late: lost / 2, damaged: lost / 4 });
    }

    /// A peer that listens where its descriptor says, over both.
    pub fn add_listener(&mut self, node: u8) -> HostId {
        self.add_peer(node, FakePeer::new(node))
    }

    /// A peer that dials a shard of this node.
    pub fn add_dialler(&mut self, node: u8, over: Transport, shard: usize) -> HostId {
        let to = if over == Transport::Quic { shard_address(shard) } else { address_of(OWN) };
        let mut peer = FakePeer::dialling(node, to);
        peer.over = over;
        self.add_peer(node, peer)
    }

    /// A peer that can be reached over both.
    pub fn add_peer(&mut self, node: u8, peer: FakePeer) -> HostId {
        let network = self.network().clone();
        let (id, mut io) = network.add_process(1, address_of(node)).remove(0);
        network.listen(id, address_of(node));
        io.bind(address_of(node));
        self.simulation.add(id, Actor::Peer(Box::new(peer)), QuicIo::new(io, Some(common())));
        id
    }

    pub fn peer(&mut self, id: HostId) -> &mut FakePeer {
        match self.simulation.host_mut(id) {
            Some(Actor::Peer(peer)) => peer,
            _ => panic!("no such peer"),
        }
    }

    /// Goes on until all of these have links; the account balances after every round.
    pub fn run_until_up(&mut self, peers: &[HostId]) {
        for peer in peers {
            let is_up = |simulation: &Simulation<Actor, Io>| match simulation.host(*peer) {
                Some(Actor::Peer(peer)) => peer.is_up(),
                _ => false,
            };
            assert!(self.run(Duration::from_secs(10), is_up), "no link to {peer:?}");
        }
        self.run_for(Duration::from_millis(5));
    }

    pub fn run_until_received(&mut self, peer: HostId, packets: usize, limit: Duration) {
        let is_there = |simulation: &Simulation<Actor, Io>| match simulation.host(peer) {
            Some(Actor::Peer(peer)) => peer.received.len() >= packets,
            _ => false,
        };
        let is_done = self.run(limit, is_there);
        let received = self.peer(peer).received.len();
        assert!(is_done, "{received} of {packets} packets; {:?}", self.account());
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    fn run(&mut self, time: Duration, mut done: impl FnMut(&Simulation<Actor, Io>) -> bool) -> bool {
        let until = self.now() + time;
        let counters = self.counters.clone();
        self.simulation.run_until(until, |simulation| {
            let account = account(&counters, simulation);
            assert_eq!(account.difference(), 0, "{account:?}");
            done(simulation)
        })
    }

    pub fn now(&self) -> Instant {
        self.network().now()
    }

    pub fn account(&self) -> Account {
        account(&self.counters, &self.simulation)
    }

    /// Connections over QUIC of the node.
    pub fn connections(&self) -> u64 {
        self.counters.total(Counter::QUIC_CONNECTIONS)
    }

    /// What became of so many of those who came over QUIC.
    pub fn arrivals(&self, what: QuicArrival) -> u64 {
        self.counters.total(Counter::quic_arrival(what))
    }
}

/// Where a shard's socket for datagrams is.
pub fn shard_address(index: usize) -> std::net::SocketAddr {
    let mut address = address_of(OWN);
    address.set_port(31_000 + index as u16);
    address
}

fn account(counters: &Counters, simulation: &Simulation<Actor, Io>) -> Account {
    let held = simulation.hosts().map(|actor| match actor {
        Actor::Shard(shard) => Shard::held(shard),
        Actor::Peer(_) => 0,
    });
    Account { held: held.sum(), ..counters.account_total() }
}
