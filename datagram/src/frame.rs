//! Headers of Ethernet, IPv4 or IPv6, and UDP: read from frames that arrive, written before payloads that leave. For who moves
//! datagrams past the kernel.
//!
//! * **Only what needs no state is read**: no VLANs, no options of IPv4, no extension headers of IPv6, no fragments. Such frames are
//!   [`NotOurs`], and the kernel's, which can put them together; it gives what is in them to a socket.
//! * **Checksums of what arrives.** That of IPv4's header is always verified. That of UDP only if asked for: between two
//!   virtual interfaces of one host nobody has finished it, and a card has verified it. Where it is verified, none (zero) is good over
//!   IPv4 and bad over IPv6.
//! * **Checksums of what leaves** are always computed. Over IPv4 there need be none; but the kernel of every other node
//!   sends one, so a frame without would tell who sent it, and what a router or memory has changed would get further than need
//!   be. It costs less than a tenth of a microsecond for 1,500 bytes.
//! * **Senders that nobody can answer** are refused, as the kernel refuses them: port zero, groups, broadcast, loopback, none.

mod checksum;
#[cfg(test)]
mod tests;

use crate::Ecn;
use checksum::Sum;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// An address of Ethernet.
pub type Mac = [u8; 6];

/// Bytes of the header of Ethernet.
pub const ETHERNET_BYTES: usize = 14;
/// Bytes of all headers over IPv4.
pub const HEADERS_IPV4_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;
/// Bytes of all headers over IPv6.
pub const HEADERS_IPV6_BYTES: usize = ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES;
/// How many routers a datagram may pass, as kernels have it.
pub const HOPS: u8 = 64;

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const PROTOCOL_UDP: u8 = 17;
/// Version 4, five words of header: no options.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;
/// "More fragments", and the place of this one.
const FRAGMENT_MASK: u16 = 0x3fff;
/// "Do not fragment": the sender looks for the path's size itself.
const DO_NOT_FRAGMENT: u8 = 0x40;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it over this wire: the sender or a router.
    pub source_mac: Mac,
    /// Where from.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// The congestion bits.
    pub ecn: Option<Ecn>,
    /// Where in the frame the datagram is.
    pub payload: Range<usize>,
}

/// Why a frame is nothing for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotOurs {
    /// It ends within its headers, or they say more than there is.
    Short,
    /// Neither IPv4 nor IPv6, or in a VLAN.
    OtherEthertype,
    /// The version in the header of IP is not that of the frame, or the header has options.
    OtherHeader,
    /// A part of a datagram.
    Fragment,
    /// Not UDP, or behind an extension header.
    OtherProtocol,
    /// Somebody has changed it on its way.
    Checksum,
    /// A sender that nobody can answer.
    Unanswerable,
}

impl NotOurs {
    fn text(self) -> &'static str {
        match self {
            Self::Short => "shorter than its headers say",
            Self::OtherEthertype => "neither IPv4 nor IPv6",
            Self::OtherHeader => "with another header of IP",
            Self::Fragment => "a fragment",
            Self::OtherProtocol => "not UDP",
            Self::Checksum => "with a wrong checksum",
            Self::Unanswerable => "from an address that nobody can answer",
        }
    }
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Whose work the checksum of UDP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpChecksum {
    /// It is as it should be.
    Verified,
    /// Somebody else has looked, or there is none yet.
    Ignored,
}

/// Reads a frame.
pub fn parse(frame: &[u8], checksum: UdpChecksum) -> Result<Frame, NotOurs> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_BYTES>().ok_or(NotOurs::Short)?;
    let ip = match [ethernet[12], ethernet[13]] {
        ETHERTYPE_IPV4 => parse_ipv4(packet)?,
        ETHERTYPE_IPV6 => parse_ipv6(packet)?,
        _ => return Err(NotOurs::OtherEthertype),
    };
    let (udp, _) = ip.segment.split_first_chunk::<UDP_BYTES>().ok_or(NotOurs::Short)?;
    let word = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let (from_port, to_port, bytes) = (word(0), word(2), usize::from(word(4)));
    if bytes < UDP_BYTES {
        return Err(NotOurs::Short);
    }
    let segment = ip.segment.get(..bytes).ok_or(NotOurs::Short)?;
    if checksum == UdpChecksum::Verified && !udp_checksum_holds(&ip, word(6), segment) {
        return Err(NotOurs::Checksum);
    }
    if from_port == 0 || !is_answerable(ip.from) {
        return Err(NotOurs::Unanswerable);
    }
    let begin = ETHERNET_BYTES + ip.header_bytes + UDP_BYTES;
    Ok(Frame {
        source_mac: [ethernet[6], ethernet[7], ethernet[8], ethernet[9], ethernet[10], ethernet[11]],
        from: SocketAddr::new(ip.from, from_port),
        to: SocketAddr::new(ip.to, to_port),
        ecn: ip.ecn,
        payload: begin..begin + bytes - UDP_BYTES,
    })
}

/// What the header of IP says.
struct Ip<'a> {
    from: IpAddr,
    to: IpAddr,
    ecn: Option<Ecn>,
    header_bytes: usize,
    /// The header of UDP and what is behind, without what fills up a short frame.
    segment: &'a [u8],
}

fn parse_ipv4(packet: &[u8]) -> Result<Ip<'_>, NotOurs> {
    let (header, _) = packet.split_first_chunk::<IPV4_BYTES>().ok_or(NotOurs::Short)?;
    if header[0] != IPV4_WITHOUT_OPTIONS {
        return Err(NotOurs::OtherHeader);
    }
    if u16::from_be_bytes([header[6], header[7]]) & FRAGMENT_MASK != 0 {
        return Err(NotOurs::Fragment);
    }
    if header[9] != PROTOCOL_UDP {
        return Err(NotOurs::OtherProtocol);
    }
    if !Sum::default().with(header).is_complete() {
        return Err(NotOurs::Checksum);
    }
    let bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let segment = packet.get(IPV4_BYTES..bytes).ok_or(NotOurs::Short)?;
    let address = |at: usize| IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]));
    Ok(Ip { from: address(12), to: address(16), ecn: Ecn::from_bits(header[1]), header_bytes: IPV4_BYTES, segment })
}

fn parse_ipv6(packet: &[u8]) -> Result<Ip<'_>, NotOurs> {
    let (header, rest) = packet.split_first_chunk::<IPV6_BYTES>().ok_or(NotOurs::Short)?;
    if header[0] >> 4 != 6 {
        return Err(NotOurs::OtherHeader);
    }
    if header[6] != PROTOCOL_UDP {
        return Err(NotOurs::OtherProtocol);
    }
    let bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let segment = rest.get(..bytes).ok_or(NotOurs::Short)?;
    let address = |at: usize| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&header[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    // The traffic class lies across two bytes; its low two bits are in the second one's upper half.
    let ecn = Ecn::from_bits(header[1] >> 4);
    Ok(Ip { from: address(8), to: address(24), ecn, header_bytes: IPV6_BYTES, segment })
}

fn udp_checksum_holds(ip: &Ip<'_>, checksum: u16, segment: &[u8]) -> bool {
    if checksum == 0 {
        return ip.from.is_ipv4();
    }
    pseudo_header(ip.from, ip.to, segment.len()).with(segment).is_complete()
}

fn is_answerable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_multicast() || v4.is_broadcast() || v4.is_loopback() || v4.octets()[0] == 0),
        // One of IPv4 inside is never on a wire; answers to it would leave in the other family.
        IpAddr::V6(v6) => {
            !(v6.is_multicast() || v6.is_loopback() || v6.is_unspecified() || v6.to_ipv4_mapped().is_some())
        }
    }
}

/// What the checksum of UDP covers beside the segment.
fn pseudo_header(from: IpAddr, to: IpAddr, segment_bytes: usize) -> Sum {
    // A segment over IPv6 has at most 65,535 bytes too: no jumbograms here.
    let length = u16::try_from(segment_bytes).unwrap_or(u16::MAX);
    let sum = Sum::default().with(&[0, PROTOCOL_UDP]).with(&length.to_be_bytes());
    let with = |sum: Sum, address| match address {
        IpAddr::V4(v4) => sum.with(&Ipv4Addr::octets(&v4)),
        IpAddr::V6(v6) => sum.with(&Ipv6Addr::octets(&v6)),
    };
    with(with(sum, from), to)
}

/// What stands before a datagram that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Our card.
    pub source_mac: Mac,
    /// The next hop's.
    pub destination_mac: Mac,
    /// Where from.
    pub from: SocketAddr,
    /// Where to. Of the same family.
    pub to: SocketAddr,
    /// The congestion bits.
    pub ecn: Option<Ecn>,
    /// How many routers it may pass.
    pub hops: u8,
    /// Names a flow over IPv6, in the low 20 bits.
    pub flow_label: u32,
}

impl Head {
    /// How many bytes of a frame stand before its datagram.
    pub fn bytes(&self) -> usize {
        if self.to.is_ipv4() { HEADERS_IPV4_BYTES } else { HEADERS_IPV6_BYTES }
    }

    /// Writes the headers of a datagram that is in its place already, [`Head::bytes`] from the frame's beginning to its end.
    /// False, and nothing is written, if the frame has no room for them or is too large for its length to be told, or if
    /// one address is of IPv4 and the other of IPv6.
    #[must_use]
    pub fn write(&self, frame: &mut [u8]) -> bool {
        let Some(udp_bytes) = (frame.len() + UDP_BYTES).checked_sub(self.bytes()) else { return false };
        let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET_BYTES>() else { return false };
        if udp_bytes < UDP_BYTES || packet.len() > usize::from(u16::MAX) {
            return false;
        }
        let (header, ethertype) = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let Some((header, segment)) = packet.split_first_chunk_mut() else { return false };
                self.write_ipv4(from, to, header, segment.len());
                (segment, ETHERTYPE_IPV4)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let Some((header, segment)) = packet.split_first_chunk_mut() else { return false };
                self.write_ipv6(from, to, header, segment.len());
                (segment, ETHERTYPE_IPV6)
            }
            _ => return false,
        };
        ethernet[..6].copy_from_slice(&self.destination_mac);
        ethernet[6..12].copy_from_slice(&self.source_mac);
        ethernet[12..].copy_from_slice(&ethertype);
        self.write_udp(header);
        true
    }

    fn ecn_bits(&self) -> u8 {
        self.ecn.map_or(0, |ecn| ecn as u8)
    }

    fn write_ipv4(&self, from: Ipv4Addr, to: Ipv4Addr, header: &mut [u8; IPV4_BYTES], segment_bytes: usize) {
        *header = [0; IPV4_BYTES];
        header[0] = IPV4_WITHOUT_OPTIONS;
        header[1] = self.ecn_bits();
        header[2..4].copy_from_slice(&length(IPV4_BYTES + segment_bytes));
        header[6] = DO_NOT_FRAGMENT;
        header[8] = self.hops;
        header[9] = PROTOCOL_UDP;
        header[12..16].copy_from_slice(&from.octets());
        header[16..].copy_from_slice(&to.octets());
        let checksum = Sum::default().with(header).checksum();
        header[10..12].copy_from_slice(&checksum);
    }

    fn write_ipv6(&self, from: Ipv6Addr, to: Ipv6Addr, header: &mut [u8; IPV6_BYTES], segment_bytes: usize) {
        let first = 6 << 28 | u32::from(self.ecn_bits()) << 20 | self.flow_label & 0xf_ffff;
        header[..4].copy_from_slice(&first.to_be_bytes());
        header[4..6].copy_from_slice(&length(segment_bytes));
        header[6] = PROTOCOL_UDP;
        header[7] = self.hops;
        header[8..24].copy_from_slice(&from.octets());
        header[24..].copy_from_slice(&to.octets());
    }

    fn write_udp(&self, segment: &mut [u8]) {
        segment[..2].copy_from_slice(&self.from.port().to_be_bytes());
        segment[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        let bytes = length(segment.len());
        segment[4..6].copy_from_slice(&bytes);
        segment[6..8].fill(0);
        let checksum = pseudo_header(self.from.ip(), self.to.ip(), segment.len()).with(segment).checksum();
        // Zero would say that there is none.
        let checksum = if checksum == [0, 0] { [0xff, 0xff] } else { checksum };
        segment[6..8].copy_from_slice(&checksum);
    }
}

/// A length for a header; whoever calls has seen that it fits.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
