//! The ways there and back: which nodes, with which keys, and how long a packet waits at each (client.md 13.1 to 13.3).

#[cfg(test)]
mod tests;

use crate::sample;
use crypto_simd::random::Random;
use pki::descriptor::MixDescriptor;
use pki::document::{Document, Layer};
use pki::{EpochClock, NodeId};
use std::time::Duration;

/// Tries to find nodes that all have the key that their hop needs.
const SELECTIONS_MAX: u32 = 3;
/// Tries to find delays that end in time.
const ROUND_TRIPS_MAX: u32 = 32;

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The gateway is not in the document.
    #[error("the document does not list the connected gateway")]
    NoGateway,
    /// The service node is not in the document.
    #[error("the document no longer lists the service node")]
    NoService,
    /// A layer has no nodes.
    #[error("the document has a layer without nodes")]
    NoMix,
    /// The document's rate of delays is none.
    #[error("the document's Mu is not a rate")]
    NoRate,
    /// Nodes without the key that is needed when the packet is there.
    #[error("nodes lack the mix key of the epoch in which the packet would reach them")]
    NoKey,
    /// All tries took as long as two epochs, or longer.
    #[error("the delays would take two epochs or more")]
    TooLong,
}

/// One node on a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its mix key for the epoch in which the packet reaches it.
    pub key: Vec<u8>,
    /// How long the packet waits there; none at the last hop of a way back.
    pub delay_ms: Option<u32>,
}

/// There and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Gateway, one mix of each layer, service node. The service node's delay is that of its answer.
    pub forward: Vec<Hop>,
    /// One mix of each layer, gateway.
    pub reply: Vec<Hop>,
}

impl RoundTrip {
    /// The sum of all delays.
    pub fn delay(&self) -> Duration {
        self.forward.iter().chain(&self.reply).map(Hop::delay).sum()
    }
}

impl Hop {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0).into())
    }
}

/// A way from `gateway` to `service` and another one back, for a packet that leaves at `unix`.
pub fn round_trip(
    document: &Document,
    clock: &EpochClock,
    gateway: &NodeId,
    service: &NodeId,
    unix: Duration,
    random: &mut dyn Random,
) -> Result<RoundTrip, PathError> {
    let gateway = find(document, Layer::Gateway, gateway).ok_or(PathError::NoGateway)?;
    let service = find(document, Layer::Service, service).ok_or(PathError::NoService)?;
    for _ in 0..ROUND_TRIPS_MAX {
        let (forward, arrival) = way(document, clock, Some(gateway), service, unix, random)?;
        let (reply, _) = way(document, clock, None, gateway, arrival, random)?;
        let round_trip = RoundTrip { forward, reply };
        if round_trip.delay() < clock.period() * 2 {
            return Ok(round_trip);
        }
    }
    Err(PathError::TooLong)
}

fn find<'a>(document: &'a Document, layer: Layer, id: &NodeId) -> Option<&'a MixDescriptor> {
    document.layer(layer).iter().find(|node| node.id() == *id)
}

/// One way, and when the packet leaves its last hop. Ways there (`first` is a gateway) have a delay at every hop, ways
/// back at every hop but the last.
fn way(
    document: &Document,
    clock: &EpochClock,
    first: Option<&MixDescriptor>,
    last: &MixDescriptor,
    unix: Duration,
    random: &mut dyn Random,
) -> Result<(Vec<Hop>, Duration), PathError> {
    let mut found = Err(PathError::NoKey);
    for _ in 0..SELECTIONS_MAX {
        let mut nodes: Vec<&MixDescriptor> = first.into_iter().collect();
        for layer in &document.topology {
            nodes.push(sample::one(random, layer).ok_or(PathError::NoMix)?);
        }
        nodes.push(last);
        found = hops(document, clock, &nodes, first.is_some(), unix, random);
        if !matches!(found, Err(PathError::NoKey)) {
            break;
        }
    }
    found
}

fn hops(
    document: &Document,
    clock: &EpochClock,
    nodes: &[&MixDescriptor],
    delays_at_last: bool,
    unix: Duration,
    random: &mut dyn Random,
) -> Result<(Vec<Hop>, Duration), PathError> {
    let mut hops = Vec::with_capacity(nodes.len());
    let mut arrival = unix;
    for (position, node) in nodes.iter().enumerate() {
        let epoch = clock.now(arrival).map_err(|_| PathError::NoKey)?.epoch;
        let key = node.mix_key(epoch).ok_or(PathError::NoKey)?.to_vec();
        let waits = delays_at_last || position + 1 < nodes.len();
        let delay_ms = match waits {
            true => Some(sample::delay_ms(random, document.mu).ok_or(PathError::NoRate)?),
            false => None,
        };
        let hop = Hop { id: node.id(), name: node.name.clone(), key, delay_ms };
        arrival += hop.delay();
        hops.push(hop);
    }
    Ok((hops, arrival))
}
