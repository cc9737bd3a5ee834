//! What a run says at its end: one object for programs, a table for people; and what it checks of itself.

use super::folder::role_name;
use super::network::Network;
use super::ping::Pings;
use super::scrape::Metrics;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use testnet::layout::Role;

/// The outcome of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Length of an epoch.
    pub epoch_seconds: f64,
    /// From the start of the processes until every node worked by a document of the current epoch; none for a network
    /// that was there before.
    pub seconds_to_consensus: Option<f64>,
    /// How many pings were sent.
    pub pings_sent: u64,
    /// How many of them were answered.
    pub pings_received: u64,
    /// Round trips; none where the client does not say.
    pub rtt_ms_min: Option<f64>,
    /// Half of them took longer.
    pub rtt_ms_median: Option<f64>,
    /// One in a hundred took longer.
    pub rtt_ms_p99: Option<f64>,
    /// The delays that the packets asked for, there and back.
    pub asked_delay_ms_median: Option<f64>,
    /// The part of all round trips that was asked for.
    pub asked_delay_share: Option<f64>,
    /// What each layer unwrapped meanwhile: gateways, layers by their numbers from 1, service nodes.
    pub unwraps_by_layer: BTreeMap<String, u64>,
    /// What all nodes dropped meanwhile.
    pub drops_by_reason: BTreeMap<String, u64>,
    /// Every node.
    pub hops: Vec<Hop>,
    /// What must not be; empty if all is well.
    pub problems: Vec<String>,
}

/// What a node did while the pings were under way.
#[derive(Clone, Debug, Serialize)]
pub struct Hop {
    /// Its name.
    pub name: String,
    /// Gateway, layer or service node.
    pub place: String,
    /// How often answered pings passed it; none where the client does not say.
    pub pings: Option<u64>,
    /// Packets that it unwrapped.
    pub unwraps: u64,
    /// Whether that is all of them.
    #[serde(skip)]
    is_counted: bool,
    /// Packets that it sent on; none where the node does not say.
    pub sent: Option<u64>,
    /// Packets that it dropped.
    pub dropped: u64,
    /// The same by reason.
    pub drops_by_reason: BTreeMap<String, u64>,
}

/// What nodes said before the pings and after them.
pub struct Readings {
    /// Before.
    pub before: BTreeMap<String, Metrics>,
    /// After.
    pub after: BTreeMap<String, Metrics>,
}

const UNWRAPS: &str = "katzenpost_sphinx_unwraps_total";
const DROPS: &str = "katzenpost_dropped_reason_total";
const SENT: &str = "katzensprung_packets_sent_total";

/// The part of a network in which a node stands.
fn place(role: Role) -> String {
    match role {
        Role::Mix(layer) => format!("layer{}", layer + 1),
        other => role_name(other).into(),
    }
}

impl Readings {
    /// By how much a counter has grown at a node; none where it has no such counter.
    fn grown(&self, node: &str, counter: &str) -> Option<u64> {
        let after = self.after.get(node)?.sum(counter)?;
        let before = self.before.get(node).and_then(|metrics| metrics.sum(counter)).unwrap_or(0.0);
        Some((after - before).max(0.0) as u64)
    }

    /// Why what a node has unwrapped cannot be held against the pings that passed it.
    fn doubt(&self, node: &str) -> Option<String> {
        let count = |of: &BTreeMap<String, Metrics>| of.get(node).and_then(|metrics| metrics.sum(UNWRAPS));
        match (count(&self.before), count(&self.after)) {
            (_, None) if !self.after.contains_key(node) => {
                Some(format!("{node} does not answer for its metrics, so that nobody knows what it unwrapped"))
            }
            (_, None) => Some(format!("{node} has no {UNWRAPS}")),
            (Some(before), Some(after)) if after < before => {
                Some(format!("{node} has begun to count anew meanwhile, so that nobody knows what it unwrapped"))
            }
            _ => None,
        }
    }

    fn drops(&self, node: &str) -> BTreeMap<String, u64> {
        let by_reason =
            |metrics: Option<&Metrics>| metrics.map(|metrics| metrics.by_label(DROPS, "reason")).unwrap_or_default();
        let before = by_reason(self.before.get(node));
        let after = by_reason(self.after.get(node)).into_iter();
        let grown = after.map(|(reason, count)| {
            let more = (count - before.get(&reason).copied().unwrap_or(0.0)).max(0.0) as u64;
            (reason, more)
        });
        grown.filter(|(_, more)| *more > 0).collect()
    }
}

impl Report {
    /// Puts everything together, and checks it.
    pub fn new(network: &Network, seconds_to_consensus: Option<f64>, pings: &Pings, readings: &Readings) -> Self {
        let mut report = Self {
            epoch_seconds: network.clock.period().as_secs_f64(),
            seconds_to_consensus,
            pings_sent: pings.sent,
            pings_received: pings.received,
            rtt_ms_min: quantile(pings, 0.0),
            rtt_ms_median: quantile(pings, 0.5),
            rtt_ms_p99: quantile(pings, 0.99),
            asked_delay_ms_median: None,
            asked_delay_share: None,
            unwraps_by_layer: BTreeMap::new(),
            drops_by_reason: BTreeMap::new(),
            hops: Vec::new(),
            problems: pings.problems.clone(),
        };
        report.add_delays(pings);
        for member in network.layout.of(|role| role != Role::Authority) {
            let (name, place) = (&member.name, place(member.role));
            let unwraps = readings.grown(name, UNWRAPS);
            let doubt = readings.doubt(name);
            let is_counted = doubt.is_none();
            report.problems.extend(doubt);
            let drops = readings.drops(name);
            *report.unwraps_by_layer.entry(place.clone()).or_default() += unwraps.unwrap_or(0);
            report.hops.push(Hop {
                name: name.clone(),
                place,
                pings: pings.passed.as_ref().map(|passed| passed.get(name).copied().unwrap_or(0)),
                unwraps: unwraps.unwrap_or(0),
                is_counted,
                sent: readings.grown(name, SENT),
                dropped: drops.values().sum(),
                drops_by_reason: drops.clone(),
            });
            for (reason, count) in drops {
                *report.drops_by_reason.entry(reason).or_default() += count;
            }
        }
        report.check_unwraps();
        report.check_trips(pings);
        report
    }

    fn add_delays(&mut self, pings: &Pings) {
        let mut asked: Vec<Duration> = pings.trips.iter().map(|trip| trip.asked_for).collect();
        asked.sort_unstable();
        self.asked_delay_ms_median = asked.get(asked.len().saturating_sub(1) / 2).map(|delay| ms(*delay));
        let took: Duration = pings.trips.iter().map(|trip| trip.took).sum();
        let asked: Duration = asked.iter().sum();
        self.asked_delay_share = (!took.is_zero()).then(|| asked.as_secs_f64() / took.as_secs_f64());
    }

    /// Each node must have unwrapped at least the answered pings that passed it; and every ping and its answer passed
    /// gateways and every layer, and service nodes once.
    fn check_unwraps(&mut self) {
        for hop in self.hops.iter().filter(|hop| hop.is_counted) {
            if let Some(pings) = hop.pings.filter(|pings| hop.unwraps < *pings) {
                let problem =
                    format!("{}: answered pings passed it {pings} times, and it unwrapped {}", hop.name, hop.unwraps);
                self.problems.push(problem);
            }
        }
        for (place, unwraps) in &self.unwraps_by_layer {
            if self.hops.iter().any(|hop| hop.place == *place && !hop.is_counted) {
                continue;
            }
            let times = if place == role_name(Role::ServiceNode) { 1 } else { 2 };
            if *unwraps < times * self.pings_received {
                let (received, wanted) = (self.pings_received, times * self.pings_received);
                self.problems
                    .push(format!("{place}: {unwraps} unwraps for {received} answered pings, {wanted} at least"));
            }
        }
    }

    /// No round trip is shorter than what its packets were told to wait.
    fn check_trips(&mut self, pings: &Pings) {
        for trip in pings.trips.iter().filter(|trip| trip.took < trip.asked_for) {
            let (took, asked) = (ms(trip.took), ms(trip.asked_for));
            self.problems.push(format!("a round trip of {took} ms is shorter than its delays of {asked} ms"));
        }
    }

    /// Whether everything is as it should be and every ping was answered.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.pings_received == self.pings_sent
    }
}

/// The round trip that this part of the pings did not exceed.
fn quantile(pings: &Pings, part: f64) -> Option<f64> {
    let mut times: Vec<Duration> = pings.trips.iter().map(|trip| trip.took).collect();
    times.sort_unstable();
    let rank = (part * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).map(|time| ms(*time))
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
        let after = shown(self.seconds_to_consensus);
        writeln!(formatter, "network   ready after {after} s, epochs of {:.0} s", self.epoch_seconds)?;
        writeln!(formatter, "pings     {} sent, {} answered", self.pings_sent, self.pings_received)?;
        let (min, median, p99) = (shown(self.rtt_ms_min), shown(self.rtt_ms_median), shown(self.rtt_ms_p99));
        writeln!(formatter, "RTT       min {min} ms, median {median} ms, p99 {p99} ms")?;
        let share = self.asked_delay_share.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
        let median = shown(self.asked_delay_ms_median);
        writeln!(formatter, "delays    {share} of that was asked for by the packets (median {median} ms)")?;
        writeln!(
            formatter,
            "\n{:<14} {:<10} {:>8} {:>9} {:>9} {:>8}",
            "node", "place", "pings", "unwraps", "sent on", "dropped"
        )?;
        for hop in &self.hops {
            let count = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
            let (pings, sent) = (count(hop.pings), count(hop.sent));
            let Hop { name, place, unwraps, dropped, .. } = hop;
            writeln!(formatter, "{name:<14} {place:<10} {pings:>8} {unwraps:>9} {sent:>9} {dropped:>8}")?;
        }
        for (reason, count) in &self.drops_by_reason {
            writeln!(formatter, "dropped   {count} ({reason})")?;
        }
        for problem in &self.problems {
            writeln!(formatter, "PROBLEM   {problem}")?;
        }
        Ok(())
    }
}
