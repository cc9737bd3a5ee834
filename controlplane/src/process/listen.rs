//! The listening sockets of a node: made here, passed to the data plane, so that connections queue instead of being
//! refused while a data plane is replaced.

use config::address::{Address, Host, Transport};
use interplane::message::{Listener, Transport as Carrier};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long an address may still be taken after the node before has ended: the kernel closes what an io_uring held only
/// after the process is gone.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
const RELEASE_PAUSE: Duration = Duration::from_millis(20);

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The operating system refuses.
    #[error("cannot listen on {address}: {error}{hint}")]
    Bind {
        /// The configured address.
        address: String,
        /// The reason.
        error: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The name has no address.
    #[error(
        "cannot listen on {address}: the name cannot be resolved: {error}; write an IP address, or mend the name \
         (Server.Addresses, Server.BindAddresses)"
    )]
    Resolve {
        /// The configured address.
        address: String,
        /// The reason.
        error: std::io::Error,
    },
    /// Not yet.
    #[error("cannot listen on {0}: QUIC is not in this version yet; list tcp:// addresses only")]
    Quic(String),
}

/// The address families of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    /// Those that the kernel knows.
    pub fn of_host() -> Self {
        // Whatever else is wrong is for the call that listens to say.
        let has = |domain| match Socket::new(domain, Type::STREAM.cloexec(), None) {
            Err(error) => Errno::from_io_error(&error) != Some(Errno::AFNOSUPPORT),
            Ok(_) => true,
        };
        Self { v4: has(Domain::IPV4), v6: has(Domain::IPV6) }
    }
}

/// The socket addresses of the configured addresses. As in the reference, `tcp://` with an unspecified address of
/// either family means all addresses of both; `tcp4://` and `tcp6://` restrict it. Nothing is listed twice.
pub fn resolve(addresses: &[Address], families: Families) -> Result<Vec<SocketAddr>, ListenError> {
    let mut resolved = Vec::new();
    for address in addresses {
        for address in resolve_one(address, families)? {
            if !resolved.contains(&address) {
                resolved.push(address);
            }
        }
    }
    Ok(resolved)
}

fn resolve_one(address: &Address, families: Families) -> Result<Vec<SocketAddr>, ListenError> {
    // As the reference: an IPv4 address in IPv6 notation is an IPv4 address.
    let at = |ip: IpAddr| SocketAddr::new(ip.to_canonical(), address.port);
    let failed = |error| ListenError::Resolve { address: address.to_string(), error };
    match (&address.host, address.transport) {
        (_, Transport::Quic) => Err(ListenError::Quic(address.to_string())),
        (Host::Ip(ip), Transport::Tcp) if ip.to_canonical().is_unspecified() && address.port != 0 => {
            let v4 = families.v4.then_some(at(Ipv4Addr::UNSPECIFIED.into()));
            let v6 = families.v6.then_some(at(Ipv6Addr::UNSPECIFIED.into()));
            Ok(v4.into_iter().chain(v6).collect())
        }
        (Host::Ip(ip), _) => Ok(vec![at(*ip)]),
        (Host::Name(name), _) => Ok((name.as_str(), address.port).to_socket_addrs().map_err(failed)?.collect()),
    }
}

/// Listens at all of `addresses`, with the sockets of `inherited` that are bound to one of them, whose connections have
/// waited since the data plane before.
pub fn bind_all(
    addresses: &[SocketAddr],
    mut inherited: Vec<(Listener, OwnedFd)>,
) -> Result<Vec<(Listener, OwnedFd)>, ListenError> {
    let listeners =
        addresses.iter().map(|address| match inherited.iter().position(|(listener, _)| listener.address == *address) {
            Some(at) => Ok(inherited.swap_remove(at)),
            None => bind(*address),
        });
    listeners.collect()
}

/// Listens at one socket address.
fn bind(address: SocketAddr) -> Result<(Listener, OwnedFd), ListenError> {
    let deadline = Instant::now() + RELEASE_LIMIT;
    let socket = loop {
        match listen(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(RELEASE_PAUSE);
            }
            result => break result,
        }
    };
    let socket = socket.map_err(|error| ListenError::Bind {
        address: address.to_string(),
        hint: match error.kind() {
            ErrorKind::AddrInUse => " (is another node running? change Server.Addresses or Server.BindAddresses)",
            ErrorKind::AddrNotAvailable => {
                " (no interface of this host has it; set Server.BindAddresses to one that has)"
            }
            ErrorKind::PermissionDenied if address.port() < 1024 => {
                " (ports below 1024 need a capability: AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or \
                 setcap cap_net_bind_service=+ep on the program)"
            }
            _ => "",
        },
        error,
    })?;
    Ok((Listener { address, transport: Carrier::Tcp }, OwnedFd::from(socket)))
}

fn listen(address: SocketAddr) -> std::io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.cloexec().nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
