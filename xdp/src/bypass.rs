//! The datagram half of a shard: frames of its queue, and the half that its backend has anyway beneath.

use crate::attachment::Attachment;
use crate::neighbours::{Neighbours, Way};
use crate::netlink::Netlink;
use crate::queue::{Frames, Lent, Queue, QueueCounters};
use crate::refusal::{Refusal, Step};
use datagram::frame::{self, HOPS, Head, Mac, UdpChecksum};
use datagram::{Arrived, Datagrams, Socket, SocketId, TRAIN_BYTES_MAX, Train};
use rustix::fd::BorrowedFd;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;

/// How many datagrams of a train are cut here. As many frames go to the kernel at once.
const SEGMENTS_MAX: usize = 32;
/// How often the interface's own addresses are looked at, for sockets that have all of them.
const ADDRESSES_EVERY: Duration = Duration::from_secs(5);
/// After a failure of the interface everything leaves through the kernel for so long.
const PAUSE: Duration = Duration::from_secs(1);
/// After so many frames without a break the kernel's socket has its turn, or what it holds would wait as long as frames come.
const BURST: u32 = 1024;
/// Buffers that are kept.
const BUFFERS_MAX: usize = 64;

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that have arrived in frames.
    pub arrived: u64,
    /// Datagrams that have left in frames.
    pub left: u64,
    /// Trains that went through the kernel: no neighbour known, another interface, this host itself.
    pub kernel_trains: u64,
    /// Frames that were no datagrams for us, though the program had picked them.
    pub refused: u64,
    /// Datagrams that found no frame to leave in.
    pub no_frame: u64,
    /// Endpoints that found no room in the program's table: what is for them comes through the kernel.
    pub endpoints_lost: u64,
    /// What the kernel counted at the queue.
    pub queue: QueueCounters,
}

/// An address and port that the program picks for.
struct Endpoint {
    address: SocketAddr,
    socket: SocketId,
}

/// A queue, and all else that a shard needs to go past the kernel: what can be refused was not.
pub struct Lane {
    queue: Queue,
    neighbours: Neighbours<Netlink>,
    netlink: Netlink,
    mac: Mac,
    mtu: usize,
}

impl Lane {
    /// Over the queue of that number.
    pub fn open(attachment: &Arc<Attachment>, number: u32, frames: Frames) -> Result<Self, Refusal> {
        let queue = Queue::open(attachment, number, frames)?;
        let interface = attachment.interface();
        let open = || Netlink::open().map_err(|code| Refusal::of(code, Step::Interface, &interface.name, 0));
        let mac = interface.mac.ok_or_else(|| Refusal::NotEthernet { name: interface.name.clone() })?;
        let neighbours = Neighbours::new(open()?, interface.index);
        Ok(Self { queue, neighbours, netlink: open()?, mac, mtu: interface.mtu as usize })
    }

    /// Whether the card reads and writes the frames itself.
    pub fn is_zero_copy(&self) -> bool {
        self.queue.is_zero_copy()
    }
}

/// Datagrams past the kernel where that is possible, through `K` where not.
pub struct Bypass<K> {
    kernel: K,
    lane: Lane,
    clock: Box<dyn Fn() -> Instant + Send>,
    endpoints: Vec<Endpoint>,
    addresses: Vec<IpAddr>,
    addresses_at: Instant,
    lent: Option<Lent>,
    since_kernel: u32,
    /// Whose frame was the last.
    learned: Option<IpAddr>,
    buffers: Vec<Vec<u8>>,
    flows: RandomState,
    paused_until: Instant,
    counters: Counters,
}

impl<K: Datagrams> Bypass<K> {
    /// Over a lane, with the backend's own datagrams beneath.
    pub fn new(kernel: K, lane: Lane, clock: impl Fn() -> Instant + Send + 'static) -> Self {
        let mut bypass = Self {
            kernel,
            lane,
            clock: Box::new(clock),
            endpoints: Vec::new(),
            addresses: Vec::new(),
            addresses_at: Instant::default(),
            lent: None,
            since_kernel: 0,
            learned: None,
            buffers: Vec::with_capacity(BUFFERS_MAX),
            flows: RandomState::new(),
            paused_until: Instant::default(),
            counters: Counters::default(),
        };
        let now = (bypass.clock)();
        bypass.look_at_addresses(now);
        bypass
    }

    /// The half beneath.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The half beneath.
    pub fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Can be read from when frames have arrived.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.lane.queue.socket()
    }

    /// The program that picks for it.
    pub fn attachment(&self) -> &Arc<Attachment> {
        self.lane.queue.attachment()
    }

    /// Whether the card reads and writes the frames itself.
    pub fn is_zero_copy(&self) -> bool {
        self.lane.queue.is_zero_copy()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        Counters { queue: self.lane.queue.counters(), ..self.counters }
    }

    /// Ends a round: what was given to [`Datagrams::transmit`] leaves. True if something could not yet, or if frames wait that
    /// have arrived, so that another round is needed at once.
    pub fn end_round(&mut self) -> bool {
        self.give_back();
        self.lane.queue.wake_fill();
        self.lane.queue.flush();
        let now = (self.clock)();
        let has_failed = self.lane.queue.failure().is_some();
        if has_failed {
            self.paused_until = now + PAUSE;
        }
        if now.since(self.addresses_at) >= ADDRESSES_EVERY {
            self.look_at_addresses(now);
        }
        // What an interface that is down does not take waits for it, not for the next round.
        (self.lane.queue.is_backlogged() && !has_failed) || self.lane.queue.has_arrived()
    }

    fn give_back(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.lane.queue.give_back(lent);
        }
    }

    /// Has the program pick for all sockets, at the addresses that the interface has now.
    fn look_at_addresses(&mut self, now: Instant) {
        self.addresses_at = now;
        let attachment = Arc::clone(self.lane.queue.attachment());
        // What cannot be asked for now stays as it is.
        if let Ok(addresses) = self.lane.netlink.addresses(attachment.interface().index) {
            self.addresses = addresses;
        }
        let mut wanted = Vec::new();
        for (number, socket) in self.kernel.sockets().iter().enumerate() {
            let id = SocketId(number as u32);
            let of_socket = |ip: &&IpAddr| match socket.local.ip() {
                any if any.is_unspecified() => any.is_ipv4() == ip.is_ipv4(),
                one => one == **ip,
            };
            let here = self.addresses.iter().filter(of_socket);
            wanted.extend(here.map(|&ip| Endpoint { address: SocketAddr::new(ip, socket.local.port()), socket: id }));
        }
        let queue = self.lane.queue.number();
        let is_in = |endpoint: &Endpoint, list: &[Endpoint]| list.iter().any(|one| one.address == endpoint.address);
        for gone in self.endpoints.iter().filter(|endpoint| !is_in(endpoint, &wanted)) {
            // What is picked for nobody is dropped by `next_train`.
            let _stays = attachment.set_endpoint(gone.address, queue, false);
        }
        let known = std::mem::take(&mut self.endpoints);
        wanted.retain(|endpoint| {
            let is_entered = is_in(endpoint, &known) || attachment.set_endpoint(endpoint.address, queue, true).is_ok();
            self.counters.endpoints_lost += u64::from(!is_entered);
            is_entered
        });
        wanted.sort_by_key(|endpoint| endpoint.address);
        self.endpoints = wanted;
    }

    fn socket_of(&self, to: SocketAddr) -> Option<SocketId> {
        let at = self.endpoints.binary_search_by_key(&to, |endpoint| endpoint.address).ok()?;
        self.endpoints.get(at).map(|endpoint| endpoint.socket)
    }

    /// The next frame that is a datagram for us: lent until it is given back.
    fn next_frame(&mut self) -> Option<(Lent, frame::Frame, SocketId)> {
        loop {
            let lent = self.lane.queue.take()?;
            // The card has verified the checksum, or nobody has finished it: between two virtual interfaces of one host.
            let parsed = self.lane.queue.bytes(lent).map(|bytes| frame::parse(bytes, UdpChecksum::Ignored));
            if let Some(Ok(frame)) = parsed {
                // A datagram without bytes cannot be told from none, and QUIC has no use for one.
                if let Some(socket) = self.socket_of(frame.to).filter(|_| !frame.payload.is_empty()) {
                    return Some((lent, frame, socket));
                }
            }
            self.counters.refused += 1;
            self.lane.queue.give_back(lent);
        }
    }

    /// Sends as frames; false if that is not possible.
    fn send_frames(&mut self, train: &Train, bytes: &[u8]) -> bool {
        let now = (self.clock)();
        if now < self.paused_until || self.lane.queue.failure().is_some() || is_link_local(train.to.ip()) {
            return false;
        }
        let Some(socket) = self.kernel.sockets().get(train.socket.0 as usize).copied() else { return false };
        let Way::Frames { mac, from } = self.lane.neighbours.way(train.to.ip(), now) else { return false };
        let local = socket.local.ip();
        let source = train.from.or(Some(local).filter(|ip| !ip.is_unspecified())).or(from);
        let source = source.or_else(|| self.addresses.iter().copied().find(|ip| is_fit(*ip, train.to.ip())));
        let Some(source) = source.filter(|ip| ip.is_ipv4() == train.to.is_ipv4()) else { return false };
        let from = SocketAddr::new(source, socket.local.port());
        let flow_label = if source.is_ipv6() { self.flows.hash_one((from, train.to)) as u32 } else { 0 };
        let (ecn, to) = (train.ecn, train.to);
        let head = Head { source_mac: self.lane.mac, destination_mac: mac, from, to, ecn, hops: HOPS, flow_label };
        let headers = head.bytes();
        // Larger than the interface takes: the kernel's to cut up, or to refuse.
        if headers - frame::ETHERNET_BYTES + train.segment_bytes.min(bytes.len()) > self.lane.mtu {
            return false;
        }
        for segment in bytes.chunks(train.segment_bytes) {
            let is_sent = self.lane.queue.send(headers + segment.len(), |frame| {
                frame[headers..].copy_from_slice(segment);
                head.write(frame)
            });
            match is_sent {
                true => self.counters.left += 1,
                false => self.counters.no_frame += 1,
            }
        }
        true
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether an address of ours may send to that one.
fn is_fit(ours: IpAddr, to: IpAddr) -> bool {
    ours.is_ipv4() == to.is_ipv4() && !is_link_local(ours)
}

impl<K: Datagrams> Datagrams for Bypass<K> {
    fn sockets(&self) -> &[Socket] {
        self.kernel.sockets()
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        let id = self.kernel.open(is_ipv6)?;
        let now = (self.clock)();
        self.look_at_addresses(now);
        Ok(id)
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        self.give_back();
        let found = if self.since_kernel < BURST { self.next_frame() } else { None };
        let Some((lent, frame, socket)) = found else {
            self.since_kernel = 0;
            return self.kernel.next_train();
        };
        self.since_kernel += 1;
        let at = (self.clock)();
        self.counters.arrived += 1;
        self.lent = Some(lent);
        // Of a train only the first has something new.
        if self.learned != Some(frame.from.ip()) {
            self.learned = Some(frame.from.ip());
            self.lane.neighbours.learn(frame.from.ip(), frame.source_mac, at);
        }
        let from = match frame.from {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
                let interface = self.lane.queue.attachment().interface().index;
                SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, interface))
            }
            from => from,
        };
        let bytes = self.lane.queue.bytes(lent)?.get_mut(frame.payload)?;
        let (to, ecn, segment_bytes) = (Some(frame.to.ip()), frame.ecn, bytes.len());
        Some(Arrived { socket, from, to, ecn, at, segment_bytes, bytes })
    }

    fn segments_max(&self) -> usize {
        SEGMENTS_MAX.min(TRAIN_BYTES_MAX / self.datagram_bytes_max().max(1)).max(1)
    }

    fn datagram_bytes_max(&self) -> usize {
        let headers = frame::HEADERS_IPV6_BYTES - frame::ETHERNET_BYTES;
        self.lane.mtu.saturating_sub(headers)
    }

    fn room(&self) -> usize {
        if self.lane.queue.failure().is_some() {
            return self.kernel.room();
        }
        (self.lane.queue.room() / self.segments_max()).min(self.kernel.room())
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(TRAIN_BYTES_MAX))
    }

    fn transmit(&mut self, train: Train, mut bytes: Vec<u8>) {
        if train.segment_bytes == 0 || bytes.is_empty() {
            return;
        }
        if !self.send_frames(&train, &bytes) {
            self.counters.kernel_trains += 1;
            let piece_bytes = train.segment_bytes.saturating_mul(self.kernel.segments_max().max(1));
            if bytes.len() <= piece_bytes {
                return self.kernel.transmit(train, bytes);
            }
            for piece in bytes.chunks(piece_bytes) {
                let mut buffer = self.kernel.buffer();
                buffer.extend_from_slice(piece);
                self.kernel.transmit(train, buffer);
            }
        }
        if self.buffers.len() < BUFFERS_MAX {
            bytes.clear();
            self.buffers.push(bytes);
        }
    }

    fn lost(&self) -> u64 {
        let QueueCounters { arrived_dropped, ring_full, .. } = self.lane.queue.counters();
        self.kernel.lost() + self.counters.no_frame + arrived_dropped + ring_full
    }
}
