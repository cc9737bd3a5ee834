//! The load rig: the real processes of one mix on loopback, and a whole network played around it.
//!
//! | module | what it plays or does |
//! |---|---|
//! | `link` | established links with large buffers |
//! | `peers` | the fake mixes before and behind the node |
//! | [`mill`] | valid, unique packets, made in advance |
//! | [`unwraps`] | what one core unwraps when it does nothing else |
//! | `drive` | the loop that sends and receives: open or closed |
//! | `check` | every packet that comes out |
//! | `process`, `account` | the node's processes, their CPU time, the node's own account |
//! | `null_node` | a node without work: the rig's own ceiling |
//! | `plan` | how many packets, how long an epoch, and that all phases fit into the life of the node's key |
//! | `calls` | new links while the node is under load |
//! | `cpu` | who runs where |
//! | `report` | the outcome |
//!
//! Time: the node starts with an epoch and posts its descriptor for the next one, in which everything is measured. The
//! rest of the first epoch is spent on making packets for the key in that descriptor. A run that cannot keep to that says
//! so ([`Failure::NoFigure`]) and blames nobody.
#![forbid(unsafe_code)]

mod account;
mod calls;
mod check;
mod cpu;
mod drive;
mod link;
pub mod mill;
mod null_node;
mod peers;
mod plan;
mod process;
mod report;
#[cfg(test)]
mod tests;
pub mod unwraps;

pub use account::NodeAccount;
pub use cpu::pin;
pub use report::{Latency, Report};

use calls::Calls;
use cpu::{CpuTime, Placement};
use drive::{Drive, Load};
use link::FRAME_OVERHEAD_BYTES;
use mill::{Delays, Pool};
use null_node::NullNode;
use pki::descriptor::MixDescriptor;
use pki::{Epoch, EpochClock};
use plan::{Plan, RAMP, Schedule, WARM_UP};
use process::{NodeOptions, NodeProcess};
use sphinx::Geometry;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testnet::authority::Authority;
use testnet::network::{self, Network};
use testnet::session::unix_now;
use wire::PeerCredentials;

/// Delays of the packets: short, so that few are inside the node at once, and spread.
const DELAYS: Delays = Delays { mean_ms: 20.0, max_ms: 200 };
/// Packets inside the node while its capacity is measured: the delayed ones and enough others to fill batches.
const WINDOW: u64 = 4096;
/// Packets inside the null node, which delays none.
const CEILING_WINDOW: u64 = 2048;
const CEILING_PACKETS: usize = 120_000;
const CEILING_BYTES: usize = 1 << 30;
const CEILING_DURATION: Duration = Duration::from_secs(1);
/// For how long the node has nothing to do.
const IDLE: Duration = Duration::from_secs(3);
/// A capacity over less than this is no figure.
const MEASURED_MIN: Duration = Duration::from_millis(300);
/// Tries to start the node, each with epochs twice as long: a busy host may miss the time for posting a descriptor.
const STARTS: usize = 3;
/// The share of an epoch in which the node posts its descriptor.
const POSTING_EPOCHS: f64 = 0.125;
/// The share of the time until everything must begin that making packets may take; the rest is for links and sealing.
const MILL_SHARE: f64 = 0.7;
/// How long making links may take once the node knows its neighbours.
const LINKS_LIMIT: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long capacity and lateness are measured, each.
    pub seconds: u64,
    /// Links on either side of the node.
    pub links: usize,
    /// The node's shards.
    pub shards: usize,
    /// The data plane's backend; none leaves it to the node.
    pub io: Option<String>,
    /// Packets per second while lateness is measured; none is half of the measured capacity.
    pub rate: Option<u32>,
    /// A NIKE or KEM by name; `nike:` or `kem:` before it decides where both have the name.
    pub sphinx: String,
    /// Bytes of user payload.
    pub payload_bytes: usize,
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
    let plan = Plan::new(options, |geometry, placement| ceiling(geometry, placement, options.links))?;
    let mut report = Report::new(options, &plan);
    let (mut world, epoch, descriptor) = World::start(&plan, options)?;
    let outcome = world.measure(&plan, options, epoch, &descriptor, &mut report);
    outcome.map_err(|failure| world.with_last_lines(failure))?;
    world.node.stop()?;
    Ok(report)
}

/// A node at work and everything around it.
struct World {
    network: Arc<Network>,
    listeners: Vec<TcpListener>,
    authority: Authority,
    node: NodeProcess,
}

impl World {
    /// Starts all; gives the epoch in which to measure, and the node's descriptor for it.
    fn start(plan: &Plan, options: &Options) -> Result<(Self, Epoch, MixDescriptor), Failure> {
        let mut period = plan.period();
        for _ in 0..STARTS {
            let mut world = Self::start_with(plan, options, period)?;
            let limit = period.mul_f64(POSTING_EPOCHS) + plan::SETTLE;
            if let Some(post) = world.authority.find_post(limit, |_| true) {
                let descriptor = post.checked()?;
                return Ok((world, post.epoch, descriptor));
            }
            world.node.check().map_err(|reason| world.with_last_lines(Failure::Failed(reason)))?;
            world.node.stop()?;
            period *= 2;
        }
        Err(Failure::NoFigure(format!("in {STARTS} epochs the node has not posted its descriptor in time")))
    }

    fn start_with(plan: &Plan, options: &Options, period: Duration) -> Result<Self, String> {
        let clock = network::clock_starting_at(unix_now(), period)?;
        let (listeners, addresses) = peers::listen(options.links)?;
        let network = Arc::new(network_of(&plan.geometry, clock, options.links, &addresses)?);
        let authority = Authority::start(network.clone(), None, (Ipv4Addr::LOCALHOST, 0).into())?;
        say(format_args!("starting the node, in an epoch of {:.1} s", clock.period().as_secs_f64()));
        let line_rate = (plan.unwraps_per_second * options.shards as f64).min(10e6) as u32;
        let node_options = NodeOptions {
            line_rate,
            shards: options.shards,
            processors: plan.placement.node.clone(),
            io: options.io.clone(),
        };
        let node = NodeProcess::start(&options.program, &network, authority.address, &node_options)?;
        Ok(Self { network, listeners, authority, node })
    }

    fn with_last_lines(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Failed(reason) => {
                Failure::Failed(format!("{reason}\n\n  the node's last lines:\n  {}", self.node.tail()))
            }
            no_figure => no_figure,
        }
    }

    fn measure(
        &mut self,
        plan: &Plan,
        options: &Options,
        epoch: Epoch,
        descriptor: &MixDescriptor,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let network = self.network.clone();
        let schedule = Schedule { clock: &network.clock, epoch, measured: plan.measured_time() };
        let mix_key = descriptor.mix_key(epoch).ok_or("the descriptor has no mix key for its epoch")?;
        let next: Vec<_> = network.downstream.iter().map(|peer| peer.identity.id).collect();
        say(format_args!("making {} packets, about {:.0} s", plan.packets, plan.mill_time.as_secs_f64()));
        let time_left = schedule.latest_begin().saturating_sub(unix_now());
        let deadline = Instant::now() + time_left.mul_f64(MILL_SHARE);
        let mut pool = Pool::make(&plan.geometry, mix_key, &next, DELAYS, plan.packets, Some(deadline))?;
        say(format_args!("waiting for the next epoch and for links"));
        let node =
            PeerCredentials { additional_data: descriptor.id().to_vec(), public_key: descriptor.link_key().to_vec() };
        let limit = until(network.clock.start(epoch)) + LINKS_LIMIT;
        let listeners = std::mem::take(&mut self.listeners);
        let mut links = peers::connect(&network, listeners, &node, self.node.address, limit)?;
        pool.seal(&mut links.upstream, Some(Instant::now() + until(schedule.latest_begin())))?;
        report.packets_made = pool.count();
        std::thread::sleep(until(schedule.begin(unix_now())?));
        let mut drive = Drive::new(&pool, links);
        let calls =
            Calls { network: &network, node: &node, address: self.node.address, processor: plan.placement.caller };
        on_processor(plan.placement.rig, || {
            measure_phases(plan, options, &schedule, &self.node, &calls, &mut drive, report)
        })?;
        let checker = drive.checker();
        report.packets_sent = checker.sent();
        report.packets_received = checker.received();
        report.packets_lost = checker.lost();
        report.set_wrong(checker.wrong());
        report.account = settled_account(&self.node, checker.sent(), checker.received())?;
        report.account_balanced = report.account.is_balanced(checker.sent(), checker.received());
        say(format_args!("measuring the node with nothing to do"));
        report.idle_node_cpu_share = idle_share(&self.node)?;
        Ok(self.node.check()?)
    }
}

fn network_of(
    geometry: &Geometry,
    clock: EpochClock,
    links: usize,
    listening: &[std::net::SocketAddr],
) -> Result<Network, String> {
    Network::new(geometry.clone(), clock, 1.0 / DELAYS.mean_ms, links, listening)
}

/// What the rig does with a node without work.
fn ceiling(geometry: &Geometry, placement: &Placement, links: usize) -> Result<f64, String> {
    let count = CEILING_PACKETS.min(CEILING_BYTES / (geometry.packet_length + FRAME_OVERHEAD_BYTES));
    let mut pool = Pool::random(geometry, links, count)?;
    let (listeners, addresses) = peers::listen(links)?;
    let network = Arc::new(network_of(geometry, EpochClock::default(), links, &addresses)?);
    let node = NullNode::start(network.clone(), null_node::pass_on(), placement.node.first().copied())?;
    let mut links = peers::connect(&network, listeners, &node.credentials, node.address, LINKS_LIMIT)?;
    pool.seal(&mut links.upstream, None)?;
    let mut drive = Drive::new(&pool, links);
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

fn measure_phases(
    plan: &Plan,
    options: &Options,
    schedule: &Schedule<'_>,
    node: &NodeProcess,
    calls: &Calls<'_>,
    drive: &mut Drive<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    node.data_plane_cpu()?;
    let node_cpu = || node.data_plane_cpu().unwrap_or_default();
    let (warm_up, capacity) = plan.parts(report.packets_made);
    say(format_args!("warming up"));
    drive.run(Load::Window(WINDOW), warm_up, Duration::ZERO, WARM_UP, node_cpu, || ())?;
    schedule.check_key(unix_now(), "the warm-up")?;
    say(format_args!("measuring the capacity, and new links meanwhile"));
    let stop = AtomicBool::new(false);
    let (phase, answers) = std::thread::scope(|scope| {
        let caller = scope.spawn(|| calls.run(RAMP, &stop));
        let all_sent = || stop.store(true, Ordering::Relaxed);
        let phase = drive.run(Load::Window(WINDOW), capacity, RAMP, plan.seconds(), node_cpu, all_sent);
        all_sent();
        let answers = caller.join().map_err(|_| "the caller ended badly".to_owned());
        Ok::<_, String>((phase?, answers??))
    })?;
    schedule.check_key(unix_now(), "the capacity")?;
    if phase.duration < MEASURED_MIN || phase.packets == 0 {
        return Err(Failure::NoFigure(format!(
            "the capacity could be measured for {:.2} s only, with {} packets: too few were made in time; run again, or \
             with a smaller --payload",
            phase.duration.as_secs_f64(),
            report.packets_made
        )));
    }
    report.set_capacity(&phase);
    report.set_answers(answers);
    let rate = options.rate.map_or(phase.packets_per_second / 2.0, f64::from);
    say(format_args!("measuring lateness at {rate:.0} packets/s"));
    let phase = drive.run(Load::PacketsPerSecond(rate), usize::MAX, RAMP, plan.seconds(), node_cpu, || ())?;
    schedule.check_key(unix_now(), "lateness")?;
    report.set_lateness(rate, &phase);
    Ok(())
}

/// The share of one processor that the data plane takes with links and without packets.
fn idle_share(node: &NodeProcess) -> Result<f64, String> {
    let (before, started) = (node.data_plane_cpu()?, Instant::now());
    std::thread::sleep(IDLE);
    let used = node.data_plane_cpu()?.since(before).used;
    Ok(used.as_secs_f64() / started.elapsed().as_secs_f64())
}

/// The account once the node's counters have settled, or as it is after a while.
fn settled_account(node: &NodeProcess, sent: u64, received: u64) -> Result<NodeAccount, String> {
    for _ in 0..20 {
        let account = NodeAccount::scrape(node.metrics)?;
        if account.is_balanced(sent, received) {
            return Ok(account);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    NodeAccount::scrape(node.metrics)
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
