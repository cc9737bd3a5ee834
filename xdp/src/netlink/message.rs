//! Questions and answers as bytes. Nothing here trusts a length.

#[cfg(test)]
mod tests;

use datagram::frame::Mac;
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const REQUEST: u16 = 1;
const IS_PART: u16 = 2;
const DUMP: u16 = 0x300;

const FAILED: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const NEW_NEIGHBOUR: u16 = 28;
const GET_NEIGHBOUR: u16 = 30;

const HEADER_BYTES: usize = 16;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// What an interface of Ethernet says of its kind.
const ETHERNET: u16 = 1;
/// A route to somewhere else, not to this host nor to nowhere.
const UNICAST: u8 = 1;

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// The largest packet.
    pub mtu: u32,
    /// Its address, if it is one of Ethernet.
    pub mac: Option<Mac>,
}

/// How the kernel would send somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Over which interface.
    pub interface: u32,
    /// To which router; none if the receiver is a neighbour.
    pub router: Option<IpAddr>,
    /// From which address of ours.
    pub from: Option<IpAddr>,
    /// It leads to another host.
    pub is_unicast: bool,
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address of Ethernet, if the kernel would send there now.
    pub mac: Option<Mac>,
    /// The kernel has heard from it lately, or was told for ever.
    pub is_confirmed: bool,
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An interface.
    Link(Link),
    /// An address of an interface.
    Address {
        /// Whose.
        interface: u32,
        /// Which.
        address: IpAddr,
    },
    /// A route.
    Route(Route),
    /// A neighbour.
    Neighbour(Neighbour),
    /// There is no more.
    Done,
    /// The question was refused.
    Failed(Errno),
    /// Something that nobody has asked for.
    Other,
}

/// Asks for the interface of that name.
pub fn ask_link(question: &mut Vec<u8>, sequence: u32, name: &str) {
    const NAME: u16 = 3;
    begin(question, GET_LINK, REQUEST, sequence);
    question.extend([0; 16]);
    attribute(question, NAME, &[name.as_bytes(), &[0]].concat());
    end(question);
}

/// Asks for all addresses.
pub fn ask_addresses(question: &mut Vec<u8>, sequence: u32) {
    begin(question, GET_ADDRESS, REQUEST | DUMP, sequence);
    question.extend([0; 8]);
    end(question);
}

/// Asks for the route to an address.
pub fn ask_route(question: &mut Vec<u8>, sequence: u32, to: IpAddr) {
    const TO: u16 = 1;
    begin(question, GET_ROUTE, REQUEST, sequence);
    let (family, octets) = octets(&to);
    question.extend([family, octets.len() as u8 * 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    attribute(question, TO, &octets);
    end(question);
}

/// Asks for a neighbour.
pub fn ask_neighbour(question: &mut Vec<u8>, sequence: u32, interface: u32, address: IpAddr) {
    const ADDRESS: u16 = 1;
    begin(question, GET_NEIGHBOUR, REQUEST, sequence);
    let (family, octets) = octets(&address);
    question.extend([family, 0, 0, 0]);
    question.extend(interface.to_ne_bytes());
    question.extend([0; 4]);
    attribute(question, ADDRESS, &octets);
    end(question);
}

fn octets(address: &IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (IPV4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (IPV6, v6.octets().to_vec()),
    }
}

fn begin(question: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32) {
    question.extend([0; 4]);
    question.extend(kind.to_ne_bytes());
    question.extend(flags.to_ne_bytes());
    question.extend(sequence.to_ne_bytes());
    question.extend([0; 4]);
}

fn attribute(question: &mut Vec<u8>, kind: u16, value: &[u8]) {
    question.extend((value.len() as u16 + 4).to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend(value);
    question.resize(question.len().next_multiple_of(4), 0);
}

fn end(question: &mut [u8]) {
    let bytes = question.len() as u32;
    question[..4].copy_from_slice(&bytes.to_ne_bytes());
}

/// The parts of what was received: number of the question, whether more belongs to the answer, and what it says.
pub fn answers(received: &[u8]) -> impl Iterator<Item = (u32, bool, Answer)> {
    let mut rest = received;
    std::iter::from_fn(move || {
        let bytes = u32_at(rest, 0)? as usize;
        let message = rest.get(..bytes).filter(|_| bytes >= HEADER_BYTES)?;
        rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
        let (kind, flags, sequence) = (u16_at(message, 4)?, u16_at(message, 6)?, u32_at(message, 8)?);
        let answer = answer(kind, &message[HEADER_BYTES..]).unwrap_or(Answer::Other);
        Some((sequence, flags & IS_PART != 0, answer))
    })
}

/// None if it is too short.
fn answer(kind: u16, body: &[u8]) -> Option<Answer> {
    Some(match kind {
        DONE => Answer::Done,
        // Zero would be an acknowledgement, which nobody asks for.
        FAILED => match i32::from_ne_bytes(array(body, 0)?) {
            0 => Answer::Done,
            code => {
                Answer::Failed(Errno::from_raw_os_error(code.checked_neg().filter(is_code).unwrap_or(libc::EINVAL)))
            }
        },
        NEW_LINK => link(body)?,
        NEW_ADDRESS => address(body)?,
        NEW_ROUTE => route(body)?,
        NEW_NEIGHBOUR => neighbour(body)?,
        _ => Answer::Other,
    })
}

/// Error numbers are small.
fn is_code(code: &i32) -> bool {
    (1..4096).contains(code)
}

fn link(body: &[u8]) -> Option<Answer> {
    const ADDRESS: u16 = 1;
    const MTU: u16 = 4;
    let (kind, index) = (u16_at(body, 2)?, u32_at(body, 4)?);
    let (mut mtu, mut mac) = (0, None);
    for (attribute, value) in attributes(body.get(16..)?) {
        match attribute {
            ADDRESS if kind == ETHERNET => mac = value.try_into().ok(),
            MTU => mtu = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(Answer::Link(Link { index, mtu, mac }))
}

fn address(body: &[u8]) -> Option<Answer> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let (family, interface) = (*body.first()?, u32_at(body, 4)?);
    let (mut address, mut local) = (None, None);
    for (attribute, value) in attributes(body.get(8..)?) {
        match attribute {
            // Of a line between two hosts this is the other end.
            ADDRESS => address = ip(family, value),
            LOCAL => local = ip(family, value),
            _ => {}
        }
    }
    Some(Answer::Address { interface, address: local.or(address)? })
}

fn route(body: &[u8]) -> Option<Answer> {
    const INTERFACE: u16 = 4;
    const ROUTER: u16 = 5;
    const FROM: u16 = 7;
    /// A router of the other family.
    const VIA: u16 = 18;
    let (family, kind) = (*body.first()?, *body.get(7)?);
    let (mut interface, mut router, mut from) = (0, None, None);
    for (attribute, value) in attributes(body.get(12..)?) {
        match attribute {
            INTERFACE => interface = u32_at(value, 0)?,
            ROUTER => router = Some(ip(family, value)?),
            VIA => router = Some(ip(u8::try_from(u16_at(value, 0)?).ok()?, value.get(2..)?)?),
            FROM => from = Some(ip(family, value)?),
            _ => {}
        }
    }
    Some(Answer::Route(Route { interface, router, from, is_unicast: kind == UNICAST }))
}

fn neighbour(body: &[u8]) -> Option<Answer> {
    const MAC: u16 = 2;
    const REACHABLE: u16 = 0x02;
    const STALE: u16 = 0x04;
    const DELAY: u16 = 0x08;
    const PROBE: u16 = 0x10;
    const NO_ARP: u16 = 0x40;
    const PERMANENT: u16 = 0x80;
    let state = u16_at(body, 8)?;
    let is_confirmed = state & (REACHABLE | NO_ARP | PERMANENT) != 0;
    let is_usable = is_confirmed || state & (STALE | DELAY | PROBE) != 0;
    let found = attributes(body.get(12..)?).find(|(attribute, _)| *attribute == MAC);
    let mac = found.and_then(|(_, value)| value.try_into().ok()).filter(|_| is_usable);
    Some(Answer::Neighbour(Neighbour { mac, is_confirmed }))
}

fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        IPV4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).into()),
        IPV6 => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// The two high bits say how a value is laid out.
    const KIND: u16 = 0x3fff;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (bytes, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)? & KIND);
        let value = rest.get(4..bytes)?;
        rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}
