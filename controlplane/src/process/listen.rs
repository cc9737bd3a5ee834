//! The listening sockets of a node: made here, passed to the data plane, so that connections queue instead of being
//! refused while a data plane is replaced.

use config::address::{Address, Host, Transport};
use interplane::message::{Listener, Transport as Carrier};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Sockets of all addresses: so many go with one message to the data plane, with all else that it has.
pub const SOCKETS_MAX: usize = 200;

/// Bytes of a UDP socket's buffers: with less, datagrams are lost whenever a shard is busy for a moment.
pub const BUFFER_BYTES: usize = 4 << 20;

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
    /// More sockets than can be handed to a data plane.
    #[error(
        "the addresses take {count} sockets with {shards} shards, and {SOCKETS_MAX} are possible: each quic:// address \
         takes one for each shard; list fewer addresses, or set fewer shards"
    )]
    TooMany {
        /// How many they take.
        count: usize,
        /// Shards of the data plane.
        shards: usize,
    },
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

/// The sockets of the configured addresses, one of each. As in the reference, `tcp://` and `quic://` with an unspecified
/// address of either family mean all addresses of both; `tcp4://` and `tcp6://` restrict it. Nothing is listed twice.
pub fn resolve(addresses: &[Address], families: Families) -> Result<Vec<Listener>, ListenError> {
    let mut resolved = Vec::new();
    for address in addresses {
        let transport = match address.transport {
            Transport::Quic => Carrier::Quic,
            Transport::Tcp | Transport::Tcp4 | Transport::Tcp6 | Transport::Onion => Carrier::Tcp,
        };
        for address in resolve_one(address, families)? {
            let listener = Listener { address, transport };
            if !resolved.contains(&listener) {
                resolved.push(listener);
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
        (Host::Ip(ip), Transport::Tcp | Transport::Quic) if ip.to_canonical().is_unspecified() && address.port != 0 => {
            let v4 = families.v4.then_some(at(Ipv4Addr::UNSPECIFIED.into()));
            let v6 = families.v6.then_some(at(Ipv6Addr::UNSPECIFIED.into()));
            Ok(v4.into_iter().chain(v6).collect())
        }
        (Host::Ip(ip), _) => Ok(vec![at(*ip)]),
        (Host::Name(name), _) => Ok((name.as_str(), address.port).to_socket_addrs().map_err(failed)?.collect()),
    }
}

/// What a data plane of so many shards listens with: connections over TCP are dealt out, datagrams come to a socket of each
/// shard.
pub fn for_shards(listeners: &[Listener], shards: usize) -> Result<Vec<Listener>, ListenError> {
    let copies = |listener: &Listener| match listener.transport {
        Carrier::Tcp => 1,
        Carrier::Quic => shards,
    };
    let sockets: Vec<_> =
        listeners.iter().flat_map(|listener| std::iter::repeat_n(*listener, copies(listener))).collect();
    match sockets.len() {
        count if count > SOCKETS_MAX => Err(ListenError::TooMany { count, shards }),
        _ => Ok(sockets),
    }
}

/// Listens with all of `wanted`, as far as possible with the sockets of `inherited` that are bound to one of them, whose
/// connections have waited since the data plane before.
pub fn bind_all(
    wanted: &[Listener],
    mut inherited: Vec<(Listener, OwnedFd)>,
) -> Result<Vec<(Listener, OwnedFd)>, ListenError> {
    let mut bound: Vec<(Listener, OwnedFd)> = Vec::with_capacity(wanted.len());
    for listener in wanted {
        let fd = match inherited.iter().position(|(other, _)| other == listener) {
            Some(at) => inherited.remove(at).1,
            None => bind(*listener, bound.iter().find(|(other, _)| other == listener).map(|(_, fd)| fd))?,
        };
        if listener.transport == Carrier::Quic {
            enlarge_buffers(&fd);
        }
        bound.push((*listener, fd));
    }
    Ok(bound)
}

/// Listens with one socket, beside another one of that address if there is one.
fn bind(listener: Listener, beside: Option<&OwnedFd>) -> Result<OwnedFd, ListenError> {
    let deadline = Instant::now() + RELEASE_LIMIT;
    let socket = loop {
        let socket = match (listener.transport, beside) {
            (Carrier::Tcp, _) => listen(listener.address),
            (Carrier::Quic, None) => bind_first(listener.address),
            (Carrier::Quic, Some(first)) => bind_beside(first),
        };
        match socket {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(RELEASE_PAUSE);
            }
            result => break result,
        }
    };
    let port = listener.address.port();
    let socket = socket.map_err(|error| ListenError::Bind {
        address: listener.to_string(),
        hint: match error.kind() {
            ErrorKind::AddrInUse => " (is another node running? change Server.Addresses or Server.BindAddresses)",
            ErrorKind::AddrNotAvailable => {
                " (no interface of this host has it; set Server.BindAddresses to one that has)"
            }
            ErrorKind::PermissionDenied if port < 1024 => {
                " (ports below 1024 need a capability: AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or \
                 setcap cap_net_bind_service=+ep on the program)"
            }
            _ => "",
        },
        error,
    })?;
    Ok(OwnedFd::from(socket))
}

fn listen(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The first UDP socket of an address: it shares the port only once it is bound, so that another node's port is never
/// shared.
fn bind_first(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&SockAddr::from(address))?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// One more, at the port that the system may have chosen for the first.
fn bind_beside(first: &OwnedFd) -> std::io::Result<Socket> {
    let address = SockRef::from(first).local_addr()?;
    let socket = open(address.as_socket().ok_or(ErrorKind::InvalidInput)?, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address)?;
    Ok(socket)
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> std::io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind.cloexec().nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// The bytes that a UDP socket may hold, if they are few. None of another socket.
pub fn small_buffer(fd: &OwnedFd) -> Option<usize> {
    let is_udp = SockRef::from(fd).r#type().is_ok_and(|kind| kind == Type::DGRAM);
    // The kernel counts its own overhead in, and tells twice what was asked for.
    let bytes = sockopt::socket_recv_buffer_size(fd).ok()? / 2;
    (is_udp && bytes < BUFFER_BYTES).then_some(bytes)
}

/// As large as the kernel allows, up to what a shard can use.
fn enlarge_buffers(fd: &OwnedFd) {
    // Beyond net.core.rmem_max with a capability that few have; what is refused leaves the socket as it is.
    let _not_allowed = sockopt::set_socket_recv_buffer_size_force(fd, BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, BUFFER_BYTES));
    let _as_it_is = sockopt::set_socket_send_buffer_size(fd, BUFFER_BYTES);
}
