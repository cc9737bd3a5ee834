//! Families about the node as a whole and about its two processes.

use super::{Page, Sources, counter, family_of, float_gauge, gauge, label};
use crate::directory::epoch_time;
use crate::health::Health;
use crate::plugins::{Outcome, Tally};
use crate::selfcheck::SelfCheck;
use crate::users;
use interplane::loops::SegmentCount;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use std::sync::Arc;
use std::time::Instant;

/// Families that describe the node.
pub fn families(sources: &Sources) -> Vec<MetricFamily> {
    let mut families = of_directory(sources);
    families.extend(of_data_plane(&sources.health));
    families.extend(of_host(&sources.selfcheck));
    families
}

fn of_directory(sources: &Sources) -> Vec<MetricFamily> {
    let status = sources.directory_status();
    let reached = sources.reached.by_name();
    let reached = reached.iter().map(|(name, answered)| gauge(u64::from(*answered), vec![label("authority", name)]));
    let epoch = |epoch: Option<u64>| epoch.map(plain).unwrap_or_default();
    vec![
        gauges(
            "katzenpost_node_ready",
            "1 if the node takes part in the current epoch.",
            is(sources.readiness().is_ok()),
        ),
        gauges(
            "katzenpost_node_current_epoch",
            "The epoch by this node's clock.",
            plain(epoch_time(&sources.clock).epoch.0),
        ),
        gauges(
            "katzensprung_document_epoch",
            "The epoch of the newest document that is held.",
            epoch(status.documents.last().copied()),
        ),
        gauges(
            "katzensprung_published_epoch",
            "The last epoch whose descriptor enough authorities took; 0 before the first.",
            plain(status.published.unwrap_or(0)),
        ),
        gauges(
            "katzensprung_authority_reached",
            "1 if the authority answered when it was asked last.",
            reached.collect(),
        ),
    ]
}

fn of_data_plane(health: &Health) -> Vec<MetricFamily> {
    vec![
        gauges(
            "katzensprung_data_plane_attached",
            "1 while a data plane is attached and at work.",
            is(health.process().is_some()),
        ),
        family_of(
            "katzensprung_data_plane_restarts_total",
            "Data planes that were started in place of one that ended or stood still.",
            vec![counter(health.restarts(), Vec::new())],
        ),
        family_of(
            "katzensprung_data_plane_stalls_total",
            "Data planes that stood still.",
            vec![counter(health.stalls(), Vec::new())],
        ),
        gauges(
            "katzensprung_keys_locked",
            "1 if the private keys in both processes are kept out of swap.",
            health.are_keys_locked().map(is).unwrap_or_default(),
        ),
    ]
}

fn of_host(check: &SelfCheck) -> Vec<MetricFamily> {
    vec![
        build(),
        gauges(
            "katzenpost_server_selfcheck_sphinx_ops_per_sec_solo",
            "Unwraps per second of one processor, measured once.",
            vec![float_gauge(check.solo_per_second, Vec::new())],
        ),
        gauges(
            "katzenpost_server_selfcheck_sphinx_ops_per_sec_saturated",
            "Unwraps per second of all processors at once, measured once.",
            vec![float_gauge(check.saturated_per_second, Vec::new())],
        ),
        gauges("katzenpost_server_selfcheck_num_cpu", "Processors that took part in it.", plain(check.processors)),
    ]
}

/// What became of requests to plugins.
pub fn plugins(tallies: &[Arc<Tally>]) -> MetricFamily {
    let series = tallies.iter().flat_map(|tally| {
        let labels =
            |outcome: &Outcome| vec![label("capability", &tally.capability), label("outcome", outcome.label())];
        Outcome::ALL.iter().map(move |outcome| counter(tally.get(*outcome), labels(outcome)))
    });
    let help = "Requests to plugins that the data plane has handed over, and answers, by what became of them.";
    family_of("katzensprung_plugin_requests_total", help, series.collect())
}

/// How the user database of a gateway fares, where there is one.
pub fn users(tally: Option<&users::Tally>) -> Vec<MetricFamily> {
    let Some(tally) = tally else { return Vec::new() };
    let series =
        users::Outcome::ALL.iter().map(|outcome| counter(tally.get(*outcome), vec![label("outcome", outcome.label())]));
    let letters = users::LetterOutcome::ALL
        .iter()
        .map(|outcome| counter(tally.letters.get(*outcome), vec![label("outcome", outcome.label())]));
    vec![
        family_of(
            "katzensprung_kept_letters_total",
            "Letters of registered clients that were to be kept in the store of mail, by what became of them.",
            letters.collect(),
        ),
        gauges(
            "katzensprung_kept_letters_waiting_bytes",
            "Bytes of letters that are not written to the store of mail yet.",
            plain(tally.letters.waiting_bytes()),
        ),
        gauges(
            "katzensprung_kept_letters_bytes",
            "Bytes of letters that were in the store of mail when it was looked at last, once a minute.",
            plain(tally.letters.kept_bytes()),
        ),
        gauges(
            "katzensprung_kept_letters_away",
            "1 if letters could not be written to the store of mail when it was tried last.",
            is(tally.letters.is_away()),
        ),
        family_of(
            "katzensprung_user_database_questions_total",
            "Questions about clients to the user database, by what became of them.",
            series.collect(),
        ),
        gauges(
            "katzensprung_user_database_away",
            "1 if the user database did not answer when it was asked last, or has not taken what was to be written.",
            is(tally.is_away() || tally.is_unwilling(Instant::now())),
        ),
    ]
}

/// Segments of which each scrape tells; a network with more has its counts in STATUS.
const SEGMENTS_MAX: usize = 1000;

/// How the node's own loops fared over each segment, in the epoch that is over and in this one.
pub fn loops(sources: &Sources) -> [MetricFamily; 2] {
    let epoch = epoch_time(&sources.clock).epoch;
    let series = |of: fn(&SegmentCount) -> u64| {
        let epochs = [("previous", epoch.before(1)), ("current", epoch)].into_iter();
        let counts = epochs.flat_map(|(name, epoch)| {
            sources.loops.read(epoch).into_iter().take(SEGMENTS_MAX).map(move |count| (name, count))
        });
        let metrics = counts.map(|(name, count)| {
            let (from, to) = count.nodes();
            gauge(of(&count), vec![label("epoch", name), label("from", &from), label("to", &to)])
        });
        metrics.collect()
    };
    [
        gauges(
            "katzensprung_loop_segment_sent",
            "Loops of this node that were sent over two consecutive nodes, by the beginnings of their ids.",
            series(|count| count.sent),
        ),
        gauges(
            "katzensprung_loop_segment_completed",
            "Of those, the loops that came back.",
            series(|count| count.completed),
        ),
    ]
}

/// The usual families about a process: those of this one under their usual names, those of the data plane with a prefix.
pub fn processes(data_plane: Option<i32>) -> Vec<MetricFamily> {
    let mut families = ProcessCollector::for_self().collect();
    if let Some(process) = data_plane {
        let theirs = ProcessCollector::new(process, "katzensprung_data_plane").collect();
        // The collector knows its own process's start only; and what it may not read it calls 0.
        let is_known = |family: &MetricFamily| {
            let name = family.name();
            let value = family.get_metric().first().map_or(0.0, |metric| metric.get_gauge().get_value());
            !name.ends_with("start_time_seconds") && (!name.ends_with("_fds") || value > 0.0)
        };
        families.extend(theirs.into_iter().filter(is_known));
    }
    families
}

/// The program.
pub fn build() -> MetricFamily {
    gauges("katzensprung_build_info", "The program: its version and the level of its vector kernels.", build_info())
}

fn build_info() -> Vec<Metric> {
    let simd = crypto_simd::cpu::level().map(|level| level.to_string()).unwrap_or_default();
    vec![gauge(1, vec![label("simd", &simd), label("version", env!("CARGO_PKG_VERSION"))])]
}

fn is(condition: bool) -> Vec<Metric> {
    plain(u64::from(condition))
}

fn plain(value: u64) -> Vec<Metric> {
    vec![gauge(value, Vec::new())]
}

fn gauges(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = family_of(name, help, metrics);
    family.set_field_type(MetricType::GAUGE);
    family
}
