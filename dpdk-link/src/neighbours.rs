//! Who has which address on the wire, without a kernel: ARP (RFC 826) and neighbour discovery (RFC 4861), as much of both
//! as a host needs that has fixed addresses. Frames in, frames out; no I/O.
//!
//! * Who asks for one of our addresses is answered. Our own addresses are never learned from others.
//! * Who is on our network is learned from what they say of themselves in ARP and neighbour discovery, and asked for when
//!   something has to go there; what has to wait for the answer is lost, as datagrams may be. Entries of the configuration
//!   never change.
//! * Others are behind the next hop. Where none is configured, they are behind whoever last brought a frame from them.
//! * The table has [`ENTRIES_MAX`] places. When it is full, who has not been heard of for two minutes makes room; beyond that
//!   nobody is learned. Who is far costs no place where next hops are configured.

mod messages;
#[cfg(test)]
mod tests;

use datagram::frame::Mac;
use messages::{Heard, Message};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use wire::Instant;

/// The most that is learned.
pub const ENTRIES_MAX: usize = 4096;
/// How long nothing is asked again for the same address.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// After what time an entry that is used is asked for again.
const FRESH: Duration = Duration::from_secs(60);
/// Who has not been heard of for so long makes room: longer than a neighbour that is used goes without an answer.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// How often that is looked for: all entries are.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// What the card is to the network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Our addresses with the lengths of their networks' prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// To whom all goes that is for no network of ours.
    pub next_hops: Vec<IpAddr>,
    /// Neighbours that are known from the configuration.
    pub fixed: Vec<(IpAddr, Mac)>,
}

struct Entry {
    mac: Option<Mac>,
    is_fixed: bool,
    learned_at: Instant,
    asked_at: Option<Instant>,
}

/// The table, and what has to be sent for it.
pub struct Neighbours {
    network: Network,
    mac: Mac,
    entries: HashMap<IpAddr, Entry>,
    purged_at: Instant,
}

impl Neighbours {
    /// Of a card with that address.
    pub fn new(network: Network, mac: Mac) -> Self {
        let fixed = |(address, mac): &(IpAddr, Mac)| {
            (*address, Entry { mac: Some(*mac), is_fixed: true, learned_at: Instant::NEVER, asked_at: None })
        };
        let entries = network.fixed.iter().map(fixed).collect();
        Self { network, mac, entries, purged_at: Instant::default() }
    }

    /// Whether that is an address of ours.
    pub fn is_ours(&self, address: IpAddr) -> bool {
        self.network.addresses.iter().any(|(own, _)| *own == address)
    }

    /// Our address for datagrams to `to`: on its network, or the first of its family.
    pub fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        let of_family = || self.network.addresses.iter().filter(|(own, _)| own.is_ipv4() == to.is_ipv4());
        let near = of_family().find(|(own, prefix)| is_within(to, *own, *prefix));
        near.or_else(|| of_family().next()).map(|(own, _)| *own)
    }

    /// To whom a datagram goes. If that is not known, `ask` gets a frame that asks for it, at most once a second.
    pub fn find(&mut self, to: IpAddr, now: Instant, ask: impl FnOnce(&[u8])) -> Option<Mac> {
        let is_near = self.is_near(to);
        let next_hop = self.network.next_hops.iter().find(|hop| hop.is_ipv4() == to.is_ipv4()).copied();
        let hop = if is_near { to } else { next_hop.unwrap_or(to) };
        // Who is far and has no next hop is behind whoever brought something from there: nobody can be asked.
        let can_ask = is_near || next_hop.is_some();
        if !self.entries.contains_key(&hop) {
            if !can_ask || !self.has_room(now) {
                return None;
            }
            self.entries.insert(hop, Entry { mac: None, is_fixed: false, learned_at: now, asked_at: None });
        }
        let from = self.source_for(hop)?;
        let entry = self.entries.get_mut(&hop)?;
        let is_fresh = entry.is_fixed || entry.mac.is_some() && now.since(entry.learned_at) < FRESH;
        let may_ask = entry.asked_at.is_none_or(|at| now.since(at) >= ASK_EVERY);
        if can_ask && !is_fresh && may_ask {
            entry.asked_at = Some(now);
            if let Some(frame) = messages::question(self.mac, from, hop) {
                ask(&frame);
            }
        }
        entry.mac
    }

    /// A datagram for us has come from there in a frame of that card.
    pub fn seen(&mut self, from: IpAddr, mac: Mac, now: Instant) {
        let has_next_hop = self.network.next_hops.iter().any(|hop| hop.is_ipv4() == from.is_ipv4());
        if !has_next_hop && !self.is_near(from) {
            self.learn(from, mac, now, true);
        }
    }

    /// Reads a frame that is no datagram; `answer` gets what has to be sent for it. False if it says nothing of addresses.
    pub fn heard(&mut self, frame: &[u8], now: Instant, answer: impl FnOnce(&[u8])) -> bool {
        let Some(Heard { from, mac, message }) = messages::parse(frame) else { return false };
        match message {
            Message::Question { target } if self.is_ours(target) => {
                if let Some(from) = from {
                    self.learn_near(from, mac, now, true);
                }
                if let Some(frame) = messages::answer(self.mac, target, from, mac) {
                    answer(&frame);
                }
            }
            Message::Question { .. } => {
                if let Some(from) = from {
                    self.learn_near(from, mac, now, false);
                }
            }
            // Who was not asked for is not learned.
            Message::Answer => {
                if let Some(from) = from {
                    self.learn_near(from, mac, now, false);
                }
            }
        }
        true
    }

    fn learn_near(&mut self, address: IpAddr, mac: Mac, now: Instant, is_new: bool) {
        if self.is_near(address) {
            self.learn(address, mac, now, is_new);
        }
    }

    fn learn(&mut self, address: IpAddr, mac: Mac, now: Instant, is_new: bool) {
        let is_group = mac[0] & 1 == 1;
        if is_group || mac == [0; 6] || mac == self.mac || self.is_ours(address) {
            return;
        }
        let has_room = is_new && (self.entries.contains_key(&address) || self.has_room(now));
        match self.entries.get_mut(&address) {
            Some(entry) if entry.is_fixed => {}
            Some(entry) => (entry.mac, entry.learned_at) = (Some(mac), now),
            None if has_room => {
                let entry = Entry { mac: Some(mac), is_fixed: false, learned_at: now, asked_at: None };
                self.entries.insert(address, entry);
            }
            None => {}
        }
    }

    /// Whether there is a place, made by who was forgotten if need be.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.entries.len() >= ENTRIES_MAX && now.since(self.purged_at) >= PURGE_EVERY {
            self.purged_at = now;
            self.entries.retain(|_, entry| entry.is_fixed || now.since(entry.learned_at) < FORGOTTEN);
        }
        self.entries.len() < ENTRIES_MAX
    }

    fn is_near(&self, address: IpAddr) -> bool {
        let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        is_link_local || self.network.addresses.iter().any(|(own, prefix)| is_within(address, *own, *prefix))
    }
}

/// Whether the first bits are the same.
fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= prefix.min(32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= prefix.min(128),
        _ => false,
    }
}
