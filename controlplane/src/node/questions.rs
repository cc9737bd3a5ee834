//! The answers to PEERS, KEYS and LOOPS, as JSON.

#[cfg(test)]
mod tests;

use crate::directory::Nodes;
use crate::keys::EPOCHS_PER_DESCRIPTOR;
use interplane::counter::Direction;
use interplane::loops::SegmentCount;
use interplane::message::Transport;
use interplane::replay::Fill;
use interplane::roll::{LinkReport, Passed, Roll};
use pki::{Epoch, EpochTime, NodeId};
use serde_json::{Value, json};
use std::path::Path;

/// The links to and from nodes, and nodes that may connect and do not.
pub fn peers(roll: &Roll, nodes: &Nodes, now: &EpochTime) -> Value {
    let mut links: Vec<_> = roll.0.iter().collect();
    let name = |id: &NodeId| nodes.names.get(id).cloned();
    links.sort_by_key(|link| (link.direction != Direction::Outgoing, name(&link.node), link.node, link.shard));
    let is_there = |id: &NodeId| links.iter().any(|link| link.direction == Direction::Incoming && link.node == *id);
    let expected = nodes.incoming.get(&now.epoch).into_iter().flatten();
    let absent = expected.filter(|id| !is_there(id)).map(|id| {
        json!({ "node": short(id), "name": name(id), "direction": Direction::Incoming.label(), "state": "absent" })
    });
    let peers = links.iter().map(|link| peer(link, name(&link.node)));
    json!({ "epoch": now.epoch.0, "peers": peers.chain(absent).collect::<Vec<_>>() })
}

fn peer(link: &LinkReport, name: Option<String>) -> Value {
    let passed =
        |passed: &Passed| json!({ "packets": passed.packets, "too_late": passed.too_late, "dropped": passed.dropped });
    json!({
        "node": short(&link.node),
        "name": name,
        "direction": link.direction.label(),
        "shard": link.shard,
        "transport": link.transport.map(Transport::name),
        "state": link.state.name(),
        "state_ms": link.state_ms,
        "may_send": link.may_send,
        "slow": link.is_slow(),
        "last_packet_ms": link.last_packet_ms,
        "queued": link.queued,
        "sealed": link.sealed,
        "stalled_ms": link.stalled_ms,
        "failures": link.failures,
        "all": passed(&link.all),
        "lately": passed(&link.lately),
    })
}

/// What is kept of mix keys, and where.
pub struct Keeping<'a> {
    /// Whether the kernel keeps them out of swap in both processes; none before there are any.
    pub are_locked: Option<bool>,
    /// Whether a service manager was given them.
    pub has_manager: bool,
    /// Where a clean stop writes them to, if it does.
    pub folder: Option<&'a Path>,
}

/// The mix keys that are held, and when the next one is made. Of the keys themselves nothing is told.
pub fn keys(fills: &[(Epoch, Fill)], keeping: &Keeping<'_>, now: &EpochTime) -> Value {
    let keys = fills.iter().map(|(epoch, fill)| {
        json!({
            "epoch": epoch.0,
            "use": usage(*epoch, now.epoch),
            "replay_tags": fill.tags,
            "replay_slots": fill.slots,
            "replay_percent": fill.percent(),
        })
    });
    let next = fills.iter().map(|(epoch, _)| epoch.0 + 1).max().unwrap_or(now.epoch.0);
    // With the descriptor for the epoch after the one in which it is made.
    let made_in = next.saturating_sub(EPOCHS_PER_DESCRIPTOR);
    let wait = match made_in.checked_sub(now.epoch.0) {
        None | Some(0) => 0,
        Some(epochs) => (now.till + now.period * u32::try_from(epochs - 1).unwrap_or(0)).as_secs(),
    };
    json!({
        "epoch": now.epoch.0,
        "keys": keys.collect::<Vec<_>>(),
        "next": { "epoch": next, "made_in_epoch": made_in, "seconds_until_then": wait },
        "locked_in_memory": keeping.are_locked,
        "kept_by_service_manager": keeping.has_manager,
        "written_at_a_stop_to": keeping.folder.map(|folder| folder.display().to_string()),
    })
}

/// For what packets of an epoch's key are now.
fn usage(epoch: Epoch, now: Epoch) -> &'static str {
    match epoch.0.cmp(&now.0) {
        std::cmp::Ordering::Equal => "current",
        std::cmp::Ordering::Less if epoch.0 + 1 == now.0 => "previous",
        std::cmp::Ordering::Less => "over",
        std::cmp::Ordering::Greater if epoch.0 == now.0 + 1 => "next",
        std::cmp::Ordering::Greater => "later",
    }
}

/// The node's own loops of an epoch, by segment.
pub fn loops(epoch: Epoch, counts: &[SegmentCount], nodes: &Nodes) -> Vec<Value> {
    let counts = counts.iter().map(|count| {
        let (from, to) = count.nodes();
        let (from_id, to_id) = count.segment.split_at(32);
        let name = |id: &[u8]| id.try_into().ok().and_then(|id: NodeId| nodes.names.get(&id).cloned());
        json!({
            "epoch": epoch.0, "from": from, "to": to, "from_name": name(from_id), "to_name": name(to_id),
            "sent": count.sent, "completed": count.completed,
        })
    });
    counts.collect()
}

/// The beginning of an id, as everywhere.
fn short(id: &NodeId) -> String {
    id.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
