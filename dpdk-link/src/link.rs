//! Datagrams in frames: the datagram half of a shard, above whatever moves frames.
//!
//! A train that leaves is cut up here, each datagram with headers of its own in a frame of the card's memory; what arrives is
//! lent from the frame that it came in, one datagram at a time.

#[cfg(test)]
mod tests;

use crate::neighbours::{Neighbours, Network};
use datagram::frame::{self, HEADERS_IPV6_BYTES, HOPS, Head, Mac, UdpChecksum};
use datagram::{Arrived, Datagrams, Socket, SocketId, TRAIN_BYTES_MAX, Train};
use std::io;
use std::net::{IpAddr, SocketAddr};
use wire::Instant;

/// Datagrams of one train.
const SEGMENTS_MAX: usize = 44;
/// The first port of those from which others are reached.
const PORTS_FROM: u16 = 49_152;
/// Frames that are not for us, one after the other, before the shard has its turn.
const LOOKS_MAX: usize = 256;
/// Buffers for trains that are kept.
const BUFFERS_MAX: usize = 64;
/// Headers of IPv4 or IPv6 and UDP, without Ethernet's.
const HEADERS_MAX: usize = HEADERS_IPV6_BYTES - frame::ETHERNET_BYTES;

/// Who moves frames: one queue of a card.
pub trait Frames {
    /// The card's address.
    fn mac(&self) -> Mac;

    /// The largest packet of IP.
    fn mtu(&self) -> usize;

    /// The next frame that has arrived, and whether the card has verified its checksums. Lent until the next call.
    fn next_frame(&mut self) -> Option<(&mut [u8], bool)>;

    /// The same frame again.
    fn current(&mut self) -> Option<&mut [u8]>;

    /// For how many frames there is room now.
    fn room(&self) -> usize;

    /// Lets `write` fill a frame of so many bytes, and sends it if that says so; false if there was no room for it.
    fn send(&mut self, bytes: usize, write: &mut dyn FnMut(&mut [u8]) -> bool) -> bool;

    /// Gives everything to the card that has been sent.
    fn flush(&mut self);

    /// How many frames were lost at the card since the start for want of room.
    fn lost(&self) -> u64;
}

/// What a link is on the network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses.
    pub network: Network,
    /// Where others reach us. Only addresses of ours.
    pub listeners: Vec<SocketAddr>,
    /// Frames come from virtual cards beside which nobody finishes checksums.
    pub has_unfinished_checksums: bool,
}

/// What arrived and was not for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// No datagram, and nothing about addresses either, or damaged.
    pub no_datagrams: u64,
    /// For another address or port.
    pub for_others: u64,
    /// Datagrams that leave and whose next hop is not known yet.
    pub without_next_hop: u64,
}

/// The datagram half of one queue.
pub struct Link<F> {
    frames: F,
    neighbours: Neighbours,
    sockets: Vec<Socket>,
    has_unfinished_checksums: bool,
    clock: Box<dyn Fn() -> Instant + Send>,
    buffers: Vec<Vec<u8>>,
    lost: u64,
    refused: Refused,
    next_port: u16,
}

/// Where in the frame a datagram for us is.
struct Found {
    socket: SocketId,
    at: Instant,
    frame: frame::Frame,
}

impl<F: Frames> Link<F> {
    /// On a queue. `clock` is the shard's.
    pub fn new(frames: F, settings: Settings, clock: Box<dyn Fn() -> Instant + Send>) -> Result<Self, io::Error> {
        let neighbours = Neighbours::new(settings.network, frames.mac());
        if let Some(local) =
            settings.listeners.iter().find(|local| local.port() == 0 || !neighbours.is_ours(local.ip()))
        {
            let reason =
                format!("{local}: to listen there, its address has to be one of the card's, and its port above zero");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
        }
        let sockets = settings.listeners.into_iter().map(|local| Socket { local, is_listener: true }).collect();
        Ok(Self {
            frames,
            neighbours,
            sockets,
            has_unfinished_checksums: settings.has_unfinished_checksums,
            clock,
            buffers: Vec::new(),
            lost: 0,
            refused: Refused::default(),
            next_port: PORTS_FROM,
        })
    }

    /// What was not for us.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Everything that was sent leaves now.
    pub fn flush(&mut self) {
        self.frames.flush();
    }

    /// Looks at the next frame: none if there is none, nothing if it was not for a socket of ours.
    fn look(&mut self) -> Option<Option<Found>> {
        let (bytes, is_verified) = self.frames.next_frame()?;
        let at = (self.clock)();
        let checksum =
            if is_verified || self.has_unfinished_checksums { UdpChecksum::Ignored } else { UdpChecksum::Verified };
        let mut answer = Vec::new();
        let found = match frame::parse(bytes, checksum) {
            Ok(frame) => {
                let is_to = |socket: &Socket| socket.local == frame.to;
                match self.sockets.iter().position(is_to) {
                    // There is nothing to lend of an empty one.
                    Some(_) if frame.payload.is_empty() => None,
                    Some(socket) => {
                        self.neighbours.seen(frame.from.ip(), frame.source_mac, at);
                        Some(Found { socket: SocketId(socket as u32), at, frame })
                    }
                    None => {
                        self.refused.for_others += 1;
                        None
                    }
                }
            }
            Err(_) => {
                let is_known = self.neighbours.heard(bytes, at, |frame| answer.extend(frame));
                self.refused.no_datagrams += u64::from(!is_known);
                None
            }
        };
        if !answer.is_empty() {
            self.send_frame(&answer);
        }
        Some(found)
    }

    fn send_frame(&mut self, frame: &[u8]) {
        self.frames.send(frame.len(), &mut |bytes| {
            bytes.copy_from_slice(frame);
            true
        });
    }

    /// The headers of a train's datagrams; none if it cannot leave.
    fn head(&mut self, train: &Train) -> Option<Head> {
        let socket = self.sockets.get(train.socket.0 as usize)?;
        let own = train.from.filter(|from| self.neighbours.is_ours(*from)).unwrap_or(socket.local.ip());
        let from = SocketAddr::new(own, socket.local.port());
        let mut question = Vec::new();
        let now = (self.clock)();
        let mac = self.neighbours.find(train.to.ip(), now, |frame| question.extend(frame));
        if !question.is_empty() {
            self.send_frame(&question);
        }
        let Some(destination_mac) = mac else {
            self.refused.without_next_hop += 1;
            return None;
        };
        let source_mac = self.frames.mac();
        Some(Head { source_mac, destination_mac, from, to: train.to, ecn: train.ecn, hops: HOPS, flow_label: 0 })
    }
}

impl<F: Frames> Datagrams for Link<F> {
    fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, io::Error> {
        let none = |what| io::Error::new(io::ErrorKind::AddrNotAvailable, what);
        let any: IpAddr =
            if is_ipv6 { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
        let own = self.neighbours.source_for(any).ok_or_else(|| none("the card has no address of that family"))?;
        let is_taken = |sockets: &[Socket], local| sockets.iter().any(|socket| socket.local == local);
        for _ in PORTS_FROM..=u16::MAX {
            let local = SocketAddr::new(own, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(PORTS_FROM);
            if !is_taken(&self.sockets, local) {
                self.sockets.push(Socket { local, is_listener: false });
                return Ok(SocketId(self.sockets.len() as u32 - 1));
            }
        }
        Err(none("all ports are taken"))
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        self.frames.flush();
        let mut found = None;
        for _ in 0..LOOKS_MAX {
            found = self.look()?;
            if found.is_some() {
                break;
            }
        }
        let Found { socket, at, frame } = found?;
        let bytes = self.frames.current()?.get_mut(frame.payload)?;
        Some(Arrived {
            socket,
            from: frame.from,
            to: Some(frame.to.ip()),
            ecn: frame.ecn,
            at,
            segment_bytes: bytes.len(),
            bytes,
        })
    }

    fn segments_max(&self) -> usize {
        SEGMENTS_MAX
    }

    fn datagram_bytes_max(&self) -> usize {
        self.frames.mtu().saturating_sub(HEADERS_MAX)
    }

    fn room(&self) -> usize {
        self.frames.room() / SEGMENTS_MAX
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(TRAIN_BYTES_MAX))
    }

    fn transmit(&mut self, train: Train, mut bytes: Vec<u8>) {
        let head = self.head(&train);
        let most = self.frames.mtu() + frame::ETHERNET_BYTES;
        for datagram in bytes.chunks(train.segment_bytes.max(1)) {
            let is_sent = head.is_some_and(|head| {
                let begin = head.bytes();
                let size = begin + datagram.len();
                let mut write = |frame: &mut [u8]| {
                    frame[begin..].copy_from_slice(datagram);
                    head.write(frame)
                };
                size <= most && self.frames.send(size, &mut write)
            });
            self.lost += u64::from(!is_sent);
        }
        bytes.clear();
        if self.buffers.len() < BUFFERS_MAX {
            self.buffers.push(bytes);
        }
    }

    fn lost(&self) -> u64 {
        self.lost + self.frames.lost()
    }
}
