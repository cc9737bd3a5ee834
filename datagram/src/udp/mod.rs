//! The kernel's sockets for datagrams: everything that is set on them is set here, whoever reads and writes them.
//!
//! | module | what lives there |
//! |---|---|
//! | [`control`] | addresses and control messages, as the bytes that the kernel takes and gives |
//! | [`sockets`] | the sockets of one shard, and what all ways to use them have in common |
//! | [`plain`] | the slow way to use them: a call for each train |
//! | `calls` | the system calls that safe packages do not have |

mod calls;
pub mod control;
pub mod plain;
pub mod sockets;
#[cfg(test)]
mod tests;

pub use calls::drops;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a socket may hold that was not read, or not sent. A burst from a fast peer is that large, and the usual 200 kB lost
/// thousands of datagrams a second.
pub const BUFFER_BYTES: usize = 4 << 20;
/// How many datagrams of a train the kernel cuts up: `UDP_MAX_SEGMENTS` of all kernels that do it.
const SEGMENTS_MAX: usize = 64;

/// What a socket got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How much it holds that was not read, at most [`BUFFER_BYTES`] of it asked for.
    pub receive_bytes: usize,
    /// The same of what was not sent.
    pub send_bytes: usize,
    /// How many datagrams of a train the kernel cuts up for it.
    pub segments_max: usize,
}

/// A socket at that address. With `is_shared`, others of the same user may be bound to it too, and the kernel deals the
/// senders out among them.
pub fn bind(address: SocketAddr, is_shared: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Whether it is a socket for datagrams.
pub fn is_datagram(socket: impl AsFd) -> bool {
    SockRef::from(&socket.as_fd()).r#type().is_ok_and(|kind| kind == Type::DGRAM)
}

/// Those for datagrams, and the others.
pub fn set_apart(sockets: Vec<OwnedFd>) -> (Vec<OwnedFd>, Vec<OwnedFd>) {
    sockets.into_iter().partition(|socket| is_datagram(socket))
}

/// The address that it is bound to.
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    let address = SockRef::from(&socket.as_fd()).local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// Sets what every socket has. One that refuses an option still carries datagrams: slower, or with less told of them.
pub fn prepare(socket: impl AsFd) -> io::Result<Granted> {
    let socket = socket.as_fd();
    let local = local_address(socket)?;
    let set = |level, name, value| calls::set(socket, level, name, value);
    // Whoever waits for it does so by other means, or in the kernel.
    rustix::io::ioctl_fionbio(socket, false)?;
    // Asked for where answers leave from, and for the bits of congestion; packets are never cut up on their way, and
    // their size is what QUIC has found out, not what some router says (RFC 9000, 14).
    if local.is_ipv6() {
        let _not_told = set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1);
        let _not_told = set(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1);
        let _cut_up = set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE);
    }
    // Those of IPv6 too: they may take both.
    let _not_told = set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1);
    let _not_told = set(libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
    let _cut_up = set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
    let _no_times = set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
    let _one_by_one = set(libc::SOL_UDP, libc::UDP_GRO, 1);
    enlarge(socket);
    let known = SockRef::from(&socket);
    // The kernel says twice what was asked for, and keeps the other half for its own.
    Ok(Granted {
        receive_bytes: known.recv_buffer_size()? / 2,
        send_bytes: known.send_buffer_size()? / 2,
        segments_max: if calls::is_known(socket, libc::SOL_UDP, libc::UDP_SEGMENT) { SEGMENTS_MAX } else { 1 },
    })
}

/// With the right to (NET_ADMIN) as much as is wanted, else as much as `net.core.rmem_max` and `wmem_max` allow.
fn enlarge(socket: BorrowedFd<'_>) {
    let wanted = BUFFER_BYTES as i32;
    let pairs = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (with_right, without) in pairs {
        if calls::set(socket, libc::SOL_SOCKET, with_right, wanted).is_err() {
            let _as_it_was = calls::set(socket, libc::SOL_SOCKET, without, wanted);
        }
    }
}
