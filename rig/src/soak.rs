//! A node under load for as long as asked: is each packet right, does the account balance every minute, and does the
//! memory stay what it is?
//!
//! Packets are made while others are under way ([`super::mills`]), across epochs. Every minute of load ends with a pause
//! in which all packets come out, so that the node's account and the rig's can be compared to the last packet. Mills that
//! are slower than the load, which is likely on two processors, must not lessen it: a minute is cut into bouts for which
//! the stock lasts, with pauses in which it is made again.

pub mod found;
#[cfg(test)]
mod tests;

use super::account::NodeAccount;
use super::drive::{Drive, Load, Phase};
use super::frame::FRAME_OVERHEAD_BYTES;
use super::mills::{Mills, Stock};
use super::peers;
use super::plan::{Plan, SETTLE, memory_available};
use super::process::Program;
use super::supply::Supply;
use super::traffic::Traffic;
use super::world::{World, settled_account};
use super::{Failure, Options, SoakOptions, on_processor, say, until};
use found::{Counts, MemorySample, Minute, Soak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A run goes over some epochs, within these bounds.
const EPOCHS: u32 = 5;
const PERIOD_MIN: Duration = Duration::from_secs(20);
const PERIOD_MAX: Duration = Duration::from_secs(300);
/// The part of an epoch for which packets in stock may last, and that in which they are made before a minute begins: their
/// key lives for one epoch at least.
const STOCK_EPOCHS: f64 = 0.5;
const MAKING_EPOCHS: f64 = 0.4;
/// The part of the free memory that they may take, and the most.
const STOCK_MEMORY_SHARE: f64 = 0.25;
const STOCK_BYTES_MAX: f64 = (8_u64 << 30) as f64;
/// So many looks at the memory, and not more often than each second.
const MEMORY_SAMPLES: u64 = 1000;
/// From one line to the next.
const MINUTE: Duration = Duration::from_secs(60);
/// The shortest bout, however small the stock.
const BOUT_MIN: Duration = Duration::from_secs(5);
/// Between two looks at the time.
const TICK: Duration = Duration::from_millis(100);

/// One soak.
pub struct Soaking<'a> {
    /// Sizes of packets and who runs where.
    pub plan: &'a Plan,
    /// What the node is.
    pub options: &'a Options,
    /// How long and how much.
    pub soak: SoakOptions,
    /// Which way packets take.
    pub traffic: Traffic,
    /// What the node was found to forward at most, in packets per second.
    pub capacity: f64,
}

impl Soaking<'_> {
    /// Soaks a node of its own.
    pub fn run(&self) -> Result<Soak, Failure> {
        // Packets of a minute may take as long to make as to send.
        let period = (2 * self.duration() / EPOCHS).clamp(PERIOD_MIN, PERIOD_MAX);
        let mut world = World::start(self.plan, self.options, &Program::own(self.options), self.traffic, period)?;
        let outcome = self.run_in(&mut world);
        let found = outcome.map_err(|failure| world.node.with_last_lines(failure))?;
        world.node.stop()?;
        Ok(found)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(60 * self.soak.minutes)
    }

    fn run_in(&self, world: &mut World) -> Result<Soak, Failure> {
        say(format_args!("waiting for the next epoch and for links"));
        let clients = world.clients(self.options)?;
        let listeners = world.take_listeners();
        std::thread::sleep(until(world.network.clock.start(world.epoch) + SETTLE));
        let (network, node) = (world.network.clone(), world.credentials());
        let ends = self.traffic.ends(&clients);
        let mut links = peers::connect(&network, listeners, &node, world.entrance(), ends, world.links_limit())?;
        let ways = world.ways(&clients);
        let mills = Mills {
            geometry: &self.plan.geometry,
            purpose: ways.purpose(self.traffic)?,
            delays: self.traffic.delays(self.options.network_delays),
            in_turns: self.traffic == Traffic::FromClients,
            clock: &network.clock,
            first: world.epoch,
            keys: &|epoch| world.mix_key(epoch),
            processors: &self.plan.placement.mills,
        };
        let asked = self.options.rate.map_or(self.capacity * f64::from(self.soak.load_percent) / 100.0, f64::from);
        let frame_bytes = (self.plan.geometry.packet_length + FRAME_OVERHEAD_BYTES) as f64;
        let lasting = asked * network.clock.period().as_secs_f64() * STOCK_EPOCHS;
        let bytes_max = (memory_available()? * STOCK_MEMORY_SHARE).min(STOCK_BYTES_MAX);
        let stock_packets = lasting.min(bytes_max / frame_bytes) as usize;
        let sealers = std::mem::take(&mut links.sealers);
        let soak = mills.run(sealers, stock_packets, |stream, stock| {
            let mut soak = Soak {
                traffic: self.traffic.name(),
                capacity_packets_per_second: self.capacity,
                asked_packets_per_second: asked,
                epoch_seconds: network.clock.period().as_secs_f64(),
                ..Soak::default()
            };
            self.watch(world, Drive::new(Supply::from(stream), links)?, stock, &mut soak)?;
            Ok(soak)
        })?;
        world.node.check()?;
        Ok(soak)
    }

    /// All minutes, and looks at the memory beside them.
    fn watch(&self, world: &World, mut drive: Drive, stock: &Stock<'_>, soak: &mut Soak) -> Result<(), Failure> {
        let stop = AtomicBool::new(false);
        let interval = Duration::from_secs((60 * self.soak.minutes / MEMORY_SAMPLES).max(1));
        std::thread::scope(|scope| {
            let memory = scope.spawn(|| watch_memory(world, interval, &stop));
            let outcome = on_processor(self.plan.placement.rig, || self.minutes(world, &mut drive, stock, soak));
            stop.store(true, Ordering::Relaxed);
            soak.memory = memory.join().map_err(|_| "the watcher of the memory ended badly".to_owned())??;
            outcome
        })
    }

    fn minutes(&self, world: &World, drive: &mut Drive, stock: &Stock<'_>, soak: &mut Soak) -> Result<(), Failure> {
        let rate = soak.asked_packets_per_second;
        for number in 1..=self.soak.minutes {
            let before = Counts::of(drive.checker());
            let (phase, stocked) = self.minute(world, drive, stock, rate)?;
            drive.give_up();
            let counts = Counts::of(drive.checker());
            let exit = self.traffic.exit();
            let is_balanced = |account: &NodeAccount| account.is_balanced(counts.sent, counts.received, exit);
            let account = settled_account(&world.node, is_balanced)?;
            let epoch_now = world.network.epoch();
            let minute = Minute {
                minute: number,
                epochs: epoch_now.0 - world.epoch.0,
                account_balanced: is_balanced(&account),
                dropped: account.dropped_in_all() - soak.account.dropped_in_all(),
                load: rate / self.capacity,
                stocked,
                ..Minute::of(&phase, &counts.since(&before), world.node.memory()?)
            };
            eprintln!("{minute}");
            soak.add(minute, account, &phase)?;
        }
        Ok(())
    }

    /// A minute of load in as many bouts as the stock allows. Gives the share of the stock at its beginning, too.
    fn minute(&self, world: &World, drive: &mut Drive, stock: &Stock<'_>, rate: f64) -> Result<(Phase, f64), Failure> {
        let making = world.network.clock.period().mul_f64(MAKING_EPOCHS);
        let node_cpu = || world.node.data_plane_cpu().unwrap_or_default();
        let mut minute: Option<(Phase, f64)> = None;
        loop {
            let left = MINUTE.saturating_sub(minute.as_ref().map_or(Duration::ZERO, |(phase, _)| phase.duration));
            if left <= TICK {
                break minute.ok_or_else(|| Failure::Failed("a minute without load".into()));
            }
            let stocked = stock.wait(making);
            let bout = Duration::from_secs_f64(stock.packets() as f64 / rate).max(BOUT_MIN).min(left);
            let phase = drive.run(Load::PacketsPerSecond(rate), usize::MAX, Duration::ZERO, bout, node_cpu, || ())?;
            if phase.duration + TICK < bout {
                return Err(Failure::Failed("the mills have ended".into()));
            }
            match &mut minute {
                None => minute = Some((phase, stocked)),
                Some((sum, _)) => sum.add(phase)?,
            }
        }
    }
}

/// Looks at the memory again and again until `stop` is set.
fn watch_memory(world: &World, interval: Duration, stop: &AtomicBool) -> Result<Vec<MemorySample>, String> {
    let started = Instant::now();
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let seconds = started.elapsed().as_secs_f64();
        samples.push(MemorySample { seconds, memory: world.node.memory()? });
        let next = Instant::now() + interval;
        while !stop.load(Ordering::Relaxed) && Instant::now() < next {
            std::thread::sleep(TICK);
        }
    }
    Ok(samples)
}
