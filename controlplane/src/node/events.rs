//! What the data plane says for the log, at the levels at which a reference node says the like: peers that come and
//! go are everyday, a peer that cannot be reached is a warning only once in a while.

use crate::logging::{Level, Log};
use interplane::counter::{DialFailure, Direction};
use interplane::event::{Event, Peer};
use interplane::ring::EventRings;
use std::time::Duration;

/// Pause between two looks at the rings.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes events to the log until the future is dropped.
pub async fn drain(rings: EventRings, log: Log) {
    let mut reader = rings.reader();
    let mut dropped_before = rings.dropped();
    loop {
        reader.drain(|_, event| write(&log, &event));
        let dropped = rings.dropped();
        if dropped > dropped_before {
            log.info("dataplane", format_args!("{} events were not logged", dropped - dropped_before));
            dropped_before = dropped;
        }
        tokio::time::sleep(PAUSE).await;
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
        Event::LinkKeyMismatch { peer } => {
            log.warning(module, format_args!("{} came with another link key than its descriptor's", name(peer)));
        }
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
        Event::SlotsTooFew { delay_ms, needed, slots } => log.warning(
            module,
            format_args!(
                "the document allows delays of {delay_ms} ms, for which {needed} packet slots per shard are needed at the line \
                 rate and {slots} are there: under full load random packets are dropped; raise dataplane.slots, or give \
                 the node more memory"
            ),
        ),
        Event::ShardRescued { shard } => log.info(module, format_args!("woke shard {shard}, which stood still")),
        Event::AcceptFailed { detail } => log.warning(module, format_args!("cannot accept: {detail}")),
        Event::AdmissionRefused { .. } | Event::NoDocument | Event::PacketDropped { .. } => {
            log.write(Level::Debug, module, format_args!("{event:?}"));
        }
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
