//! Who is let in, and how much they may have under way: caps for all connections, for each address and for each peer,
//! so that nobody keeps the others out.
//!
//! What somebody says in a handshake is a claim: anybody can name a node, and an authority with its public key. A peer
//! counts as an authority when the header of its first frame has opened, which takes the private key; then it stays. Of
//! all others the one makes room that has brought no request yet, else one that only fetches, else one that says it is a
//! node; of several, the oldest from the address that has most. The addresses of the authorities have places of their
//! own.

use super::metrics::Metrics;
use pki::voting::Peer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

#[cfg(test)]
mod tests;

/// Connections from one address, or from one /64 of IPv6. From the host itself, where test networks are, any number.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// Connections of one authority, or of one node from one address: more messages are never due at once.
pub const CONNECTIONS_PER_PEER_MAX: usize = 16;

/// Bytes of uploads and documents under way of all who are no authorities.
pub const BYTES_MAX: usize = 64 << 20;

/// Who has no more than this under way does not count: requests, and uploads of most networks.
pub const SMALL_BYTES: usize = 16 << 10;

/// A message of an authority with more bytes than this is a large one …
pub const LARGE_MESSAGE_BYTES: usize = 1 << 20;

/// … and so many of them may be under way from each: a round's messages come one after the other.
pub const LARGE_MESSAGES_MAX: usize = 2;

/// The door of all listeners.
pub struct Door {
    places: usize,
    /// Of these places so many are for the known addresses alone.
    reserved: usize,
    /// Where authorities are.
    known: BTreeSet<IpAddr>,
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
    is_known: bool,
    /// Who it says it is.
    claim: Option<Peer>,
    progress: Progress,
    /// Bytes that it has under way, or has announced.
    bytes: usize,
    /// None until its task is known.
    task: Option<AbortHandle>,
}

/// What has come of a guest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// It shakes hands, or has, and has shown nothing.
    Silent,
    /// It has the key of its link.
    Heard,
    /// Its request is here.
    Asked,
}

/// A place inside, given back when it is dropped.
pub struct Place {
    door: Arc<Door>,
    number: u64,
}

impl Guest {
    /// Who makes room first, lowest first; none who stays.
    fn rank(&self) -> Option<u8> {
        match (self.claim, self.progress) {
            (Some(Peer::Authority(_)), Progress::Heard | Progress::Asked) => None,
            (_, Progress::Silent | Progress::Heard) => Some(0),
            (None | Some(Peer::Client), Progress::Asked) => Some(1),
            (_, Progress::Asked) => Some(2),
        }
    }

    fn is_heard_from(&self, peer: Peer) -> bool {
        self.claim == Some(peer) && self.progress >= Progress::Heard
    }
}

impl Inside {
    /// Lets go of the one of `these` who makes room first; says whether there was one.
    fn make_room(&mut self, these: impl Fn(&Guest) -> bool) -> bool {
        let ranked = || self.guests.iter().enumerate().filter(|(_, guest)| these(guest) && guest.rank().is_some());
        let mut from_there = BTreeMap::<IpAddr, usize>::new();
        for (_, guest) in ranked() {
            *from_there.entry(guest.address).or_default() += 1;
        }
        let first = ranked().min_by_key(|(at, guest)| {
            (guest.is_known, guest.rank(), Reverse(from_there.get(&guest.address).copied()), *at)
        });
        let Some(at) = first.map(|(at, _)| at) else { return false };
        if let Some(task) = self.guests.remove(at).task {
            task.abort();
        }
        true
    }

    fn find(&mut self, number: u64) -> Option<&mut Guest> {
        self.guests.iter_mut().find(|guest| guest.number == number)
    }
}

impl Door {
    /// With so many places, some of them for the addresses where authorities are.
    pub fn new(places: usize, known: BTreeSet<IpAddr>, metrics: Metrics) -> Arc<Self> {
        let reserved = (known.len() * CONNECTIONS_PER_PEER_MAX).min(places / 4);
        Arc::new(Self { places, reserved, known, metrics, inside: Mutex::default() })
    }

    /// A place for somebody from `address`, if there is one.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let is_known = self.known.contains(&address.to_canonical());
        let address = neighbourhood(address);
        let mut inside = self.inside();
        let from_there = inside.guests.iter().filter(|guest| guest.address == address).count();
        if from_there >= CONNECTIONS_PER_ADDRESS_MAX && !address.is_loopback() {
            self.refused("address");
            return None;
        }
        let strangers = inside.guests.iter().filter(|guest| !guest.is_known).count();
        let is_full =
            inside.guests.len() >= self.places || (!is_known && strangers >= self.places.saturating_sub(self.reserved));
        if is_full {
            self.refused("total");
            if !inside.make_room(|guest| is_known || !guest.is_known) {
                return None;
            }
        }
        let number = inside.next;
        inside.next += 1;
        let (claim, progress) = (None, Progress::Silent);
        inside.guests.push(Guest { number, address, is_known, claim, progress, bytes: 0, task: None });
        self.count(&inside);
        Some(Place { door: self.clone(), number })
    }

    /// Notes the task that serves the place with this number.
    pub fn served_by(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = self.inside().find(number) {
            guest.task = Some(task);
        }
    }

    fn refused(&self, limit: &str) {
        self.metrics.connections_refused.with_label_values(&[limit]).inc();
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

    /// Notes who it says it is; says whether so many connections are let in that say so. Nobody has proven anything yet,
    /// so that a claim counts for its own address alone, and that of an authority not at all.
    pub fn claims(&self, peer: Peer) -> bool {
        let mut inside = self.door.inside();
        let Some(address) = inside.find(self.number).map(|guest| guest.address) else { return false };
        let same = inside.guests.iter().filter(|guest| guest.claim == Some(peer) && guest.address == address).count();
        if same >= CONNECTIONS_PER_PEER_MAX && matches!(peer, Peer::Node(_) | Peer::Replica(_)) {
            self.door.refused("peer");
            return false;
        }
        if let Some(guest) = inside.find(self.number) {
            guest.claim = Some(peer);
        }
        true
    }

    /// Notes that it has the key of its link; says whether it may stay, as there are not too many of this authority.
    pub fn is_heard(&self) -> bool {
        let mut inside = self.door.inside();
        let Some(claim) = inside.find(self.number).map(|guest| guest.claim) else { return false };
        if let Some(peer @ Peer::Authority(_)) = claim
            && inside.guests.iter().filter(|guest| guest.is_heard_from(peer)).count() >= CONNECTIONS_PER_PEER_MAX
        {
            self.door.refused("peer");
            return false;
        }
        if let Some(guest) = inside.find(self.number) {
            guest.progress = Progress::Heard;
        }
        true
    }

    /// Notes that its request is here.
    pub fn has_asked(&self) {
        if let Some(guest) = self.door.inside().find(self.number) {
            guest.progress = Progress::Asked;
        }
    }

    /// Notes that it will have so many bytes under way, instead of what it had; says whether it may. Others make room.
    pub fn takes(&self, bytes: usize) -> bool {
        let mut inside = self.door.inside();
        let Some(claim) = inside.find(self.number).map(|guest| guest.claim) else { return false };
        let may = match claim {
            Some(peer @ Peer::Authority(_)) => self.may_take_of_authority(&inside, peer, bytes),
            _ => self.may_take(&mut inside, bytes),
        };
        if let Some(guest) = inside.find(self.number).filter(|_| may) {
            guest.bytes = bytes;
        }
        self.door.count(&inside);
        may
    }

    fn may_take_of_authority(&self, inside: &Inside, peer: Peer, bytes: usize) -> bool {
        let is_other = |guest: &&Guest| guest.number != self.number && guest.is_heard_from(peer);
        let large = inside.guests.iter().filter(is_other).filter(|guest| guest.bytes > LARGE_MESSAGE_BYTES).count();
        let may = bytes <= LARGE_MESSAGE_BYTES || large < LARGE_MESSAGES_MAX;
        if !may {
            self.door.refused("bytes");
        }
        may
    }

    /// One alone always may.
    fn may_take(&self, inside: &mut Inside, bytes: usize) -> bool {
        let counts = |guest: &Guest| guest.number != self.number && guest.bytes > SMALL_BYTES && guest.rank().is_some();
        loop {
            let under_way: usize = inside.guests.iter().filter(|guest| counts(guest)).map(|guest| guest.bytes).sum();
            if under_way == 0 || bytes <= SMALL_BYTES || under_way.saturating_add(bytes) <= BYTES_MAX {
                return true;
            }
            self.door.refused("bytes");
            if !inside.make_room(counts) {
                return false;
            }
        }
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
