//! The load rig: the real processes of one node on loopback, and a whole network played around it.
//!
//! | module | what it plays or does |
//! |---|---|
//! | `traffic` | which way packets take through the node |
//! | `users` | the user database of a gateway, and its spool |
//! | `frame` | a packet in its frame |
//! | `link` | established links with large buffers |
//! | `peers` | the fake mixes before and behind the node, and its clients |
//! | `ready` | which of the links have something |
//! | [`relay`] | the rig's end of QUIC |
//! | [`mill`] | valid, unique packets, made in advance |
//! | [`floor`] | what one core does with the cryptography alone |
//! | `supply`, `mills` | packets that were made before, or are made while others are sent |
//! | `drive` | the loop that sends and receives: open or closed |
//! | `check` | every packet that comes out |
//! | `site` | one host for all, or a host for the node and a cable to it |
//! | `world` | the node at work and all that is around it |
//! | `guard` | whether the rig itself was in time |
//! | `phases` | what is measured while packets flow |
//! | `peer` | another implementation's mix in turns with ours |
//! | `soak` | a long run under load |
//! | `idle` | many clients that do nothing |
//! | [`probe`] | clock and width of the core: is there a neighbour on it? |
//! | `process`, [`account`] | the node's processes, their CPU time, the node's own account |
//! | [`plugin`] | a plugin that echoes |
//! | `null_node` | a node without work: the rig's own ceiling |
//! | `plan` | how many packets, how long an epoch, and that all phases fit into the life of the node's key |
//! | `calls` | new links while the node is under load |
//! | `cpu` | who runs where |
//! | `stages` | where the node says that its time went |
//! | [`hand_over`] | what it costs that another processor had a packet last |
//! | `latency` | times and costs as reports give them |
//! | `report` | the outcome, as text, as JSON and as a page with pictures |
//!
//! Time: the node starts with an epoch and posts its descriptor for the next one, in which everything is measured. The
//! rest of the first epoch is spent on making packets for the key in that descriptor. A run that cannot keep to that says
//! so ([`Failure::NoFigure`]) and blames nobody.
#![forbid(unsafe_code)]

pub mod account;
mod calls;
mod check;
mod cpu;
mod drive;
pub mod floor;
mod frame;
mod guard;
pub mod hand_over;
mod idle;
mod latency;
mod link;
pub mod mill;
mod mills;
mod null_node;
mod peer;
mod peers;
mod phases;
mod plan;
pub mod plugin;
pub mod probe;
mod process;
mod ready;
pub mod relay;
mod report;
mod site;
mod soak;
mod stages;
mod supply;
#[cfg(test)]
mod tests;
mod traffic;
mod users;
mod world;

pub use account::NodeAccount;
pub use cpu::pin;
pub use latency::Latency;
pub use peer::found::{Peer, Trial};
pub use plan::geometry;
pub use report::{IdleClients, NewClients, OpenLoop, Report};
pub use soak::found::{Minute, Soak};
pub use stages::Stage;
pub use traffic::Service;
pub use users::{Spool, UserOptions};

use cpu::{CpuTime, Placement};
use drive::{Drive, Load};
use frame::FRAME_OVERHEAD_BYTES;
use mill::Pool;
use null_node::NullNode;
use peers::Ends;
use pki::EpochClock;
use pki::neighbours::Role;
use plan::Plan;
use process::Program;
use site::Site;
use soak::Soaking;
use sphinx::Geometry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use supply::Supply;
use testnet::network::Network;
use testnet::session::unix_now;
use traffic::Traffic;
use world::World;

/// Packets inside the null node, which delays none.
const CEILING_WINDOW: u64 = 2048;
const CEILING_PACKETS: usize = 120_000;
const CEILING_BYTES: usize = 1 << 30;
const CEILING_DURATION: Duration = Duration::from_secs(1);
/// How long making links may take once the node knows its neighbours.
const LINKS_LIMIT: Duration = Duration::from_secs(10);

/// A long run.
#[derive(Clone, Copy, Debug)]
pub struct SoakOptions {
    /// How long.
    pub minutes: u64,
    /// How much, in percent of the capacity.
    pub load_percent: u32,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the node is.
    pub role: Role,
    /// What answers at a service node.
    pub service: Service,
    /// Clients that send and receive at a gateway.
    pub clients: usize,
    /// Clients that do nothing at a gateway, at another time; none leaves that out.
    pub idle_clients: usize,
    /// For how many seconds they do nothing.
    pub idle_seconds: u64,
    /// Whether a gateway knows its users, and keeps their mail; none is a gateway that takes everybody.
    pub users: Option<users::UserOptions>,
    /// For how long capacity and lateness are measured, each.
    pub seconds: u64,
    /// Links on either side of the node.
    pub links: usize,
    /// The node's shards.
    pub shards: usize,
    /// The data plane's backend; none leaves it to the node.
    pub io: Option<String>,
    /// Links are over QUIC instead of TCP.
    pub is_quic: bool,
    /// Node and rig are each on a host of its own, with a cable between them.
    pub is_apart: bool,
    /// The node's datagrams go past the kernel, by AF_XDP.
    pub is_xdp: bool,
    /// Capacity and stages, and nothing else.
    pub only_capacity: bool,
    /// Packets per second while lateness is measured; none is half of the measured capacity.
    pub rate: Option<u32>,
    /// Delays as in a network instead of short ones, and as many packets inside as the node holds by itself.
    pub network_delays: bool,
    /// A NIKE or KEM by name; `nike:` or `kem:` before it decides where both have the name.
    pub sphinx: String,
    /// Bytes of user payload.
    pub payload_bytes: usize,
    /// Another implementation's `server`, which is measured in turns with ours.
    pub peer_server: Option<PathBuf>,
    /// A long run behind it.
    pub soak: Option<SoakOptions>,
    /// The program whose `server` is measured.
    pub program: PathBuf,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host, at this moment, leaves no figure to give. It says nothing about the node.
    NoFigure(String),
    /// Something does not work.
    Failed(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::Failed(reason.into())
    }
}

/// Measures one node and gives what was found.
pub fn run(options: &Options) -> Result<Report, Failure> {
    // Before there are threads: what this one starts is where it is.
    let site = if options.is_apart { Site::two_hosts(options.shards)? } else { Site::one_host() };
    let plan = Plan::new(options, site, |geometry, placement| ceiling(geometry, placement, options.links))?;
    let mut reports = Vec::new();
    for traffic in Traffic::of(options.role, options.service) {
        let mut report = Report::new(options, &plan, traffic);
        World::start(&plan, options, &Program::own(options), traffic, plan.period())?.measure(
            &plan,
            options,
            &mut report,
        )?;
        reports.push(report);
    }
    let mut reports = reports.into_iter();
    let mut report = reports.next().ok_or("there is nothing to measure")?;
    report.to_clients = reports.next().map(Box::new);
    if let Some(program) = &options.peer_server {
        report.peer = Some(peer::compare(&plan, options, program)?);
    }
    if let Some(soak) = options.soak {
        report.soaks = soak_all(&plan, options, soak, &report)?;
        return Ok(report);
    }
    if options.role == Role::Gateway && options.idle_clients > 0 {
        report.idle_clients = Some(idle::measure(&plan, options)?);
    }
    Ok(report)
}

/// Each way through the node, one after the other.
fn soak_all(plan: &Plan, options: &Options, soak: SoakOptions, report: &Report) -> Result<Vec<Soak>, Failure> {
    let reports = std::iter::once(report).chain(report.to_clients.as_deref());
    let ways = Traffic::of(options.role, options.service).into_iter().zip(reports);
    ways.map(|(traffic, report)| {
        let capacity = report.packets_per_second;
        Soaking { plan, options, soak, traffic, capacity }.run()
    })
    .collect()
}

/// What the rig does with a node without work.
fn ceiling(geometry: &Geometry, placement: &Placement, links: usize) -> Result<f64, String> {
    let count = CEILING_PACKETS.min(CEILING_BYTES / (geometry.packet_length + FRAME_OVERHEAD_BYTES));
    let mut pool = Pool::random(geometry, links, count);
    let (listeners, addresses) = peers::listen(links)?;
    let mu = 1.0 / Traffic::Through.delays(false).mean_ms;
    let network = Arc::new(Network::new(geometry.clone(), EpochClock::default(), mu, links, &addresses)?);
    let node = NullNode::start(network.clone(), null_node::pass_on(), placement.node.first().copied())?;
    let mut links = peers::connect(&network, listeners, &node.credentials, node.address, Ends::Mixes, LINKS_LIMIT)?;
    pool.seal(&mut links.sealers, None)?;
    let mut drive = Drive::new(Supply::of(pool), links)?;
    let phase = on_processor(placement.rig, || {
        let load = Load::Window(CEILING_WINDOW);
        drive.run(load, usize::MAX, Duration::ZERO, CEILING_DURATION, CpuTime::default, || ())
    })?;
    let checker = drive.checker();
    if checker.wrong().total() + checker.lost() > 0 {
        return Err(format!("the rig fails by itself: {} lost, {:?}", checker.lost(), checker.wrong()));
    }
    drop(drive);
    node.stop()?;
    Ok(phase.packets_per_second)
}

/// From now until then, by the time since the Unix epoch.
fn until(unix: Duration) -> Duration {
    unix.saturating_sub(unix_now())
}

/// Runs `work` on a thread that is pinned; threads that it starts would be pinned too.
fn on_processor<T: Send, E: From<String> + Send>(
    processor: Option<usize>,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rig".into()).spawn_scoped(scope, || {
            cpu::pin(processor)?;
            work()
        });
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "a thread of the rig ended badly".to_owned())?
    })
}

/// Progress goes to standard error, so that standard output holds the report alone.
fn say(what: std::fmt::Arguments<'_>) {
    eprintln!("{what} ...");
}
