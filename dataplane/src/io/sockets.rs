//! What all backends with kernel TCP do with a socket.

#[cfg(test)]
mod tests;

use super::{ConnectFailure, Target, Transport};
use super::under_way::Wrote;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Keep-alive of every socket (server.md 3.1, 3.9).
const KEEP_ALIVE: Duration = Duration::from_secs(180);

/// Sets what every connection has. A socket that refuses an option still carries bytes.
pub fn prepare(socket: impl AsFd) {
    let fd = socket.as_fd();
    let socket = socket2::SockRef::from(&fd);
    let _without_no_delay = socket.set_tcp_nodelay(true);
    let _without_keep_alive = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEP_ALIVE));
}

/// A socket that can connect there.
pub fn stream_to(to: Target, flags: SocketFlags) -> Result<OwnedFd, Errno> {
    if to.transport != Transport::Tcp {
        return Err(Errno::PROTONOSUPPORT);
    }
    let family = if to.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    prepare(&socket);
    Ok(socket)
}

/// Who is at the other end; a peer that is gone already has no address.
pub fn peer_of(socket: impl AsFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getpeername(socket).ok().flatten()?).ok()
}

/// Writes what there is room for.
pub fn write(socket: impl AsFd, bytes: &[u8]) -> Wrote {
    match rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(count) if count > 0 => Wrote::Bytes(count),
        Err(Errno::AGAIN | Errno::INTR) => Wrote::WouldBlock,
        _ => Wrote::Failed,
    }
}

/// Reads what there is.
pub fn read(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count)
}

/// Why a connection could not be made.
pub fn connect_failure(code: i32) -> ConnectFailure {
    match code {
        libc::ECONNREFUSED => ConnectFailure::Refused,
        libc::ETIMEDOUT => ConnectFailure::TimedOut,
        libc::EHOSTUNREACH | libc::ENETUNREACH => ConnectFailure::NoRoute,
        _ => ConnectFailure::Other,
    }
}
