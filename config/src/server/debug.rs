//! `[Debug]` with its defaults (server.md 2.6).

use crate::finding::Findings;
use crate::reader::At;
use crate::server::raw;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Timeouts, queues and switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debug {
    /// Threads that unwrap packets; none is the number of processors.
    pub num_sphinx_workers: Option<NonZeroUsize>,
    /// Packets that may wait for their delay; none is unlimited.
    pub scheduler_queue_size: Option<NonZeroUsize>,
    /// Longest wait from arrival to unwrap.
    pub unwrap_delay: Duration,
    /// Longest wait for the gateway.
    pub gateway_delay: Duration,
    /// Longest wait for the service node.
    pub service_delay: Duration,
    /// Longest wait for a service.
    pub kaetzchen_delay: Duration,
    /// How late a delayed packet may be.
    pub scheduler_slack: Duration,
    /// How long a packet may wait for its outgoing link.
    pub send_slack: Duration,
    /// How late the node's own loops may come back.
    pub decoy_slack: Duration,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for a link handshake.
    pub handshake_timeout: Duration,
    /// Interval at which peers are checked again.
    pub reauth_interval: Duration,
    /// Whether decoy loops are sent.
    pub send_decoy_traffic: bool,
    /// Whether clients may send faster than the consensus allows.
    pub disable_rate_limit: bool,
    /// Whether the node makes its keys and stops.
    pub generate_only: bool,
}

/// Longer times than a day are mistakes; the bound also keeps deadlines in range.
const MS_MAX: i64 = 86_400_000;
const SCHEDULER_SLACK_MS_MIN: i64 = 450;
const SEND_SLACK_MS_MIN: i64 = 50;

/// Fills in the defaults. Nothing here is an error.
pub fn check(raw: raw::Debug, findings: &mut Findings) -> Debug {
    let count = |value: &Option<At<i64>>| {
        value.as_ref().and_then(|at| usize::try_from(at.value).ok()).and_then(NonZeroUsize::new)
    };
    let flag = |value: &Option<At<bool>>| value.as_ref().is_some_and(|at| at.value);
    let debug = Debug {
        num_sphinx_workers: count(&raw.num_sphinx_workers),
        scheduler_queue_size: count(&raw.scheduler_queue_size),
        unwrap_delay: time(&raw.unwrap_delay, 250, findings),
        gateway_delay: time(&raw.gateway_delay, 500, findings),
        service_delay: time(&raw.service_delay, 500, findings),
        kaetzchen_delay: time(&raw.kaetzchen_delay, 750, findings),
        scheduler_slack: slack(&raw.scheduler_slack, SCHEDULER_SLACK_MS_MIN, findings),
        send_slack: slack(&raw.send_slack, SEND_SLACK_MS_MIN, findings),
        decoy_slack: time(&raw.decoy_slack, 15_000, findings),
        connect_timeout: time(&raw.connect_timeout, 60_000, findings),
        handshake_timeout: time(&raw.handshake_timeout, 3_000, findings),
        reauth_interval: time(&raw.reauth_interval, 30_000, findings),
        send_decoy_traffic: flag(&raw.send_decoy_traffic),
        disable_rate_limit: flag(&raw.disable_rate_limit),
        generate_only: flag(&raw.generate_only),
    };
    if let Some(at) = raw.scheduler_external_memory_queue.filter(|at| at.value) {
        let problem = "has no effect: delayed packets are kept in memory";
        findings.warning("without-effect", &at.place, problem, "remove it");
    }
    if let Some(at) = raw.disable_rate_limit.filter(|at| at.value) {
        let problem = "clients may send without limit";
        findings.warning("rate-limit-disabled", &at.place, problem, "remove it in production");
    }
    debug
}

/// A time in ms; zero and less means the default.
fn time(value: &Option<At<i64>>, default_ms: i64, findings: &mut Findings) -> Duration {
    let Some(at) = value.as_ref().filter(|at| at.value > 0) else { return ms(default_ms) };
    if at.value > MS_MAX {
        let problem = format!("{} ms is more than a day; a day is used", at.value);
        findings.warning("too-long", &at.place, problem, "write the time in ms");
    }
    ms(at.value)
}

/// A time in ms with a floor, under which explicit values are raised too.
fn slack(value: &Option<At<i64>>, floor_ms: i64, findings: &mut Findings) -> Duration {
    if let Some(at) = value.as_ref().filter(|at| at.value > 0 && at.value < floor_ms) {
        let problem = format!("{} ms is raised to {floor_ms} ms", at.value);
        findings.warning("raised", &at.place, problem, format!("write {floor_ms} or more"));
    }
    time(value, floor_ms, findings).max(ms(floor_ms))
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms.clamp(0, MS_MAX).unsigned_abs())
}
