//! The addresses in `[Server]` of an authority.

use super::raw;
use crate::address::{Address, Host, HostNames};
use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::server::network::{self as shared, HostPort};
use std::net::IpAddr;

/// Port of authorities that do not name one of their own choice.
pub const AUTHORITY_PORT_DEFAULT: u16 = 62472;

/// Where the authority listens, where others reach it, and how it reaches them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Addresses at which others reach it.
    pub addresses: Vec<Address>,
    /// Addresses to listen on; at least one is no onion address.
    pub listen: Vec<Address>,
    /// Host and port of the metrics; no host means all addresses.
    pub metrics: Option<HostPort>,
    /// Whether other authorities are dialled over IPv4.
    pub dials_v4: bool,
    /// Whether other authorities are dialled over IPv6.
    pub dials_v6: bool,
    /// Whether names may stand for hosts.
    pub host_names: HostNames,
}

/// The addresses, or none after findings.
pub fn check(raw: &raw::Server, interfaces: &[IpAddr], findings: &mut Findings) -> Option<Network> {
    let names = shared::host_names(raw.allow_hostname_addresses.as_ref(), shared::HOST_NAMES_KEY, findings);
    let bind = raw.bind_addresses.as_ref().map(|at| shared::parse_all(&at.value, names, findings)).unwrap_or_default();
    let own = match &raw.addresses {
        Some(written) if written.value.is_empty() => {
            findings.error("no-address", &written.place, "lists no address", "list the address that others reach");
            None
        }
        Some(written) => Some(shared::parse_all(&written.value, names, findings)),
        None => shared::guess(interfaces, AUTHORITY_PORT_DEFAULT, findings)
            .map(|address| vec![At { value: address, place: Place::default() }]),
    };
    let metrics = shared::metrics(raw.metrics_address.as_ref(), names, findings);
    let own = own?;
    let (listen, key) = if bind.is_empty() { (&own, "Server.Addresses") } else { (&bind, "Server.BindAddresses") };
    // Without the addresses that were meant, nothing can be said about listening.
    let is_known = raw.bind_addresses.as_ref().is_none_or(|at| at.value.is_empty()) == bind.is_empty()
        && !findings.is_unreadable("Server.BindAddresses");
    shared::check_doubled(&own, &bind, findings);
    if is_known {
        check_transports(listen, key, findings);
        shared::check_sockets(listen, metrics.as_ref(), findings);
    }
    let switch = |value: &Option<At<bool>>| !value.as_ref().is_some_and(|at| at.value);
    let (dials_v4, dials_v6) = (switch(&raw.disable_ipv4), switch(&raw.disable_ipv6));
    if let (false, false, Some(at)) = (dials_v4, dials_v6, &raw.disable_ipv6) {
        let problem = "both families are disabled: other authorities are dialled over either all the same";
        findings.warning("no-family", &at.place, problem, "leave one of them enabled");
    }
    let values = |list: &[At<Address>]| list.iter().map(|at| at.value.clone()).collect();
    let metrics = metrics.map(|at| at.value);
    Some(Network { listen: values(listen), addresses: values(&own), metrics, dials_v4, dials_v6, host_names: names })
}

fn check_transports(listen: &[At<Address>], key: &str, findings: &mut Findings) {
    if listen.is_empty() {
        return;
    }
    if !listen.iter().any(|at| at.value.can_listen()) {
        let place = Place { line: listen[0].place.line, key: key.into() };
        let problem = "has no address that can be listened on: onion addresses belong to Tor";
        findings.error("no-listener", &place, problem, "add a tcp:// or quic:// address");
        return;
    }
    for at in listen.iter().filter(|at| !at.value.can_listen()) {
        let problem = format!("'{}' is not listened on", at.value);
        findings.warning("not-listened-on", &at.place, problem, "others reach this authority at its other addresses");
    }
    for at in listen.iter().filter(|at| at.value.port == 0 && matches!(at.value.host, Host::Ip(_))) {
        let problem = format!("'{}' has port 0, which nobody can reach", at.value);
        findings.warning("port-zero", &at.place, problem, "set a fixed port");
    }
}
