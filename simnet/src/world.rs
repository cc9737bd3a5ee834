//! The whole network under one clock, which only moves when nothing is left to be done.

use crate::air::{AiryIo, NOWHERE, SharedAir, shifted};
use crate::authority::Authority;
use crate::happening::Happening;
use crate::members::{Members, NodeKeys, Shape, draw, link_kem};
use crate::node::Node;
use crate::user::User;
use client::{Gateway, Settings};
use crypto_simd::random::{Random, SeededRandom};
use dataplane::io::sim::{Host, HostId, Network, Path, SimIo, Simulation};
use dataplane::io::{Event as IoEvent, Io};
use dataplane::{Instant, Next, Shard};
use pki::authority::DocumentVerifier;
use pki::neighbours::Role;
use pki::voting::Parameters;
use pki::{Epoch, EpochClock, EpochTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Length of an epoch.
pub const PERIOD: Duration = Duration::from_secs(32);
/// The epoch in which the authorities begin.
pub const FIRST: Epoch = Epoch(1000);
/// The rates in all documents.
const PARAMETERS: Parameters =
    Parameters { mu: 0.02, lambda_p: 0.01, lambda_l: 0.0005, lambda_m: 0.0005, lambda_r: 0.0005 };

/// What is polled.
pub enum Actor {
    /// A node's data plane.
    Shard {
        /// Its number among the nodes.
        node: usize,
        /// The data plane itself.
        shard: Box<Shard>,
        /// How the node sees the world.
        air: SharedAir,
    },
    /// A client and its user.
    User {
        /// Them.
        user: Box<User>,
        /// How they see the world.
        air: SharedAir,
    },
    /// What the operating system does for a process that has died.
    Dead,
}

impl Host for Actor {
    fn poll(&mut self, io: &mut SimIo) -> Next {
        match self {
            Self::Shard { shard, air, .. } => shard.poll(&mut AiryIo { io, air }),
            Self::User { user, air } => user.poll(&mut AiryIo { io, air }),
            Self::Dead => {
                while let Some(event) = io.next_event() {
                    bury(io, &event);
                }
                Next::ParkUntil(Instant::NEVER)
            }
        }
    }
}

fn bury(io: &mut SimIo, event: &IoEvent) {
    match event {
        IoEvent::Accepted { conn, .. }
        | IoEvent::Adopted { conn, .. }
        | IoEvent::Connected { conn }
        | IoEvent::ConnectFailed { conn, .. }
        | IoEvent::Readable { conn }
        | IoEvent::Sent { conn, .. } => drop(io.close(*conn)),
        IoEvent::AcceptFailed { .. } => {}
    }
}

/// The network.
pub struct World {
    /// Epochs.
    pub clock: EpochClock,
    /// Hosts with bytes, and the clock.
    pub simulation: Simulation<Actor>,
    /// Authorities.
    pub authorities: Vec<Authority>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// The host of each node's data plane, dead or alive.
    pub node_hosts: Vec<HostId>,
    /// The host of each client.
    pub user_hosts: Vec<HostId>,
    /// The air of each client.
    pub user_airs: Vec<SharedAir>,
    /// Whose documents are believed.
    pub verifier: DocumentVerifier,
    /// Members that hear only each other: numbers of authorities first, then nodes, then clients.
    pub island: BTreeSet<usize>,
    /// Of 256 messages between authorities, uploads and fetches so many are lost.
    pub lost_of_256: u8,
    /// The longest that one of these takes.
    pub delay_max: Duration,
    /// What becomes of everything that is not decided by others.
    pub random: SeededRandom,
    /// What has happened, told to whoever listens.
    pub told: Vec<String>,
    /// Documents by epoch: the hash of what was signed.
    pub consensus: BTreeMap<Epoch, [u8; 32]>,
    /// How many authorities have published each.
    pub publishers: BTreeMap<Epoch, BTreeSet<usize>>,
    /// Something that must never happen, has.
    pub broken: Option<String>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    planned: u64,
    unix_start: Duration,
}

impl World {
    /// A network in which every process has just been started.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = SeededRandom::new(&bytes);
        let members = Members::new(shape, &mut random);
        let clock = EpochClock::with_period(PERIOD).expect("a period");
        let unix_start = clock.start(FIRST);
        let network = Network::new(draw(&mut random), unix_start);
        network.swallow_dials(NOWHERE.into());
        let verifier =
            DocumentVerifier { authorities: members.authorities.clone(), geometry_hash: members.geometry.hash() };
        let authorities = members.authority_seeds.iter().enumerate().map(|(own, seed)| {
            let configuration = members.configuration(own, shape.layers, PARAMETERS);
            Authority::new(configuration, *seed, Rc::default())
        });
        let authorities = authorities.collect();
        let nodes = members.nodes.iter().map(|keys: &NodeKeys| {
            let seed = draw(&mut random);
            Node::new(keys.clone(), &members.geometry, clock, Rc::default(), SeededRandom::new(&seed))
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut world = Self {
            clock,
            simulation: Simulation::new(network),
            authorities,
            nodes,
            node_hosts: Vec::new(),
            user_hosts: Vec::new(),
            user_airs: Vec::new(),
            verifier,
            island: BTreeSet::new(),
            lost_of_256: 0,
            delay_max: Duration::from_millis(100),
            random,
            told: Vec::new(),
            consensus: BTreeMap::new(),
            publishers: BTreeMap::new(),
            broken: None,
            agenda: BTreeMap::new(),
            planned: 0,
            unix_start,
        };
        (0..world.authorities.len()).for_each(|who| world.start_authority(who));
        (0..world.nodes.len()).for_each(|node| {
            world.nodes[node].start_control(world.authorities.len());
            world.start_plane(node);
        });
        (0..shape.clients).for_each(|number| world.add_user(number, &members));
        world
    }

    fn add_user(&mut self, number: u8, members: &Members) {
        let gateway = |node: &NodeKeys| Gateway {
            name: node.own.name.clone(),
            id: node.id,
            link_key: node.own.link_key.clone(),
            addresses: vec![node.url()],
        };
        let gateways = members.nodes.iter().filter(|node| node.own.role == Role::Gateway);
        let mut gateways: Vec<Gateway> = gateways.map(gateway).collect();
        let count = gateways.len();
        gateways.rotate_left(usize::from(number) % count);
        let settings = Settings {
            gateways,
            authorities: members.authorities.clone(),
            geometry: members.geometry.clone(),
            kem: link_kem(),
            clock: self.clock,
            sends_decoys: false,
            transports: vec!["tcp".into(), "tcp4".into()],
        };
        let (air, network) = (SharedAir::default(), self.simulation.network().clone());
        let user = User::new(settings, network.now(), &draw(&mut self.random));
        let (id, io) = network.add_process(1, user_address(number)).remove(0);
        self.simulation.add(id, Actor::User { user: Box::new(user), air: air.clone() }, io);
        self.user_hosts.push(id);
        self.user_airs.push(air);
    }

    /// The clock.
    pub fn now(&self) -> Instant {
        self.simulation.network().now()
    }

    /// The right civil time.
    pub fn unix(&self) -> Duration {
        self.simulation.network().unix_now()
    }

    /// The right epoch.
    pub fn epoch(&self) -> EpochTime {
        self.clock.now(self.unix()).expect("after epoch 0")
    }

    /// The moment when an epoch begins by right clocks.
    pub fn start_of(&self, epoch: Epoch) -> Instant {
        Instant::default() + self.clock.start(epoch).saturating_sub(self.unix_start)
    }

    /// The time by a member's clock.
    pub fn time_of(&self, air: &SharedAir) -> EpochTime {
        let unix = shifted(self.unix(), air.borrow().ahead_ms);
        self.clock.now(unix).expect("after epoch 0")
    }

    /// When a member's clock shows this.
    fn moment(&self, air: &SharedAir, unix: Duration) -> Instant {
        let right = shifted(unix, air.borrow().ahead_ms.saturating_neg());
        Instant::default() + right.saturating_sub(self.unix_start)
    }

    /// Lets something happen later.
    pub fn plan(&mut self, at: Instant, what: Happening) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), what);
    }

    /// How much is yet to happen.
    pub fn planned(&self) -> usize {
        self.agenda.len()
    }

    /// A random number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit.max(1)
    }

    /// How long a message takes.
    pub fn delay(&mut self) -> Duration {
        let most = u64::try_from(self.delay_max.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(5 + self.below(most))
    }

    /// Whether a message is lost.
    pub fn loses(&mut self) -> bool {
        let lost_of_256 = self.lost_of_256.into();
        self.below(256) < lost_of_256
    }

    /// Whether two members hear each other.
    pub fn hear(&self, one: usize, other: usize) -> bool {
        self.island.contains(&one) == self.island.contains(&other)
    }

    /// A node's number among all members.
    pub fn member_of_node(&self, node: usize) -> usize {
        self.authorities.len() + node
    }

    /// Says what happens.
    pub fn tell(&mut self, what: impl Into<String>) {
        let time = self.epoch();
        let part = time.elapsed.as_secs_f64() / time.period.as_secs_f64();
        self.told.push(format!("epoch {} + {part:.3}: {}", time.epoch.0, what.into()));
    }

    /// When the next thing is due outside the hosts.
    pub fn next_at(&self) -> Instant {
        let mut next = self.agenda.keys().next().map_or(Instant::NEVER, |(at, _)| *at);
        for authority in &self.authorities {
            if let Some(voting) = &authority.voting {
                next = next.min(self.moment(&authority.air, voting.next_deadline()));
            }
        }
        for node in &self.nodes {
            if let Some(worker) = &node.worker {
                let due = worker.next_deadline(&self.time_of(&node.air));
                next = next.min(self.moment(&node.air, due));
            }
        }
        next.max(self.now())
    }

    /// Does everything that is due outside the hosts.
    pub fn happen(&mut self) {
        let now = self.now();
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let what = entry.remove();
            self.let_happen(what);
        }
        (0..self.authorities.len()).for_each(|who| self.poll_authority(who));
        (0..self.nodes.len()).for_each(|node| self.poll_worker(node));
    }

    /// Starts an authority.
    pub fn start_authority(&mut self, who: usize) {
        let now = self.time_of(&self.authorities[who].air);
        self.authorities[who].start(&now);
    }

    /// Starts a node's data plane.
    pub fn start_plane(&mut self, node: usize) {
        let network = self.simulation.network().clone();
        let address = self.nodes[node].keys.address;
        let shard = self.nodes[node].start_plane(network.now());
        let (id, io) = network.add_process(1, address).remove(0);
        let air = self.nodes[node].air.clone();
        self.simulation.add(id, Actor::Shard { node, shard: Box::new(shard), air }, io);
        network.listen(id, address);
        if let Some(host) = self.node_hosts.get_mut(node) {
            *host = id;
        } else {
            self.node_hosts.push(id);
        }
    }

    /// Ends a node's data plane without a word; gives the packets that went with it.
    pub fn kill_plane(&mut self, node: usize) -> u64 {
        let network = self.simulation.network().clone();
        network.stop_listening(self.nodes[node].keys.address);
        let host = self.node_hosts[node];
        if let Some(actor) = self.simulation.host_mut(host) {
            *actor = Actor::Dead;
        }
        self.cut_from_all(host);
        self.nodes[node].kill_plane()
    }

    /// Loses every connection of a host.
    pub fn cut_from_all(&mut self, host: HostId) -> usize {
        let network = self.simulation.network().clone();
        let others = self.node_hosts.iter().chain(&self.user_hosts).filter(|other| **other != host);
        others.map(|other| network.cut(host, *other)).sum()
    }

    /// Lets a node's data plane see what it was given.
    pub fn wake(&mut self, node: usize) {
        if self.nodes[node].plane.as_ref().is_some_and(|plane| plane.unpark(0)) {
            self.simulation.host_mut(self.node_hosts[node]);
        }
    }

    /// What the paths of new connections are like.
    pub fn set_latency(&self, latency: Duration) {
        self.simulation.network().set_path(Path { latency, ..Path::default() });
    }

    /// From now on these members hear only each other.
    pub fn set_island(&mut self, island: BTreeSet<usize>) {
        let first_node = self.authorities.len();
        let first_user = first_node + self.nodes.len();
        let places: Vec<(usize, HostId, Option<SocketAddr>)> = (first_node..first_user)
            .map(|member| {
                (member, self.node_hosts[member - first_node], Some(self.nodes[member - first_node].keys.address))
            })
            .chain(self.user_hosts.iter().enumerate().map(|(user, host)| (first_user + user, *host, None)))
            .collect();
        let network = self.simulation.network().clone();
        self.island = island;
        for (member, host, _) in &places {
            let deaf = places.iter().filter(|(other, ..)| !self.hear(*member, *other));
            let unreachable = deaf.clone().filter_map(|(.., address)| *address).collect();
            for (_, other, _) in deaf {
                network.cut(*host, *other);
            }
            self.air(*member).borrow_mut().unreachable = unreachable;
        }
    }

    /// The air of a member.
    pub fn air(&self, member: usize) -> &SharedAir {
        let (authorities, nodes) = (self.authorities.len(), self.nodes.len());
        match member {
            _ if member < authorities => &self.authorities[member].air,
            _ if member < authorities + nodes => &self.nodes[member - authorities].air,
            _ => &self.user_airs[member - authorities - nodes],
        }
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.authorities.len() + self.nodes.len() + self.user_hosts.len()
    }

    /// Sets a member's clock.
    pub fn set_clock(&mut self, member: usize, ahead_ms: i64) {
        self.air(member).borrow_mut().ahead_ms = ahead_ms;
    }

    /// The clients.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.simulation.hosts().filter_map(|actor| match actor {
            Actor::User { user, .. } => Some(&**user),
            _ => None,
        })
    }
}

fn user_address(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, number], 40_000))
}
