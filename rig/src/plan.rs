//! What is measured and when, so that it fits: all phases lie in one epoch, and the node's key lives through them.
//!
//! The node posts a descriptor for the epoch after the one in which it started. Its key is good in that epoch and in the
//! one behind it. Packets are made and sealed until the last moment from which all phases still fit; those that are not
//! ready then are done without, and the phases get shorter.

#[cfg(test)]
mod tests;

use super::cpu::Placement;
use super::floor::Floor;
use super::frame::FRAME_OVERHEAD_BYTES;
use super::site::Site;
use super::{Failure, Options, Service, SoakOptions, mill, on_processor, say};
use pki::neighbours::Role;
use pki::{Epoch, EpochClock};
use rustix::process::{Resource, getrlimit};
use sphinx::Geometry;
use std::time::Duration;
use testnet::settings::PAYLOAD_BYTES_MAX;

/// Hops of the packets' geometry.
const HOPS: usize = 5;
/// The most links on either side.
const LINKS_MAX: usize = 64;
/// The most shards.
const SHARDS_MAX: usize = 64;
/// The longest that a phase is measured.
const SECONDS_MAX: u64 = 600;
/// The longest soak: four weeks.
const SOAK_MINUTES_MAX: u64 = 40_320;
/// The part of the capacity at which lateness is measured beside half of it.
pub const HIGH_LOAD: f64 = 0.8;
/// The phase before anything is measured.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// How often capacity and floor are measured in turns: the host's speed changes within seconds.
const TURNS: u32 = 5;
/// The same where nothing else is measured.
const TURNS_OF_CAPACITY: u32 = 2;
/// For how long the floor is measured, each time.
pub const FLOOR: Duration = Duration::from_millis(200);
/// Descriptors of either process beside those of sessions.
const DESCRIPTORS_BESIDE: u64 = 512;
/// The most clients with packets.
const CLIENTS_MAX: usize = 1024;
/// The most idle clients: a node takes some more connections from clients.
const IDLE_CLIENTS_MAX: usize = 14_000;
/// The share of free memory that packets may take, and the most: more would be paid for in page faults.
pub const MEMORY_SHARE: f64 = 0.4;
const POOL_BYTES_MAX: f64 = (4_u64 << 30) as f64;
/// The node must post its descriptor in the first tenth of an epoch: this is a second and a half of it.
const PERIOD_MIN: Duration = Duration::from_secs(16);
/// For how long a node with links has nothing to do.
pub const IDLE: Duration = Duration::from_secs(3);
/// Room in an epoch beside what is measured.
const OVERHEAD: Duration = Duration::from_secs(4);
/// Time for the node to start and to post its descriptor.
const START: Duration = Duration::from_secs(4);
/// After the start of an epoch, until the node has looked at its links again.
pub const SETTLE: Duration = Duration::from_millis(500);
/// How much longer than on trial making packets may take before there are fewer of them.
const MILL_SLACK: f64 = 1.5;

/// Everything that is known before the node starts.
pub struct Plan {
    /// Sizes of packets.
    pub geometry: Geometry,
    /// Who runs where.
    pub placement: Placement,
    /// Who listens where.
    pub site: Site,
    /// What one core does with the cryptography alone, measured in turns with the node.
    pub floor: Floor,
    /// What one core unwrapped at first.
    pub unwraps_per_second: f64,
    /// What the rig does with a node without work.
    pub ceiling_packets_per_second: f64,
    /// Packets to make, if there is time.
    pub packets: usize,
    /// How long that takes on a machine like a moment ago.
    pub mill_time: Duration,
    /// The most that the node may do, in packets per second.
    pub capacity_max: f64,
    /// What goes with the packets' delays.
    pub pace: Pace,
    /// How often capacity and floor are measured in turns.
    pub turns: u32,
    shares: Shares,
    seconds: Duration,
    /// Phases in which packets are sent at a rate.
    open_phases: u32,
}

/// Times around a phase, which depend on how long packets are delayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Time in a phase before its figures begin.
    pub ramp: Duration,
    /// Time for the last packets of a phase.
    pub drain: Duration,
}

impl Pace {
    fn new(network_delays: bool) -> Self {
        let ms = |ramp, drain| Self { ramp: Duration::from_millis(ramp), drain: Duration::from_millis(drain) };
        // Most packets must be inside before the figures begin: some means of a network's delays, and its longest delay.
        if network_delays { ms(1500, 7000) } else { ms(300, 1000) }
    }
}

/// Parts of the packets, by phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// For the warm-up.
    pub warm_up: f64,
    /// For the capacity.
    pub capacity: f64,
    /// For each phase with half the capacity, or with the rate that was asked for.
    pub open: f64,
    /// For the phase with most of the capacity.
    pub high: f64,
}

impl Plan {
    /// Looks at the options and at the host; `ceiling` measures the rig by itself.
    pub fn new(
        options: &Options,
        site: Site,
        ceiling: impl FnOnce(&Geometry, &Placement) -> Result<f64, String>,
    ) -> Result<Self, Failure> {
        check(options)?;
        let geometry = geometry(&options.sphinx, options.payload_bytes)?;
        let placement = Placement::of_this_host(options.shards);
        say(format_args!("measuring the rig against a node without work"));
        let ceiling_packets_per_second = ceiling(&geometry, &placement)?;
        say(format_args!("measuring what one core unwraps and makes"));
        let floor = Floor::new(&geometry)?;
        let processor = placement.node.first().copied();
        let unwraps_per_second =
            on_processor(processor, || floor.measure(Duration::from_millis(500)))?.unwraps_per_second;
        let made_per_second = mill::packets_per_second(&geometry, floor.public_key(), Duration::from_millis(500))?;
        let seconds = Duration::from_secs(options.seconds);
        let capacity = (unwraps_per_second * options.shards as f64).min(ceiling_packets_per_second);
        let rate = options.rate.map_or(capacity / 2.0, f64::from);
        let has_high = options.rate.is_none() && !options.only_capacity;
        let open_phases = match options.role {
            _ if options.only_capacity => 0,
            // New clients are measured at a rate too.
            Role::Gateway => 2,
            Role::Mix | Role::Service => 1,
        };
        let high = if has_high { capacity * HIGH_LOAD } else { 0.0 };
        let pace = Pace::new(options.network_delays);
        let turns = if options.only_capacity { TURNS_OF_CAPACITY } else { TURNS };
        let (wanted, shares) = packets(capacity, rate, high, seconds, open_phases, turns * pace.ramp, pace.ramp);
        let open_phases = open_phases + u32::from(has_high);
        let bytes = (memory_available()? * MEMORY_SHARE).min(POOL_BYTES_MAX);
        let packets = wanted.min(bytes / (geometry.packet_length + FRAME_OVERHEAD_BYTES + 64) as f64) as usize;
        let mill_time = Duration::from_secs_f64(packets as f64 / made_per_second);
        Ok(Self {
            geometry,
            placement,
            site,
            floor,
            unwraps_per_second,
            ceiling_packets_per_second,
            packets,
            mill_time,
            capacity_max: capacity,
            pace,
            turns,
            shares,
            seconds,
            open_phases,
        })
    }

    /// How long an epoch must be so that packets are made in one and all is measured in another.
    pub fn period(&self) -> Duration {
        let preparing = START + self.mill_time.mul_f64(MILL_SLACK);
        PERIOD_MIN.max(self.measured_time() + SETTLE + OVERHEAD).max(preparing)
    }

    /// From the first packet to the last.
    pub fn measured_time(&self) -> Duration {
        let Pace { ramp, drain } = self.pace;
        let capacity = self.turns * (FLOOR + ramp + self.turn() + drain);
        WARM_UP + drain + capacity + self.open_phases * (ramp + self.seconds + drain)
    }

    /// For how long the capacity is measured each time.
    pub fn turn(&self) -> Duration {
        self.seconds / self.turns
    }

    /// For how long each of the phases with a rate is measured.
    pub fn seconds(&self) -> Duration {
        self.seconds
    }

    /// The parts of so many packets.
    pub fn parts(&self, packets: usize) -> Parts {
        let part = |share: f64| (packets as f64 * share) as usize;
        let Shares { warm_up, capacity, open, high } = self.shares;
        Parts { warm_up: part(warm_up), capacity: part(capacity), open: part(open), high: part(high) }
    }
}

/// Numbers of packets, by phase, as in [`Shares`].
pub struct Parts {
    /// For the warm-up.
    pub warm_up: usize,
    /// For the capacity.
    pub capacity: usize,
    /// For each phase with a rate.
    pub open: usize,
    /// For the phase with most of the capacity.
    pub high: usize,
}

/// When what must have happened, by the key in the node's descriptor for an epoch.
pub struct Schedule<'a> {
    /// All epochs.
    pub clock: &'a EpochClock,
    /// The descriptor's epoch.
    pub epoch: Epoch,
    /// How long everything is measured.
    pub measured: Duration,
}

impl Schedule<'_> {
    /// The last moment at which sending may begin: all ends while the key is good, with a margin.
    pub fn latest_begin(&self) -> Duration {
        self.key_ends().saturating_sub(self.measured + OVERHEAD / 2)
    }

    /// The moment at which the node lets go of the key: it is good for one epoch after its own.
    pub fn key_ends(&self) -> Duration {
        self.clock.start(self.epoch.after(2))
    }

    /// When to begin, if all is ready now: at once if everything fits into this epoch, else with the next; never before
    /// the key's own epoch.
    pub fn begin(&self, now: Duration) -> Result<Duration, Failure> {
        let first = self.clock.start(self.epoch) + SETTLE;
        let second = self.clock.start(self.epoch.after(1));
        let begin = if now.max(first) + self.measured <= second { now.max(first) } else { now.max(second + SETTLE) };
        if begin <= self.latest_begin() + SETTLE {
            return Ok(begin);
        }
        let late = begin.saturating_sub(self.latest_begin());
        Err(Failure::NoFigure(format!(
            "making and sealing packets took {:.1} s too long for the life of the node's key; the host is too busy: run \
             again, or with fewer --seconds",
            late.as_secs_f64()
        )))
    }

    /// That the node still has the key, so that all it did counts.
    pub fn check_key(&self, now: Duration, phase: &str) -> Result<(), Failure> {
        if now < self.key_ends() {
            return Ok(());
        }
        Err(Failure::NoFigure(format!(
            "the node's key ended while {phase} was measured, because the host stood still: nothing is known about the \
             packets behind that; run again"
        )))
    }
}

/// How many packets all phases need, and their parts; `ramps` are those of all turns together.
fn packets(
    capacity: f64,
    rate: f64,
    high: f64,
    seconds: Duration,
    open_phases: u32,
    ramps: Duration,
    ramp: Duration,
) -> (f64, Shares) {
    let warm_up = capacity * WARM_UP.as_secs_f64();
    let full = capacity * (ramps + seconds).as_secs_f64();
    let of = |rate: f64| rate * (ramp + seconds).as_secs_f64();
    let (open, high) = (of(rate), of(high));
    let all = warm_up + full + open * f64::from(open_phases) + high;
    (all, Shares { warm_up: warm_up / all, capacity: full / all, open: open / all, high: high / all })
}

fn check(options: &Options) -> Result<(), String> {
    if !(1..=SECONDS_MAX).contains(&options.seconds) {
        return Err(format!("--seconds: 1 to {SECONDS_MAX}"));
    }
    if !(1..=LINKS_MAX).contains(&options.links) {
        return Err(format!("--links: 1 to {LINKS_MAX}"));
    }
    if !(1..=SHARDS_MAX).contains(&options.shards) {
        return Err(format!("--shards: 1 to {SHARDS_MAX}"));
    }
    if options.role == Role::Gateway {
        check_clients(options)?;
    } else if options.users.is_some() {
        return Err("--users: with --role gateway only".into());
    }
    if options.peer_server.is_some() && options.role != Role::Mix {
        return Err("--peer-server: with --role mix only".into());
    }
    if options.network_delays && options.service == Service::Plugin {
        return Err(
            "--network-delays: not with --service plugin: the node queues 512 requests for a plugin, and the first \
                    load of many packets is more"
                .into(),
        );
    }
    if options.rate == Some(0) {
        return Err("--rate: 1 packet per second or more".into());
    }
    if let Some(SoakOptions { minutes, load_percent }) = options.soak {
        if !(1..=SOAK_MINUTES_MAX).contains(&minutes) {
            return Err(format!("--soak: 1 to {SOAK_MINUTES_MAX} minutes"));
        }
        if !(1..=100).contains(&load_percent) {
            return Err("--load: 1 to 100 percent of the capacity".into());
        }
    }
    let name_of_a_backend = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if options.io.as_ref().is_some_and(|io| io.is_empty() || !io.chars().all(name_of_a_backend)) {
        return Err("--io: the name of a backend, like `glommio`".into());
    }
    Ok(())
}

fn check_clients(options: &Options) -> Result<(), String> {
    if !(1..=CLIENTS_MAX).contains(&options.clients) {
        return Err(format!("--clients: 1 to {CLIENTS_MAX}"));
    }
    if options.idle_clients > IDLE_CLIENTS_MAX {
        return Err(format!("--idle-clients: 0 to {IDLE_CLIENTS_MAX}"));
    }
    if !(1..=SECONDS_MAX).contains(&options.idle_seconds) {
        return Err(format!("--idle-seconds: 1 to {SECONDS_MAX}"));
    }
    check_descriptors(options.idle_clients)
}

/// That there are descriptors for so many sessions.
fn check_descriptors(sessions: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = sessions as u64 + DESCRIPTORS_BESIDE;
    if needed <= limit {
        return Ok(());
    }
    Err(format!(
        "--idle-clients {sessions}: the rig and the node need {needed} open files each, and may have {limit}; raise the \
         limit (ulimit -Hn), or ask for {} at most",
        limit.saturating_sub(DESCRIPTORS_BESIDE)
    ))
}

/// The geometry for a NIKE or KEM by name.
pub fn geometry(name: &str, payload_bytes: usize) -> Result<Geometry, String> {
    if !(1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
        return Err(format!("--payload {payload_bytes}: 1 to {PAYLOAD_BYTES_MAX} bytes"));
    }
    testnet::settings::geometry_of_hops(name, payload_bytes, HOPS).map_err(|error| format!("--sphinx: {error}"))
}

/// Bytes of memory that are free for use.
pub fn memory_available() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|error| format!("/proc/meminfo: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1024.0).ok_or_else(|| "/proc/meminfo has no MemAvailable".into())
}
