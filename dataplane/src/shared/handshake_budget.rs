//! How many connections and unfinished handshakes there may be (server.md 3.1: the reference has no limits). Whoever
//! connects makes this node compute before anything is known about it.

use super::lock;
use interplane::counter::AdmissionRefusal;
use interplane::setup::Limits;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

/// Counts of the whole process. Looked at when a connection or a handshake begins or ends.
pub struct HandshakeBudget {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: u32,
    handshakes: u32,
    by_network: HashMap<IpAddr, u32>,
}

/// The right to one connection; ends when dropped.
pub struct ConnectionPermit(Arc<HandshakeBudget>);

/// The right to one unfinished handshake; ends when dropped.
pub struct HandshakePermit {
    budget: Arc<HandshakeBudget>,
    network: IpAddr,
}

impl HandshakeBudget {
    /// Nothing is used yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Asks for a connection and its handshake.
    pub fn admit(self: &Arc<Self>, from: SocketAddr) -> Result<(ConnectionPermit, HandshakePermit), AdmissionRefusal> {
        let network = network_of(from.ip());
        let mut counts = lock(&self.counts);
        if counts.connections >= self.limits.connections {
            return Err(AdmissionRefusal::ConnectionLimit);
        }
        if counts.handshakes >= self.limits.handshakes_per_listener {
            return Err(AdmissionRefusal::HandshakeLimit);
        }
        let here = counts.by_network.get(&network).copied().unwrap_or(0);
        if here >= self.limits.handshakes_per_address {
            return Err(AdmissionRefusal::AddressLimit);
        }
        counts.connections += 1;
        counts.handshakes += 1;
        counts.by_network.insert(network, here + 1);
        Ok((ConnectionPermit(Arc::clone(self)), HandshakePermit { budget: Arc::clone(self), network }))
    }

    /// Unfinished handshakes now.
    pub fn handshakes(&self) -> u32 {
        lock(&self.counts).handshakes
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.0.counts);
        counts.connections = counts.connections.saturating_sub(1);
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.budget.counts);
        counts.handshakes = counts.handshakes.saturating_sub(1);
        if let Some(here) = counts.by_network.get_mut(&self.network) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                counts.by_network.remove(&self.network);
            }
        }
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

#[cfg(test)]
mod tests;
