//! The metrics of a directory authority: the reference's (pki.md 13.4), and who is missing in a round.

use super::seen::Seen;
use crate::metrics::{counts, encode, families_of_process, gauges_by};
use pki::Epoch;
use pki::authority::Authorities;
use pki::voting::{RoundStatus, State};
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::sync::Arc;
use std::time::Duration;

/// Bounds of handshake durations: 50 ms, doubling.
const HANDSHAKE_SECONDS: [f64; 12] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4];

/// What authorities send each other in a round, as labels.
const PARTS: [&str; 4] = ["vote", "reveal", "certificate", "signature"];

/// Counters and gauges; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    authorities: Arc<Authorities>,
    /// Votes of others by what was said to them.
    pub votes_received: IntCounterVec,
    /// Uploads that were stored, by kind.
    pub descriptors_accepted: IntCounterVec,
    /// Uploads that were refused, by kind and reason.
    pub descriptors_rejected: IntCounterVec,
    /// Rounds that ended with a consensus.
    pub consensus_reached: IntCounter,
    /// Tries to send to another authority, by peer and result.
    pub peer_send_attempts: IntCounterVec,
    /// Whether the last try went through, by peer.
    pub peer_connected: IntGaugeVec,
    /// Time of the steps that make votes, certificates and documents.
    document_seconds: Histogram,
    /// Handshakes that failed, by direction and state.
    pub handshake_failures: IntCounterVec,
    /// Time of handshakes, by direction and result.
    pub handshake_seconds: HistogramVec,
    /// Connections that were refused or dropped because there were too many, by limit.
    pub connections_refused: IntCounterVec,
    /// Connections that are open.
    pub connections: IntGauge,
    /// Times that the store could not be written.
    pub store_failures: IntCounter,
    /// Values that are not in the store yet.
    pub unsaved: IntGauge,
    /// Rounds in which something of an authority was missing when it was due, by authority and part.
    missed: IntCounterVec,
}

impl Metrics {
    /// All at zero. It fails only for names that are not names.
    pub fn new(authorities: Arc<Authorities>) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let handshakes = HistogramOpts::new("katzenpost_handshake_duration_seconds", "Time of handshakes.")
            .buckets(HANDSHAKE_SECONDS.to_vec());
        let connected = Opts::new("katzenpost_dirauth_peer_connected", "1 if the last try to send to it went through.");
        Ok(Self {
            authorities,
            votes_received: counters("katzenpost_dirauth_votes_received_total", "Votes of others.", &["result"])?,
            descriptors_accepted: counters(
                "katzenpost_dirauth_descriptors_accepted_total",
                "Uploads that were stored.",
                &["kind"],
            )?,
            descriptors_rejected: counters(
                "katzenpost_dirauth_descriptors_rejected_total",
                "Uploads that were refused.",
                &["kind", "reason"],
            )?,
            consensus_reached: IntCounter::new(
                "katzenpost_dirauth_consensus_reached_total",
                "Rounds that ended with a consensus.",
            )?,
            peer_send_attempts: counters(
                "katzenpost_dirauth_peer_send_attempt_total",
                "Tries to send to another authority.",
                &["peer", "result"],
            )?,
            peer_connected: IntGaugeVec::new(connected, &["peer"])?,
            document_seconds: Histogram::with_opts(HistogramOpts::new(
                "katzenpost_dirauth_document_generation_seconds",
                "Time of the steps that make votes, certificates and documents.",
            ))?,
            handshake_failures: counters(
                "katzenpost_handshake_failures_total",
                "Handshakes that failed.",
                &["direction", "state"],
            )?,
            handshake_seconds: HistogramVec::new(handshakes, &["direction", "result"])?,
            connections_refused: counters(
                "katzensprung_dirauth_connections_refused_total",
                "Connections that were refused or dropped because there were too many.",
                &["limit"],
            )?,
            connections: IntGauge::new("katzensprung_dirauth_connections", "Connections that are open.")?,
            store_failures: IntCounter::new(
                "katzensprung_dirauth_store_failures_total",
                "Times that the store could not be written.",
            )?,
            unsaved: IntGauge::new(
                "katzensprung_dirauth_unsaved",
                "Values that are in memory only because the store could not be written.",
            )?,
            missed: counters(
                "katzensprung_dirauth_missed_total",
                "Rounds in which this was missing of the authority when it was due.",
                &["authority", "part"],
            )?,
        })
    }

    /// A phase is over: whose contribution is missing is counted.
    pub fn phase_ended(&self, phase: Option<State>, round: &RoundStatus) {
        let part = match phase {
            Some(State::AcceptVotes) => PARTS[0],
            Some(State::AcceptReveals) => PARTS[1],
            Some(State::AcceptCertificates) => PARTS[2],
            Some(State::AcceptSignatures) => PARTS[3],
            _ => return,
        };
        for authority in self.missing(part, round) {
            self.missed.with_label_values(&[authority, part]).inc();
        }
    }

    /// A step of the voting, what it has signed and verified included, took so long.
    pub fn step_took(&self, time: Duration) {
        self.document_seconds.observe(time.as_secs_f64());
    }

    fn missing<'a>(&'a self, part: &str, round: &RoundStatus) -> impl Iterator<Item = &'a str> {
        let held = match part {
            "vote" => round.votes.clone(),
            "reveal" => round.reveals.clone(),
            "certificate" => round.certificates.clone(),
            _ => round.signatures.clone(),
        };
        let all = self.authorities.list().iter().enumerate();
        all.filter(move |(number, _)| !held.contains(number)).map(|(_, authority)| authority.name.as_str())
    }

    /// Everything in the exposition format.
    pub fn render(&self, seen: &Seen, current: Epoch) -> String {
        let mut families: Vec<MetricFamily> = [
            self.votes_received.collect(),
            self.descriptors_accepted.collect(),
            self.descriptors_rejected.collect(),
            self.consensus_reached.collect(),
            self.peer_send_attempts.collect(),
            self.peer_connected.collect(),
            self.document_seconds.collect(),
            self.handshake_failures.collect(),
            self.handshake_seconds.collect(),
            self.connections_refused.collect(),
            self.connections.collect(),
            self.store_failures.collect(),
            self.unsaved.collect(),
            self.missed.collect(),
        ]
        .into_iter()
        .flatten()
        .collect();
        families.extend(self.of_round(seen, current));
        families.extend(families_of_process());
        encode(families)
    }

    fn of_round(&self, seen: &Seen, current: Epoch) -> Vec<MetricFamily> {
        let phase = seen.state.map_or(-1.0, |state| f64::from(state.number()));
        let newest = seen.documents.epochs().max().map_or(0, |epoch| epoch.0);
        let one = |value: f64| vec![(Vec::new(), value)];
        let missing = PARTS.iter().flat_map(|part| {
            let is_missing: Vec<_> = self.missing(part, &seen.round).collect();
            self.authorities.list().iter().map(move |authority| {
                let value = f64::from(u8::from(is_missing.contains(&authority.name.as_str())));
                (vec![("authority", authority.name.as_str()), ("part", *part)], value)
            })
        });
        vec![
            gauges_by("katzenpost_dirauth_voting_phase", "The state, by its number.", one(phase)),
            gauges_by(
                "katzenpost_dirauth_current_epoch",
                "The epoch that is voted on.",
                one(counts(seen.voting_epoch.0)),
            ),
            gauges_by("katzenpost_node_current_epoch", "The epoch by this host's clock.", one(counts(current.0))),
            gauges_by(
                "katzensprung_document_epoch",
                "The epoch of the newest document that is held.",
                one(counts(newest)),
            ),
            gauges_by(
                "katzensprung_dirauth_descriptors",
                "Nodes whose descriptors for the epoch that is voted on are held.",
                one(counts(seen.round.descriptors as u64)),
            ),
            gauges_by(
                "katzensprung_dirauth_missing",
                "1 while the round has nothing of this kind of the authority.",
                missing.collect(),
            ),
        ]
    }
}
