//! One node whose links are watched: Poisson arrivals with delays as clients draw them, and what is seen of them.

use super::work::{Sent, Watch, Worker, capacity};
use crate::delay::planted::{self, Leak, Name, Planted};
use crate::io::sim::{Host, HostId, Path, SimIo, Simulation};
use crate::packet::pool::KeyHint;
use crate::shard::Next;
use crate::shard::tests::net::{Parts, Plan};
use crate::shard::tests::nodes::{
    self, DOWNSTREAM, EPOCH, OWN, UPSTREAM, address_of, geometry, id_of, key_ring, mix_key,
};
use crate::shard::tests::peers::FakePeer;
use crate::time::Instant;
use crypto_simd::random::{Random, SeededRandom};
use interplane::counter::Account;
use interplane::loops::LoopCounts;
use interplane::{Counter, DropReason, ReplaySet};
use pki::Epoch;
use pki::document::Document;
use pki::neighbours::Role;
use sphinx::create::{LoadCommand, LoadMaker};
use sphinx::path::{Terminal, compose};
use sphinx::{Sphinx, Unwrapper};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Room for some million tags.
const REPLAY_BUCKETS: u64 = 1 << 19;

/// Packets that are made together.
const CHUNK: usize = 32;

/// What goes through the node.
#[derive(Clone, Copy)]
pub struct Traffic {
    pub shards: u16,
    /// Links in; each is one shard's.
    pub links: usize,
    /// The part of what the shards can carry.
    pub load: f64,
    /// The mean of the delays before they are made whole milliseconds.
    pub mean_ms: f64,
    pub packets: usize,
    /// Of 256 packets so many are for the keys of the last and of the next epoch, each.
    pub other_keys_of_256: u32,
    /// Of 256 packets so many are made with reply blocks.
    pub replies_of_256: u32,
    /// The node's own loops, per millisecond.
    pub loops_per_ms: f64,
    /// Delays are lengthened by a random part of a millisecond.
    pub spreads_delays: bool,
    pub seed: u8,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            shards: 1,
            links: 3,
            load: 0.5,
            mean_ms: 5.0,
            packets: 20_000,
            other_keys_of_256: 0,
            replies_of_256: 0,
            loops_per_ms: 0.0,
            spreads_delays: false,
            seed: 1,
        }
    }
}

impl Traffic {
    /// Packets per second that arrive.
    pub fn rate(&self) -> f64 {
        self.load * capacity() * f64::from(self.shards)
    }
}

/// A packet that arrives.
#[derive(Clone, Copy)]
pub struct Packet {
    pub at: Instant,
    pub delay_ms: u32,
    pub link: usize,
    pub key: KeyHint,
    pub is_reply: bool,
    pub to: u8,
    /// As it leaves.
    pub name: Name,
}

impl Packet {
    pub fn due(&self) -> Instant {
        self.at + Duration::from_millis(self.delay_ms.into())
    }
}

/// A packet that leaves.
#[derive(Clone, Copy)]
pub struct Departure {
    pub at: Instant,
    /// Its number among the arrivals; the node's own have none.
    pub packet: Option<usize>,
    pub name: Name,
}

/// All that was seen, in order, and what is known of it.
pub struct Run {
    pub traffic: Traffic,
    pub packets: Vec<Packet>,
    pub departures: Vec<Departure>,
    pub planted: Planted,
    /// Which shard has unwrapped each packet.
    pub unwrapped_by: HashMap<usize, usize>,
    /// Which shard reads each link in, and owns each link out.
    pub readers: Vec<usize>,
    pub owners: HashMap<u8, usize>,
    /// Batches that another shard unwrapped than the one that read them.
    pub pulled: u64,
    /// The part of the time in which the shards worked.
    pub busy: f64,
}

enum Actor {
    Node(Box<Worker>),
    Peer(Box<FakePeer>),
}

impl Host for Actor {
    fn poll(&mut self, io: &mut SimIo) -> Next {
        match self {
            Self::Node(worker) => worker.poll(io),
            Self::Peer(peer) => peer.poll(io),
        }
    }
}

/// Sends the traffic through a node whose wheel has this leak.
pub fn run(traffic: Traffic, leak: Leak) -> Run {
    run_marked(traffic, leak, |_| false)
}

/// The same, where the leak is about these packets.
pub fn run_marked(traffic: Traffic, leak: Leak, is_marked: impl Fn(&Packet) -> bool) -> Run {
    let mut mint = Mint::new(traffic);
    let mut site = Site::new(traffic);
    planted::plant(leak);
    let begin = site.begin();
    let mut packets: Vec<Packet> = Vec::with_capacity(traffic.packets);
    while packets.len() < traffic.packets {
        for (packet, bytes) in mint.chunk(begin) {
            planted::expect(packet.name, Duration::from_millis(packet.delay_ms.into()));
            if is_marked(&packet) {
                planted::mark(packet.name);
            }
            site.send(packets.len(), &packet, bytes);
            packets.push(packet);
        }
    }
    site.finish(begin, packets)
}

struct Site {
    traffic: Traffic,
    simulation: Simulation<Actor>,
    parts: Parts,
    watch: Rc<RefCell<Watch>>,
    upstream: Vec<HostId>,
    downstream: Vec<HostId>,
    received: HashMap<u8, VecDeque<Name>>,
}

fn plan(traffic: &Traffic) -> Plan {
    let mut plan = Plan::new(traffic.shards);
    plan.seed = traffic.seed;
    plan.setup.sends_decoys = traffic.loops_per_ms > 0.0;
    plan.setup.limits.link_queue_packets = 1 << 12;
    if plan.setup.sends_decoys {
        plan.loops = Some(LoopCounts::create().expect("memfds work").0);
        let document = |epoch: Epoch| Document {
            lambda_m: traffic.loops_per_ms,
            ..nodes::document(epoch, &UPSTREAM, &DOWNSTREAM)
        };
        let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
        plan.snapshot = Some(nodes::snapshot_as(Role::Mix, 1, &epochs.map(document)));
    }
    plan
}

impl Site {
    fn new(traffic: Traffic) -> Self {
        let mut plan = plan(&traffic);
        plan.setup.machine.spreads_delays = traffic.spreads_delays;
        plan.keys = key_ring(EPOCH.0 - 1..=EPOCH.0 + 1);
        for key in &mut plan.keys.mix_keys {
            key.replays = Arc::new(ReplaySet::heap(key.epoch.0, REPLAY_BUCKETS, [1; 16]));
        }
        let keys = [EPOCH, EPOCH.before(1), EPOCH.after(1)];
        let replays = keys.map(|epoch| Arc::clone(&plan.keys.mix_key(epoch).expect("there is one").replays));
        let mut parts = plan.parts();
        // What is watched is the node, not the way to it.
        parts.network.set_path(Path {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            bytes_per_second: 1 << 50,
            buffer_bytes: 1 << 24,
        });
        let watch = Rc::new(RefCell::new(Watch::new(replays, parts.shared.facts().frame_bytes())));
        let mut simulation = Simulation::new(parts.network.clone());
        for (index, (id, shard, io)) in std::mem::take(&mut parts.shards).into_iter().enumerate() {
            simulation.add(id, Actor::Node(Box::new(Worker::new(index, shard, &watch))), io);
        }
        let mut site = Self {
            traffic,
            simulation,
            parts,
            watch,
            upstream: Vec::new(),
            downstream: Vec::new(),
            received: HashMap::new(),
        };
        for node in DOWNSTREAM {
            let id = site.add(FakePeer::new(node), node);
            site.parts.network.listen(id, address_of(node));
            site.downstream.push(id);
        }
        for node in &UPSTREAM[..traffic.links] {
            let id = site.add(FakePeer::dialling(*node, address_of(OWN)), *node);
            site.upstream.push(id);
            // One after the other, so that they are dealt to the shards in turn.
            site.simulation.run_for(Duration::from_millis(50));
        }
        site.simulation.run_for(Duration::from_millis(200));
        let peers: Vec<HostId> = site.upstream.iter().chain(&site.downstream).copied().collect();
        assert!(peers.into_iter().all(|peer| site.peer(peer).is_up()), "all links are up");
        site
    }

    fn add(&mut self, peer: FakePeer, node: u8) -> HostId {
        let (id, io) = self.parts.network.add_process(1, address_of(node)).remove(0);
        self.simulation.add(id, Actor::Peer(Box::new(peer)), io);
        id
    }

    fn peer(&mut self, id: HostId) -> &mut FakePeer {
        match self.simulation.host_silently(id) {
            Some(Actor::Peer(peer)) => peer,
            _ => panic!("no such peer"),
        }
    }

    /// The moment from which arrivals count.
    fn begin(&mut self) -> Instant {
        for (_, node) in self.downstream.clone().into_iter().zip(DOWNSTREAM) {
            self.received.insert(node, VecDeque::new());
        }
        self.collect();
        self.received.values_mut().for_each(VecDeque::clear);
        self.watch.borrow_mut().is_measuring = true;
        // Nothing of the grid of the wheel is special.
        self.parts.network.now() + Duration::from_nanos(1_234_567)
    }

    fn send(&mut self, number: usize, packet: &Packet, bytes: Vec<u8>) {
        self.simulation.run_until(packet.at, |_| false);
        let mut tag = [[0; 32]];
        sphinx::replay_tags(&geometry(), &[&bytes], &mut tag);
        self.watch.borrow_mut().waiting.push((number, tag[0], packet.key.index()));
        let upstream = self.upstream[packet.link];
        match self.simulation.host_mut(upstream) {
            Some(Actor::Peer(peer)) => peer.send(bytes),
            _ => panic!("no such peer"),
        }
        if number.is_multiple_of(1 << 12) {
            self.collect();
        }
    }

    /// Takes what the peers have received.
    fn collect(&mut self) {
        for (peer, node) in self.downstream.clone().into_iter().zip(DOWNSTREAM) {
            let received = std::mem::take(&mut self.peer(peer).received);
            let names = received.iter().map(|received| planted::name(&received.packet));
            self.received.entry(node).or_default().extend(names);
        }
    }

    fn finish(mut self, begin: Instant, packets: Vec<Packet>) -> Run {
        let last = packets.last().expect("packets").at;
        let until = packets.iter().map(|packet| packet.due()).max().expect("packets") + Duration::from_millis(50);
        self.simulation.run_until(until, |_| false);
        self.watch.borrow_mut().is_measuring = false;
        self.collect();
        self.check(packets.len() as u64);
        let numbers: HashMap<Name, usize> =
            packets.iter().zip(0..).map(|(packet, number)| (packet.name, number)).collect();
        let mut departures = Vec::with_capacity(packets.len());
        let sent = std::mem::take(&mut self.watch.borrow_mut().sent);
        for Sent { at, to, frames } in sent {
            let node = DOWNSTREAM.into_iter().find(|node| address_of(*node) == to).expect("a node behind this one");
            let names = self.received.get_mut(&node).expect("it has received something");
            departures.extend(names.drain(..frames).map(|name| Departure {
                at,
                packet: numbers.get(&name).copied(),
                name,
            }));
        }
        // Flushes of several shards at one moment are noted shard by shard.
        departures.sort_by_key(|departure| departure.at);
        let busy: f64 = self.workers().map(|worker| worker.busy.as_secs_f64()).sum();
        let of_shard = |what: Counter| (0..self.traffic.shards).map(move |shard| (shard, what));
        let counters = &self.parts.counters;
        let readers = readers(&self);
        let owner = |node: &u8| self.workers().position(|worker| worker.shard.is_linked_to(&id_of(*node)));
        let owners = DOWNSTREAM.iter().map(|node| (*node, owner(node).expect("somebody's"))).collect();
        let pulled = of_shard(Counter::PULLED_BATCHES).map(|(shard, what)| counters.get(shard.into(), what)).sum();
        let unwrapped_by = std::mem::take(&mut self.watch.borrow_mut().unwrapped_by);
        Run {
            traffic: self.traffic,
            packets,
            departures,
            planted: planted::take(),
            unwrapped_by,
            readers,
            owners,
            pulled,
            busy: busy / last.since(begin).as_secs_f64() / f64::from(self.traffic.shards),
        }
    }

    fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.simulation.hosts().filter_map(|actor| match actor {
            Actor::Node(worker) => Some(&**worker),
            Actor::Peer(_) => None,
        })
    }

    /// Nothing is lost, and the books balance.
    fn check(&self, packets: u64) {
        let counters = &self.parts.counters;
        let drops = DropReason::ALL.iter().filter(|reason| counters.total(Counter::dropped(**reason)) > 0);
        assert_eq!(drops.collect::<Vec<_>>(), Vec::<&DropReason>::new());
        let held = self.workers().map(|worker| worker.shard.held()).sum();
        let account = Account { held, ..counters.account_total() };
        assert_eq!((account.difference(), account.received), (0, packets), "{account:?}");
    }
}

/// Which shard reads each link: connections are dealt in turn.
fn readers(site: &Site) -> Vec<usize> {
    (0..site.traffic.links).map(|link| link % usize::from(site.traffic.shards)).collect()
}

/// Makes packets.
struct Mint {
    traffic: Traffic,
    makers: [LoadMaker; 3],
    sphinx: Sphinx,
    unwrapper: Unwrapper,
    random: SeededRandom,
    /// When the next packet arrives, after the beginning.
    at_ns: f64,
}

/// The keys, by their places.
const KEYS: [Epoch; 3] = [EPOCH, Epoch(EPOCH.0 - 1), Epoch(EPOCH.0 + 1)];

impl Mint {
    fn new(traffic: Traffic) -> Self {
        let mut random = SeededRandom::new(&[traffic.seed ^ 0x55; 32]);
        let sphinx = || Sphinx::new(geometry()).expect("a sound geometry");
        let makers = KEYS.map(|epoch| {
            LoadMaker::new(sphinx(), mix_key(OWN, epoch).public_key(), &mut random).expect("a public key")
        });
        let unwrapper = Unwrapper::new(&geometry(), 1).expect("a sound geometry");
        Self { traffic, makers, sphinx: sphinx(), unwrapper, random, at_ns: 0.0 }
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        ((u64::from_le_bytes(bytes) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, bound: u32) -> u32 {
        ((self.uniform() * f64::from(bound)).ceil() as u32).clamp(1, bound) - 1
    }

    /// As clients draw: an exponential number, cut to whole milliseconds, and one more (client.md 13.2).
    fn delay_ms(&mut self) -> u32 {
        let cap = pki::document::delay_cap_ms(1.0 / self.traffic.mean_ms) as u32;
        ((-self.uniform().ln() * self.traffic.mean_ms) as u32 + 1).min(cap)
    }

    fn draw(&mut self, begin: Instant) -> Packet {
        self.at_ns += -self.uniform().ln() * 1e9 / self.traffic.rate();
        let (kind, other) = (self.below(256), self.traffic.other_keys_of_256);
        let key = match self.below(256) {
            drawn if drawn < other => KeyHint::Previous,
            drawn if drawn < 2 * other => KeyHint::Next,
            _ => KeyHint::Current,
        };
        Packet {
            at: begin + Duration::from_nanos(self.at_ns as u64),
            delay_ms: self.delay_ms(),
            link: self.below(self.traffic.links as u32) as usize,
            key,
            is_reply: kind < self.traffic.replies_of_256,
            to: DOWNSTREAM[self.below(3) as usize],
            name: Name::default(),
        }
    }

    /// Some packets in the order of their arrival.
    fn chunk(&mut self, begin: Instant) -> Vec<(Packet, Vec<u8>)> {
        let mut made: Vec<(Packet, Vec<u8>)> = (0..CHUNK).map(|_| (self.draw(begin), Vec::new())).collect();
        for key in KeyHint::ALL {
            let mut chosen: Vec<_> =
                made.iter_mut().filter(|(packet, _)| packet.key == key && !packet.is_reply).collect();
            let command = |packet: &Packet| LoadCommand::Forward { next: id_of(packet.to), delay_ms: packet.delay_ms };
            let commands: Vec<_> = chosen.iter().map(|(packet, _)| command(packet)).collect();
            let bytes = geometry().packet_length;
            let (mut packets, mut forwarded) = (vec![vec![0; bytes]; chosen.len()], vec![vec![0; bytes]; chosen.len()]);
            let mut to: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
            let mut on: Vec<&mut [u8]> = forwarded.iter_mut().map(Vec::as_mut_slice).collect();
            self.makers[key.index()].make(&commands, &mut self.random, &mut to, &mut on).expect("possible packets");
            for ((made, packet), forwarded) in chosen.iter_mut().zip(packets).zip(&forwarded) {
                (made.0.name, made.1) = (planted::name(forwarded), packet);
            }
        }
        for (packet, bytes) in made.iter_mut().filter(|(packet, _)| packet.is_reply) {
            (packet.name, *bytes) = self.reply(packet);
        }
        made
    }

    /// A packet that somebody makes with a reply block.
    fn reply(&mut self, packet: &Packet) -> (Name, Vec<u8>) {
        let epoch = KEYS[packet.key.index()];
        let hop = |node: u8| (id_of(node), mix_key(node, epoch).public_key().to_vec());
        let terminal = Terminal { recipient: [5; 32], surb_id: Some([7; 16]), delay_ms: None };
        let path = compose([hop(OWN), hop(packet.to)], &[packet.delay_ms], &terminal).expect("one delay");
        let surb = self.sphinx.new_surb(&path, &mut self.random).expect("a possible reply block");
        let payload = vec![0; geometry().forward_payload_length];
        let (bytes, _) = self.sphinx.new_packet_from_surb(&surb.bytes, &payload).expect("a good reply block");
        let mut forwarded = bytes.clone();
        self.unwrapper.unwrap(&mix_key(OWN, epoch), &mut forwarded).expect("a good packet");
        (planted::name(&forwarded), bytes)
    }
}
