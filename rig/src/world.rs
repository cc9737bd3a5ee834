//! A node at work and everything around it.

use super::account::{self, Frames, NodeAccount};
use super::calls::{Caller, Calls};
use super::drive::Drive;
use super::mill::{Pool, Purpose};
use super::peers;
use super::phases::Phases;
use super::plan::{self, IDLE, Plan, Schedule};
use super::process::{ENDPOINT, NodeOptions, NodeProcess, Program};
use super::relay::{Doors, Relay};
use super::site;
use super::stages;
use super::supply::Supply;
use super::traffic::Traffic;
use super::users::UserOptions;
use super::{Failure, LINKS_LIMIT, Options, Report, on_processor, say, until};
use crypto_simd::random::{OsRandom, Random};
use pki::descriptor::MixDescriptor;
use pki::neighbours::Role;
use pki::{Epoch, NodeId};
use sphinx::RECIPIENT_ID_BYTES;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testnet::authority::Authority;
use testnet::network::{self, Network};
use testnet::session::{Identity, unix_now};
use wire::PeerCredentials;

/// Tries to start the node, each with epochs twice as long: a busy host may miss the time for posting a descriptor.
const STARTS: usize = 3;
/// The share of an epoch in which the node posts its descriptor.
const POSTING_EPOCHS: f64 = 0.125;
/// The share of the time until everything must begin that making packets may take; the rest is for links and sealing.
const MILL_SHARE: f64 = 0.7;

/// A running node, its network, and what it has posted.
pub struct World {
    /// Everybody else.
    pub network: Arc<Network>,
    /// The node's processes.
    pub node: NodeProcess,
    /// The epoch in which to measure.
    pub epoch: Epoch,
    /// What the node says of itself for it.
    pub descriptor: MixDescriptor,
    traffic: Traffic,
    listeners: Vec<TcpListener>,
    authority: Authority,
    /// Where the node speaks QUIC.
    relay: Option<Relay>,
}

/// A node that has not posted its descriptor yet.
struct Started {
    network: Arc<Network>,
    listeners: Vec<TcpListener>,
    authority: Authority,
    relay: Option<Relay>,
    node: NodeProcess,
}

impl World {
    /// Starts all, with epochs of at least `period`.
    pub fn start(
        plan: &Plan,
        options: &Options,
        program: &Program,
        traffic: Traffic,
        mut period: Duration,
    ) -> Result<Self, Failure> {
        for _ in 0..STARTS {
            let Started { network, listeners, authority, relay, mut node } =
                Started::new(plan, options, program, traffic, period)?;
            let limit = period.mul_f64(POSTING_EPOCHS) + plan::SETTLE;
            if let Some(post) = authority.find_post(limit, |_| true) {
                let (epoch, descriptor) = (post.epoch, post.checked()?);
                return Ok(Self { network, node, epoch, descriptor, traffic, listeners, authority, relay });
            }
            node.check().map_err(|reason| node.with_last_lines(Failure::Failed(reason)))?;
            node.stop()?;
            period *= 2;
        }
        Err(Failure::NoFigure(format!("in {STARTS} epochs the node has not posted its descriptor in time")))
    }

    /// Who the node is.
    pub fn credentials(&self) -> PeerCredentials {
        let (id, key) = (self.descriptor.id(), self.descriptor.link_key());
        PeerCredentials { additional_data: id.to_vec(), public_key: key.to_vec() }
    }

    /// Where connections to the node are taken.
    pub fn entrance(&self) -> SocketAddr {
        self.relay.as_ref().map_or(self.node.address, |relay| relay.address)
    }

    /// Where the nodes behind listen; once.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// Until when links must be up.
    pub fn links_limit(&self) -> Duration {
        until(self.network.clock.start(self.epoch)) + LINKS_LIMIT
    }

    /// Measures one kind of traffic, and stops the node.
    pub fn measure(mut self, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), Failure> {
        let outcome = self.try_measure(plan, options, report);
        outcome.map_err(|failure| self.node.with_last_lines(failure))?;
        Ok(self.node.stop()?)
    }

    fn try_measure(&mut self, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), Failure> {
        let (network, node) = (self.network.clone(), self.credentials());
        let schedule = Schedule { clock: &network.clock, epoch: self.epoch, measured: plan.measured_time() };
        let clients = self.clients(options)?;
        say(format_args!("making {} packets, about {:.0} s", plan.packets, plan.mill_time.as_secs_f64()));
        let time_left = schedule.latest_begin().saturating_sub(unix_now());
        let deadline = Instant::now() + time_left.mul_f64(MILL_SHARE);
        let mut pool = self.make_packets(plan, options, &clients, plan.packets, deadline)?;
        say(format_args!("waiting for the next epoch and for links"));
        let listeners = self.take_listeners();
        let ends = self.traffic.ends(&clients);
        let mut links = peers::connect(&network, listeners, &node, self.entrance(), ends, self.links_limit())?;
        pool.seal(&mut links.sealers, Some(Instant::now() + until(schedule.latest_begin())))?;
        report.packets_made = pool.count();
        std::thread::sleep(until(schedule.begin(unix_now())?));
        let mut drive = Drive::new(Supply::of(pool), links)?;
        let caller = if self.traffic.role() == Role::Gateway { Caller::Client } else { Caller::Node };
        let (address, processor) = (self.entrance(), plan.placement.caller);
        let calls = Calls { network: &network, caller, node: &node, address, processor };
        let phases = Phases { plan, options, traffic: self.traffic, schedule: &schedule, node: &self.node, calls };
        on_processor(plan.placement.rig, || phases.measure(&mut drive, report))?;
        let checker = drive.checker();
        report.packets_sent = checker.sent();
        report.packets_received = checker.received();
        report.packets_lost = checker.lost();
        report.set_wrong(checker.wrong());
        let exit = self.traffic.exit();
        report.account =
            settled_account(&self.node, |account| account.is_balanced(checker.sent(), checker.received(), exit))?;
        report.account_balanced = report.account.is_balanced(checker.sent(), checker.received(), exit);
        let metrics = account::metrics(self.node.metrics)?;
        report.stages = stages::parse(&metrics);
        report.frames = Frames::parse(&metrics);
        if !options.only_capacity {
            say(format_args!("measuring the node with nothing to do"));
            report.idle_node_cpu_share = self.node.data_plane_share(IDLE)?;
        }
        Ok(self.node.check()?)
    }

    /// Clients for the traffic.
    pub fn clients(&self, options: &Options) -> Result<Vec<Identity>, String> {
        match self.traffic.role() {
            Role::Gateway => make_clients(&self.network, options.clients),
            Role::Mix | Role::Service => Ok(Vec::new()),
        }
    }

    /// The node's mix key for `epoch`, if it has posted it by now.
    pub fn mix_key(&self, epoch: Epoch) -> Option<Vec<u8>> {
        let posts = self.authority.posts();
        let descriptors = posts.iter().rev().filter_map(|post| post.checked().ok());
        descriptors.filter_map(|descriptor| descriptor.mix_key(epoch).map(<[u8]>::to_vec)).next()
    }

    /// Where packets go behind the node.
    pub fn ways(&self, clients: &[Identity]) -> Ways {
        Ways {
            next: self.network.downstream.iter().map(|peer| peer.identity.id).collect(),
            users: clients.iter().map(|client| client.id).collect(),
        }
    }

    /// Packets for the node, `count` or as many as are made in time.
    pub fn make_packets(
        &self,
        plan: &Plan,
        options: &Options,
        clients: &[Identity],
        count: usize,
        deadline: Instant,
    ) -> Result<Pool, String> {
        let mix_key = self.descriptor.mix_key(self.epoch).ok_or("the descriptor has no mix key for its epoch")?;
        let ways = self.ways(clients);
        let (purpose, delays) = (ways.purpose(self.traffic)?, self.traffic.delays(options.network_delays));
        let mut pool = Pool::make(&plan.geometry, mix_key, purpose, delays, count, Some(deadline))?;
        if self.traffic == Traffic::FromClients {
            pool.take_turns();
        }
        Ok(pool)
    }
}

/// Those behind the node who get packets.
pub struct Ways {
    next: Vec<NodeId>,
    users: Vec<[u8; RECIPIENT_ID_BYTES]>,
}

impl Ways {
    /// What packets are for.
    pub fn purpose(&self, traffic: Traffic) -> Result<Purpose<'_>, String> {
        Ok(match traffic {
            Traffic::Through | Traffic::FromClients => Purpose::Forward { next: &self.next },
            Traffic::Requests(_) => {
                let recipient = service::recipient(ENDPOINT).ok_or("the service's name is too long")?;
                Purpose::Request { recipient, next: &self.next }
            }
            Traffic::ToClients => Purpose::Reply { users: &self.users },
        })
    }
}

impl Started {
    fn new(
        plan: &Plan,
        options: &Options,
        program: &Program,
        traffic: Traffic,
        period: Duration,
    ) -> Result<Self, String> {
        let clock = network::clock_starting_at(unix_now(), period)?;
        let (listeners, addresses) = peers::listen(options.links)?;
        let mu = 1.0 / traffic.delays(options.network_delays).mean_ms;
        let doors = options.is_quic.then(|| Doors::open(plan.site.rig, options.links)).transpose()?;
        let listed = doors.as_ref().map_or_else(|| addresses.clone(), Doors::behind);
        let mut network = Network::new(plan.geometry.clone(), clock, mu, options.links, &listed)?;
        let scheme = if options.is_quic { network::QUIC } else { network::TCP };
        network.downstream.iter_mut().for_each(|peer| peer.scheme = scheme);
        network.role = traffic.role();
        let network = Arc::new(network);
        let authority = Authority::start(network.clone(), None, (plan.site.rig, 0).into())?;
        say(format_args!("starting the node, in an epoch of {:.1} s", clock.period().as_secs_f64()));
        let line_rate = (plan.unwraps_per_second * options.shards as f64).min(10e6) as u32;
        let node_options = NodeOptions {
            line_rate,
            shards: options.shards,
            processors: plan.placement.node.clone(),
            io: options.io.clone(),
            default_slots: options.network_delays,
            traffic,
            gateway: options.users.as_ref().map_or(String::new(), UserOptions::section),
            scheme,
            interface: options.is_xdp.then_some(site::INTERFACE),
        };
        let node = NodeProcess::start(program, &plan.site, &network, authority.address, &node_options)?;
        let start = |doors: Doors| doors.relay(node.address, &addresses, plan.placement.rig);
        let relay = doors.map(start).transpose()?;
        Ok(Self { network, listeners, authority, relay, node })
    }
}

/// Clients with names and keys of their own.
pub fn make_clients(network: &Network, count: usize) -> Result<Vec<Identity>, String> {
    let client = |_| {
        let mut name = [0; RECIPIENT_ID_BYTES];
        OsRandom.fill(&mut name);
        Identity::generate(name, network.kem)
    };
    (0..count).map(client).collect()
}

/// The account once the node's counters have settled, or as it is after a while.
pub fn settled_account(node: &NodeProcess, is_settled: impl Fn(&NodeAccount) -> bool) -> Result<NodeAccount, String> {
    for _ in 0..20 {
        let account = NodeAccount::scrape(node.metrics)?;
        if is_settled(&account) {
            return Ok(account);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    NodeAccount::scrape(node.metrics)
}
