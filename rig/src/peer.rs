//! Another implementation's mix under the same rig, in turns with ours: what it carries without losing a packet, and what
//! a packet costs it.
//!
//! Both nodes run at the same time, each in a network of its own, and share the node's processor; the one that is not
//! measured has links and no packets. Ours is measured with a bounded number of packets inside; the other one is sent
//! packets at rates that rise until it loses some or falls behind, because what it cannot queue it drops.

pub mod found;
#[cfg(test)]
mod tests;

use super::drive::{Drive, Load, Phase};
use super::floor::median;
use super::frame::FRAME_OVERHEAD_BYTES;
use super::latency::{Latency, cpu_us_per_packet};
use super::mill::Pool;
use super::peers::{self, Ends};
use super::plan::{MEMORY_SHARE, Plan, SETTLE, Schedule, memory_available};
use super::process::Program;
use super::supply::Supply;
use super::traffic::Traffic;
use super::world::World;
use super::{Failure, Options, on_processor, say, until};
use found::{Peer, Trial};
use std::path::Path;
use std::time::{Duration, Instant};
use testnet::session::unix_now;

/// The length of epochs: packets are made in one, and all turns lie in the two of the key's life.
const PERIOD: Duration = Duration::from_secs(60);
/// Packets may be made until so long after the beginning of that epoch.
const MAKING_MORE: Duration = Duration::from_secs(10);
/// How long all turns take at most.
const MEASURED: Duration = Duration::from_secs(70);
/// Turns at most.
const TURNS: usize = 14;
/// Time before the figures of a turn begin.
const RAMP: Duration = Duration::from_millis(300);
/// For how long ours is measured each time.
const OWN_TURN: Duration = Duration::from_millis(500);
/// For how long the other one is.
const PEER_TURN: Duration = Duration::from_secs(2);
/// Packets that are made for it: enough to find the rate of one that carries 13,000 packets/s.
const PEER_PACKETS: usize = 400_000;
/// When to stop waiting for packets that it has dropped.
const QUIET: Duration = Duration::from_millis(800);
/// The first rate as a part of what ours does at most.
const FIRST_RATE: f64 = 0.02;
/// The part of what its processor time allows that it is asked next.
const SECOND_RATE: f64 = 0.7;
/// How much the rate rises while the mix has kept up with all, and rises and falls behind that.
const RISE: f64 = 1.2;
const SMALL_RISE: f64 = 1.04;
const SMALL_FALL: f64 = 0.95;

/// Which rate comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Search {
    rate: f64,
    trials: usize,
    has_failed: bool,
}

impl Search {
    fn new(own: f64) -> Self {
        Self { rate: own * FIRST_RATE, trials: 0, has_failed: false }
    }

    fn handle(&mut self, trial: &Trial) {
        self.trials += 1;
        self.has_failed |= !trial.keeps_up();
        self.rate *= match (self.trials, trial.keeps_up(), self.has_failed) {
            (1, true, _) if trial.cpu_us_per_packet > 0.0 => {
                (SECOND_RATE * 1e6 / trial.cpu_us_per_packet / self.rate).max(RISE)
            }
            (_, true, false) => RISE,
            (_, true, true) => SMALL_RISE,
            _ => SMALL_FALL,
        };
    }
}

/// A node with its links and packets.
struct Side<'a> {
    world: &'a World,
    drive: Drive,
}

impl<'a> Side<'a> {
    /// Waits for the node's epoch and its links.
    fn new(world: &'a mut World, mut pool: Pool) -> Result<Self, Failure> {
        let listeners = world.take_listeners();
        let world = &*world;
        std::thread::sleep(until(world.network.clock.start(world.epoch) + SETTLE));
        let (node, address, limit) = (world.credentials(), world.node.address, world.links_limit());
        let mut links = peers::connect(&world.network, listeners, &node, address, Ends::Mixes, limit)?;
        pool.seal(&mut links.sealers, None)?;
        Ok(Self { world, drive: Drive::new(Supply::of(pool), links)? })
    }

    fn run(&mut self, load: Load, duration: Duration) -> Result<Phase, Failure> {
        let Self { world, drive } = self;
        let cpu = || world.node.data_plane_cpu().unwrap_or_default();
        let phase = drive.run(load, usize::MAX, RAMP, duration, cpu, || ())?;
        let schedule = Schedule { clock: &world.network.clock, epoch: world.epoch, measured: MEASURED };
        schedule.check_key(unix_now(), "the two mixes")?;
        Ok(phase)
    }

    /// Whether there are packets for a turn at this rate.
    fn has_stock_for(&self, packets_per_second: f64, turn: Duration) -> bool {
        self.drive.stock() as f64 >= packets_per_second * (RAMP + turn).as_secs_f64()
    }

    /// Sends at a rate; gives what became of it.
    fn try_rate(&mut self, rate: f64) -> Result<Trial, Failure> {
        let (sent, lost) = (self.drive.checker().sent(), self.drive.checker().lost());
        let phase = self.run(Load::PacketsPerSecond(rate), PEER_TURN)?;
        self.drive.give_up();
        Ok(Trial {
            packets_per_second: rate,
            sent: self.drive.checker().sent() - sent,
            lost: self.drive.checker().lost() - lost,
            cpu_us_per_packet: cpu_us_per_packet(phase.node_cpu, phase.packets),
            lateness_ms: Latency::of(&phase.lateness_us),
        })
    }
}

/// Compares our mix with the one that `program` is.
pub fn compare(plan: &Plan, options: &Options, program: &Path) -> Result<Peer, Failure> {
    say(format_args!("starting {} and our mix, in epochs of {} s", program.display(), PERIOD.as_secs()));
    let mut peer = World::start(plan, options, &Program::of_peer(program), Traffic::Through, PERIOD)?;
    let mut own = World::start(plan, options, &Program::own(options), Traffic::Through, PERIOD)?;
    let outcome = compare_worlds(plan, options, &mut peer, &mut own);
    let found = outcome.map_err(|failure| own.node.with_last_lines(peer.node.with_last_lines(failure)))?;
    own.node.stop()?;
    peer.node.stop()?;
    Ok(Peer { program: program.display().to_string(), ..found })
}

fn compare_worlds(plan: &Plan, options: &Options, peer: &mut World, own: &mut World) -> Result<Peer, Failure> {
    let own_packets = 1.1 * plan.capacity_max * (RAMP + OWN_TURN).as_secs_f64() * TURNS as f64;
    let bytes_max = memory_available()? * MEMORY_SHARE / (plan.geometry.packet_length + FRAME_OVERHEAD_BYTES) as f64;
    let own_packets = own_packets.min(bytes_max) as usize;
    say(format_args!("making {PEER_PACKETS} packets for the one and {own_packets} for the other"));
    let deadline = |world: &World| Instant::now() + until(world.network.clock.start(world.epoch)) + MAKING_MORE;
    let peer_pool = peer.make_packets(plan, options, &[], PEER_PACKETS, deadline(peer))?;
    let own_pool = own.make_packets(plan, options, &[], own_packets, deadline(own))?;
    say(format_args!("waiting for the next epoch and for links"));
    let mut peer = Side::new(peer, peer_pool)?;
    let mut own = Side::new(own, own_pool)?;
    peer.drive.set_quiet_limit(QUIET);
    say(format_args!("measuring both in turns"));
    on_processor(plan.placement.rig, || take_turns(plan, options, &mut peer, &mut own))
}

fn take_turns(plan: &Plan, options: &Options, peer: &mut Side<'_>, own: &mut Side<'_>) -> Result<Peer, Failure> {
    let window = Load::Window(Traffic::Through.window(options.network_delays, plan.capacity_max));
    let (mut search, mut phases, mut trials) = (Search::new(plan.capacity_max), Vec::new(), Vec::new());
    let started = Instant::now();
    // The other one is asked once more in the end, at half of a rate.
    let has_stock = |peer: &Side<'_>, own: &Side<'_>, rate: f64| {
        peer.has_stock_for(1.6 * rate, PEER_TURN) && own.has_stock_for(plan.capacity_max, OWN_TURN)
    };
    while trials.len() < TURNS && started.elapsed() < MEASURED.mul_f64(0.8) && has_stock(peer, own, search.rate) {
        phases.push(own.run(window, OWN_TURN)?);
        let trial = peer.try_rate(search.rate)?;
        search.handle(&trial);
        trials.push(trial);
    }
    let best = |a: &&Trial, b: &&Trial| a.packets_per_second.total_cmp(&b.packets_per_second);
    let best = trials.iter().filter(|trial| trial.keeps_up()).max_by(best).copied();
    let Some(best) = best else {
        return Err(Failure::NoFigure(
            "the other mix lost packets or fell behind at every rate that was tried; is the host busy?".into(),
        ));
    };
    let at_half = peer.try_rate(best.packets_per_second / 2.0)?;
    let own_rates: Vec<f64> = phases.iter().map(|phase| phase.packets_per_second).collect();
    let own_cpu = median(phases.iter().map(|phase| cpu_us_per_packet(phase.node_cpu, phase.packets)).collect());
    let checker = own.drive.checker();
    Ok(Peer {
        program: String::new(),
        packets_per_second: best.packets_per_second,
        cpu_us_per_packet: best.cpu_us_per_packet,
        at_half,
        trials,
        own_cpu_us_per_packet: own_cpu,
        ratio: median(own_rates.clone()) / best.packets_per_second,
        own_packets_per_second: own_rates,
        cpu_ratio: best.cpu_us_per_packet / own_cpu,
        own_faults: checker.lost() + checker.wrong().total(),
        peer_wrong: peer.drive.checker().wrong().total(),
    })
}
