//! Datagrams that come to a shard's sockets, from anybody.

use crate::{Target, Verdict};
use ::quic::{Arrived, Common, Endpoint, Event, PortId, Read};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use wire::Instant;

/// Datagrams to a listener and to the socket of a dial, each behind the socket's number and two bytes of length.
pub const ENDPOINT: Target = Target { name: "quic_endpoint", run: receive, seeds };

/// Both datagrams of a dialler's first flight, as one of this crate's endpoints sent them.
const FIRST_FLIGHT: &[u8] = include_bytes!("quic/first_flight.bin");
const LISTENER: u8 = 0;
const DIALLER: u8 = 1;
const DATAGRAM_BYTES: usize = 1280;
/// More trains than any input makes an endpoint send in one round.
const TRAINS_MAX: usize = 1000;

fn receive(data: &[u8]) -> Verdict {
    static COMMON: LazyLock<Common> = LazyLock::new(|| Common::new().expect("QUIC's settings"));
    let mut now = Instant(1);
    let mut endpoint = Endpoint::new(COMMON.clone(), now);
    endpoint.add_port(true, false);
    endpoint.add_port(false, false);
    let dialled = endpoint.connect(SocketAddr::from(([192, 0, 2, 1], 443)), now).expect("a socket is there");
    endpoint.begin_round(now);
    let mut rest = data;
    while let [socket, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, behind) = tail.split_at(length);
        rest = behind;
        let from = SocketAddr::from(([192, 0, 2, 1], 443));
        let port = PortId(u32::from(*socket & 1));
        let segment_bytes = if *socket & 2 == 0 { 0 } else { DATAGRAM_BYTES };
        let arrived = Arrived { port, from, to: None, ecn: *socket >> 2, at: now, segment_bytes, bytes };
        endpoint.handle(arrived, now);
    }
    // One is the dial.
    let is_accepted = endpoint.connections() > 1;
    for wait in [Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(60)] {
        let mut trains = 0;
        let mut bytes = Vec::new();
        while endpoint.poll_transmit(now, 10, false, &mut bytes).is_some() {
            bytes.clear();
            trains += 1;
            assert!(trains < TRAINS_MAX, "it sends without end");
        }
        while let Some(event) = endpoint.next_event() {
            if let Event::Accepted { conn, .. } | Event::Readable { conn } = event {
                let mut read = Vec::new();
                while let Read::Bytes { .. } = endpoint.read(conn, 1 << 16, &mut read) {
                    read.clear();
                }
                endpoint.close(conn, now);
            }
        }
        now += wait;
        endpoint.begin_round(now);
    }
    endpoint.close(dialled, now);
    now += Duration::from_secs(60);
    endpoint.begin_round(now);
    assert_eq!(endpoint.connections(), 0, "something stays");
    Verdict::of(is_accepted)
}

fn seeds() -> Vec<Vec<u8>> {
    let datagrams = || FIRST_FLIGHT.chunks(DATAGRAM_BYTES);
    let piece = |socket: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("datagrams are short");
        [&[socket][..], &length.to_be_bytes(), bytes].concat()
    };
    vec![
        datagrams().flat_map(|datagram| piece(LISTENER, datagram)).collect(),
        // As one train, and once more to the other socket.
        [piece(LISTENER | 2, FIRST_FLIGHT), piece(DIALLER, FIRST_FLIGHT)].concat(),
    ]
}
