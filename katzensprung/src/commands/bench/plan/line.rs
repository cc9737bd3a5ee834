//! What a packet takes of a card's line.

use serde::Serialize;
use std::fmt;
use wire::command::COMMAND_HEADER_BYTES;
use wire::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES};

/// Bytes of a frame around its packet.
pub const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + COMMAND_HEADER_BYTES + FRAME_BODY_TAG_BYTES;
/// The share of a line that is planned for: bursts queue beyond it.
pub const LINE_SHARE: f64 = 0.8;
/// Preamble, header, checksum and gap of a frame of Ethernet.
const ETHERNET_BYTES: f64 = 38.0;
/// The usual MTU of Ethernet.
const MTU: f64 = 1_500.0;
/// Headers of IPv4, and of TCP with timestamps.
const TCP_HEADERS: f64 = 20.0 + 32.0;
/// The largest datagram that the reference takes, with headers of IPv4 and UDP.
const DATAGRAM: f64 = 1_452.0;
const UDP_HEADERS: f64 = 20.0 + 8.0;
/// Of a datagram of QUIC: first byte, connection id and packet number; the tag; type, stream, offset and length.
const QUIC_AROUND: f64 = (1.0 + 4.0 + 2.0) + 16.0 + (1.0 + 1.0 + 8.0 + 2.0);
/// A datagram that only acknowledges.
const QUIC_ACK: f64 = 31.0;
/// Datagrams or segments for each that acknowledges.
const ACKNOWLEDGED: f64 = 2.0;

/// What links are carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Streams of the kernel
    Tcp,
    /// Streams in datagrams
    Quic,
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        })
    }
}

/// Bytes of the line for one packet, each way, and how that comes about.
pub fn bytes(packet_bytes: usize, transport: Transport) -> (f64, String) {
    let frame = (packet_bytes + FRAME_OVERHEAD_BYTES) as f64;
    let (carried, whole, ack) = match transport {
        Transport::Tcp => (MTU - TCP_HEADERS, MTU + ETHERNET_BYTES, TCP_HEADERS + ETHERNET_BYTES),
        Transport::Quic => {
            (DATAGRAM - QUIC_AROUND, DATAGRAM + UDP_HEADERS + ETHERNET_BYTES, QUIC_ACK + UDP_HEADERS + ETHERNET_BYTES)
        }
    };
    let bytes = frame / carried * (whole + ack / ACKNOWLEDGED);
    (bytes, format!("({packet_bytes} + {FRAME_OVERHEAD_BYTES}) / {carried} x ({whole} + {ack} / {ACKNOWLEDGED})"))
}

/// Packets per second that a line carries at the share that is planned for.
pub fn packets_per_second(card_gbit: u32, packet_bytes: usize, transport: Transport) -> f64 {
    LINE_SHARE * f64::from(card_gbit) * 1e9 / 8.0 / bytes(packet_bytes, transport).0
}
