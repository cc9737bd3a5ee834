//! The sockets that addresses ask for, and which of them cannot be had together.

use crate::address::{Address, Host, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket. Those of TCP and UDP have ports of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    is_udp: bool,
    address: SocketAddr,
}

impl Wanted {
    fn tcp(address: SocketAddr) -> Self {
        Self { is_udp: false, address }
    }
}

/// Those of an address to listen on; of names nothing is known. As the node listens: `tcp://` and `quic://` with an
/// unspecified address mean both families.
pub fn of_listener(address: &Address) -> Vec<Wanted> {
    let is_udp = address.transport == Transport::Quic;
    let addresses = match (&address.host, address.transport) {
        (Host::Ip(ip), Transport::Tcp | Transport::Quic) if ip.to_canonical().is_unspecified() => {
            both_families(address.port)
        }
        (Host::Ip(ip), Transport::Tcp | Transport::Tcp4 | Transport::Tcp6 | Transport::Quic) => {
            vec![SocketAddr::new(ip.to_canonical(), address.port)]
        }
        (Host::Ip(_), Transport::Onion) | (Host::Name(_), _) => Vec::new(),
    };
    addresses.into_iter().map(|address| Wanted { is_udp, address }).collect()
}

/// Those of `MetricsAddress`. `[::]` takes both families.
pub fn of_metrics(host: Option<&Host>, port: u16) -> Vec<Wanted> {
    let addresses = match host {
        None => vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)],
        Some(Host::Ip(ip)) if *ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => both_families(port),
        Some(Host::Ip(ip)) => vec![SocketAddr::new(ip.to_canonical(), port)],
        Some(Host::Name(_)) => Vec::new(),
    };
    addresses.into_iter().map(Wanted::tcp).collect()
}

fn both_families(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)]
}

/// Whether one of them is a single address and another one all addresses, that one included.
pub fn cover(some: &[Wanted], others: &[Wanted]) -> bool {
    meet(some, others, |one, other| one.is_unspecified() != other.is_unspecified())
}

/// Whether one of them is one of the others, or covers it.
pub fn collide(some: &[Wanted], others: &[Wanted]) -> bool {
    meet(some, others, |one, other| one == other || one.is_unspecified() || other.is_unspecified())
}

fn meet(some: &[Wanted], others: &[Wanted], of_one_family: impl Fn(IpAddr, IpAddr) -> bool) -> bool {
    let meets = |one: &Wanted, other: &Wanted| {
        let (is_same_protocol, one, other) = (one.is_udp == other.is_udp, one.address, other.address);
        is_same_protocol
            && one.port() == other.port()
            && one.port() != 0
            && one.is_ipv4() == other.is_ipv4()
            && of_one_family(one.ip(), other.ip())
    };
    some.iter().any(|one| others.iter().any(|other| meets(one, other)))
}

/// Whether nobody can listen there without saying on which interface.
pub fn needs_zone(host: &Host) -> bool {
    matches!(host, Host::Ip(IpAddr::V6(ip)) if ip.is_unicast_link_local())
}
