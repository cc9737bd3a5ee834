//! Where a URL leads: what is dialled, over what.

use super::Url;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// QUIC over UDP.
    Quic,
}

/// A peer's address. The scheme of its URL decides about the carrier, not the key under which a descriptor lists it
/// (wire.md 8.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// What is spoken there.
    pub carrier: Carrier,
    /// An IP literal without brackets, or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// Where a URL leads; none where that is nowhere, or over another transport. `tcp4` and `tcp6` count as TCP.
    pub fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url)?;
        let carrier = match url.scheme.as_str() {
            "tcp" | "tcp4" | "tcp6" => Carrier::Tcp,
            "quic" => Carrier::Quic,
            _ => return None,
        };
        let (host, port) = url.host_and_port()?;
        (!host.is_empty()).then_some(())?;
        Some(Self { carrier, host: host.into(), port: port.parse().ok()? })
    }

    /// Its socket address, if its host is an IP literal.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse::<IpAddr>().ok()?, self.port))
    }

    /// Host and port as the system takes them.
    pub fn host_port(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// For people: what is no TCP says so.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.carrier == Carrier::Quic {
            f.write_str("quic://")?;
        }
        f.write_str(&self.host_port())
    }
}
