//! Who is in a network and where: names, roles, layers, addresses (pki.md 14.1).

use crypto_simd::random::{OsRandom, Random};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, UdpSocket};

/// How many there are of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Directory authorities.
    pub authorities: usize,
    /// Mix layers.
    pub layers: usize,
    /// Mixes of all layers together.
    pub mixes: usize,
    /// Gateways.
    pub gateways: usize,
    /// Service nodes.
    pub services: usize,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Votes.
    Authority,
    /// Clients connect to it.
    Gateway,
    /// Services answer on it.
    ServiceNode,
    /// Mixes, in the layer of that number, counted from 0.
    Mix(usize),
}

/// Over what a member is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transports {
    /// TCP.
    #[default]
    Tcp,
    /// QUIC.
    Quic,
    /// Either, at one number of a port.
    Both,
}

impl Transports {
    /// The schemes of its URLs.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Quic => &["quic"],
            Self::Both => &["tcp", "quic"],
        }
    }
}

/// Over what the members of a network are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkTransport {
    /// All over TCP.
    #[default]
    Tcp,
    /// All over QUIC.
    Quic,
    /// One over TCP, the next over QUIC, the next over either.
    Mixed,
}

/// A process of the network that others talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the directory, and its folder's.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it is found: a host name or an address.
    pub host: String,
    /// Its port for links.
    pub port: u16,
    /// Its port for metrics.
    pub metrics_port: u16,
    /// Over what links come.
    pub transports: Transports,
}

impl Member {
    /// The URLs that others dial.
    pub fn urls(&self) -> Vec<String> {
        let url = |scheme: &&str| format!("{scheme}://{}:{}", self.host, self.port);
        self.transports.schemes().iter().map(url).collect()
    }

    /// Where it serves metrics.
    pub fn metrics_address(&self) -> String {
        format!("{}:{}", self.host, self.metrics_port)
    }
}

/// Everybody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Authorities, gateways, service nodes, mixes, in this order.
    pub members: Vec<Member>,
    /// Where the client daemon serves the programs on its host.
    pub client_port: u16,
}

/// How ports are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// At random, such as nobody listens at on that address.
    Free(IpAddr),
    /// From that one on, as the reference counts them.
    After(u16),
}

/// Why there are no ports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// The highest one lies beyond the last.
    #[error("with base port {0} the ports run beyond 65535")]
    Beyond(u16),
    /// The host gives no socket to try a port with.
    #[error("cannot look for free ports: {0}; raise the limit of open files (ulimit -n)")]
    Host(String),
    /// Nothing is free.
    #[error("no {count} free ports on loopback between {} and {}", FREE_PORTS.start, FREE_PORTS.end)]
    NoneFree {
        /// How many there must be.
        count: usize,
    },
}

/// Below the ports that the kernel gives to outgoing connections, so that none of those comes by one before its owner.
const FREE_PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Where the reference's client daemon listens.
const CLIENT_PORT: u16 = 64_331;

impl Layout {
    /// Names and ports of a network. `host_of` names the host of a member.
    pub fn new(shape: &Shape, ports: Ports, host_of: impl Fn(&str) -> String) -> Result<Self, PortsError> {
        let roles = shape.roles();
        let (pairs, client_port) = match ports {
            Ports::Free(address) => free_ports(roles.len(), address)?,
            Ports::After(base) => (ports_after(base, &roles)?, CLIENT_PORT),
        };
        let members = roles.into_iter().zip(pairs).map(|((name, role), (port, metrics_port))| Member {
            host: host_of(&name),
            name,
            role,
            port,
            metrics_port,
            transports: Transports::Tcp,
        });
        Ok(Self { members: members.collect(), client_port })
    }

    /// The same network with links over that transport.
    pub fn over(mut self, transport: NetworkTransport) -> Self {
        for (at, member) in self.members.iter_mut().enumerate() {
            member.transports = match transport {
                NetworkTransport::Tcp => Transports::Tcp,
                NetworkTransport::Quic => Transports::Quic,
                NetworkTransport::Mixed => [Transports::Tcp, Transports::Quic, Transports::Both][at % 3],
            };
        }
        self
    }

    /// The members with a role.
    pub fn of(&self, is_wanted: impl Fn(Role) -> bool) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| is_wanted(member.role))
    }
}

impl Shape {
    fn roles(&self) -> Vec<(String, Role)> {
        let named = |stem: &str, count: usize| (1..=count).map(|n| format!("{stem}{n}")).collect::<Vec<_>>();
        let mut roles: Vec<(String, Role)> = Vec::new();
        roles.extend(named("auth", self.authorities).into_iter().map(|name| (name, Role::Authority)));
        roles.extend(named("gateway", self.gateways).into_iter().map(|name| (name, Role::Gateway)));
        roles.extend(named("servicenode", self.services).into_iter().map(|name| (name, Role::ServiceNode)));
        let mixes = named("mix", self.mixes);
        // As text: mix10 comes before mix2.
        let sorted: BTreeSet<&String> = mixes.iter().collect();
        let layer = |name: &String| sorted.iter().position(|other| *other == name).unwrap_or(0) % self.layers.max(1);
        roles.extend(mixes.iter().map(|name| (name.clone(), Role::Mix(layer(name)))));
        roles
    }
}

/// A pair of ports for each, as the reference counts them: two for an authority, three for a node, of which the second
/// is left out, and one more for the courier of a service node.
fn ports_after(base: u16, roles: &[(String, Role)]) -> Result<Vec<(u16, u16)>, PortsError> {
    let mut next = u32::from(base) + 1;
    let pairs = roles.iter().map(|(_, role)| {
        let first = next;
        let (metrics, width) = match role {
            Role::Authority => (1, 2),
            Role::ServiceNode => (2, 4),
            Role::Gateway | Role::Mix(_) => (2, 3),
        };
        next += width;
        let port = |number: u32| u16::try_from(number).map_err(|_| PortsError::Beyond(base));
        Ok((port(first)?, port(first + metrics)?))
    });
    pairs.collect()
}

/// Pairs of ports at which nobody listens, and one more. All are held until the last is found, so that they differ.
fn free_ports(pairs: usize, address: IpAddr) -> Result<(Vec<(u16, u16)>, u16), PortsError> {
    let wanted = 2 * pairs + 1;
    let start = random_port();
    let width = FREE_PORTS.end - FREE_PORTS.start;
    let mut held = Vec::new();
    for port in (0..width).map(|step| FREE_PORTS.start + (start + step) % width) {
        // What is free for TCP need not be for QUIC.
        let bound = TcpListener::bind((address, port)).and_then(|tcp| Ok((tcp, UdpSocket::bind((address, port))?)));
        match bound {
            Ok(sockets) => held.push((port, sockets)),
            Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(PortsError::Host(error.to_string())),
        }
        if held.len() == wanted {
            break;
        }
    }
    match held.split_last() {
        Some(((client, _), rest)) if held.len() == wanted => {
            Ok((rest.chunks(2).map(|pair| (pair[0].0, pair[1].0)).collect(), *client))
        }
        _ => Err(PortsError::NoneFree { count: wanted }),
    }
}

/// Where to begin looking, so that two networks that start at once seldom meet.
fn random_port() -> u16 {
    let mut bytes = [0; 2];
    OsRandom.fill(&mut bytes);
    u16::from_le_bytes(bytes) % (FREE_PORTS.end - FREE_PORTS.start)
}
