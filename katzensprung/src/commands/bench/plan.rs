//! `bench plan`: what a rate of packets needs, from what this node or another one was measured to cost.

mod demand;
mod line;
mod measured;
mod need;
mod report;
mod simulated;
#[cfg(test)]
mod tests;

use super::super::complain;
use super::{NO_FIGURE, RoleName, host};
use demand::Demand;
use line::Transport;
use measured::Measured;
use need::Plan;
use pki::neighbours::Role;
use rig::{Failure, Service};
use simnet::scale::{CardOptions, LINKS_MAX};
use std::path::PathBuf;
use std::process::ExitCode;

/// The longest that the capacity is measured.
const SECONDS_MAX: u64 = 600;
/// The fastest card of any that there is.
const CARD_GBIT_MAX: u32 = 1_600;

/// Arguments of `bench plan`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Packets per second through the node [default: what the card's line carries at 80 %]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// The card's line in Gbit/s: 10, 25, 100 or another
    #[arg(long, value_name = "GBIT", default_value_t = 10)]
    card: u32,
    /// What links are carried by
    #[arg(long, value_name = "NAME", default_value = "tcp")]
    transport: Transport,
    /// What `bench node --json` has said, in a file; may be given again for other roles [default: measures at once]
    #[arg(long, value_name = "FILE.json")]
    measured: Vec<PathBuf>,
    /// What the node is that is measured at once
    #[arg(long, value_name = "ROLE", default_value = "mix", conflicts_with = "measured")]
    role: RoleName,
    /// NIKE or KEM of the packets; nike: or kem: before it decides where both have the name [default: x25519, or what
    /// was measured]
    #[arg(long, alias = "scheme", value_name = "NAME")]
    sphinx: Option<String>,
    /// Bytes of user payload, 1 to 100000 [default: 2000, or what was measured]
    #[arg(long, value_name = "BYTES")]
    payload: Option<usize>,
    /// Links on either side of the node, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 16)]
    links: usize,
    /// How busy shards may be, in percent: half is the load at which `bench node` shows how late packets are
    #[arg(long, value_name = "PERCENT", default_value_t = 50)]
    busy: u32,
    /// Cores of one host for shards
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// Memory of one host
    #[arg(long, value_name = "GIB")]
    memory: Option<u64>,
    /// The mean delay of packets [default: that of the usual Mu]
    #[arg(long, value_name = "MS")]
    delay: Option<f64>,
    /// Packets that one peer sends back to back to the simulated card
    #[arg(long, value_name = "N", default_value_t = 32)]
    burst: usize,
    /// Frames that a ring of the simulated card holds
    #[arg(long, value_name = "N", default_value_t = 1024)]
    ring: usize,
    /// Leave the simulation out
    #[arg(long)]
    no_simulation: bool,
    /// The seed of the simulation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Seconds for which the capacity is measured at once
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "measured")]
    seconds: u64,
    /// Print the plans as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Reads or measures, works out, prints.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    check(arguments)?;
    let all = if arguments.measured.is_empty() {
        match measure(arguments) {
            Ok(measured) => vec![measured],
            Err(Failure::Failed(reason)) => return Err(reason),
            Err(Failure::NoFigure(reason)) => {
                complain(format_args!("NO FIGURE\n\n  {reason}"));
                return Ok(ExitCode::from(NO_FIGURE));
            }
        }
    } else {
        arguments.measured.iter().map(|path| Measured::read(path)).collect::<Result<Vec<_>, _>>()?
    };
    let demand = demand(arguments);
    let mut plans = Vec::new();
    for measured in all {
        measured.check(arguments.sphinx.as_deref(), arguments.payload)?;
        let simulated = if arguments.no_simulation { None } else { simulate(arguments, &demand, &measured)? };
        plans.push(Plan::new(&demand, &measured, simulated)?);
    }
    if arguments.json {
        let text = serde_json::to_string(&plans).map_err(|error| error.to_string())?;
        super::super::print(format_args!("{text}\n"))?;
    } else {
        plans.iter().try_for_each(|plan| super::super::print(format_args!("{plan}\n")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &Arguments) -> Result<(), String> {
    let within = |name: &str, value: u64, least: u64, most: u64| {
        let is_within = (least..=most).contains(&value);
        if is_within { Ok(()) } else { Err(format!("{name}: {least} to {most}")) }
    };
    if arguments.rate == Some(0) {
        return Err("--rate: 1 packet per second or more".into());
    }
    within("--card", arguments.card.into(), 1, CARD_GBIT_MAX.into())?;
    within("--links", arguments.links as u64, 1, LINKS_MAX as u64)?;
    within("--busy", arguments.busy.into(), 1, 100)?;
    within("--seconds", arguments.seconds, 1, SECONDS_MAX)?;
    within("--burst", arguments.burst as u64, 1, 65_536)?;
    within("--ring", arguments.ring as u64, 1, 1 << 20)?;
    within("--cores", arguments.cores.unwrap_or(1) as u64, 1, 1 << 16)?;
    within("--memory", arguments.memory.unwrap_or(1), 1, 1 << 20)?;
    if arguments.delay.is_some_and(|delay| !(delay > 0.0 && delay <= 3_600_000.0)) {
        return Err("--delay: more than 0 and at most 3600000 ms".into());
    }
    Ok(())
}

fn demand(arguments: &Arguments) -> Demand {
    Demand {
        rate: arguments.rate.map(f64::from),
        card_gbit: arguments.card,
        transport: arguments.transport,
        links: arguments.links,
        busy: f64::from(arguments.busy) / 100.0,
        cores: arguments.cores,
        memory_bytes: arguments.memory.map(|gib| gib << 30),
        delay_ms: arguments.delay.unwrap_or(1.0 / pki::document::MU_USUAL),
    }
}

fn measure(arguments: &Arguments) -> Result<Measured, Failure> {
    host::raise_descriptor_limit();
    let options = rig::Options {
        role: match arguments.role {
            RoleName::Mix => Role::Mix,
            RoleName::Gateway => Role::Gateway,
            RoleName::Service => Role::Service,
        },
        service: Service::Echo,
        clients: 256,
        idle_clients: 0,
        idle_seconds: 1,
        seconds: arguments.seconds,
        links: 2,
        shards: 1,
        is_quic: false,
        is_apart: false,
        is_xdp: false,
        io: None,
        users: None,
        only_capacity: true,
        rate: None,
        network_delays: false,
        peer_server: None,
        soak: None,
        sphinx: arguments.sphinx.clone().unwrap_or_else(|| measured::SPHINX.into()),
        payload_bytes: arguments.payload.unwrap_or(measured::PAYLOAD_BYTES),
        program: std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?,
    };
    let report = rig::run(&options)?;
    Ok(Measured::parse(&report.to_json()?, "measured now on this host")?)
}

/// What shards that ship do with these costs; of a mix, as only that is simulated.
fn simulate(
    arguments: &Arguments,
    demand: &Demand,
    measured: &Measured,
) -> Result<Option<simulated::Simulated>, String> {
    if measured.role != "mix" {
        return Ok(None);
    }
    complain(format_args!("simulating, {} links on either side ...", arguments.links));
    let card = CardOptions {
        bits_per_second: u64::from(arguments.card) * 1_000_000_000,
        queues: 1,
        ring_frames: arguments.ring,
        burst_packets: arguments.burst,
    };
    simulated::run(demand, measured, card, arguments.seed).map(Some)
}
