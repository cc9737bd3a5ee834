//! Addresses and control messages, as the bytes that the kernel takes with a train and gives with one.

#[cfg(test)]
mod tests;

use crate::{Ecn, Train};
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

/// Room for an address.
pub const NAME_BYTES: usize = 32;
/// Room for all messages that sockets of [`prepare`](super::prepare) get, and for those of a train.
pub const CONTROL_BYTES: usize = 192;

/// What stands before each message.
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>().next_multiple_of(ALIGN);
/// Messages begin at multiples of it.
const ALIGN: usize = align_of::<libc::cmsghdr>();
/// `sockaddr_in` and `sockaddr_in6`.
const NAME_V4_BYTES: usize = size_of::<libc::sockaddr_in>();
const NAME_V6_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// Where control messages lie.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub struct Control(pub [u8; CONTROL_BYTES]);

impl Default for Control {
    fn default() -> Self {
        Self([0; CONTROL_BYTES])
    }
}

/// What the kernel says of a train that has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Where it went to.
    pub to: Option<IpAddr>,
    /// Its congestion bits.
    pub ecn: Option<Ecn>,
    /// The size of each datagram but the last; none of a single one.
    pub segment_bytes: Option<usize>,
    /// When it had come, since 1970.
    pub time: Option<Duration>,
}

/// Reads what came with a train.
pub fn read(control: &[u8]) -> Said {
    let (mut said, mut rest) = (Said::default(), control);
    while let Some((level, kind, data, after)) = first(rest) {
        rest = after;
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => said.time = time(data),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                said.segment_bytes =
                    data.first_chunk().and_then(|size| usize::try_from(i32::from_ne_bytes(*size)).ok());
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => said.ecn = data.first().and_then(|bits| Ecn::from_bits(*bits)),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                said.ecn = data.first_chunk().and_then(|class| Ecn::from_bits(i32::from_ne_bytes(*class) as u8));
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let address = data.get(offset_of!(libc::in_pktinfo, ipi_addr)..).and_then(<[u8]>::first_chunk::<4>);
                said.to = address.map(|bytes| Ipv4Addr::from(*bytes).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                said.to = data.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into());
            }
            _ => {}
        }
    }
    said
}

/// The first message: its level, kind and data, and what comes after it.
fn first(control: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let number = |at: usize| Some(i32::from_ne_bytes(*control.get(at..)?.first_chunk()?));
    let length = usize::from_ne_bytes(*control.first_chunk()?);
    let level = number(offset_of!(libc::cmsghdr, cmsg_level))?;
    let kind = number(offset_of!(libc::cmsghdr, cmsg_type))?;
    let data = control.get(HEADER_BYTES..length)?;
    // The last one may end without what fills it up.
    let after = control.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    Some((level, kind, data, after))
}

fn time(data: &[u8]) -> Option<Duration> {
    let number = |at: usize| Some(i64::from_ne_bytes(*data.get(at..)?.first_chunk()?));
    let seconds = u64::try_from(number(offset_of!(libc::timespec, tv_sec))?).ok()?;
    let nanos = u32::try_from(number(offset_of!(libc::timespec, tv_nsec))?).ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}

/// Writes what the kernel has to know of a train of so many bytes; gives how long that is.
pub fn write(train: &Train, bytes: usize, control: &mut Control) -> usize {
    let mut at = 0;
    let mut put = |level: i32, kind: i32, data: &[u8]| {
        let length = HEADER_BYTES + data.len();
        let Some(place) = control.0.get_mut(at..at + length.next_multiple_of(ALIGN)) else { return };
        place.fill(0);
        let mut part = |at: usize, bytes: &[u8]| place[at..at + bytes.len()].copy_from_slice(bytes);
        part(0, &length.to_ne_bytes());
        part(offset_of!(libc::cmsghdr, cmsg_level), &level.to_ne_bytes());
        part(offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
        part(HEADER_BYTES, data);
        at += place.len();
    };
    if bytes > train.segment_bytes
        && let Ok(segment) = u16::try_from(train.segment_bytes)
    {
        put(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }
    if let Some(ecn) = train.ecn {
        let bits = (ecn as i32).to_ne_bytes();
        match train.to.ip().to_canonical() {
            IpAddr::V4(_) => put(libc::IPPROTO_IP, libc::IP_TOS, &bits),
            IpAddr::V6(_) => put(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &bits),
        }
    }
    match train.from {
        Some(IpAddr::V4(from)) => {
            let mut info = [0; size_of::<libc::in_pktinfo>()];
            let at = offset_of!(libc::in_pktinfo, ipi_spec_dst);
            info[at..at + 4].copy_from_slice(&from.octets());
            put(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some(IpAddr::V6(from)) => {
            let mut info = [0; size_of::<libc::in6_pktinfo>()];
            info[..16].copy_from_slice(&from.octets());
            // An address of one link only is nothing without the link.
            if let SocketAddr::V6(to) = train.to {
                let at = offset_of!(libc::in6_pktinfo, ipi6_ifindex);
                info[at..at + 4].copy_from_slice(&to.scope_id().to_ne_bytes());
            }
            put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    at
}

/// Reads an address.
pub fn read_name(name: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(*name.first_chunk()?));
    let port = u16::from_be_bytes([*name.get(2)?, *name.get(3)?]);
    let number = |at: usize| Some(u32::from_ne_bytes(*name.get(at..)?.first_chunk()?));
    match family {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*name.get(offset_of!(libc::sockaddr_in, sin_addr)..)?.first_chunk::<4>()?);
            Some(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*name.get(offset_of!(libc::sockaddr_in6, sin6_addr)..)?.first_chunk::<16>()?);
            let scope = number(offset_of!(libc::sockaddr_in6, sin6_scope_id))?;
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

/// Writes an address; gives how long it is.
pub fn write_name(address: SocketAddr, name: &mut [u8; NAME_BYTES]) -> usize {
    name.fill(0);
    let mut put = |at: usize, bytes: &[u8]| name[at..at + bytes.len()].copy_from_slice(bytes);
    put(2, &address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            put(0, &(libc::AF_INET as u16).to_ne_bytes());
            put(offset_of!(libc::sockaddr_in, sin_addr), &address.ip().octets());
            NAME_V4_BYTES
        }
        SocketAddr::V6(address) => {
            put(0, &(libc::AF_INET6 as u16).to_ne_bytes());
            put(offset_of!(libc::sockaddr_in6, sin6_addr), &address.ip().octets());
            put(offset_of!(libc::sockaddr_in6, sin6_scope_id), &address.scope_id().to_ne_bytes());
            NAME_V6_BYTES
        }
    }
}
