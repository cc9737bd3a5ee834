//! Strangers: datagrams from addresses that nobody has.

use datagram::udp::plain::PlainSockets;
use datagram::{Datagrams, SocketId, Train};
use quic::{Common, Endpoint};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as StdInstant};
use wire::Instant;

/// Between two bursts.
const TICK: Duration = Duration::from_millis(5);
/// First flights in a burst: 1,000 a second.
const FLIGHTS: usize = 5;
/// First flights that are made in advance, and sent again from other addresses.
const FLIGHTS_MADE: usize = 500;
/// Datagrams of a first flight.
const FLIGHT_BYTES: usize = 1280;
/// Short datagrams in a burst, of each size: 8,000 a second.
const SHORT: usize = 8;
const SHORT_BYTES: [usize; 5] = [1, 7, 20, 45, 200];
/// Sockets, each with a port of its own.
const PORTS: usize = 4;

/// A flood that goes on until it is dropped.
pub struct Flood {
    pub sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// First flights, short datagrams and garbage to `to`, from addresses between 127.0.0.0 and 127.255.255.255.
    pub fn new(to: SocketAddr) -> Self {
        let (sent, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ending) = (sent.clone(), is_over.clone());
        let thread = Some(std::thread::spawn(move || send(to, &count, &ending)));
        Self { sent, is_over, thread }
    }

    /// Datagrams so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the flood has panicked");
        }
    }
}

fn send(to: SocketAddr, sent: &AtomicU64, is_over: &AtomicBool) {
    let common = Common::new().expect("QUIC's settings");
    let flights: Vec<_> = (0..FLIGHTS_MADE).map(|_| first_flight(&common, to)).collect();
    let mut sockets = PlainSockets::new(Vec::new(), Instant::default).expect("none");
    let ports: Vec<_> = (0..PORTS).map(|_| sockets.open(false).expect("a socket")).collect();
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let begin = StdInstant::now();
        let mut throw = |segment_bytes, bytes: &[u8]| {
            number += 1;
            throw(&mut sockets, ports[number % PORTS], to, number, segment_bytes, bytes);
            sent.fetch_add(bytes.len().div_ceil(segment_bytes) as u64, Ordering::Relaxed);
        };
        for flight in 0..FLIGHTS {
            throw(FLIGHT_BYTES, &flights[(begin.elapsed().subsec_nanos() as usize + flight * 97) % FLIGHTS_MADE]);
        }
        for (size, first) in SHORT_BYTES.into_iter().zip([0x40, 0x40, 0x55, 0x61, 0x7f]) {
            throw(size, &vec![first; size * SHORT]);
        }
        // A version that nobody speaks, which is to be answered; a long header and nothing behind it; the longest datagram.
        let unknown = [&[0xc0, 1, 2, 3, 4, 8][..], &[7; 8], &[0], &[0; 1265]].concat();
        throw(unknown.len(), &unknown);
        throw(6, &[0xc0, 0, 0, 0, 1, 20]);
        throw(60_000, &[0xc0; 60_000]);
        std::thread::sleep(TICK.saturating_sub(begin.elapsed()));
    }
}

/// Both datagrams of a dial.
fn first_flight(common: &Common, to: SocketAddr) -> Vec<u8> {
    let now = Instant::default();
    let mut endpoint = Endpoint::new(common.clone(), now);
    endpoint.add_port(false, false);
    endpoint.connect(to, now).expect("a socket is there");
    let (mut flight, mut bytes) = (Vec::new(), Vec::new());
    while let Some(departure) = endpoint.poll_transmit(now, 2, false, &mut bytes) {
        assert_eq!(departure.segment_bytes, FLIGHT_BYTES);
        flight.append(&mut bytes);
    }
    flight
}

fn throw(
    sockets: &mut PlainSockets,
    socket: SocketId,
    to: SocketAddr,
    number: usize,
    segment_bytes: usize,
    bytes: &[u8],
) {
    let host = (number as u32).wrapping_mul(0x9e37_79b9) | 2;
    let from = IpAddr::V4(Ipv4Addr::from(0x7f00_0000 | host & 0x00ff_ffff));
    let mut buffer = sockets.buffer();
    buffer.extend_from_slice(bytes);
    sockets.transmit(Train { socket, to, from: Some(from), ecn: None, segment_bytes }, buffer);
}
