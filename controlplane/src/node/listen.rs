//! The listening sockets of a node: made here, passed to the data plane, so that connections queue instead of being
//! refused while a data plane is replaced.

use config::address::{Address, Host, Transport};
use interplane::message::{Listener, Transport as Carrier};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

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
    #[error("cannot listen on {address}: the name cannot be resolved: {error}")]
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

/// The socket addresses of a configured address.
pub fn resolve(address: &Address) -> Result<Vec<SocketAddr>, ListenError> {
    if address.transport == Transport::Quic {
        return Err(ListenError::Quic(address.to_string()));
    }
    let failed = |error| ListenError::Resolve { address: address.to_string(), error };
    match &address.host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, address.port)]),
        Host::Name(name) => Ok((name.as_str(), address.port).to_socket_addrs().map_err(failed)?.collect()),
    }
}

/// Listens at one socket address.
pub fn bind(address: SocketAddr) -> Result<(Listener, OwnedFd), ListenError> {
    let make = || {
        let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::STREAM.cloexec().nonblocking(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    let socket: Socket = make().map_err(|error: std::io::Error| ListenError::Bind {
        address: address.to_string(),
        hint: match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                " (is another node running? change Server.Addresses or Server.BindAddresses)"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                " (no interface of this host has it; set Server.BindAddresses to one that has)"
            }
            _ => "",
        },
        error,
    })?;
    Ok((Listener { address, transport: Carrier::Tcp }, OwnedFd::from(socket)))
}
