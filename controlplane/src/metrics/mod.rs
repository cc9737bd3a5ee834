//! The Prometheus endpoint (server.md 10): `/metrics` under the reference's names, two probes: `/ready` (the node takes
//! part in the current epoch) and `/health` (both processes are at work), and `/`, a page for people.
//!
//! Nothing is counted here. Each scrape reads the data plane's counters from shared memory, the directory worker's
//! status and what the supervisor knows, and writes them in the exposition format.

mod history;
mod http;
mod node;
mod page;
#[cfg(test)]
mod tests;

pub use history::History;
pub use http::{Page, serve};

use crate::directory::{DirectoryStatus, Reached, epoch_time};
use crate::health::Health;
use crate::node::StopOrder;
use crate::plugins::Tally;
use crate::selfcheck::SelfCheck;
use crate::users;
use history::Sample;
use interplane::counter::{Counter, Counters, Family, Kind};
use interplane::loops::LoopCounts;
use interplane::reason::Also;
use pki::EpochClock;
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType, Summary};
use prometheus::{Encoder, TextEncoder};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What a scrape reads.
#[derive(Clone)]
pub struct Sources {
    /// The node's name.
    pub identifier: String,
    /// The packets of the last minutes.
    pub history: History,
    /// Whether the node is stopping.
    pub order: Arc<StopOrder>,
    /// The data plane's counters.
    pub counters: Counters,
    /// The directory worker's status.
    pub directory: Arc<Mutex<DirectoryStatus>>,
    /// Which authorities answered.
    pub reached: Reached,
    /// What the supervisor knows.
    pub health: Arc<Health>,
    /// Epochs.
    pub clock: EpochClock,
    /// What became of requests to plugins.
    pub plugins: Vec<Arc<Tally>>,
    /// How the user database of a gateway fares.
    pub users: Option<Arc<users::Tally>>,
    /// How the node's own loops fare.
    pub loops: LoopCounts,
    /// What this host unwraps in a second.
    pub selfcheck: SelfCheck,
}

impl Sources {
    // The status is whole after every statement of the worker, so a panic elsewhere cannot have torn it.
    fn directory_status(&self) -> DirectoryStatus {
        self.directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Page for Sources {
    const PATHS: &'static str = "/, /metrics, /ready and /health";

    fn look(&self) {
        self.history.add(Sample { at: Instant::now(), account: self.counters.account_total() });
    }

    fn status(&self) -> Option<String> {
        Some(page::html(self))
    }

    fn metrics(&self) -> String {
        render(self)
    }

    /// Whether both processes are at work; else what is missing.
    fn health(&self) -> Result<(), &'static str> {
        self.health.process().map(|_| ()).ok_or("no data plane is attached")
    }

    /// Whether the node takes part in the current epoch; else what is missing.
    fn readiness(&self) -> Result<(), &'static str> {
        self.health()?;
        let epoch = epoch_time(&self.clock).epoch.0;
        // Only documents that list this node are held.
        let is_listed = self.directory_status().documents.contains(&epoch);
        if is_listed { Ok(()) } else { Err("there is no document for the current epoch that lists this node") }
    }
}

/// Everything in the exposition format.
pub fn render(sources: &Sources) -> String {
    let mut families: Vec<MetricFamily> =
        Family::ALL.iter().map(|family| data_plane_family(*family, &sources.counters)).collect();
    families.extend(Also::ALL.map(|also| {
        let value = sources.counters.total_also(also);
        family_of(also.metric(), "Dropped packets (the reference's name).", vec![counter(value, Vec::new())])
    }));
    families.extend(directory_families(&sources.directory_status()));
    families.extend(node::families(sources));
    families.push(node::plugins(&sources.plugins));
    families.extend(node::users(sources.users.as_deref()));
    families.extend(node::loops(sources));
    families.extend(node::processes(sources.health.process()));
    encode(families)
}

/// Families in the exposition format.
pub(crate) fn encode(mut families: Vec<MetricFamily>) -> String {
    // A family without a series is not written; the encoder refuses it.
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families, &mut text) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(error) => format!("# the metrics cannot be encoded: {error}\n"),
    }
}

/// A gauge with a series for each of these labels and values.
pub(crate) fn gauges_by(name: &str, help: &str, series: Vec<(Vec<(&str, &str)>, f64)>) -> MetricFamily {
    let metrics = series.into_iter().map(|(labels, value)| {
        float_gauge(value, labels.into_iter().map(|(name, value)| label(name, value)).collect())
    });
    let mut family = family_of(name, help, metrics.collect());
    family.set_field_type(MetricType::GAUGE);
    family
}

/// A count as metrics have it.
// Prometheus knows doubles only; counts beyond 2^53 lose their last digits.
pub(crate) fn counts(value: u64) -> f64 {
    value as f64
}

/// What describes the program and its process.
pub(crate) fn families_of_process() -> Vec<MetricFamily> {
    let mut families = vec![node::build()];
    families.extend(node::processes(None));
    families
}

fn data_plane_family(family: Family, counters: &Counters) -> MetricFamily {
    let metrics = (0..family.combinations()).map(|combination| {
        let cells = Counter::of(family, combination).map(|cell| counters.total(cell));
        let labels = labels_of(family, combination);
        match family.kind() {
            Kind::Counter => counter(cells.sum(), labels),
            Kind::Gauge => gauge(cells.sum(), labels),
            Kind::Histogram { bounds: [], per_unit } => summary(&cells.collect::<Vec<_>>(), per_unit, labels),
            Kind::Histogram { bounds, per_unit } => histogram(&cells.collect::<Vec<_>>(), bounds, per_unit, labels),
        }
    });
    let mut described = family_of(family.name(), family.help(), metrics.collect());
    described.set_field_type(match family.kind() {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram { bounds: [], .. } => MetricType::SUMMARY,
        Kind::Histogram { .. } => MetricType::HISTOGRAM,
    });
    described
}

fn directory_families(status: &DirectoryStatus) -> [MetricFamily; 3] {
    let by_epoch = |name: &str, help: &str, value: fn(&crate::directory::EpochCounts) -> u64| {
        let series = status.counts.iter().filter(|(_, counts)| value(counts) > 0);
        let metrics = series.map(|(epoch, counts)| counter(value(counts), vec![label("epoch", &epoch.to_string())]));
        family_of(name, help, metrics.collect())
    };
    [
        by_epoch("katzenpost_fetched_pki_docs_per_epoch_total", "Documents fetched, by epoch.", |c| c.fetched),
        by_epoch("katzenpost_failed_fetch_pki_docs_per_epoch_total", "Fetches without a document.", |c| c.failed_fetch),
        by_epoch("katzenpost_invalid_pki_cache_per_epoch_total", "Documents of no use to this node.", |c| c.invalid),
    ]
}

fn labels_of(family: Family, combination: usize) -> Vec<LabelPair> {
    let names = family.dimensions().iter().map(|dimension| dimension.name);
    names.zip(family.label_values(combination)).map(|(name, value)| label(name, value)).collect()
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.into());
    pair.set_value(value.into());
    pair
}

fn family_of(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(MetricType::COUNTER);
    family.set_metric(metrics);
    family
}

// Prometheus knows doubles only; counts beyond 2^53 lose their last digits.
fn counter(value: u64, labels: Vec<LabelPair>) -> Metric {
    let mut cell = prometheus::proto::Counter::default();
    cell.set_value(value as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(cell);
    metric
}

fn gauge(value: u64, labels: Vec<LabelPair>) -> Metric {
    float_gauge(value as f64, labels)
}

fn float_gauge(value: f64, labels: Vec<LabelPair>) -> Metric {
    let mut cell = prometheus::proto::Gauge::default();
    cell.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(cell);
    metric
}

/// Cells: the count and the sum.
fn summary(cells: &[u64], per_unit: u64, labels: Vec<LabelPair>) -> Metric {
    let mut cell = Summary::default();
    cell.set_sample_count(cells.first().copied().unwrap_or(0));
    cell.set_sample_sum(cells.last().copied().unwrap_or(0) as f64 / per_unit as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_summary(cell);
    metric
}

/// Cells: one per bucket, one above the last bound, the sum.
fn histogram(cells: &[u64], bounds: &[u64], per_unit: u64, labels: Vec<LabelPair>) -> Metric {
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(cells).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(*bound as f64 / per_unit as f64);
        bucket
    });
    let mut cell = Histogram::default();
    cell.set_bucket(buckets.collect());
    cell.set_sample_count(cells.iter().take(bounds.len() + 1).sum());
    cell.set_sample_sum(cells.last().copied().unwrap_or(0) as f64 / per_unit as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_histogram(cell);
    metric
}
