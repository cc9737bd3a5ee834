//! The formulas: what a rate needs, and what limits it (docs/operating/capacity.md).

use super::demand::{Demand, SHARDS_OF_NODE_MAX};
use super::line::{self, LINE_SHARE, Transport};
use super::measured::{Measured, Shard};
use super::simulated::Simulated;
use controlplane::node::memory::{Host, Sizes, Wanted};
use pki::EpochClock;
use serde::Serialize;
use simnet::scale::Limit;

/// How often the bytes of a packet go over the memory's bus: written by the card, read and written by the node, read by the
/// card.
const MEMORY_PASSES: f64 = 4.0;
/// Busier than that, packets are late.
const BUSY_MAX: f64 = 0.8;
const GB: f64 = 1e9;

/// A number of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct Quantity {
    /// Of what.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// How that comes about.
    pub formula: String,
}

/// All that a rate needs.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What the node is.
    pub role: String,
    /// The scheme of its packets.
    pub sphinx: String,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// What carries links.
    pub transport: Transport,
    /// The card's line.
    pub card_gbit: u32,
    /// Where the costs are from.
    pub source: String,
    /// Packets per second.
    pub packets_per_second: f64,
    /// What they need.
    pub needs: Vec<Quantity>,
    /// Packets per second that each part would let through.
    pub ceilings: Vec<Quantity>,
    /// The part with the lowest of these.
    pub limit: &'static str,
    /// Whether that is enough.
    pub is_enough: bool,
    /// What was simulated.
    pub simulated: Option<Simulated>,
    /// What should be known beside.
    pub notes: Vec<String>,
}

impl Plan {
    /// Works it out.
    pub fn new(demand: &Demand, measured: &Measured, simulated: Option<Simulated>) -> Result<Self, String> {
        let rate = demand.rate(measured.packet_bytes);
        let shard = measured.shard(demand.transport);
        // Where links are what limits, more shards would not help: that is a ceiling of its own.
        let of_shards = |found: &&Simulated| found.row.limit == Limit::Processors;
        let efficiency = simulated.as_ref().filter(of_shards).map_or(1.0, |found| found.row.efficiency.min(1.0));
        let shards = demand.shards(rate, &shard, efficiency);
        let memory = memory(measured, rate, shards)?;
        let mut needs = processors(demand, rate, &shard, efficiency, shards);
        needs.extend(simulated.as_ref().and_then(|found| links(demand, rate, found)));
        needs.extend(of_line(demand, measured, rate));
        needs.extend(of_memory(demand, measured, rate, shards, &memory));
        let ceilings = ceilings(demand, measured, &shard, efficiency, shards, simulated.as_ref());
        let lowest = ceilings.iter().min_by(|one, other| one.value.total_cmp(&other.value));
        let (limit, most) = lowest.map_or(("nothing", f64::INFINITY), |lowest| (lowest.name, lowest.value));
        let mut notes = measured.notes();
        notes.extend(self::notes(measured, shards, simulated.as_ref()));
        Ok(Self {
            role: measured.role.clone(),
            sphinx: measured.sphinx.clone(),
            packet_bytes: measured.packet_bytes,
            transport: demand.transport,
            card_gbit: demand.card_gbit,
            source: measured.source.clone(),
            packets_per_second: rate,
            needs,
            limit,
            is_enough: most >= rate,
            ceilings,
            simulated,
            notes,
        })
    }
}

fn quantity(name: &'static str, value: f64, unit: &'static str, formula: String) -> Quantity {
    Quantity { name, value, unit, formula }
}

/// Shards, queues and hosts.
fn processors(demand: &Demand, rate: f64, shard: &Shard, efficiency: f64, shards: usize) -> Vec<Quantity> {
    let each = shard.packets_per_second;
    let of = |busy: f64| format!("{rate:.0} / ({busy:.2} x {each:.0} x {efficiency:.2})");
    let busier = Demand { busy: BUSY_MAX, ..*demand }.shards(rate, shard, efficiency);
    let mut found = vec![
        quantity("processor time of a packet", shard.cpu_us, "us", format!("at full load: {}", shard.formula)),
        quantity("one shard", each, "packets/s", format!("1e6 / {:.2} us", shard.cpu_us)),
        quantity("shards, cores of their own", shards as f64, "", of(demand.busy)),
        quantity("the same at 80 % busy", busier as f64, "", of(BUSY_MAX)),
        quantity("queues of the card", shards as f64, "", "one for each shard".into()),
    ];
    if let Some(cores) = demand.cores {
        let hosts = shards.div_ceil(cores);
        found.push(quantity("hosts", hosts as f64, "", format!("{shards} shards / {cores} cores")));
    }
    found
}

/// Links, where those that there are would limit.
fn links(demand: &Demand, rate: f64, found: &Simulated) -> Option<Quantity> {
    let row = &found.row;
    let most = demand.busy * row.packets_per_second;
    let count = (row.links as f64 * rate / most).ceil();
    let formula = format!("{} x {rate:.0} / ({:.2} x {:.0})", row.links, demand.busy, row.packets_per_second);
    let is_limit = row.limit != Limit::Processors && most < rate;
    is_limit.then(|| quantity("links on either side", count, "", formula))
}

fn of_line(demand: &Demand, measured: &Measured, rate: f64) -> Vec<Quantity> {
    let (bytes, formula) = line::bytes(measured.packet_bytes, demand.transport);
    let gbit = rate * bytes * 8.0 / GB;
    let share = 100.0 * gbit / f64::from(demand.card_gbit);
    vec![
        quantity("line for a packet", bytes, "bytes", formula),
        quantity("line, each way", gbit, "Gbit/s", format!("{rate:.0} x {bytes:.0} x 8")),
        quantity("share of the line", share, "%", format!("{gbit:.2} / {} Gbit/s", demand.card_gbit)),
    ]
}

/// What the node that ships takes at such a rate.
fn memory(measured: &Measured, rate: f64, shards: usize) -> Result<Sizes, String> {
    let wanted = Wanted {
        line_rate: Some(rate.ceil().clamp(1.0, f64::from(u32::MAX)) as u32),
        slots: None,
        shards: shards.min(SHARDS_OF_NODE_MAX),
        epoch_period: EpochClock::PERIOD,
        packet_bytes: measured.packet_bytes,
        has_clients: measured.role == "gateway",
        spool_mib: None,
    };
    let host = Host { bytes: None, is_limited: false, available: None };
    wanted.sizes(&host).map_err(|error| error.to_string())
}

fn of_memory(demand: &Demand, measured: &Measured, rate: f64, shards: usize, sizes: &Sizes) -> Vec<Quantity> {
    let (bytes, seconds) = (measured.packet_bytes as f64, demand.delay_ms / 1e3);
    let slots = f64::from(sizes.slots_per_shard) * shards.min(SHARDS_OF_NODE_MAX) as f64;
    let mut found = vec![
        quantity(
            "replay sets of three keys",
            sizes.replay_bytes as f64 / GB,
            "GB",
            format!("3 x 8 bytes x {rate:.0} x {} s / 0.6", EpochClock::PERIOD.as_secs()),
        ),
        quantity("packets in flight", rate * seconds, "", format!("{rate:.0} x {seconds} s of mean delay")),
        quantity("their bytes", rate * seconds * bytes / GB, "GB", format!("x {bytes}")),
        quantity(
            "slots for the longest delays",
            sizes.slot_bytes as f64 / GB,
            "GB",
            format!("{slots:.0} slots, as the node takes them by default"),
        ),
        quantity(
            "bandwidth of memory",
            MEMORY_PASSES * rate * bytes / GB,
            "GB/s",
            format!("{MEMORY_PASSES} x {rate:.0} x {bytes}, caches left out"),
        ),
    ];
    if sizes.spool_bytes > 0 {
        found.push(quantity(
            "mail of clients",
            sizes.spool_bytes as f64 / GB,
            "GB",
            "as the node takes by default".into(),
        ));
    }
    found.push(quantity("memory", sizes.total_bytes() as f64 / GB, "GB", "the sum".into()));
    found
}

/// What each part lets through.
fn ceilings(
    demand: &Demand,
    measured: &Measured,
    shard: &Shard,
    efficiency: f64,
    shards: usize,
    simulated: Option<&Simulated>,
) -> Vec<Quantity> {
    let (each, busy) = (shard.packets_per_second, demand.busy);
    let cores = demand.cores.unwrap_or(SHARDS_OF_NODE_MAX).min(SHARDS_OF_NODE_MAX);
    let whose = if demand.cores.is_some() { "cores" } else { "shards, the most of a node: give --cores" };
    let line = line::packets_per_second(demand.card_gbit, measured.packet_bytes, demand.transport);
    let bytes = line::bytes(measured.packet_bytes, demand.transport).0;
    let mut found = vec![
        quantity(
            "processors",
            busy * each * efficiency * cores as f64,
            "packets/s",
            format!("{busy:.2} x {each:.0} x {efficiency:.2} x {cores} {whose}"),
        ),
        quantity("line", line, "packets/s", format!("{LINE_SHARE} x {}e9 / 8 / {bytes:.0}", demand.card_gbit)),
    ];
    if let Some(found_in) = simulated
        && found_in.row.limit != Limit::Processors
    {
        let row = &found_in.row;
        let formula =
            format!("{busy:.2} x {:.0} simulated with {} links: {}", row.packets_per_second, row.links, row.limit);
        found.push(quantity("links", busy * row.packets_per_second, "packets/s", formula));
    }
    if let Some(memory_bytes) = demand.memory_bytes {
        let fits = |rate: f64| memory(measured, rate, shards).is_ok_and(|sizes| sizes.total_bytes() <= memory_bytes);
        let formula = format!("the most that fits into {:.1} GB", memory_bytes as f64 / GB);
        found.push(quantity("memory", largest(fits), "packets/s", formula));
    }
    found
}

/// The largest rate that fits: all below it do.
fn largest(fits: impl Fn(f64) -> bool) -> f64 {
    let (mut good, mut bad) = (0.0, f64::from(u32::MAX));
    while bad - good > 1.0 {
        let middle = (good + bad) / 2.0;
        if fits(middle) { good = middle } else { bad = middle }
    }
    f64::floor(good)
}

fn notes(measured: &Measured, shards: usize, simulated: Option<&Simulated>) -> Vec<String> {
    let mut notes = Vec::new();
    if shards > SHARDS_OF_NODE_MAX {
        notes.push(format!("a node has {SHARDS_OF_NODE_MAX} shards at most: share the rate among several nodes"));
    }
    match simulated {
        Some(found) if found.row.shards < shards.min(SHARDS_OF_NODE_MAX) => notes
            .push(format!("simulated were {} shards; that {shards} do as much each is not known", found.row.shards)),
        None if measured.role != "mix" => {
            notes.push(
                "only mixes are simulated: what shards of this role lose to each other is not in the plan".into(),
            );
        }
        _ => {}
    }
    notes.push(
        "costs are those of loopback, where the sender's call does the receiver's work in the kernel; a card's driver and \
         interrupts are not in them"
            .into(),
    );
    notes
}
