//! The addresses in `[Server]` (server.md 2.4, 8.3.1).

use super::sockets;
use crate::address::{
    Address, AddressError, Host, HostNames, HostPortError, NODE_PORT_DEFAULT, Transport, first_global_ipv4,
    is_onion_name, parse_host_port,
};
use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::server::raw;
use std::net::{IpAddr, Ipv4Addr};

/// Where the node listens and what it advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Addresses for the descriptor, at least one; [`crate::address::advertised`] makes the map.
    pub advertised: Vec<Address>,
    /// Addresses to listen on, at least one; none is an onion service.
    pub listen: Vec<Address>,
    /// Host and port of the metrics; no host means all addresses.
    pub metrics: Option<(Option<Host>, u16)>,
    /// Whether names may stand for hosts.
    pub host_names: HostNames,
}

/// The key that says whether names may stand for hosts; it also holds for the authorities.
pub const HOST_NAMES_KEY: &str = "Server.AllowHostnameAddresses";

/// What `AllowHostnameAddresses` says, which is called `key` there. Where that cannot be read, names are no further
/// mistakes.
pub fn host_names(written: Option<&At<bool>>, key: &str, findings: &Findings) -> HostNames {
    match written {
        Some(At { value: true, .. }) => HostNames::Allowed,
        _ if findings.is_unreadable(key) => HostNames::Allowed,
        _ => HostNames::Refused,
    }
}

/// The addresses, or none after findings.
pub fn check(raw: &raw::Server, interfaces: &[IpAddr], findings: &mut Findings) -> Option<Network> {
    let names = host_names(raw.allow_hostname_addresses.as_ref(), HOST_NAMES_KEY, findings);
    let bind = raw.bind_addresses.as_ref().map(|at| parse_all(&at.value, names, findings)).unwrap_or_default();
    let advertised = match &raw.addresses {
        Some(written) if written.value.is_empty() => {
            findings.error("no-address", &written.place, "Descriptor address map is zero size.", "list one address");
            None
        }
        Some(written) => Some(parse_all(&written.value, names, findings)),
        None => guess(interfaces, NODE_PORT_DEFAULT, findings)
            .map(|address| vec![At { value: address, place: Place::default() }]),
    };
    let metrics = metrics(raw.metrics_address.as_ref(), names, findings);
    let advertised = advertised?;
    check_advertised(&advertised, raw, findings);
    let listen = if bind.is_empty() { &advertised } else { &bind };
    // Without the addresses that were meant, nothing can be said about listening.
    let is_known = !bind.is_empty()
        || raw.bind_addresses.as_ref().is_none_or(|at| at.value.is_empty())
            && !findings.is_unreadable("Server.BindAddresses");
    for at in listen.iter().filter(|at| is_known && !at.value.can_listen()) {
        let problem = format!("cannot listen on the onion address '{}'", at.value);
        findings.error("listen-onion", &at.place, problem, "set BindAddresses to the address that Tor connects to");
    }
    check_doubled(&advertised, &bind, findings);
    if is_known {
        check_sockets(listen, metrics.as_ref(), findings);
    }
    let values = |list: &[At<Address>]| list.iter().map(|at| at.value.clone()).collect();
    let metrics = metrics.map(|at| at.value);
    Some(Network { listen: values(listen), advertised: values(&advertised), metrics, host_names: names })
}

/// Host and port of the metrics; no host means all addresses.
pub type HostPort = (Option<Host>, u16);

/// What `MetricsAddress` says; none where it is off, or after a finding.
pub fn metrics(written: Option<&At<String>>, names: HostNames, findings: &mut Findings) -> Option<At<HostPort>> {
    let at = written.filter(|at| !at.value.is_empty())?;
    let parsed = parse_host_port(&at.value, names).map_err(|error| {
        if error == HostPortError::HostName && names_were_meant(findings) {
            return;
        }
        let problem = format!("config: Server: MetricsAddress '{}' is invalid: {error}", at.value);
        findings.error("metrics-address", &at.place, problem, error.remedy());
    });
    parsed.ok().map(|value| At { value, place: at.place.clone() })
}

/// What the system would refuse, all of it or beside each other.
pub fn check_sockets(listen: &[At<Address>], metrics: Option<&At<HostPort>>, findings: &mut Findings) {
    const NO_ZONE: &str = "is a link-local address, which cannot be listened on without an interface";
    const REMEDY: &str = "write another address of this host";
    for (index, at) in listen.iter().enumerate() {
        let wanted = sockets::of_listener(&at.value);
        if sockets::needs_zone(&at.value.host) {
            findings.error("link-local", &at.place, format!("'{}' {NO_ZONE}", at.value), REMEDY);
        }
        let other = listen[..index].iter().find(|other| sockets::cover(&wanted, &sockets::of_listener(&other.value)));
        if let Some(other) = other {
            let problem =
                format!("'{}' and '{}' cannot both be listened on: one includes the other", at.value, other.value);
            findings.error("address-twice", &at.place, problem, "remove one of the two");
        }
    }
    let Some(At { value: (host, port), place }) = metrics else { return };
    if host.as_ref().is_some_and(sockets::needs_zone) {
        findings.error("link-local", place, NO_ZONE, REMEDY);
    }
    let wanted = sockets::of_metrics(host.as_ref(), *port);
    let taken = listen.iter().find(|at| sockets::collide(&wanted, &sockets::of_listener(&at.value)));
    if let Some(at) = taken {
        let problem = format!("has the port of '{}', on which the node listens", at.value);
        findings.error("metrics-address", place, problem, "give the metrics a port of their own");
    }
}

/// Names are refused, though the switch that allows them was written with a slip of the pen: then that slip is the
/// mistake, whatever there is of names.
fn names_were_meant(findings: &mut Findings) -> bool {
    const SWITCH: &str = "Server.AllowHostnameAddresses";
    let is_misspelt = findings.is_misspelt(SWITCH);
    if is_misspelt {
        findings.error("address", &Place::absent(SWITCH), "is not set, so host names are refused", "");
    }
    is_misspelt
}

/// An address twice is "in use by another node" when it is listened on, and nothing when it is only advertised.
pub fn check_doubled(advertised: &[At<Address>], bind: &[At<Address>], findings: &mut Findings) {
    for (list, is_listened_on) in [(advertised, bind.is_empty()), (bind, true)] {
        for (index, at) in list.iter().enumerate() {
            let same = |other: &&At<Address>| {
                (other.value.transport, &other.value.host, other.value.port)
                    == (at.value.transport, &at.value.host, at.value.port)
            };
            if at.value.port == 0 || !list[..index].iter().any(|other| same(&other)) {
                continue;
            }
            let problem = format!("'{}' is listed twice", at.value);
            if is_listened_on {
                findings.error("address-twice", &at.place, problem, "remove one of the two");
            } else {
                findings.warning("address-twice", &at.place, problem, "remove one of the two");
            }
        }
    }
}

/// All that can be read.
pub fn parse_all(written: &[At<String>], names: HostNames, findings: &mut Findings) -> Vec<At<Address>> {
    written.iter().filter_map(|at| parse(at, names, findings)).collect()
}

/// One address, or none after a finding.
pub fn parse(at: &At<String>, names: HostNames, findings: &mut Findings) -> Option<At<Address>> {
    parse_as(at, names, findings, |error, findings| {
        findings.error("address", &at.place, error.to_string(), error.remedy());
    })
}

/// One address of somebody else: a start goes on without it, as the reference does.
pub fn parse_of_another(at: &At<String>, names: HostNames, findings: &mut Findings) -> Option<At<Address>> {
    parse_as(at, names, findings, |error, findings| {
        // The reference refuses names where they are not allowed, and nothing else.
        if matches!(error, AddressError::HostName(_)) {
            findings.error("address", &at.place, error.to_string(), error.remedy());
        } else {
            findings.doubt("address", &at.place, format!("{error}, and is left out"), error.remedy());
        }
    })
}

fn parse_as(
    at: &At<String>,
    names: HostNames,
    findings: &mut Findings,
    tell: impl FnOnce(AddressError, &mut Findings),
) -> Option<At<Address>> {
    match Address::parse(&at.value, names) {
        Ok(value) => Some(At { value, place: at.place.clone() }),
        Err(AddressError::HostName(_)) if names_were_meant(findings) => None,
        Err(error) => {
            tell(error, findings);
            None
        }
    }
}

/// The address for absent `Addresses`.
pub fn guess(interfaces: &[IpAddr], port: u16, findings: &mut Findings) -> Option<Address> {
    let place = Place::absent("Server.Addresses");
    match first_global_ipv4(interfaces) {
        Some(ip) => {
            let address = Address::tcp(ip.into(), port);
            let problem = format!("is not set; {address} of an interface is advertised");
            findings.warning("address-guessed", &place, problem, "set it to the address that others reach");
            Some(address)
        }
        None => {
            let problem = "is not set, and no globally routable IPv4 addresses found";
            findings.error("no-address", &place, problem, "set it to the address that others reach");
            None
        }
    }
}

fn check_advertised(advertised: &[At<Address>], raw: &raw::Server, findings: &mut Findings) {
    let is_gateway = raw.is_gateway_node.as_ref().is_some_and(|at| at.value);
    for at in advertised {
        let address = &at.value;
        if address.transport == Transport::Onion {
            let is_service = matches!(&address.host, Host::Name(name) if is_onion_name(name));
            if !is_gateway {
                let problem = format!("'{address}': only gateways may advertise onion addresses");
                findings.error("onion-not-gateway", &at.place, problem, "remove it, or set IsGatewayNode = true");
            } else if !is_service {
                let problem = format!("'{address}' does not end in .onion and is not advertised");
                findings.warning("onion-name", &at.place, problem, "write the onion service's name");
            }
        }
        if address.port == 0 {
            let problem = format!("'{address}' is advertised with port 0, which nobody can reach");
            findings.warning("port-zero", &at.place, problem, "set a fixed port");
        }
        let is_nobody = |ip: &IpAddr| ip.is_multicast() || *ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if matches!(&address.host, Host::Ip(ip) if is_nobody(ip)) {
            let problem = format!("'{address}' is advertised, which is no host's address");
            findings.warning(
                "advertised-group",
                &at.place,
                problem,
                "write the address at which others reach this host",
            );
        }
        if matches!(&address.host, Host::Ip(ip) if ip.is_unspecified()) {
            let problem = format!("'{address}' is advertised, which nobody can reach");
            findings.warning(
                "address-unspecified",
                &at.place,
                problem,
                "list the public address here and this one in BindAddresses",
            );
        }
    }
    let reachable = |at: &At<Address>| match &at.value.host {
        Host::Name(name) if at.value.transport == Transport::Onion => is_onion_name(name),
        _ => at.value.transport != Transport::Onion,
    };
    if !advertised.is_empty() && !advertised.iter().any(reachable) {
        let place = raw.addresses.as_ref().map(|at| at.place.clone()).unwrap_or_default();
        findings.error("no-address", &place, "Descriptor address map is zero size.", "add a tcp or quic address");
    }
}
