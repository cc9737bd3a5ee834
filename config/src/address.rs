//! Addresses as URLs: what may be listened on, dialled and advertised (server.md 2.4 and 8.3.1, wire.md 8.1).

#[cfg(test)]
mod tests;

use pki::address::Url;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Port of nodes that do not name one of their own choice.
pub const NODE_PORT_DEFAULT: u16 = 3219;

const URL_BYTES_MAX: usize = 2048;

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP over either family.
    Tcp,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// QUIC over UDP.
    Quic,
    /// A Tor onion service.
    Onion,
}

impl Transport {
    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tcp4 => "tcp4",
            Self::Tcp6 => "tcp6",
            Self::Quic => "quic",
            Self::Onion => "onion",
        }
    }

    fn of(scheme: &str) -> Option<Self> {
        [Self::Tcp, Self::Tcp4, Self::Tcp6, Self::Quic, Self::Onion]
            .into_iter()
            .find(|transport| transport.scheme().eq_ignore_ascii_case(scheme))
    }
}

/// The host of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP literal.
    Ip(IpAddr),
    /// A name, to be resolved, or to be handed to a proxy.
    Name(String),
}

/// An address with transport, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// How it is reached.
    pub transport: Transport,
    /// The host.
    pub host: Host,
    /// The port; 0 lets the system choose when listening.
    pub port: u16,
    url: String,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `scheme://host:port`.
    #[error("address '{0}' is not a URL of the form tcp://host:port")]
    NotUrl(String),
    /// Longer than any address.
    #[error("address is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// A scheme that nobody speaks.
    #[error("address '{url}' has the unsupported scheme '{scheme}'")]
    UnsupportedScheme {
        /// The address.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// No port.
    #[error("address '{0}' has no port")]
    NoPort(String),
    /// A port that is no number up to 65535.
    #[error("address '{0}' has an invalid port")]
    BadPort(String),
    /// A name where only IP literals are allowed.
    #[error("address '{0}' has a host name instead of an IP address")]
    HostName(String),
    /// An IP literal of the other family.
    #[error("address '{0}' has an IP address of the other family than its scheme")]
    Family(String),
}

impl AddressError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotUrl(_) | Self::TooLong => "write it as tcp://192.0.2.1:3219 or tcp://[2001:db8::1]:3219",
            Self::UnsupportedScheme { .. } => "use tcp, quic, onion, tcp4 or tcp6",
            Self::NoPort(_) => "add a port, for example :3219",
            Self::BadPort(_) => "use a port from 1 to 65535",
            Self::HostName(_) => "write the IP address, or set AllowHostnameAddresses = true",
            Self::Family(_) => "use tcp, which takes either family",
        }
    }
}

/// Whether names may stand for hosts (`AllowHostnameAddresses`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostNames {
    /// Only IP literals; onion addresses excepted.
    Refused,
    /// Names too.
    Allowed,
}

impl Address {
    /// The address of a URL.
    pub fn parse(url: &str, names: HostNames) -> Result<Self, AddressError> {
        if url.len() > URL_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let not_url = || AddressError::NotUrl(url.into());
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(not_url());
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(not_url)?;
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(not_url());
        }
        let transport = Transport::of(scheme)
            .ok_or_else(|| AddressError::UnsupportedScheme { url: url.into(), scheme: scheme.into() })?;
        if !is_escaped(rest) {
            return Err(not_url());
        }
        // Nothing after host and port has a meaning; the reference ignores it, and so do we.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = split_host_port(authority).ok_or_else(not_url)?;
        let port = match port {
            None | Some("") => return Err(AddressError::NoPort(url.into())),
            Some(digits) => parse_port(digits).ok_or_else(|| AddressError::BadPort(url.into()))?,
        };
        // Go listens on all addresses where there is no host; the reference looks at hosts only where names are refused.
        let host = match (host, names, transport) {
            ("", HostNames::Allowed, Transport::Tcp4) => Host::Ip(Ipv4Addr::UNSPECIFIED.into()),
            ("", HostNames::Allowed, Transport::Tcp | Transport::Tcp6 | Transport::Quic) => {
                Host::Ip(Ipv6Addr::UNSPECIFIED.into())
            }
            _ => parse_host(host).ok_or_else(not_url)?,
        };
        match (&host, transport) {
            (Host::Name(_), Transport::Onion) => {}
            (Host::Name(_), _) if names == HostNames::Refused => return Err(AddressError::HostName(url.into())),
            (Host::Ip(ip), Transport::Tcp4) if !ip.to_canonical().is_ipv4() => {
                return Err(AddressError::Family(url.into()));
            }
            (Host::Ip(ip), Transport::Tcp6) if !ip.is_ipv6() => return Err(AddressError::Family(url.into())),
            _ => {}
        }
        // What the reference's parser refuses no authority takes in a descriptor.
        Url::parse(url).ok_or_else(not_url)?;
        Ok(Self { transport, host, port, url: url.into() })
    }

    /// The address of an IP and port over TCP.
    pub fn tcp(ip: IpAddr, port: u16) -> Self {
        Self { transport: Transport::Tcp, host: Host::Ip(ip), port, url: tcp_url(ip, port) }
    }

    /// The URL as it was written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a listener can have this address: onion services are reached through a proxy.
    pub fn can_listen(&self) -> bool {
        self.transport != Transport::Onion
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Why a text is no `host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPortError {
    /// Not two parts with a colon between them.
    #[error("it is not of the form host:port")]
    Form,
    /// No host.
    #[error("it has no host")]
    NoHost,
    /// No port.
    #[error("it has no port")]
    NoPort,
    /// A port that is no number up to 65535.
    #[error("its port is not a number from 0 to 65535")]
    BadPort,
    /// A name where only IP literals are allowed.
    #[error("it has a host name instead of an IP address")]
    HostName,
}

impl HostPortError {
    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Form => "write host:port without scheme and path, for example 127.0.0.1:6543 or [::1]:6543",
            Self::NoHost => {
                "write 127.0.0.1:6543 for this host alone or 0.0.0.0:6543 for all, or set AllowHostnameAddresses = true"
            }
            Self::NoPort => "add a port, for example 127.0.0.1:6543",
            Self::BadPort => "use a port from 1 to 65535",
            Self::HostName => "write the IP address, or set AllowHostnameAddresses = true",
        }
    }
}

/// `host:port` without a scheme, for `MetricsAddress`; a missing host means all addresses.
pub fn parse_host_port(text: &str, names: HostNames) -> Result<(Option<Host>, u16), HostPortError> {
    let is_wrong = |c: char| c.is_control() || c.is_whitespace() || c == '/';
    if text.len() > URL_BYTES_MAX || text.chars().any(is_wrong) {
        return Err(HostPortError::Form);
    }
    let (host, port) = split_host_port(text).ok_or(HostPortError::Form)?;
    let port = match port {
        None | Some("") => return Err(HostPortError::NoPort),
        Some(digits) => parse_port(digits).ok_or(HostPortError::BadPort)?,
    };
    match (parse_host(host), names) {
        (None, HostNames::Allowed) if host.is_empty() => Ok((None, port)),
        (None, HostNames::Refused) if host.is_empty() => Err(HostPortError::NoHost),
        (None, _) => Err(HostPortError::Form),
        (Some(Host::Name(_)), HostNames::Refused) => Err(HostPortError::HostName),
        (host, _) => Ok((host, port)),
    }
}

/// The descriptor's address map (server.md 8.3.1): URLs by transport. `resolve` gives the addresses of a name.
/// Onion addresses that do not end in `.onion` are left out, as the reference leaves them out.
pub fn advertised<E>(
    addresses: &[Address],
    mut resolve: impl FnMut(&str) -> Result<Vec<IpAddr>, E>,
) -> Result<BTreeMap<String, Vec<String>>, E> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for address in addresses {
        let entries = match (address.transport, &address.host) {
            (Transport::Quic, _) => vec![("quic", address.url.clone())],
            (Transport::Onion, Host::Name(name)) if is_onion_name(name) => vec![("onion", address.url.clone())],
            (Transport::Onion, _) => Vec::new(),
            (_, Host::Ip(ip)) => vec![tcp_entry(*ip, address.port)],
            (transport, Host::Name(name)) => resolve(name)?
                .into_iter()
                .map(|ip| ip.to_canonical())
                .filter(|ip| match transport {
                    Transport::Tcp4 => ip.is_ipv4(),
                    Transport::Tcp6 => ip.is_ipv6(),
                    _ => true,
                })
                .map(|ip| tcp_entry(ip, address.port))
                .collect(),
        };
        for (key, url) in entries {
            map.entry(key.into()).or_default().push(url);
        }
    }
    Ok(map)
}

/// Whether a host is an onion service.
pub fn is_onion_name(name: &str) -> bool {
    name.ends_with(".onion")
}

/// The first of the host's addresses that the reference would advertise when `Addresses` is absent: IPv4 outside
/// loopback, link-local and private networks.
pub fn first_global_ipv4(interfaces: &[IpAddr]) -> Option<Ipv4Addr> {
    interfaces.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) if !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()) => {
            Some(*ip)
        }
        _ => None,
    })
}

fn tcp_entry(ip: IpAddr, port: u16) -> (&'static str, String) {
    let ip = ip.to_canonical();
    (if ip.is_ipv4() { "tcp4" } else { "tcp6" }, tcp_url(ip, port))
}

fn tcp_url(ip: IpAddr, port: u16) -> String {
    format!("tcp://{}", std::net::SocketAddr::new(ip, port))
}

/// Host without brackets, and the text after the last colon.
fn split_host_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match authority.split_once(':') {
        // A second colon is an IPv6 literal without brackets.
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

/// Whether every `%` starts an escape: the directory refuses other URLs (pki.md 4.3), and advertised ones go there whole.
fn is_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

fn parse_port(digits: &str) -> Option<u16> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn parse_host(host: &str) -> Option<Host> {
    if let Ok(ip) = host.parse() {
        return Some(Host::Ip(ip));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !host.is_empty() && host.chars().all(plain) { Some(Host::Name(host.into())) } else { None }
}
