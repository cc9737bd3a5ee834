//! How many connections and unfinished handshakes there may be (server.md 3.1: the reference has no limits). Whoever
//! connects makes this node compute before anything is known about it.
//!
//! Neighbours and strangers have budgets of their own, told apart by where they come from: an address that a document
//! gives a neighbour, or one from which a neighbour was authenticated before (it may sit behind address translation).
//! Where a budget is used up, the newest connection takes the place of the oldest that has not said anything yet: who
//! means to speak does so at once, and who holds a place by silence loses it to the next comer. If all have spoken, it
//! takes the place of the one that has owed its next message for longest: a first message costs a stranger next to
//! nothing, so having sent one is no right to the rest of the time. Only those that wait for this node keep their
//! places. To keep others out, whoever means harm has to make this node compute faster than an honest peer answers.
//!
//! An eighth of all connections is for neighbours alone. Whoever turns out to be a client counts as a stranger, wherever
//! it comes from.

#[cfg(test)]
mod tests;

use super::lock;
use super::sessions::Seat;
use interplane::counter::AdmissionRefusal;
use interplane::setup::Limits;
use pki::NodeId;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

/// One of so many connections is for neighbours alone.
const NEIGHBOURS_SHARE: u32 = 8;

/// Counts of the whole process. Looked at when a connection or a handshake begins or ends.
pub struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
}

/// Whose budget a connection is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It comes from where a neighbour may come from.
    Neighbour,
    /// It comes from elsewhere.
    Stranger,
}

#[derive(Default)]
struct Counts {
    connections: u32,
    /// Those among them that are no neighbour's as far as is known.
    strangers: u32,
    /// The same by network.
    connections_from: HashMap<IpAddr, u32>,
    next_ticket: u64,
    /// By their tickets: the oldest first.
    unfinished: BTreeMap<u64, Unfinished>,
    /// For each network from which neighbours may come: how many documents say so.
    documented: HashMap<IpAddr, u32>,
    /// Where each neighbour came from when it was last authenticated.
    authenticated: HashMap<NodeId, IpAddr>,
}

struct Unfinished {
    network: IpAddr,
    class: Class,
    seat: Seat,
    owes: Owes,
}

/// Whose turn it is in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owes {
    /// The peer's, which has not said anything.
    FirstMessage,
    /// This node's.
    Nothing,
    /// The peer's, since the time that has this number.
    NextMessage(u64),
}

/// The right to one connection; ends when dropped.
pub struct ConnectionPermit {
    admission: Arc<Admission>,
    network: IpAddr,
    class: Class,
}

/// The right to one unfinished handshake; ends when dropped, or when it is taken away for another.
pub struct HandshakePermit {
    admission: Arc<Admission>,
    ticket: u64,
    class: Class,
}

/// A connection that may go on.
pub struct Admitted {
    /// Its place among all connections.
    pub connection: ConnectionPermit,
    /// Its place among the unfinished handshakes.
    pub handshake: HandshakePermit,
    /// Who had that place until now, and under which limit: to be closed.
    pub evicted: Option<(Seat, AdmissionRefusal)>,
}

impl Admission {
    /// Nothing is used yet, and nobody is known.
    pub fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Goes by new documents: the neighbours that may connect, with the addresses that the documents give them.
    pub fn know(&self, neighbours: impl IntoIterator<Item = (NodeId, IpAddr)>) {
        let places: BTreeSet<_> = neighbours.into_iter().map(|(node, ip)| (network_of(ip), node)).collect();
        let mut counts = lock(&self.counts);
        counts.documented.clear();
        for (network, _) in &places {
            *counts.documented.entry(*network).or_default() += 1;
        }
        counts.authenticated.retain(|node, _| places.iter().any(|(_, known)| known == node));
    }

    /// A neighbour was authenticated that came from there.
    pub fn remember(&self, node: NodeId, from: SocketAddr) {
        lock(&self.counts).authenticated.insert(node, network_of(from.ip()));
    }

    /// Asks for a connection and its handshake, which are to be at `seat`.
    pub fn admit(self: &Arc<Self>, from: SocketAddr, seat: Seat) -> Result<Admitted, AdmissionRefusal> {
        let network = network_of(from.ip());
        let mut counts = lock(&self.counts);
        let nodes = counts.neighbours_at(network);
        let (class, most) = match nodes {
            0 => (Class::Stranger, self.limits.handshakes_of_strangers),
            _ => (Class::Neighbour, self.limits.handshakes_of_neighbours),
        };
        if counts.connections >= self.limits.connections {
            return Err(AdmissionRefusal::ConnectionLimit);
        }
        if class == Class::Stranger {
            self.admit_stranger(&counts, counts.connections_from(network))?;
        }
        let most_here = self.limits.handshakes_per_address.saturating_mul(nodes.max(1));
        let is_here = |other: &Unfinished| other.network == network;
        let is_alike = |other: &Unfinished| other.class == class;
        let evicted = if counts.count(is_here) >= most_here {
            Some((counts.evict(is_here).ok_or(AdmissionRefusal::AddressLimit)?, AdmissionRefusal::AddressLimit))
        } else if counts.count(is_alike) >= most {
            Some((counts.evict(is_alike).ok_or(AdmissionRefusal::HandshakeLimit)?, AdmissionRefusal::HandshakeLimit))
        } else {
            None
        };
        counts.connections += 1;
        counts.strangers += u32::from(class == Class::Stranger);
        *counts.connections_from.entry(network).or_default() += 1;
        let ticket = counts.draw();
        counts.unfinished.insert(ticket, Unfinished { network, class, seat, owes: Owes::FirstMessage });
        let connection = ConnectionPermit { admission: Arc::clone(self), network, class };
        Ok(Admitted { connection, handshake: HandshakePermit { admission: Arc::clone(self), ticket, class }, evicted })
    }

    /// Whether one more stranger may come from a network that has so many connections.
    fn admit_stranger(&self, counts: &Counts, from_here: u32) -> Result<(), AdmissionRefusal> {
        let Limits { connections, connections_per_address, .. } = self.limits;
        if counts.strangers >= connections - connections / NEIGHBOURS_SHARE {
            Err(AdmissionRefusal::ConnectionLimit)
        } else if connections_per_address > 0 && from_here >= connections_per_address {
            Err(AdmissionRefusal::AddressConnections)
        } else {
            Ok(())
        }
    }

    /// Unfinished handshakes now.
    pub fn handshakes(&self) -> u32 {
        lock(&self.counts).count(|_| true)
    }
}

impl Counts {
    /// How many connections a network has.
    fn connections_from(&self, network: IpAddr) -> u32 {
        self.connections_from.get(&network).copied().unwrap_or(0)
    }

    /// How many neighbours may come from a network.
    fn neighbours_at(&self, network: IpAddr) -> u32 {
        let documented = self.documented.get(&network).copied().unwrap_or(0);
        // Documents list some hundred nodes.
        let authenticated = self.authenticated.values().filter(|known| **known == network).count();
        documented.max(u32::try_from(authenticated).unwrap_or(u32::MAX))
    }

    /// Some hundred at most: the limits see to that.
    fn count(&self, which: impl Fn(&Unfinished) -> bool) -> u32 {
        self.unfinished.values().filter(|other| which(other)).count() as u32
    }

    /// Takes its place from the oldest of those that have not said anything, or else from the one that has owed its
    /// next message for longest.
    fn evict(&mut self, which: impl Fn(&Unfinished) -> bool) -> Option<Seat> {
        let rank = |(ticket, other): (&u64, &Unfinished)| match other.owes {
            Owes::FirstMessage => Some((0, *ticket, *ticket)),
            Owes::NextMessage(since) => Some((1, since, *ticket)),
            Owes::Nothing => None,
        };
        let of_these = self.unfinished.iter().filter(|(_, other)| which(other));
        let (_, _, ticket) = of_these.filter_map(rank).min()?;
        self.unfinished.remove(&ticket).map(|evicted| evicted.seat)
    }

    fn draw(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

impl HandshakePermit {
    /// The peer has sent its message: until this node has answered, nobody else gets this place.
    pub fn heard(&self) {
        self.set(Owes::Nothing);
    }

    /// This node has answered, and waits for the peer's next message.
    pub fn answered(&self) {
        let since = lock(&self.admission.counts).draw();
        self.set(Owes::NextMessage(since));
    }

    fn set(&self, owes: Owes) {
        if let Some(own) = lock(&self.admission.counts).unfinished.get_mut(&self.ticket) {
            own.owes = owes;
        }
    }

    /// Whether the peer comes from where neighbours come from.
    pub fn is_of_neighbour(&self) -> bool {
        self.class == Class::Neighbour
    }
}

impl ConnectionPermit {
    /// The peer has turned out to be a client: it has no right to what is for neighbours, and is refused if there is no
    /// room for one more stranger.
    pub fn count_as_client(&mut self) -> Result<(), AdmissionRefusal> {
        let mut counts = lock(&self.admission.counts);
        if self.class == Class::Stranger {
            return Ok(());
        }
        self.class = Class::Stranger;
        // It is one of those from there already.
        let others = counts.connections_from(self.network).saturating_sub(1);
        let admitted = self.admission.admit_stranger(&counts, others);
        counts.strangers += 1;
        admitted
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.strangers -= u32::from(self.class == Class::Stranger);
        counts.connections = counts.connections.saturating_sub(1);
        if let Entry::Occupied(mut from_here) = counts.connections_from.entry(self.network) {
            *from_here.get_mut() -= 1;
            if *from_here.get() == 0 {
                from_here.remove();
            }
        }
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        lock(&self.admission.counts).unfinished.remove(&self.ticket);
    }
}

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 address, of which one host has them all.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}
