//! To which address of Ethernet a datagram goes.
//!
//! The kernel knows: its route to the receiver says over which interface and by which router, and its neighbours what the address
//! is. Both are asked when an address is first sent to and again every few seconds. While the kernel does not know a neighbour, and whenever
//! it has not heard from one for long, a train goes through its socket: that makes it ask the wire, or confirm what it has.
//!
//! Until the kernel was asked, an answer goes back to where the question came from: the address of Ethernet of a frame that has just
//! arrived. A liar at the wire could lead answers astray so for one interval, which it could without us; one behind a router cannot
//! lead them anywhere but to that router.

#[cfg(test)]
mod tests;

use crate::netlink::Netlink;
use crate::netlink::message::{Neighbour, Route};
use datagram::frame::Mac;
use rustix::io::Errno;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use wire::Instant;

/// How many addresses are remembered. Datagrams to others go through the kernel, which has no such limit.
const ADDRESSES_MAX: usize = 4096;
/// How long what the kernel said is believed.
const BELIEVED: Duration = Duration::from_secs(3);
/// How soon it is asked again when it does not know yet.
const ASKED_AGAIN: Duration = Duration::from_millis(50);
/// An address that nobody has sent to for so long gives way to others.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// In each such time the kernel is asked for so many addresses at most, so that many strangers cannot make us ask all day.
const WINDOW: Duration = Duration::from_millis(100);
const ASKED_PER_WINDOW: u32 = 128;

/// Whom to ask.
pub(crate) trait Oracle {
    /// How the kernel would send to that address; none if it would not.
    fn route(&mut self, to: IpAddr) -> Result<Option<Route>, Errno>;
    /// What it knows of a neighbour; none if nothing.
    fn neighbour(&mut self, interface: u32, address: IpAddr) -> Result<Option<Neighbour>, Errno>;
}

impl Oracle for Netlink {
    fn route(&mut self, to: IpAddr) -> Result<Option<Route>, Errno> {
        Netlink::route(self, to)
    }

    fn neighbour(&mut self, interface: u32, address: IpAddr) -> Result<Option<Neighbour>, Errno> {
        Netlink::neighbour(self, interface, address)
    }
}

/// How a train leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In frames of ours.
    Frames {
        /// To whom on the wire.
        mac: Mac,
        /// From which address, if the socket has several and the train names none.
        from: Option<IpAddr>,
    },
    /// Through the kernel's socket.
    Kernel,
}

struct Entry {
    way: Way,
    /// When the kernel is asked again.
    ask_at: Instant,
    used_at: Instant,
}

/// The table of one shard.
pub struct Neighbours<O> {
    oracle: O,
    interface: u32,
    entries: HashMap<IpAddr, Entry>,
    window_ends: Instant,
    asked: u32,
    swept_at: Instant,
}

impl<O: Oracle> Neighbours<O> {
    /// An empty table for what leaves over the interface.
    pub fn new(oracle: O, interface: u32) -> Self {
        let start = Instant::default();
        let entries = HashMap::with_capacity(ADDRESSES_MAX);
        Self { oracle, interface, entries, window_ends: start, asked: 0, swept_at: start }
    }

    /// How the next train leaves to that address.
    pub fn way(&mut self, to: IpAddr, now: Instant) -> Way {
        if let Some(entry) = self.entries.get_mut(&to) {
            entry.used_at = now;
            if now < entry.ask_at {
                return entry.way;
            }
        } else if !self.has_room(now) {
            return Way::Kernel;
        }
        if !self.may_ask(now) {
            return self.entries.get(&to).map_or(Way::Kernel, |entry| entry.way);
        }
        let (way, believed, first) = match self.ask(to) {
            Ok((way, true)) => (way, BELIEVED, way),
            // Known, but not heard from lately: one train makes the kernel see whether it is still there.
            Ok((way @ Way::Frames { .. }, false)) => (way, BELIEVED, Way::Kernel),
            Ok((Way::Kernel, false)) | Err(_) => (Way::Kernel, ASKED_AGAIN, Way::Kernel),
        };
        self.entries.insert(to, Entry { way, ask_at: now + believed, used_at: now });
        first
    }

    /// A frame has arrived from that address, sent over this wire by `mac`.
    pub fn learn(&mut self, from: IpAddr, mac: Mac, now: Instant) {
        if self.entries.contains_key(&from) || !self.has_room(now) {
            return;
        }
        let way = Way::Frames { mac, from: None };
        self.entries.insert(from, Entry { way, ask_at: now + BELIEVED, used_at: now });
    }

    /// What the kernel says, and whether that is sure.
    fn ask(&mut self, to: IpAddr) -> Result<(Way, bool), Errno> {
        let Some(route) = self.oracle.route(to)? else { return Ok((Way::Kernel, true)) };
        if route.interface != self.interface || !route.is_unicast {
            return Ok((Way::Kernel, true));
        }
        let neighbour = self.oracle.neighbour(self.interface, route.router.unwrap_or(to))?;
        Ok(match neighbour {
            Some(Neighbour { mac: Some(mac), is_confirmed }) => (Way::Frames { mac, from: route.from }, is_confirmed),
            _ => (Way::Kernel, false),
        })
    }

    fn may_ask(&mut self, now: Instant) -> bool {
        if now >= self.window_ends {
            (self.window_ends, self.asked) = (now + WINDOW, 0);
        }
        self.asked += 1;
        self.asked <= ASKED_PER_WINDOW
    }

    /// Whether there is room for another address, once those are forgotten that nobody sends to.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.entries.len() < ADDRESSES_MAX {
            return true;
        }
        if now.since(self.swept_at) >= Duration::from_secs(1) {
            self.swept_at = now;
            self.entries.retain(|_, entry| now.since(entry.used_at) < FORGOTTEN);
        }
        self.entries.len() < ADDRESSES_MAX
    }
}
