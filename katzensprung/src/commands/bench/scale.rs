//! `bench scale`: how far a mix grows with its shards, on this host and, from what its stages cost there, beyond.

pub mod report;

use super::super::complain;
use super::{NO_FIGURE, host};
use crypto_simd::cpu::{Level, level};
use pki::neighbours::Role;
use report::{HostRow, Report};
use rig::{Failure, Service};
use simnet::scale::{self, LINKS_MAX, SHARDS_MAX};
use std::process::ExitCode;
use std::thread;

/// The longest that one capacity is measured.
const SECONDS_MAX: u64 = 600;

/// Arguments of `bench scale`.
#[derive(clap::Args)]
pub struct Scale {
    /// The most shards that are simulated: 1, 2, 4 and so on; 1 to 64
    #[arg(long, value_name = "N", default_value_t = SHARDS_MAX)]
    shards_max: usize,
    /// The most shards that are measured on this host; 0 leaves that out and simulates with costs that were measured
    /// elsewhere [default: as many as there are processors beside the rig's, and 2 at least]
    #[arg(long, value_name = "N")]
    host_shards_max: Option<usize>,
    /// Links on either side of the node, 1 to 32: so many after the other
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_values_t = [1, 3, 16])]
    links: Vec<usize>,
    /// Seconds for which each capacity is measured on this host, beside half a minute that each takes to begin
    #[arg(long, value_name = "N", default_value_t = 2)]
    seconds: u64,
    /// The data plane's backend on this host, as `[dataplane] backend` names it [default: the node's choice]
    #[arg(long, value_name = "NAME")]
    io: Option<String>,
    /// The seed of the simulation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// NIKE or KEM of the packets; nike: or kem: before it decides where both have the name
    #[arg(long, value_name = "NAME", default_value = "x25519")]
    sphinx: String,
    /// Bytes of user payload, 1 to 100000
    #[arg(long, value_name = "BYTES", default_value_t = 2000)]
    payload: usize,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Measures, simulates and prints; the exit status says whether every packet on the host was right.
pub fn run(options: &Scale) -> Result<ExitCode, String> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let host_shards_max = options.host_shards_max.unwrap_or((processors - 1).clamp(2, SHARDS_MAX));
    check(options, host_shards_max)?;
    host::raise_descriptor_limit();
    let geometry = rig::geometry(&options.sphinx, options.payload)?;
    let mut report = Report::new(&geometry, processors, options.seed);
    let mut is_good = true;
    for &links in &options.links {
        let mut costs = None;
        for shards in doubling(host_shards_max) {
            complain(format_args!("{shards} shards of this host, {links} links on either side ..."));
            let row = match measure(options, shards, links) {
                Ok(row) => row,
                Err(Failure::Failed(reason)) => return Err(reason),
                Err(Failure::NoFigure(reason)) => {
                    complain(format_args!("NO FIGURE\n\n  {reason}"));
                    return Ok(ExitCode::from(NO_FIGURE));
                }
            };
            is_good &= row.faults.is_empty();
            if shards == 1 {
                costs =
                    Some(row.costs(level().map_or(1, Level::lanes), rig::hand_over::measure(geometry.packet_length)?));
            }
            report.measured(row);
        }
        complain(format_args!("simulating, {links} links on either side ..."));
        let costs = costs.unwrap_or(report::ELSEWHERE);
        let shards: Vec<usize> = doubling(options.shards_max).collect();
        report.simulated(costs, scale::simulate(&geometry, &costs, links, &shards, options.seed)?);
    }
    if options.json {
        super::super::print(format_args!("{}\n", report.to_json()?))?;
    } else {
        super::super::print(format_args!("{report}"))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(options: &Scale, host_shards_max: usize) -> Result<(), String> {
    if !(1..=SHARDS_MAX).contains(&options.shards_max) {
        return Err(format!("--shards-max: 1 to {SHARDS_MAX}"));
    }
    if host_shards_max > SHARDS_MAX {
        return Err(format!("--host-shards-max: 0 to {SHARDS_MAX}"));
    }
    if options.links.iter().any(|links| !(1..=LINKS_MAX).contains(links)) {
        return Err(format!("--links: numbers from 1 to {LINKS_MAX}, with commas between them"));
    }
    if !(1..=SECONDS_MAX).contains(&options.seconds) {
        return Err(format!("--seconds: 1 to {SECONDS_MAX}"));
    }
    Ok(())
}

/// 1, 2, 4 and so on, and the last one; nothing of none.
fn doubling(most: usize) -> impl Iterator<Item = usize> {
    let powers = std::iter::successors(Some(1), |shards| Some(shards * 2)).take_while(move |shards| *shards < most);
    powers.chain((most > 0).then_some(most))
}

fn measure(options: &Scale, shards: usize, links: usize) -> Result<HostRow, Failure> {
    let options = rig::Options {
        role: Role::Mix,
        service: Service::Echo,
        clients: 0,
        idle_clients: 0,
        idle_seconds: 1,
        seconds: options.seconds,
        links,
        shards,
        is_quic: false,
        is_apart: false,
        is_xdp: false,
        io: options.io.clone(),
        users: None,
        only_capacity: true,
        rate: None,
        network_delays: false,
        peer_server: None,
        soak: None,
        sphinx: options.sphinx.clone(),
        payload_bytes: options.payload,
        program: std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?,
    };
    rig::run(&options).map(HostRow::of)
}
