//! Two hosts with a wire between them, and what moves datagrams there.

pub mod net;

use datagram::udp::plain::PlainSockets;
use datagram::{Datagrams, Ecn, SocketId, Train};
use net::Host;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use xdp::{Attachment, Bypass, Mode};

/// Within so long what is to happen has happened, on whatever host.
pub const SOON: Duration = Duration::from_secs(20);

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time of all shards here.
pub fn clock() -> wire::Instant {
    wire::Instant(BEGIN.elapsed().as_nanos() as u64 + 1_000_000_000_000)
}

pub type Shard = Bypass<PlainSockets>;

/// Sockets of the kernel, as backends have them.
pub fn sockets(addresses: &[SocketAddr]) -> PlainSockets {
    let listeners = addresses.iter().map(|address| UdpSocket::bind(address).unwrap().into()).collect();
    PlainSockets::new(listeners, clock).unwrap()
}

/// A shard of the host over one queue, with sockets bound there.
pub fn shard(host: &Host, attachment: &std::sync::Arc<Attachment>, queue: u32, addresses: &[SocketAddr]) -> Shard {
    host.run(|| {
        let lane = xdp::Lane::open(attachment, queue, xdp::Frames::default()).unwrap();
        Bypass::new(sockets(addresses), lane, clock)
    })
}

/// The one shard of a host.
pub fn only_shard(host: &Host, modes: &[Mode], addresses: &[SocketAddr]) -> Shard {
    let attachment = host.run(|| Attachment::new(host.interface(), modes)).unwrap();
    shard(host, &attachment, 0, addresses)
}

/// A train as it has arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub socket: SocketId,
    pub from: SocketAddr,
    pub to: Option<IpAddr>,
    pub ecn: Option<Ecn>,
    pub bytes: Vec<u8>,
}

/// Ends the shard's round and takes what has arrived.
pub fn round(shard: &mut Shard) -> Vec<Seen> {
    let mut seen = Vec::new();
    for number in 0..shard.sockets().len() as u32 {
        shard.kernel_mut().note_readable(SocketId(number));
    }
    while let Some(arrived) = shard.next_train() {
        for bytes in arrived.bytes.chunks(arrived.segment_bytes) {
            let (socket, from, to, ecn) = (arrived.socket, arrived.from, arrived.to, arrived.ecn);
            seen.push(Seen { socket, from, to, ecn, bytes: bytes.to_vec() });
        }
    }
    end(shard);
    seen
}

/// What was sent leaves, by whichever way.
pub fn end(shard: &mut Shard) {
    shard.kernel_mut().flush();
    shard.end_round();
}

/// Rounds until so many datagrams have arrived.
#[track_caller]
pub fn receive(shard: &mut Shard, count: usize) -> Vec<Seen> {
    let begin = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(round(shard));
        assert!(begin.elapsed() < SOON, "{} of {count} datagrams: {:?}", seen.len(), shard.counters());
        std::thread::yield_now();
    }
    seen
}

pub fn send(shard: &mut Shard, to: SocketAddr, ecn: Option<Ecn>, segment_bytes: usize, bytes: &[u8]) {
    let mut buffer = shard.buffer();
    buffer.extend_from_slice(bytes);
    shard.transmit(Train { socket: SocketId(0), to, from: None, ecn, segment_bytes }, buffer);
    end(shard);
}

/// Bytes that are the same nowhere.
pub fn pattern(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251 + seed * 77) as u8).collect()
}

/// Sends from the first to the second shard until one datagram has arrived in a frame, so that both know their neighbours.
#[track_caller]
pub fn meet(first: &mut Shard, second: &mut Shard, to: SocketAddr) {
    let begin = Instant::now();
    let before = second.counters().arrived;
    while second.counters().arrived == before {
        send(first, to, None, 5, b"hello");
        round(second);
        round(first);
        assert!(begin.elapsed() < SOON, "{:?} {:?}", first.counters(), second.counters());
        std::thread::sleep(Duration::from_millis(2));
    }
    // What was still under way through the kernel.
    std::thread::sleep(Duration::from_millis(100));
    round(second);
}

/// The host's capabilities do not allow it, which was said.
#[macro_export]
macro_rules! pair_or_return {
    ($queues:expr) => {
        match $crate::support::net::pair($queues) {
            Some(pair) => pair,
            None => return,
        }
    };
}
