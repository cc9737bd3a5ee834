//! What the data plane says for the log, at the levels at which a reference node says the like: peers that come and
//! go are everyday, a peer that cannot be reached is a warning only once in a while.
//!
//! Strangers can cause most of these events as often as they like, so each kind has a quota; what is beyond it is
//! counted and told in one line.

use crate::logging::{Level, Log, Quota, Throttle};
use interplane::counter::{DialFailure, Direction};
use interplane::event::{Event, Peer};
use interplane::ring::EventRings;
use std::convert::Infallible;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Pause between two looks at the rings.
const PAUSE: Duration = Duration::from_millis(200);

/// What a listed peer causes: a whole network may come at once.
const PEERS: Quota = Quota { lines: 300, window: Duration::from_secs(60) };
/// What anybody can cause who finds the port.
const STRANGERS: Quota = Quota { lines: 5, window: Duration::from_secs(5) };
/// What is worth knowing once in a while.
const SELDOM: Quota = Quota { lines: 1, window: Duration::from_secs(60) };
/// Of what each data plane says of itself: one that comes back within a minute says it again.
const STARTS: Quota = Quota { lines: 10, window: Duration::from_secs(60) };

/// Writes events to the log until the future is dropped.
pub async fn drain(rings: EventRings, log: Log) -> Infallible {
    let mut reader = rings.reader();
    let mut dropped_before = rings.dropped();
    let started = Instant::now();
    let mut scribe = Scribe { throttle: Throttle::default(), log };
    loop {
        let now = started.elapsed();
        reader.drain(|_, event| scribe.take(&event, now));
        let dropped = rings.dropped();
        if dropped > dropped_before && scribe.throttle.admits("lost", SELDOM, now) {
            scribe.log.info("dataplane", format_args!("{} events were not logged", dropped - dropped_before));
            dropped_before = dropped;
        }
        scribe.sum_up(now);
        tokio::time::sleep(PAUSE).await;
    }
}

struct Scribe {
    throttle: Throttle,
    log: Log,
}

impl Scribe {
    fn take(&mut self, event: &Event, now: Duration) {
        let (kind, quota) = kind(event);
        if self.throttle.admits(kind, quota, now) {
            write(&self.log, event);
        }
    }

    fn sum_up(&mut self, now: Duration) {
        for (kind, more, seconds) in self.throttle.ended(now) {
            self.log.info("dataplane", format_args!("{kind}: and {more} more in {seconds} s"));
        }
    }
}

/// What a line is counted as, and how many of them may be written.
fn kind(event: &Event) -> (&'static str, Quota) {
    match event {
        Event::LinkUp { peer, .. } if peer.id.is_some() => ("link up", PEERS),
        Event::LinkDown { peer, .. } if peer.id.is_some() => ("link down", PEERS),
        Event::DialFailed { .. } => ("dial failed", PEERS),
        Event::HandshakeFailed { direction: Direction::Outgoing, .. } => ("outgoing handshake failed", PEERS),
        Event::LinkUp { .. } => ("link up of an unknown peer", STRANGERS),
        Event::LinkDown { .. } => ("link down of an unknown peer", STRANGERS),
        Event::HandshakeFailed { .. } => ("incoming handshake failed", STRANGERS),
        Event::PeerRefused { .. } => ("peer refused", STRANGERS),
        Event::LinkKeyMismatch { .. } => ("another link key", SELDOM),
        Event::AdmissionRefused { .. } => ("connection refused", STRANGERS),
        Event::NoDocument => ("connection without a document", STRANGERS),
        Event::PacketDropped { .. } => ("packet dropped", STRANGERS),
        Event::AcceptFailed { .. } => ("accept failed", SELDOM),
        Event::ShardRescued { .. } => ("shard woken", SELDOM),
        Event::ReplaySetFilling { .. } => ("replay set filling", PEERS),
        Event::ReplaySetFull { .. } => ("replay set full", PEERS),
        Event::SlotsTooFew { .. } => ("slots too few", SELDOM),
        Event::BackendChosen { .. } => ("backend chosen", SELDOM),
        Event::DatagramsChosen { .. } => ("datagrams chosen", STARTS),
        Event::DatagramsRefused { .. } => ("datagrams refused", STARTS),
        Event::ShardEnded { .. } => ("shard ended", SELDOM),
    }
}

fn write(log: &Log, event: &Event) {
    let module = match direction(event) {
        Some(Direction::Outgoing) => "outgoing",
        Some(Direction::Incoming) => "incoming",
        None => "dataplane",
    };
    match event {
        Event::LinkUp { peer, .. } => log.info(module, format_args!("link up: {}", name(peer))),
        Event::LinkDown { peer, end, detail, .. } => {
            log.info(module, format_args!("link down: {}: {} {detail}", name(peer), end.label()));
        }
        Event::HandshakeFailed { state, peer, detail, .. } => {
            log.info(module, format_args!("handshake failed: {}: {} {detail}", name(peer), state.label()));
        }
        Event::DialFailed { peer, reason: DialFailure::NoTransport, detail } => log.warning(
            module,
            format_args!(
                "cannot dial {}: {detail}, and this node dials tcp only: packets for it are dropped",
                name(peer)
            ),
        ),
        Event::DialFailed { peer, reason, detail } => {
            log.info(module, format_args!("dial failed: {}: {} {detail}", name(peer), reason.label()));
        }
        Event::PeerRefused { reason, peer } => {
            log.info(module, format_args!("peer refused: {}: {}", name(peer), reason.label()));
        }
        Event::LinkKeyMismatch { peer } => log.warning(
            module,
            format_args!(
                "{} came with another link key than its descriptor's: a stranger under its name, or a node whose keys \
                 were replaced; it is refused",
                name(peer)
            ),
        ),
        own => write_own(log, module, own),
    }
}

/// What concerns this node, and no single peer of it.
fn write_own(log: &Log, module: &str, event: &Event) {
    match event {
        Event::ReplaySetFilling { epoch, percent } => log.warning(
            module,
            format_args!(
                "the replay set of epoch {} is {percent} % full: raise dataplane.line_rate_packets_per_second",
                epoch.0
            ),
        ),
        Event::ReplaySetFull { epoch } => log.error(
            module,
            format_args!(
                "the replay set of epoch {} is full, packets are dropped: raise dataplane.line_rate_packets_per_second",
                epoch.0
            ),
        ),
        Event::BackendChosen { name, refusal: None } => {
            log.notice(module, format_args!("input and output: {name}"));
        }
        Event::BackendChosen { name, refusal: Some(refusal) } => {
            log.notice(module, format_args!("input and output: {name}, because: {refusal}"));
        }
        Event::DatagramsChosen { detail } => log.notice(module, format_args!("datagrams: {detail}")),
        Event::DatagramsRefused { detail } => log.warning(
            module,
            format_args!("the kernel's sockets carry datagrams, not AF_XDP: {detail}"),
        ),
        Event::ShardEnded { detail } => log.error(module, format_args!("the data plane ends: {detail}")),
        Event::SlotsTooFew { delay_ms, needed, slots } => log.warning(
            module,
            format_args!(
                "the document allows delays of {delay_ms} ms, for which {needed} packet slots per shard are needed at the line \
                 rate and {slots} are there: under full load random packets are dropped; raise dataplane.slots, or give \
                 the node more memory"
            ),
        ),
        Event::ShardRescued { shard } => log.info(module, format_args!("woke shard {shard}, which stood still")),
        Event::AcceptFailed { detail } => log.warning(
            module,
            format_args!("cannot accept connections: {detail}; if descriptors are short, raise the limit (nofile)"),
        ),
        Event::AdmissionRefused { reason } => {
            log.write(Level::Debug, module, format_args!("connection refused: {}", reason.label()));
        }
        Event::NoDocument => log.debug(module, "connection closed: there is no document to check peers by"),
        Event::PacketDropped { reason } => log.debug(module, format_args!("packet dropped: {}", reason.label())),
        Event::LinkUp { .. }
        | Event::LinkDown { .. }
        | Event::HandshakeFailed { .. }
        | Event::DialFailed { .. }
        | Event::PeerRefused { .. }
        | Event::LinkKeyMismatch { .. } => {}
    }
}

fn direction(event: &Event) -> Option<Direction> {
    match event {
        Event::LinkUp { direction, .. }
        | Event::LinkDown { direction, .. }
        | Event::HandshakeFailed { direction, .. } => Some(*direction),
        Event::DialFailed { .. } => Some(Direction::Outgoing),
        Event::PeerRefused { .. } | Event::LinkKeyMismatch { .. } => Some(Direction::Incoming),
        _ => None,
    }
}

/// The beginning of the peer's id; addresses stay out of the log.
fn name(peer: &Peer) -> String {
    match peer.id {
        Some(id) => id.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
        None => "unknown peer".into(),
    }
}
