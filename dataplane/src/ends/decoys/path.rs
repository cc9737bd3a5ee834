//! The way of a loop: from this node to a service node and back (server.md B.4).

use crate::random::ShardRandom;
use crypto_simd::random::Random;
use pki::descriptor::Segment;
use pki::document::{Layer, delay_cap_ms};
use pki::neighbours::{NeighbourMap, NodeEntry};
use pki::{EpochClock, NodeId};
use sphinx::PathHop;
use sphinx::path::{Terminal, compose};
use std::time::Duration;

/// One node of a way: who, its key, and how long it waits.
#[derive(Clone, Debug)]
struct Hop {
    id: NodeId,
    key: Vec<u8>,
    delay_ms: u32,
}

/// There and back.
pub struct Way {
    there: Vec<Hop>,
    back: Vec<Hop>,
}

impl Way {
    /// Chooses both ways; none if a node has no key for the epoch in which the loop reaches it.
    pub fn choose(
        map: &NeighbourMap,
        own: &NodeId,
        service: &NodeEntry,
        start: Duration,
        clock: &EpochClock,
        random: &mut ShardRandom,
    ) -> Option<Self> {
        let own = map.node(own)?;
        let first = match own.layer {
            Layer::Mix(layer) => layer + 1,
            Layer::Gateway | Layer::Service => 0,
        };
        let last = match own.layer {
            Layer::Mix(layer) => layer,
            Layer::Gateway | Layer::Service => map.layers,
        };
        let mut at = start;
        let mut hops = |layers: std::ops::Range<u8>, end: &NodeEntry, waits_at_end: bool| {
            let mut nodes = Vec::with_capacity(layers.len() + 1);
            for layer in layers {
                let choice: Vec<_> = map.layer(Layer::Mix(layer)).collect();
                nodes.push(*choice.get(random.below(choice.len() as u32) as usize)?);
            }
            nodes.push(end);
            let last = nodes.len() - 1;
            let mut way = Vec::with_capacity(nodes.len());
            for (place, node) in nodes.into_iter().enumerate() {
                let key = node.mix_key(clock.now(at).ok()?.epoch)?.to_vec();
                let delay_ms = if place < last || waits_at_end { delay_ms(map.mu, random) } else { 0 };
                at += Duration::from_millis(u64::from(delay_ms));
                way.push(Hop { id: node.id, key, delay_ms });
            }
            Some(way)
        };
        let there = hops(first..map.layers, service, true)?;
        let back = hops(0..last, own, false)?;
        Some(Self { there, back })
    }

    /// The time that it takes, by its delays.
    pub fn total(&self) -> Duration {
        let hops = self.there.iter().chain(&self.back);
        Duration::from_millis(hops.map(|hop| u64::from(hop.delay_ms)).sum())
    }

    /// The hops of the packet that goes out.
    pub fn there(&self, recipient: [u8; 32]) -> Option<Vec<PathHop>> {
        let delay_ms = self.there.last()?.delay_ms;
        hops(&self.there, &Terminal { recipient, surb_id: None, delay_ms: Some(delay_ms) })
    }

    /// The hops of the reply.
    pub fn back(&self, recipient: [u8; 32], surb_id: [u8; 16]) -> Option<Vec<PathHop>> {
        hops(&self.back, &Terminal { recipient, surb_id: Some(surb_id), delay_ms: None })
    }
}

fn hops(way: &[Hop], terminal: &Terminal) -> Option<Vec<PathHop>> {
    let (_, before) = way.split_last()?;
    let delays: Vec<u32> = before.iter().map(|hop| hop.delay_ms).collect();
    compose(way.iter().map(|hop| (hop.id, hop.key.clone())), &delays, terminal)
}

/// The service nodes that echo, with their endpoints.
pub fn echo_services(map: &NeighbourMap) -> impl Iterator<Item = (&NodeEntry, &str)> {
    map.layer(Layer::Service).filter_map(|node| {
        let echo = node.services.iter().find(|service| service.capability == "echo")?;
        Some((node, echo.endpoint.as_str()))
    })
}

/// Each two consecutive hops (server.md 7.4).
pub fn segments(path: &[PathHop]) -> impl Iterator<Item = Segment> {
    path.windows(2).map(|pair| {
        let mut segment = [0; 64];
        segment[..32].copy_from_slice(&pair[0].id);
        segment[32..].copy_from_slice(&pair[1].id);
        segment
    })
}

/// The delay of one hop.
fn delay_ms(mu: f64, random: &mut ShardRandom) -> u32 {
    let drawn = exponential_ms(mu, random).unwrap_or(0).saturating_add(1);
    u32::try_from(drawn.min(delay_cap_ms(mu).max(1))).unwrap_or(u32::MAX)
}

/// An exponential number of whole milliseconds, bounded; none where the rate is none.
fn exponential_ms(rate_per_ms: f64, random: &mut ShardRandom) -> Option<u64> {
    Some(exponential(rate_per_ms, random)? as u64)
}

/// An exponential time, bounded; none where the rate is none.
pub fn wait(rate_per_ms: f64, random: &mut ShardRandom) -> Option<Duration> {
    Some(Duration::from_nanos((exponential(rate_per_ms, random)? * 1e6) as u64))
}

/// An exponential number of milliseconds.
fn exponential(rate_per_ms: f64, random: &mut ShardRandom) -> Option<f64> {
    if !(rate_per_ms.is_finite() && rate_per_ms > 0.0) {
        return None;
    }
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    // In (0, 1]: its logarithm is finite.
    let uniform = ((u64::from_le_bytes(bytes) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    Some((-uniform.ln() / rate_per_ms).min(delay_cap_ms(rate_per_ms) as f64))
}
