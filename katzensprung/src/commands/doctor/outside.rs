//! A node as others see it.

use super::super::fetch::hex;
use super::network::Network;
use config::address::{Host, HostNames, parse_host_port};
use controlplane::directory::greet::{Greeting, greet, reach};
use controlplane::node::{Look, Verdict};
use pki::address::{Carrier, Target};
use pki::document::{Consensus, Layer};
use pki::{EpochClock, NodeId};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use wire::link::CLOCK_SKEW_SECONDS_MAX;

/// How long a connection may take, and the handshake over it.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at the node behind an address; an error if it is none.
pub async fn look(address: &str, network: Option<&Network>, clock: &EpochClock) -> Result<Vec<Look>, String> {
    let addresses = resolve(address)?;
    let mut looks = Vec::new();
    let mut greetings: Vec<Greeting> = Vec::new();
    for at in addresses {
        let what = if at.host.contains(':') { "IPv6" } else { "IPv4" };
        let at = &at;
        let stream = match reach(at, LIMIT).await {
            Ok(stream) => stream,
            Err(error) => {
                let advice = "does the node listen there, and does a firewall let others in?";
                looks.push(Look::new(what, Verdict::Bad, format!("{at}: {error}: {advice}")));
                continue;
            }
        };
        looks.push(Look::new(what, Verdict::Well, format!("{at} accepts connections")));
        let Some(network) = network else { continue };
        match greet(stream, network.dialler.kem, network.sizes, LIMIT).await {
            Err(error) => {
                let advice = "is it a node of this network, with the same WireKEM?";
                looks.push(Look::new("handshake", Verdict::Bad, format!("{at}: {error}: {advice}")));
            }
            Ok(greeting) => {
                looks.push(shaken(at, &greeting, greetings.first()));
                greetings.push(greeting);
            }
        }
    }
    let Some(network) = network else {
        let seen = "not tried: -f FILE, of any node or client of the network, tries it";
        looks.push(Look::new("handshake", Verdict::Well, seen));
        return Ok(looks);
    };
    let Some(greeting) = greetings.first() else { return Ok(looks) };
    looks.extend(greeting.seconds_ahead.map(clock_of));
    let said = network.ask(clock).await;
    looks.extend(said.looks);
    looks.extend(said.consensus.iter().flat_map(|consensus| listed(consensus, greeting, address)));
    Ok(looks)
}

fn resolve(address: &str) -> Result<Vec<Target>, String> {
    let wrong = || format!("'{address}' is no address: write host:port, tcp://host:port or quic://host:port");
    let bare = ["tcp://", "tcp4://", "tcp6://", "quic://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    let bare = bare.unwrap_or(address);
    let carrier = if address.starts_with("quic:") { Carrier::Quic } else { Carrier::Tcp };
    let target = |at: SocketAddr| Target { carrier, host: at.ip().to_string(), port: at.port() };
    let (host, port) = match parse_host_port(bare, HostNames::Allowed) {
        Ok((Some(Host::Ip(ip)), port)) => return Ok(vec![target(SocketAddr::new(ip, port))]),
        Ok((Some(Host::Name(name)), port)) => (name, port),
        Ok((None, _)) | Err(_) => return Err(wrong()),
    };
    let resolved =
        (host.as_str(), port).to_socket_addrs().map_err(|error| format!("'{host}' cannot be resolved: {error}"))?;
    let mut addresses = Vec::new();
    for at in resolved.filter(|at| !address.starts_with("tcp4:") || at.is_ipv4()) {
        if !addresses.contains(&at) && (!address.starts_with("tcp6:") || at.is_ipv6()) {
            addresses.push(at);
        }
    }
    if addresses.is_empty() {
        return Err(format!("'{host}' has no such address"));
    }
    Ok(addresses.into_iter().map(target).collect())
}

/// Who answers; the same behind every address.
fn shaken(at: &Target, greeting: &Greeting, first: Option<&Greeting>) -> Look {
    const WHAT: &str = "handshake";
    let id = hex(&greeting.peer.additional_data);
    match first {
        Some(first) if first.peer != greeting.peer => {
            let other = hex(&first.peer.additional_data);
            Look::new(WHAT, Verdict::Bad, format!("{at}: this is node {id}, behind the address before is node {other}"))
        }
        _ => Look::new(WHAT, Verdict::Well, format!("{at}: node {id} answers")),
    }
}

fn clock_of(seconds_ahead: i64) -> Look {
    const WHAT: &str = "its clock";
    let seconds = seconds_ahead.unsigned_abs();
    if seconds <= CLOCK_SKEW_SECONDS_MAX {
        return Look::new(WHAT, Verdict::Well, format!("{seconds} s from this host's"));
    }
    let direction = if seconds_ahead > 0 { "behind" } else { "ahead of" };
    Look::new(WHAT, Verdict::Bad, format!("{seconds} s {direction} this host's: one of the two is not synchronised"))
}

/// Whether the document lists the node by the keys that it has shown.
fn listed(consensus: &Consensus, greeting: &Greeting, address: &str) -> Vec<Look> {
    const WHAT: &str = "consensus";
    let epoch = consensus.epoch().0;
    let id = NodeId::try_from(greeting.peer.additional_data.as_slice()).ok();
    let Some((layer, node)) = id.and_then(|id| consensus.node(&id)) else {
        let seen = format!(
            "node {} is not in the document of epoch {epoch}. A node that has just started comes in with the next epoch; \
             else the authorities do not know its identity key, or its uploads do not reach them: its log says which",
            hex(&greeting.peer.additional_data)
        );
        return vec![Look::new(WHAT, Verdict::Bad, seen)];
    };
    let name = &node.name;
    let mut looks = vec![Look::new(WHAT, Verdict::Well, format!("'{name}' in epoch {epoch}, {}", place(layer)))];
    looks.push(match node.link_key() == greeting.peer.public_key {
        true => Look::new("link key", Verdict::Well, "the one that the document lists"),
        false => {
            let seen = "not the one that the document lists: somebody else answers, or the node has a new link key \
                        that comes into force with the next epoch";
            Look::new("link key", Verdict::Bad, seen)
        }
    });
    let bare = address.rsplit("//").next().unwrap_or(address);
    let all: Vec<&str> = node.addresses().map(|(_, url)| url).collect();
    if !all.iter().any(|url| url.rsplit("//").next() == Some(bare)) {
        let seen = format!("the document lists other addresses: {} (Server.Addresses)", all.join(", "));
        looks.push(Look::new("address", Verdict::Unusual, seen));
    }
    looks
}

/// Where a document lists a node.
pub fn place(layer: Layer) -> String {
    match layer {
        Layer::Mix(layer) => format!("layer {}", u32::from(layer) + 1),
        Layer::Gateway => "a gateway".into(),
        Layer::Service => "a service node".into(),
    }
}
