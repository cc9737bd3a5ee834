//! The load rig: the real processes of one mix on loopback, and a whole network played around it.
//!
//! | module | what it plays or does |
//! |---|---|
//! | `authority` | takes the node's descriptor, signs and serves documents |
//! | `link` | established links with large buffers |
//! | `peers` | the fake mixes before and behind the node |
//! | [`mill`] | valid, unique packets, made in advance |
//! | [`unwraps`] | what one core unwraps when it does nothing else |
//! | `drive` | the loop that sends and receives: open or closed |
//! | `check` | every packet that comes out |
//! | `process`, `account` | the node's processes, their CPU time, the node's own account |
//! | `null_node` | a node without work: the rig's own ceiling |
//! | `cpu` | who runs where |
//! | `report` | the outcome |
//!
//! Time: the node starts with an epoch and posts its descriptor for the next one, in which everything is measured. The
//! rest of the first epoch is spent on making packets for the key in that descriptor.
#![forbid(unsafe_code)]

mod account;
mod authority;
mod check;
mod cpu;
mod drive;
mod link;
pub mod mill;
mod null_node;
mod peers;
mod process;
mod report;
#[cfg(test)]
mod tests;
pub mod unwraps;

pub use account::NodeAccount;
pub use cpu::pin;
pub use report::Report;

use authority::Authority;
use cpu::{CpuTime, Placement};
use drive::{Drive, Load, Phase};
use link::FRAME_OVERHEAD_BYTES;
use mill::{Delays, Pool};
use null_node::NullNode;
use peers::NodeCredentials;
use pki::{Epoch, EpochClock};
use process::NodeProcess;
use sphinx::Geometry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use testnet::network::{self, Network};
use testnet::session::unix_now;

/// Hops of the packets' geometry.
const HOPS: usize = 5;
/// The most links on either side.
const LINKS_MAX: usize = 64;
/// Delays of the packets: short, so that few are inside the node at once, and spread.
const DELAYS: Delays = Delays { mean_ms: 20.0, max_ms: 200 };
/// Packets inside the node while its capacity is measured: the delayed ones and enough others to fill batches.
const WINDOW: u64 = 4096;
/// Packets inside the null node, which delays none.
const CEILING_WINDOW: u64 = 2048;
const CEILING_PACKETS: usize = 120_000;
const CEILING_DURATION: Duration = Duration::from_secs(1);
/// Time in a phase before its figures begin.
const RAMP: Duration = Duration::from_millis(300);
const WARM_UP: Duration = Duration::from_secs(1);
/// The share of free memory that packets may take.
const MEMORY_SHARE: f64 = 0.4;
/// The node must post its descriptor in the first tenth of an epoch: this is a second and a half of it.
const PERIOD_MIN: Duration = Duration::from_secs(16);
/// Time for links and for the end of each phase, beside what is measured.
const OVERHEAD: Duration = Duration::from_secs(6);
/// After the start of an epoch, until the node has looked at its links again.
const SETTLE: Duration = Duration::from_millis(500);
const DESCRIPTOR_LIMIT: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long capacity and lateness are measured, each.
    pub seconds: u64,
    /// Links on either side of the node.
    pub links: usize,
    /// A NIKE or KEM by name; `nike:` or `kem:` before it decides where both have the name.
    pub sphinx: String,
    /// Bytes of user payload.
    pub payload_bytes: usize,
    /// The program whose `server` is measured.
    pub program: PathBuf,
}

/// Measures one node and gives what was found. An error means that there is no result at all.
pub fn run(options: &Options) -> Result<Report, String> {
    let plan = Plan::new(options)?;
    let mut report = plan.empty_report();
    say(format_args!("measuring the rig against a node without work"));
    report.rig_ceiling_packets_per_second = plan.ceiling()?;
    let clock = network::clock_starting_at(unix_now(), plan.period())?;
    let (listeners, addresses) = peers::listen(options.links)?;
    let network = Arc::new(plan.network(clock, &addresses)?);
    let authority = Authority::start(network.clone())?;
    say(format_args!("starting the node, in an epoch of {:.1} s", clock.period().as_secs_f64()));
    let line_rate = plan.unwraps_per_second.min(10e6) as u32;
    let mut node = NodeProcess::start(&options.program, &network, authority.address, line_rate, plan.placement)?;
    let outcome = measure(&plan, &network, &authority, &mut node, listeners, &mut report);
    outcome.map_err(|reason| format!("{reason}\n\n  the node's last lines:\n  {}", node.tail()))?;
    node.stop()?;
    Ok(report)
}

/// Everything that is known before the node starts.
struct Plan<'a> {
    options: &'a Options,
    geometry: Geometry,
    placement: Placement,
    unwraps_per_second: f64,
    packets: usize,
    mill_time: Duration,
}

impl<'a> Plan<'a> {
    fn new(options: &'a Options) -> Result<Self, String> {
        if options.seconds == 0 || options.links == 0 || options.links > LINKS_MAX {
            return Err(format!("at least 1 second, and 1 to {LINKS_MAX} links"));
        }
        let geometry = geometry(&options.sphinx, options.payload_bytes)?;
        let placement = cpu::placement();
        say(format_args!("measuring what one core unwraps and makes"));
        let unwraps_per_second =
            on_processor(placement.node, || unwraps::packets_per_second(&geometry, Duration::from_millis(500)))?;
        let private = unwraps::private_key(&geometry)?;
        let key = sphinx::MixKey::new(&geometry, &private).map_err(|error| error.to_string())?;
        let made_per_second = mill::packets_per_second(&geometry, key.public_key(), Duration::from_millis(200))?;
        let wanted = unwraps_per_second * (WARM_UP.as_secs_f64() + 1.5 * (options.seconds as f64 + RAMP.as_secs_f64()));
        let possible = memory_available()? * MEMORY_SHARE / (geometry.packet_length + FRAME_OVERHEAD_BYTES + 64) as f64;
        let packets = wanted.min(possible) as usize;
        let mill_time = Duration::from_secs_f64(packets as f64 / made_per_second);
        Ok(Self { options, geometry, placement, unwraps_per_second, packets, mill_time })
    }

    /// Long enough to make the packets before the next epoch, and to measure in that one.
    fn period(&self) -> Duration {
        let measured = WARM_UP + 2 * (Duration::from_secs(self.options.seconds) + RAMP);
        PERIOD_MIN.max(measured + OVERHEAD).max(self.mill_time.mul_f64(1.3) + OVERHEAD)
    }

    fn network(&self, clock: EpochClock, listening: &[std::net::SocketAddr]) -> Result<Network, String> {
        Network::new(self.geometry.clone(), clock, 1.0 / DELAYS.mean_ms, self.options.links, listening)
    }

    fn ceiling(&self) -> Result<f64, String> {
        let mut pool = Pool::random(&self.geometry, self.options.links, CEILING_PACKETS)?;
        let (listeners, addresses) = peers::listen(self.options.links)?;
        let network = Arc::new(self.network(EpochClock::default(), &addresses)?);
        let node = NullNode::start(network.clone(), null_node::pass_on(), self.placement.node)?;
        let mut links = peers::connect(&network, listeners, &node.credentials, node.address, Duration::from_secs(5))?;
        pool.seal(&mut links.upstream)?;
        let mut drive = Drive::new(&pool, links);
        let phase = on_processor(self.placement.rig, || {
            let load = Load::Window(CEILING_WINDOW);
            drive.run(load, usize::MAX, Duration::ZERO, CEILING_DURATION, CpuTime::default)
        })?;
        let checker = drive.checker();
        if checker.wrong().total() + checker.lost() > 0 {
            return Err(format!("the rig fails by itself: {} lost, {:?}", checker.lost(), checker.wrong()));
        }
        drop(drive);
        node.stop()?;
        Ok(phase.packets_per_second)
    }

    fn empty_report(&self) -> Report {
        let Geometry { nike_name, kem_name, .. } = &self.geometry;
        Report {
            sphinx: if kem_name.is_empty() { format!("{nike_name} NIKE") } else { format!("{kem_name} KEM") },
            packet_bytes: self.geometry.packet_length,
            links: self.options.links,
            packets_sent: 0,
            packets_received: 0,
            packets_wrong: 0,
            packets_unknown: 0,
            packets_duplicate: 0,
            packets_wrong_next_hop: 0,
            packets_early: 0,
            early_ms_max: 0.0,
            packets_lost: 0,
            account_balanced: false,
            account: NodeAccount::default(),
            packets_per_second: 0.0,
            measured_seconds: 0.0,
            cpu_us_per_packet: 0.0,
            node_cpu_share: 0.0,
            node_wait_share: 0.0,
            rig_cpu_share: 0.0,
            rig_wait_share: 0.0,
            open_loop_packets_per_second: 0.0,
            open_loop_cpu_us_per_packet: 0.0,
            lateness_ms_p50: 0.0,
            lateness_ms_p99: 0.0,
            lateness_ms_max: 0.0,
            rig_ceiling_packets_per_second: 0.0,
            unwrap_only_packets_per_second: self.unwraps_per_second,
        }
    }
}

fn measure(
    plan: &Plan<'_>,
    network: &Arc<Network>,
    authority: &Authority,
    node: &mut NodeProcess,
    listeners: Vec<std::net::TcpListener>,
    report: &mut Report,
) -> Result<(), String> {
    let (epoch, descriptor) = authority
        .wait_for_descriptor(DESCRIPTOR_LIMIT)
        .ok_or_else(|| node.check().err().unwrap_or_else(|| "the node has posted no descriptor".into()))?;
    let mix_key = descriptor.mix_key(epoch).ok_or("the descriptor has no mix key for its epoch")?;
    let next: Vec<_> = network.downstream.iter().map(|peer| peer.identity.id).collect();
    say(format_args!("making {} packets, about {:.0} s", plan.packets, plan.mill_time.as_secs_f64()));
    let mut pool = Pool::make(&plan.geometry, mix_key, &next, DELAYS, plan.packets)?;
    say(format_args!("waiting for the next epoch and for links"));
    let credentials = NodeCredentials { id: descriptor.id(), link_key: descriptor.link_key().to_vec() };
    let until_epoch = until(&network.clock, epoch);
    let mut links = peers::connect(network, listeners, &credentials, node.address, until_epoch + OVERHEAD)?;
    pool.seal(&mut links.upstream)?;
    std::thread::sleep(until(&network.clock, epoch) + SETTLE);
    let mut drive = Drive::new(&pool, links);
    on_processor(plan.placement.rig, || measure_phases(plan, node, &mut drive, report))?;
    let checker = drive.checker();
    report.packets_sent = checker.sent();
    report.packets_received = checker.received();
    report.packets_lost = checker.lost();
    report.set_wrong(checker.wrong());
    report.account = settled_account(node, checker.sent(), checker.received())?;
    report.account_balanced = report.account.is_balanced(checker.sent(), checker.received());
    node.check()
}

fn measure_phases(
    plan: &Plan<'_>,
    node: &NodeProcess,
    drive: &mut Drive<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let seconds = Duration::from_secs(plan.options.seconds);
    node.data_plane_cpu()?;
    let node_cpu = || node.data_plane_cpu().unwrap_or_default();
    let share = |packets: f64| (plan.packets as f64 * packets) as usize;
    say(format_args!("warming up"));
    drive.run(Load::Window(WINDOW), share(0.1), Duration::ZERO, WARM_UP, node_cpu)?;
    say(format_args!("measuring the capacity"));
    let phase = drive.run(Load::Window(WINDOW), share(0.6), RAMP, seconds, node_cpu)?;
    report.packets_per_second = phase.packets_per_second;
    report.measured_seconds = phase.duration.as_secs_f64();
    report.cpu_us_per_packet = cpu_us_per_packet(&phase);
    let share = |time: Duration| time.as_secs_f64() / phase.duration.as_secs_f64();
    report.node_cpu_share = share(phase.node_cpu.used);
    report.node_wait_share = share(phase.node_cpu.waited);
    report.rig_cpu_share = share(phase.rig_cpu.used);
    report.rig_wait_share = share(phase.rig_cpu.waited);
    let rate = phase.packets_per_second / 2.0;
    say(format_args!("measuring lateness at {rate:.0} packets/s"));
    let phase = drive.run(Load::PacketsPerSecond(rate), usize::MAX, RAMP, seconds, node_cpu)?;
    report.open_loop_packets_per_second = rate;
    report.open_loop_cpu_us_per_packet = cpu_us_per_packet(&phase);
    report.set_lateness(&phase.lateness_us);
    Ok(())
}

fn cpu_us_per_packet(phase: &Phase) -> f64 {
    phase.node_cpu.used.as_secs_f64() * 1e6 / phase.packets.max(1) as f64
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

fn until(clock: &EpochClock, epoch: Epoch) -> Duration {
    clock.start(epoch).saturating_sub(unix_now())
}

/// Runs `work` on a thread that is pinned; threads that it starts would be pinned too.
fn on_processor<T: Send>(
    processor: Option<usize>,
    work: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rig".into()).spawn_scoped(scope, || {
            cpu::pin(processor)?;
            work()
        });
        thread.map_err(|error| error.to_string())?.join().map_err(|_| "a thread of the rig ended badly")?
    })
}

fn geometry(name: &str, payload_bytes: usize) -> Result<Geometry, String> {
    let (kind, name) = name.split_once(':').unwrap_or(("", name));
    let is_nike = match kind {
        "nike" => true,
        "kem" => false,
        "" => crypto_simd::schemes::nike::registered().iter().any(|info| info.name.eq_ignore_ascii_case(name)),
        other => return Err(format!("'{other}:' is neither nike: nor kem:")),
    };
    let geometry = if is_nike {
        Geometry::nike(name, payload_bytes, HOPS, true)
    } else {
        Geometry::kem(name, payload_bytes, HOPS, true)
    };
    geometry.map_err(|error| error.to_string())
}

/// Bytes of memory that are free for use.
fn memory_available() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|error| format!("/proc/meminfo: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1024.0).ok_or_else(|| "/proc/meminfo has no MemAvailable".into())
}

/// Progress goes to standard error, so that standard output holds the report alone.
fn say(what: std::fmt::Arguments<'_>) {
    eprintln!("{what} ...");
}
