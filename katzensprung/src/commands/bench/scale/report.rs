//! What `bench scale` says: a table for people, one object for programs.

#[cfg(test)]
mod tests;

use serde::Serialize;
use simnet::scale::{Costs, Row};
use sphinx::Geometry;
use std::fmt;
use std::time::Duration;

/// Nearly all of a processor.
const FULL: f64 = 0.95;

/// Where no host is measured: X25519 NIKE, 3,082 bytes, AVX-512 on a virtual core of a Sapphire Rapids, 30 November 2026
/// (`bench/RESULTS.md`, Shards).
pub const ELSEWHERE: Costs = Costs {
    poll_ns: 300,
    receive_ns: 0,
    open_ns: 2_600,
    look_up_ns: 700,
    unwrap_ns: 22_200,
    route_ns: 300,
    delay_ns: 500,
    seal_ns: 2_300,
    send_ns: 3_200,
    hand_over_ns: 300,
    lanes: 8,
};

/// What some shards of this host carry.
#[derive(Debug, Serialize)]
pub struct HostRow {
    /// Shards.
    pub shards: usize,
    /// Links on either side.
    pub links: usize,
    /// What they carry.
    pub packets_per_second: f64,
    /// That, to what one shard carries with as many links.
    pub to_one_shard: f64,
    /// That, to the number of shards.
    pub efficiency: f64,
    /// Processor time of the data plane.
    pub cpu_us_per_packet: f64,
    /// The share of the shards' processors that the data plane used.
    pub node_cpu_share: f64,
    /// The share of its processor that the rig used.
    pub rig_cpu_share: f64,
    /// Whether the rig has a processor to itself.
    pub rig_has_processor: bool,
    /// What stops it from carrying more.
    pub limit: &'static str,
    /// What was not right.
    pub faults: Vec<String>,
    #[serde(skip)]
    stages: Vec<rig::Stage>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The scheme of the packets.
    pub sphinx: String,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// Processors of this host.
    pub processors: usize,
    /// The simulation's seed.
    pub seed: u64,
    /// What was measured here.
    pub host: Vec<HostRow>,
    /// What was simulated.
    pub simulated: Vec<Simulated>,
}

/// What was simulated with links of one number.
#[derive(Debug, Serialize)]
pub struct Simulated {
    /// Of stages.
    pub costs: Costs,
    /// By shards.
    pub rows: Vec<Row>,
}

impl HostRow {
    /// Of a measured node.
    pub fn of(report: rig::Report) -> Self {
        let limit = if report.rig_processor.is_none() {
            "the rig runs on the shards' processors"
        } else if !report.is_quiet() {
            "somebody else had the processors: measure again"
        } else if report.node_cpu_share >= FULL {
            "all shards are full"
        } else if report.rig_cpu_share >= FULL {
            "the rig"
        } else {
            "no processor is full"
        };
        Self {
            shards: report.shards,
            links: report.links,
            packets_per_second: report.packets_per_second,
            to_one_shard: 1.0,
            efficiency: 1.0,
            cpu_us_per_packet: report.cpu_us_per_packet,
            node_cpu_share: report.node_cpu_share,
            rig_cpu_share: report.rig_cpu_share,
            rig_has_processor: report.rig_processor.is_some(),
            limit,
            faults: report.faults(),
            stages: report.stages,
        }
    }

    /// What its stages cost, for kernels of so many lanes.
    pub fn costs(&self, lanes: usize, hand_over: Option<Duration>) -> Costs {
        costs(&self.stages, self.cpu_us_per_packet, lanes, hand_over)
    }
}

/// What stages cost: shares of the processor time, because stages are timed by the clock, also while somebody else has the
/// processor.
pub fn costs(stages: &[rig::Stage], cpu_us_per_packet: f64, lanes: usize, hand_over: Option<Duration>) -> Costs {
    let each = |stage: &rig::Stage| stage.seconds * 1e9 / stage.samples.max(1) as f64;
    let scale = cpu_us_per_packet * 1e3 / stages.iter().map(each).sum::<f64>();
    let of = |name: &str| {
        let stage = stages.iter().find(|stage| stage.name == name);
        stage.map_or(0, |stage| (each(stage) * scale).round() as u64)
    };
    Costs {
        poll_ns: of("poll"),
        receive_ns: of("receive"),
        open_ns: of("open"),
        look_up_ns: of("look_up"),
        unwrap_ns: of("unwrap"),
        route_ns: of("route"),
        delay_ns: of("delay"),
        seal_ns: of("seal"),
        send_ns: of("send"),
        hand_over_ns: hand_over.map_or(ELSEWHERE.hand_over_ns, |time| time.as_nanos() as u64),
        lanes,
    }
}

impl Report {
    /// Nothing yet.
    pub fn new(geometry: &Geometry, processors: usize, seed: u64) -> Self {
        let Geometry { nike_name, kem_name, .. } = geometry;
        Self {
            sphinx: if kem_name.is_empty() { format!("{nike_name} NIKE") } else { format!("{kem_name} KEM") },
            packet_bytes: geometry.packet_length,
            processors,
            seed,
            host: Vec::new(),
            simulated: Vec::new(),
        }
    }

    /// The next row of the host; one shard comes before all others.
    pub fn measured(&mut self, mut row: HostRow) {
        let one = self.host.iter().find(|other| (other.shards, other.links) == (1, row.links));
        row.to_one_shard = one.map_or(1.0, |one| row.packets_per_second / one.packets_per_second);
        row.efficiency = row.to_one_shard / row.shards as f64;
        self.host.push(row);
    }

    /// The rows of the next number of links.
    pub fn simulated(&mut self, costs: Costs, rows: Vec<Row>) {
        self.simulated.push(Simulated { costs, rows });
    }

    /// All of it, as one line.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    fn on_host(&self, row: &Row) -> Option<&HostRow> {
        self.host.iter().find(|host| (host.shards, host.links) == (row.shards, row.links))
    }

    fn fmt_host(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\nOn this host ({} processors)\n", self.processors)?;
        writeln!(formatter, "  links  shards  packets/s  to one  efficiency  CPU us  busy  what limits")?;
        for row in &self.host {
            writeln!(
                formatter,
                "  {:>5}  {:>6}  {:>9.0}  {:>6.2}  {:>10.2}  {:>6.1}  {:>3.0}%  {}",
                row.links,
                row.shards,
                row.packets_per_second,
                row.to_one_shard,
                row.efficiency,
                row.cpu_us_per_packet,
                100.0 * row.node_cpu_share,
                row.limit
            )?;
            row.faults.iter().try_for_each(|fault| writeln!(formatter, "         NOT RIGHT: {fault}"))?;
        }
        Ok(())
    }

    fn fmt_simulated(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let costs = if self.host.is_empty() { "that were measured elsewhere" } else { "measured above with one shard" };
        writeln!(
            formatter,
            "\nSimulated from seed {}: the shards that ship, each on a processor of its own, with stage costs {costs}.\nNot \
             in it: what processors share beside queues and packets (memory's bandwidth, the kernel, the network card).",
            self.seed
        )?;
        for Simulated { costs, rows } in &self.simulated {
            writeln!(formatter, "\n  ns per packet: {}", words(costs))?;
            writeln!(
                formatter,
                "  links  shards  packets/s  to one  efficiency  busy, most  on the host  what limits"
            )?;
            for row in rows {
                let host = self.on_host(row).map_or("-".into(), |host| format!("{:.0}", host.packets_per_second));
                writeln!(
                    formatter,
                    "  {:>5}  {:>6}  {:>9.0}  {:>6.2}  {:>10.2}  {:>3.0}%, {:>3.0}%  {host:>11}  {}",
                    row.links,
                    row.shards,
                    row.packets_per_second,
                    row.to_one_shard,
                    row.efficiency,
                    100.0 * row.usage.mean,
                    100.0 * row.usage.most,
                    row.limit
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "Shards of one mix, {}, packets of {} bytes", self.sphinx, self.packet_bytes)?;
        if !self.host.is_empty() {
            self.fmt_host(formatter)?;
        }
        self.fmt_simulated(formatter)
    }
}

/// The costs in a line.
fn words(costs: &Costs) -> String {
    let Costs { poll_ns, receive_ns, open_ns, look_up_ns, unwrap_ns, route_ns, delay_ns, seal_ns, send_ns, .. } = costs;
    format!(
        "poll {poll_ns}, receive {receive_ns}, open {open_ns}, look-up {look_up_ns}, unwrap {unwrap_ns} (in {} lanes), \
         route {route_ns}, delay {delay_ns}, seal {seal_ns}, send {send_ns}, from another processor {}",
        costs.lanes, costs.hand_over_ns
    )
}
