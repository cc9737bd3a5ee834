//! Timeouts, retries, rates and layers, with their defaults (pki.md 13.1).

use super::raw;
use crate::finding::{Findings, Place};
use crate::reader::{At, GoDuration};
use pki::voting::Parameters;
use std::time::Duration;

/// How long steps of a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting.
    pub dial: Duration,
    /// A handshake.
    pub handshake: Duration,
    /// Receiving a command, and sending one.
    pub response: Duration,
}

/// When sending to another authority is tried again (pki.md 9.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerRetry {
    /// Tries after the first one.
    pub attempts_max: u32,
    /// The wait before the first of them, doubling with each.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
    /// By which part of itself a wait is longer or shorter, 0 to 1.
    pub jitter: f64,
}

/// Layers of mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many, where no topology says it.
    pub layers: usize,
    /// Mixes that each must have.
    pub nodes_per_layer_min: usize,
}

/// Longer times than a day are mistakes; the bound also keeps deadlines in range.
const SECONDS_MAX: i64 = 86_400;
const RATE_DEFAULT: f64 = 0.00025;
/// What the reference's authorities take.
const REFERENCE_LAYERS_MAX: usize = 3;
/// More layers than any packet has hops.
const LAYERS_MAX: i64 = 64;
const MIXES_MAX: i64 = 100_000;

pub fn timeouts(raw: &raw::Server, findings: &mut Findings) -> Timeouts {
    let mut seconds = |value: &Option<At<i64>>, default: i64| {
        let written = in_range(value, SECONDS_MAX, "seconds", findings).unwrap_or(default);
        Duration::from_secs(written.unsigned_abs())
    };
    Timeouts {
        dial: seconds(&raw.dial_timeout_sec, 30),
        handshake: seconds(&raw.handshake_timeout_sec, 3),
        response: seconds(&raw.response_timeout_sec, 30),
    }
}

pub fn peer_retry(raw: &raw::Server, findings: &mut Findings) -> PeerRetry {
    let attempts = in_range(&raw.peer_retry_max_attempts, i64::from(u16::MAX), "attempts", findings).unwrap_or(20);
    let delay = |value: &Option<At<GoDuration>>, default| {
        value.as_ref().map(|at| at.value.0).filter(|delay| !delay.is_zero()).unwrap_or(default)
    };
    let base = delay(&raw.peer_retry_base_delay, Duration::from_millis(10));
    let max = delay(&raw.peer_retry_max_delay, Duration::from_secs(3));
    if let Some(at) = raw.peer_retry_base_delay.as_ref().filter(|_| base > max) {
        let problem = format!("{base:?} is longer than PeerRetryMaxDelay, {max:?}, which is used");
        findings.warning("retry-delay", &at.place, problem, "write a shorter one");
    }
    let jitter = match &raw.peer_retry_jitter {
        Some(at) if !(0.0..=1.0).contains(&at.value) => {
            let problem = format!("{} is not a part of a wait", at.value);
            findings.error("retry-jitter", &at.place, problem, "write a number from 0 to 1, for example 0.2");
            0.2
        }
        Some(at) if at.value > 0.0 => at.value,
        _ => 0.2,
    };
    PeerRetry { attempts_max: u32::try_from(attempts).unwrap_or(20), base, max, jitter }
}

pub fn parameters(raw: Option<raw::Parameters>, findings: &mut Findings) -> Parameters {
    let raw = raw.unwrap_or_default();
    let mut rate = |value: &Option<At<f64>>| match value {
        Some(at) if !at.value.is_finite() || at.value < 0.0 => {
            let problem = format!("{} is not a rate", at.value);
            findings.error("rate", &at.place, problem, "write events per millisecond, 0 or more");
            RATE_DEFAULT
        }
        Some(at) if at.value > 0.0 => at.value,
        _ => RATE_DEFAULT,
    };
    let parameters = Parameters {
        mu: rate(&raw.mu),
        lambda_p: rate(&raw.lambda_p),
        lambda_l: rate(&raw.lambda_l),
        lambda_m: rate(&raw.lambda_m),
        lambda_r: rate(&raw.lambda_r),
    };
    let mu = parameters.mu;
    if let (Some(at), Some(mu_max)) = (&raw.mu, pki::document::exceeds_delay_slots(mu)) {
        let slot_us = pki::document::DELAY_SLOT_NS / 1000;
        let problem = format!(
            "delays of {:.1} ms on average are short for the slots of {slot_us} us that nodes delay by",
            1.0 / mu
        );
        findings.warning(
            "mu-slots",
            &at.place,
            problem,
            format!("write {mu_max} or less, so that departures do not show the slots"),
        );
    }
    parameters
}

pub fn layout(raw: &raw::Debug, findings: &mut Findings) -> Layout {
    let count = |value: Option<i64>, default| value.and_then(|count| usize::try_from(count).ok()).unwrap_or(default);
    let layers = count(in_range(&raw.layers, LAYERS_MAX, "layers", findings), 3);
    if let Some(at) = raw.layers.as_ref().filter(|_| layers > REFERENCE_LAYERS_MAX) {
        let problem = format!("{layers} layers: authorities of the reference refuse more than {REFERENCE_LAYERS_MAX}");
        findings.warning("layers", &at.place, problem, "use at most 3 where any authority runs the reference");
    }
    let nodes_per_layer_min = count(in_range(&raw.min_nodes_per_layer, MIXES_MAX, "mixes", findings), 2);
    Layout { layers, nodes_per_layer_min }
}

/// A positive number; none for 0 and absent ones, which mean the default, and after a finding.
fn in_range(value: &Option<At<i64>>, max: i64, unit: &str, findings: &mut Findings) -> Option<i64> {
    let At { value, place }: &At<i64> = value.as_ref()?;
    if *value < 0 || *value > max {
        out_of_range(*value, max, unit, place, findings);
        return None;
    }
    Some(*value).filter(|value| *value > 0)
}

fn out_of_range(value: i64, max: i64, unit: &str, place: &Place, findings: &mut Findings) {
    let remedy = format!("write a number of {unit} up to {max}, or 0 for the default");
    findings.error("out-of-range", place, format!("{value} is out of range"), remedy);
}
