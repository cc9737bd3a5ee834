//! Questions for addresses, and answers, as frames.

use datagram::frame::{ETHERNET_BYTES, Mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const BROADCAST: Mac = [0xff; 6];
/// Ethernet and IPv4, with the lengths of their addresses.
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_BYTES: usize = 28;
const ARP_QUESTION: u8 = 1;
const ARP_ANSWER: u8 = 2;
const IPV6_BYTES: usize = 40;
const PROTOCOL_ICMPV6: u8 = 58;
/// Whatever has passed a router has less.
const HOPS: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Type, code, checksum, flags, target; one option with an address of Ethernet.
const FIXED_BYTES: usize = 24;
const OPTION_BYTES: usize = 8;
const SOURCE_OPTION: u8 = 1;
const TARGET_OPTION: u8 = 2;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
/// Frames are not shorter.
const FRAME_BYTES_MIN: usize = 60;

/// What somebody says.
pub enum Message {
    /// Who has that address?
    Question {
        /// The address.
        target: IpAddr,
    },
    /// I do.
    Answer,
}

/// What somebody says of himself.
pub struct Heard {
    /// The address; none of who looks whether it is taken.
    pub from: Option<IpAddr>,
    /// The card.
    pub mac: Mac,
    /// The rest.
    pub message: Message,
}

/// Reads a frame.
pub fn parse(frame: &[u8]) -> Option<Heard> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_BYTES>()?;
    match [ethernet[12], ethernet[13]] {
        ETHERTYPE_ARP => parse_arp(packet),
        ETHERTYPE_IPV6 => parse_discovery(packet, mac(&ethernet[6..])?),
        _ => None,
    }
}

fn parse_arp(packet: &[u8]) -> Option<Heard> {
    let (arp, _) = packet.split_first_chunk::<ARP_BYTES>()?;
    if arp[..6] != ARP_KIND || arp[6] != 0 {
        return None;
    }
    let address = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
    let from = Some(address(14)).filter(|from| !from.is_unspecified()).map(IpAddr::V4);
    let message = match arp[7] {
        ARP_QUESTION => Message::Question { target: address(24).into() },
        ARP_ANSWER => Message::Answer,
        _ => return None,
    };
    Some(Heard { from, mac: mac(&arp[8..])?, message })
}

fn parse_discovery(packet: &[u8], sender: Mac) -> Option<Heard> {
    let (header, rest) = packet.split_first_chunk::<IPV6_BYTES>()?;
    if header[0] >> 4 != 6 || header[6] != PROTOCOL_ICMPV6 || header[7] != HOPS {
        return None;
    }
    let bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = rest.get(..bytes)?;
    let (fixed, options) = message.split_first_chunk::<FIXED_BYTES>()?;
    let (from, to) = (address(&header[8..])?, address(&header[24..])?);
    if fixed[1] != 0 || checksum(from, to, message) != 0 {
        return None;
    }
    let target = address(&fixed[8..])?;
    if target.is_multicast() {
        return None;
    }
    match fixed[0] {
        SOLICITATION => Some(Heard {
            from: Some(from).filter(|from| !from.is_unspecified()).map(IpAddr::V6),
            mac: option(options, SOURCE_OPTION).unwrap_or(sender),
            message: Message::Question { target: target.into() },
        }),
        ADVERTISEMENT => Some(Heard {
            from: Some(target.into()),
            mac: option(options, TARGET_OPTION).unwrap_or(sender),
            message: Message::Answer,
        }),
        _ => None,
    }
}

/// The address of Ethernet in an option of that type.
fn option(mut options: &[u8], wanted: u8) -> Option<Mac> {
    while let [kind, eighths, ..] = *options {
        let bytes = usize::from(eighths) * 8;
        // An option without a length would be read for ever.
        if bytes == 0 {
            return None;
        }
        let one = options.get(..bytes)?;
        if kind == wanted {
            return mac(&one[2..]);
        }
        options = &options[bytes..];
    }
    None
}

/// Asks for an address. None if one of both is of another family.
pub fn question(own: Mac, from: IpAddr, target: IpAddr) -> Option<Vec<u8>> {
    match (from, target) {
        (IpAddr::V4(from), IpAddr::V4(target)) => {
            Some(arp(ARP_QUESTION, own, BROADCAST, (own, from), ([0; 6], target)))
        }
        (IpAddr::V6(from), IpAddr::V6(target)) => {
            let [.., a, b, c] = target.octets();
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
            let option = [SOURCE_OPTION, 1];
            Some(discovery(own, [0x33, 0x33, 0xff, a, b, c], from, group, (SOLICITATION, 0, target, option)))
        }
        _ => None,
    }
}

/// Says that we have `target`, to who has asked.
pub fn answer(own: Mac, target: IpAddr, asker: Option<IpAddr>, to: Mac) -> Option<Vec<u8>> {
    match (target, asker) {
        (IpAddr::V4(target), asker) => {
            let asker = match asker {
                Some(IpAddr::V4(asker)) => asker,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            Some(arp(ARP_ANSWER, own, to, (own, target), (to, asker)))
        }
        (IpAddr::V6(target), Some(IpAddr::V6(asker))) => {
            let flags = SOLICITED | OVERRIDE;
            Some(discovery(own, to, target, asker, (ADVERTISEMENT, flags, target, [TARGET_OPTION, 1])))
        }
        // Who has no address yet hears it as everybody does.
        (IpAddr::V6(target), _) => {
            let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let group = [0x33, 0x33, 0, 0, 0, 1];
            Some(discovery(own, group, target, all, (ADVERTISEMENT, OVERRIDE, target, [TARGET_OPTION, 1])))
        }
    }
}

fn arp(what: u8, own: Mac, to: Mac, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut frame = ethernet(to, own, ETHERTYPE_ARP);
    frame.extend(ARP_KIND);
    frame.extend([0, what]);
    for (mac, address) in [sender, target] {
        frame.extend(mac);
        frame.extend(address.octets());
    }
    frame.resize(FRAME_BYTES_MIN, 0);
    frame
}

fn discovery(
    own: Mac,
    to_mac: Mac,
    from: Ipv6Addr,
    to: Ipv6Addr,
    (kind, flags, target, option): (u8, u8, Ipv6Addr, [u8; 2]),
) -> Vec<u8> {
    let mut frame = ethernet(to_mac, own, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0, 0, (FIXED_BYTES + OPTION_BYTES) as u8, PROTOCOL_ICMPV6, HOPS]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    let begin = frame.len();
    frame.extend([kind, 0, 0, 0, flags, 0, 0, 0]);
    frame.extend(target.octets());
    frame.extend(option);
    frame.extend(own);
    let sum = checksum(from, to, &frame[begin..]);
    frame[begin + 2..begin + 4].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn ethernet(to: Mac, from: Mac, ethertype: [u8; 2]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_BYTES + IPV6_BYTES + FIXED_BYTES + OPTION_BYTES);
    frame.extend(to);
    frame.extend(from);
    frame.extend(ethertype);
    frame
}

/// The checksum of a message; zero if it is in there and right.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let pieces: [&[u8]; 5] = [&from.octets(), &to.octets(), &length, &[0, 0, 0, PROTOCOL_ICMPV6], message];
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let sum = words.map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low))).sum::<u64>();
    let mut sum = sum;
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes))
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.first_chunk().copied()
}
