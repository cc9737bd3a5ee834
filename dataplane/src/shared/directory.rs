//! A snapshot with what shards look up in it: outgoing destinations and who owns them.

use crate::io::Target;
use interplane::snapshot::Snapshot;
use pki::NodeId;
use pki::address::Url;
use pki::neighbours::{Direction, NodeEntry, Role};
use pki::policy::View;
use std::net::{IpAddr, SocketAddr};

/// Names an outgoing destination: a place in the [`Directory`]'s table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationId(pub u32);

/// A node that packets may have to be sent to, now or after the next boundary. Whether they may now is the policy's
/// answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The node.
    pub node: NodeId,
    /// The shard that has the link to it.
    pub owner: usize,
}

/// Documents, and all destinations that occur in them.
pub struct Directory {
    snapshot: Snapshot,
    /// Sparse: a destination keeps its place, and with it its owner, as long as documents list it.
    destinations: Vec<Option<Destination>>,
    by_node: Vec<(NodeId, DestinationId)>,
}

impl Directory {
    /// Without any document.
    pub fn empty(role: Role) -> Self {
        let view = View::new(role, Vec::new());
        let snapshot =
            Snapshot { serial: 0, view, delay_ms_max: Vec::new(), client_documents: Vec::new(), services: Vec::new() };
        Self { snapshot, destinations: Vec::new(), by_node: Vec::new() }
    }

    /// The directory that follows `previous`.
    pub fn after(previous: &Self, snapshot: Snapshot, shards: usize) -> Self {
        let mut nodes: Vec<NodeId> = (snapshot.view.documents().iter())
            .flat_map(|map| map.neighbours(Direction::Outgoing))
            .map(|entry| entry.id)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        let mut destinations = previous.destinations.clone();
        for place in &mut destinations {
            *place = place.filter(|destination| nodes.binary_search(&destination.node).is_ok());
        }
        let mut load = vec![0u32; shards.max(1)];
        for destination in destinations.iter().flatten() {
            load[destination.owner] += 1;
        }
        let mut by_node = Vec::with_capacity(nodes.len());
        for node in nodes {
            let at = previous.find(&node).unwrap_or_else(|| {
                // From the last shard on: incoming links are dealt from the first one on (`Shared::deal`).
                let owner = (0..load.len()).rev().min_by_key(|shard| load[*shard]).unwrap_or(0);
                load[owner] += 1;
                place(&mut destinations, Destination { node, owner })
            });
            by_node.push((node, at));
        }
        Self { snapshot, destinations, by_node }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The nodes that may connect, with the addresses that documents give them.
    pub fn incoming_addresses(&self) -> impl Iterator<Item = (NodeId, IpAddr)> {
        let entries = self.view().documents().iter().flat_map(|map| map.neighbours(Direction::Incoming));
        entries.flat_map(|entry| {
            let urls = entry.addresses.iter().filter_map(|address| Url::parse(&address.url));
            urls.filter_map(|url| Some((entry.id, url.host_and_port()?.0.parse().ok()?)))
        })
    }

    /// The documents.
    pub fn view(&self) -> &View {
        &self.snapshot.view
    }

    /// Places in the table, empty ones included.
    pub fn places(&self) -> usize {
        self.destinations.len()
    }

    /// All destinations.
    pub fn destinations(&self) -> impl Iterator<Item = (DestinationId, &Destination)> {
        let places = self.destinations.iter().enumerate();
        places.filter_map(|(at, place)| place.as_ref().map(|destination| (DestinationId(at as u32), destination)))
    }

    /// One destination.
    pub fn destination(&self, id: DestinationId) -> Option<&Destination> {
        self.destinations.get(id.0 as usize)?.as_ref()
    }

    /// The place of a node.
    pub fn find(&self, node: &NodeId) -> Option<DestinationId> {
        let at = self.by_node.binary_search_by(|(id, _)| id.cmp(node)).ok()?;
        self.by_node.get(at).map(|(_, id)| *id)
    }
}

/// Puts a destination into the first empty place.
fn place(destinations: &mut Vec<Option<Destination>>, destination: Destination) -> DestinationId {
    let at = destinations.iter().position(Option::is_none).unwrap_or_else(|| {
        destinations.push(None);
        destinations.len() - 1
    });
    destinations[at] = Some(destination);
    DestinationId(at as u32)
}

/// The addresses to dial, in order: TCP over IPv4, over IPv6, then QUIC (server.md 3.9). Host names are left out: descriptors
/// hold the addresses behind them (server.md 8.3.1). What is under one of these keys is dialled as its URL says.
pub fn dial_addresses(entry: &NodeEntry) -> Vec<Target> {
    let urls = ["tcp4", "tcp6", "quic"].into_iter().flat_map(|transport| entry.urls(transport));
    urls.filter_map(|url| {
        let url = Url::parse(url)?;
        let (host, port) = url.host_and_port()?;
        let address = SocketAddr::new(host.parse::<IpAddr>().ok()?, port.parse().ok()?);
        Some(if url.scheme.eq_ignore_ascii_case("quic") { Target::quic(address) } else { Target::tcp(address) })
    })
    .collect()
}
