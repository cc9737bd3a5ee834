//! Who is let in: caps for all connections, for each address and for each peer, so that nobody keeps the others out.
//! When all places are taken, the oldest of those makes room that have not said who they are or only fetch, else the
//! oldest that says it is a node, which anybody can say. Authorities have proven who they are, and stay.

use super::metrics::Metrics;
use pki::voting::Peer;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

#[cfg(test)]
mod tests;

/// Connections from one address, or from one /64 of IPv6. From the host itself, where test networks are, any number.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// Connections of one authority, or of one node from one address: more messages are never due at once.
pub const CONNECTIONS_PER_PEER_MAX: usize = 16;

/// The door of all listeners.
pub struct Door {
    places: usize,
    metrics: Metrics,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    /// In the order in which they came.
    guests: Vec<Guest>,
}

struct Guest {
    number: u64,
    address: IpAddr,
    peer: Option<Peer>,
    /// None until its task is known.
    task: Option<AbortHandle>,
}

/// A place inside, given back when it is dropped.
pub struct Place {
    door: Arc<Door>,
    number: u64,
}

impl Door {
    /// With so many places.
    pub fn new(places: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { places, metrics, inside: Mutex::default() })
    }

    /// A place for somebody from `address`, if there is one.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = neighbourhood(address);
        let mut inside = self.inside();
        let from_there = inside.guests.iter().filter(|guest| guest.address == address).count();
        if from_there >= CONNECTIONS_PER_ADDRESS_MAX && !address.is_loopback() {
            self.metrics.connections_refused.with_label_values(&["address"]).inc();
            return None;
        }
        if inside.guests.len() >= self.places {
            self.metrics.connections_refused.with_label_values(&["total"]).inc();
            let is_stranger = |guest: &Guest| matches!(guest.peer, None | Some(Peer::Client));
            let is_unproven = |guest: &Guest| !matches!(guest.peer, Some(Peer::Authority(_)));
            let oldest = inside.guests.iter().position(is_stranger);
            let oldest = oldest.or_else(|| inside.guests.iter().position(is_unproven))?;
            if let Some(task) = inside.guests.remove(oldest).task {
                task.abort();
            }
        }
        let number = inside.next;
        inside.next += 1;
        inside.guests.push(Guest { number, address, peer: None, task: None });
        self.count(&inside);
        Some(Place { door: self.clone(), number })
    }

    /// Notes the task that serves the place with this number.
    pub fn served_by(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = self.inside().guests.iter_mut().find(|guest| guest.number == number) {
            guest.task = Some(task);
        }
    }

    fn count(&self, inside: &Inside) {
        self.metrics.connections.set(i64::try_from(inside.guests.len()).unwrap_or(i64::MAX));
    }

    // The list is whole after every statement.
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Notes who it is; says whether so many connections of this peer are let in.
    pub fn is_of(&self, peer: Peer) -> bool {
        let mut inside = self.door.inside();
        let address = inside.guests.iter().find(|guest| guest.number == self.number).map(|guest| guest.address);
        // What nobody has proven must not cost somebody else its places.
        let is_proven = matches!(peer, Peer::Authority(_));
        let is_same = |guest: &&Guest| guest.peer == Some(peer) && (is_proven || Some(guest.address) == address);
        let same = inside.guests.iter().filter(is_same).count();
        if same >= CONNECTIONS_PER_PEER_MAX && peer != Peer::Client {
            self.door.metrics.connections_refused.with_label_values(&["peer"]).inc();
            return false;
        }
        if let Some(guest) = inside.guests.iter_mut().find(|guest| guest.number == self.number) {
            guest.peer = Some(peer);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.guests.retain(|guest| guest.number != self.number);
        self.door.count(&inside);
    }
}

/// Whoever has one address of a /64 has all of them.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}
