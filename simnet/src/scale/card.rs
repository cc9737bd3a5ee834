//! A network card before the node: one line, queues that the flows of links are dealt out to by a hash, rings that are full
//! when nobody empties them, and peers that send in bursts.
//!
//! Each shard owns the queues whose number is its own, counted round; it empties their rings when a round begins, and never
//! sleeps for longer than [`POLL`] as long as there is a card. A packet whose frames find no room in the ring is lost, and
//! another one is sent in its place later. Not there are interrupts, buses and memory.

#[cfg(test)]
mod tests;

use crypto_simd::random::{Random, SeededRandom};
use dataplane::Instant;
use serde::Serialize;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How often a shard without work looks at its rings.
pub const POLL: Duration = Duration::from_micros(10);
/// Bytes of a link's stream in one frame of Ethernet with an MTU of 1500 (IPv4, TCP with timestamps).
pub const SEGMENT_BYTES: usize = 1_448;
/// What a frame takes of the line beside that: TCP, IPv4, Ethernet, preamble, gap.
pub const AROUND_SEGMENT_BYTES: usize = 32 + 20 + 18 + 20;
/// Entries of the table that leads from hashes to queues.
const TABLE: usize = 128;
/// The key that drivers have by default.
const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
    0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
    0x01, 0xfa,
];

/// What a card is like, and what comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CardOptions {
    /// The line, each way.
    pub bits_per_second: u64,
    /// Queues.
    pub queues: usize,
    /// Frames that the ring of one queue holds.
    pub ring_frames: usize,
    /// Packets that one peer sends back to back.
    pub burst_packets: usize,
}

/// What has happened at a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that came over the line.
    pub offered: u64,
    /// Those that found a full ring.
    pub lost: u64,
    /// Packets that peers kept back, because the node does not read their links.
    pub held_back: u64,
    /// The most frames in one ring.
    pub ring_frames_most: usize,
}

/// Bytes of a link whose frames are in a ring.
struct Waiting {
    link: usize,
    frames: usize,
    at: Instant,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Ring {
    waiting: VecDeque<Waiting>,
    frames: usize,
    frames_ever: u64,
    emptied_at: Instant,
}

/// A card and those who send to it.
pub struct Card {
    options: CardOptions,
    packets_per_second: f64,
    shards: usize,
    /// By link.
    queues: Vec<usize>,
    rings: Vec<Ring>,
    random: SeededRandom,
    /// When the next burst begins, from which link, and what is left of it.
    burst_at: Instant,
    burst_link: usize,
    burst_left: usize,
    line_free_at: Instant,
    tally: Tally,
}

/// A packet that comes over the line.
pub struct Coming {
    /// Over which link.
    pub link: usize,
    /// When all of it is there.
    pub at: Instant,
}

impl Card {
    /// For flows from those addresses to the node's.
    pub fn new(
        options: CardOptions,
        packets_per_second: f64,
        shards: usize,
        flows: &[SocketAddrV4],
        to: SocketAddrV4,
        random: SeededRandom,
    ) -> Self {
        let options =
            CardOptions { queues: options.queues.max(1), burst_packets: options.burst_packets.max(1), ..options };
        Self {
            options,
            packets_per_second,
            shards,
            queues: flows.iter().map(|from| queue(*from, to, options.queues)).collect(),
            rings: (0..options.queues).map(|_| Ring::default()).collect(),
            random,
            burst_at: Instant::default(),
            burst_link: 0,
            burst_left: 0,
            line_free_at: Instant::default(),
            tally: Tally::default(),
        }
    }

    /// Peers begin to send.
    pub fn begin(&mut self, now: Instant) {
        self.burst_at = now;
        self.line_free_at = now;
    }

    /// When the next packet has come.
    pub fn next_at(&self, frame_bytes: usize) -> Instant {
        let begins = if self.burst_left > 0 { self.line_free_at } else { self.burst_at.max(self.line_free_at) };
        begins + self.on_line(frame_bytes)
    }

    /// The next packet, if it has come.
    pub fn next(&mut self, now: Instant, frame_bytes: usize) -> Option<Coming> {
        let at = self.next_at(frame_bytes);
        if at > now {
            return None;
        }
        if self.burst_left == 0 {
            self.burst_left = self.options.burst_packets;
            let mut drawn = [0; 4];
            self.random.fill(&mut drawn);
            self.burst_link = u32::from_le_bytes(drawn) as usize % self.queues.len().max(1);
            let between = self.options.burst_packets as f64 / self.packets_per_second.max(1.0);
            self.burst_at += Duration::from_secs_f64(between);
        }
        self.burst_left -= 1;
        self.line_free_at = at;
        self.tally.offered += 1;
        Some(Coming { link: self.burst_link, at })
    }

    /// Whether its ring has room for a packet, which is lost otherwise.
    pub fn has_room(&mut self, coming: &Coming, frame_bytes: usize) -> bool {
        let ring = &self.rings[self.queues[coming.link]];
        let has_room = ring.frames + frames(frame_bytes) <= self.options.ring_frames;
        self.tally.lost += u64::from(!has_room);
        has_room
    }

    /// Its sender keeps it back.
    pub fn hold_back(&mut self) {
        self.tally.held_back += 1;
    }

    /// Puts it into the ring.
    pub fn put(&mut self, coming: &Coming, bytes: Vec<u8>) {
        let ring = &mut self.rings[self.queues[coming.link]];
        let frames = frames(bytes.len());
        ring.frames += frames;
        ring.frames_ever += frames as u64;
        self.tally.ring_frames_most = self.tally.ring_frames_most.max(ring.frames);
        ring.waiting.push_back(Waiting { link: coming.link, frames, at: coming.at, bytes });
    }

    /// A shard begins a round: it takes what is in its rings.
    pub fn empty(&mut self, shard: usize, now: Instant) {
        for ring in self.rings.iter_mut().skip(shard).step_by(self.shards) {
            ring.emptied_at = now;
        }
    }

    /// What shards have taken, by link.
    pub fn taken(&mut self, mut take: impl FnMut(usize, Vec<u8>)) {
        for ring in &mut self.rings {
            while let Some(waiting) = ring.waiting.pop_front_if(|waiting| waiting.at <= ring.emptied_at) {
                ring.frames -= waiting.frames;
                take(waiting.link, waiting.bytes);
            }
        }
    }

    /// Whether something is in a ring.
    pub fn is_waiting(&self) -> bool {
        self.rings.iter().any(|ring| ring.frames > 0)
    }

    /// What has happened.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The share of the busiest queue in all frames.
    pub fn busiest_share(&self) -> f64 {
        let of = |ring: &Ring| ring.frames_ever as f64;
        let all: f64 = self.rings.iter().map(of).sum();
        self.rings.iter().map(of).fold(0.0, f64::max) / all.max(1.0)
    }

    fn on_line(&self, frame_bytes: usize) -> Duration {
        let bytes = frame_bytes + frames(frame_bytes) * AROUND_SEGMENT_BYTES;
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.options.bits_per_second.max(1) as f64)
    }
}

/// Frames of Ethernet for so many bytes of a link.
fn frames(bytes: usize) -> usize {
    bytes.div_ceil(SEGMENT_BYTES)
}

/// The queue that a flow's frames come to.
fn queue(from: SocketAddrV4, to: SocketAddrV4, queues: usize) -> usize {
    hash(from, to) as usize % TABLE % queues
}

/// The hash by which cards deal out flows (Toeplitz) of both addresses and both ports.
fn hash(from: SocketAddrV4, to: SocketAddrV4) -> u32 {
    let mut input = [0; 12];
    input[..4].copy_from_slice(&from.ip().octets());
    input[4..8].copy_from_slice(&to.ip().octets());
    input[8..10].copy_from_slice(&from.port().to_be_bytes());
    input[10..].copy_from_slice(&to.port().to_be_bytes());
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let window = |at: usize| (at..at + 32).fold(0_u32, |word, at| word << 1 | u32::from(bit(&KEY, at)));
    (0..8 * input.len()).filter(|at| bit(&input, *at) == 1).fold(0, |hash, at| hash ^ window(at))
}
