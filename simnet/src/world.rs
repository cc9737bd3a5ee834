//! The whole network under one clock, which only moves when nothing is left to be done.

use crate::air::{AiryIo, NOWHERE, SharedAir, shifted};
use crate::authority::Authority;
use crate::happening::Happening;
use crate::members::{Members, NodeKeys, Shape, draw, link_kem};
use crate::node::Node;
use crate::twin::Twin;
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
use std::sync::Arc;
use std::time::Duration;

/// Length of an epoch.
pub const PERIOD: Duration = Duration::from_secs(32);
/// The epoch in which the authorities begin.
pub const FIRST: Epoch = Epoch(1000);
/// The rates in all documents.
const PARAMETERS: Parameters =
    Parameters { mu: 0.02, lambda_p: 0.01, lambda_l: 0.0005, lambda_m: 0.0005, lambda_r: 0.0005 };
/// With decoys: longer delays, because a gateway makes the more loops the shorter they are.
const WITH_DECOYS: Parameters = Parameters { mu: 0.002, lambda_p: 0.002, lambda_l: 0.0001, ..PARAMETERS };

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
    /// Somebody in a node's place.
    Twin {
        /// Them.
        twin: Box<Twin>,
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
            Self::Twin { twin, air } => twin.poll(&mut AiryIo { io, air }),
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
    /// Who is there.
    pub shape: Shape,
    /// Epochs.
    pub clock: EpochClock,
    /// Hosts with bytes, and the clock.
    pub simulation: Simulation<Actor>,
    /// Authorities.
    pub authorities: Vec<Authority>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// The hosts of each node's data plane, one for each shard, dead or alive.
    pub node_hosts: Vec<Vec<HostId>>,
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
    /// Of 256 so many have a wrong bit.
    pub wrong_of_256: u8,
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
            let configuration =
                members.configuration(own, shape.layers, if shape.decoys { WITH_DECOYS } else { PARAMETERS });
            Authority::new(configuration, *seed, Rc::default())
        });
        let authorities = authorities.collect();
        let nodes = members.nodes.iter().map(|keys: &NodeKeys| {
            let seed = draw(&mut random);
            Node::new(keys.clone(), &members.geometry, shape, clock, Rc::default(), SeededRandom::new(&seed))
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut world = Self {
            shape,
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
            wrong_of_256: 0,
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
            world.add_plane(node, shape.shards.into());
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

    /// What arrives of what was sent.
    pub fn carried(&mut self, bytes: &Arc<[u8]>) -> Arc<[u8]> {
        let wrong_of_256 = self.wrong_of_256.into();
        if bytes.is_empty() || self.below(256) >= wrong_of_256 {
            return bytes.clone();
        }
        let mut wrong = bytes.to_vec();
        let at = self.below(wrong.len() as u64) as usize;
        wrong[at] ^= 1 << self.below(8);
        wrong.into()
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

    /// Hears what nodes and clients have to tell.
    pub fn listen(&mut self) {
        for node in 0..self.nodes.len() {
            let name = self.nodes[node].keys.own.name.clone();
            self.nodes[node].events().iter().for_each(|event| self.tell(format!("{name}: {event}")));
        }
        for number in 0..self.user_hosts.len() {
            let host = self.user_hosts[number];
            let Some(Actor::User { user, .. }) = self.simulation.host_silently(host) else { continue };
            let told = std::mem::take(&mut user.told);
            told.iter().for_each(|what| self.tell(format!("client{number}: {what}")));
        }
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

    /// The hosts of a node's data plane, which does not run.
    fn add_plane(&mut self, node: usize, shards: usize) {
        let hosts = self.simulation.network().clone().add_process(shards, self.nodes[node].keys.address);
        self.node_hosts.push(hosts.iter().map(|(id, _)| *id).collect());
        hosts.into_iter().for_each(|(id, io)| self.simulation.add(id, Actor::Dead, io));
    }

    /// Starts a node's data plane.
    pub fn start_plane(&mut self, node: usize) {
        let now = self.now();
        let (shards, air) = (self.nodes[node].start_plane(now), self.nodes[node].air.clone());
        let hosts = self.node_hosts[node].clone();
        // Whoever was in its place.
        hosts.iter().for_each(|host| self.simulation.network().crash(*host));
        for (shard, host) in shards.into_iter().zip(&hosts) {
            let actor = Actor::Shard { node, shard: Box::new(shard), air: air.clone() };
            self.seat(*host, actor);
        }
        self.simulation.network().listen(hosts[0], self.nodes[node].keys.address);
    }

    fn seat(&mut self, host: HostId, actor: Actor) {
        if let Some(place) = self.simulation.host_mut(host) {
            *place = actor;
        }
    }

    /// Ends a node's data plane without a word; gives the packets that went with it.
    pub fn kill_plane(&mut self, node: usize) -> u64 {
        self.simulation.network().stop_listening(self.nodes[node].keys.address);
        for host in self.node_hosts[node].clone() {
            self.simulation.network().crash(host);
            self.seat(host, Actor::Dead);
        }
        self.nodes[node].kill_plane()
    }

    /// Lets somebody take the place of a node whose data plane does not run; gives whether they can.
    pub fn seat_twin(&mut self, node: usize) -> bool {
        let (epoch, now) = (self.time_of(&self.nodes[node].air).epoch, self.now());
        let Some(twin) = self.nodes[node].twin(epoch, now) else { return false };
        let air = self.nodes[node].air.clone();
        self.seat(self.node_hosts[node][0], Actor::Twin { twin: Box::new(twin), air });
        true
    }

    /// Loses every connection of a node.
    pub fn cut_from_all(&mut self, node: usize) -> usize {
        let network = self.simulation.network();
        let own = &self.node_hosts[node];
        let all = self.node_hosts.iter().flatten().chain(&self.user_hosts).filter(|other| !own.contains(other));
        all.map(|other| own.iter().map(|host| network.cut(*host, *other)).sum::<usize>()).sum()
    }

    /// Lets a node's data plane see what it was given.
    pub fn wake(&mut self, node: usize) {
        let Some(plane) = self.nodes[node].plane.clone() else { return };
        for (shard, host) in self.node_hosts[node].clone().into_iter().enumerate() {
            if plane.unpark(shard) {
                self.simulation.host_mut(host);
            }
        }
    }

    /// What the paths of new connections are like.
    pub fn set_latency(&self, latency: Duration) {
        self.simulation.network().set_path(Path { latency, ..Path::default() });
    }

    /// From now on these members hear only each other. Whoever has a connection across notices at once, or, where the
    /// network is silent about it, when nothing comes any more.
    pub fn set_island(&mut self, island: BTreeSet<usize>, until: Option<Instant>) {
        self.island = island;
        let first = self.authorities.len();
        for one in first..self.members() {
            let deaf: Vec<usize> = (first..self.members()).filter(|other| !self.hear(one, *other)).collect();
            let address = |other: &usize| self.nodes.get(other - first).map(|node| node.keys.address);
            self.air(one).borrow_mut().unreachable = deaf.iter().filter_map(address).collect();
            for (own, other) in deaf.iter().flat_map(|other| self.pairs(one, *other)) {
                match until {
                    Some(until) => self.simulation.network().stall(own, other, until),
                    None => self.simulation.network().cut(own, other),
                };
            }
        }
    }

    /// What is under way between two members, neither of them an authority, stands still for so long.
    pub fn stall(&mut self, one: usize, other: usize, until: Instant) -> usize {
        let pairs = self.pairs(one, other);
        pairs.into_iter().map(|(own, other)| self.simulation.network().stall(own, other, until)).sum()
    }

    fn pairs(&self, one: usize, other: usize) -> Vec<(HostId, HostId)> {
        let pair = |own: &HostId| self.hosts_of(other).iter().map(|other| (*own, *other)).collect::<Vec<_>>();
        self.hosts_of(one).iter().flat_map(pair).collect()
    }

    /// The hosts of a member: none of an authority.
    pub fn hosts_of(&self, member: usize) -> &[HostId] {
        let Some(place) = member.checked_sub(self.authorities.len()) else { return &[] };
        match self.node_hosts.get(place) {
            Some(hosts) => hosts,
            None => std::slice::from_ref(&self.user_hosts[place - self.nodes.len()]),
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
