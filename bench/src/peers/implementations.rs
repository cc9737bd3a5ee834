//! Other implementations of Sphinx, each with its own format, over X25519: the best call that each has for what a mix
//! does to a packet, on packets that are sent on. They derive, authenticate and blind as Sphinx has it; the payload's
//! cipher is LIONESS in both, where the reference's protocol has AEZ.
//!
//! What their callers do besides is left out to their advantage: reading and writing bytes, and looking up a replay tag.

use nox_crypto::sphinx::ProcessResult;
use nox_crypto::{HEADER_SIZE as NOX_HEADER_BYTES, PathHop, SphinxHeader, build_multi_hop_packet};
use sphinx_packet::constants::{DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, NODE_ADDRESS_LENGTH};
use sphinx_packet::header::delays::Delay;
use sphinx_packet::payload::PAYLOAD_OVERHEAD_SIZE;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use sphinx_packet::{ProcessedPacketData, SphinxPacket, SphinxPacketBuilder};

/// Hops of their packets: what both of them have by default. The header has one size whatever the path.
const HOPS: u8 = 3;

/// An implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// `sphinx-packet`: Nym's.
    Nym,
    /// `nox-crypto`: NOX's.
    Nox,
}

impl Implementation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nym, Self::Nox];

    /// The package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nym => "sphinx-packet 0.8",
            Self::Nox => "nox-crypto 0.1",
        }
    }

    /// What is in the column of schemes.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Nym => "X25519 NIKE beside sphinx-packet",
            Self::Nox => "X25519 NIKE beside nox-crypto",
        }
    }

    /// Packets with a payload of that size.
    pub fn mix(self, payload_bytes: usize) -> Result<Box<dyn Mix>, String> {
        Ok(match self {
            Self::Nym => Box::new(NymMix::new(payload_bytes)?),
            Self::Nox => Box::new(NoxMix::new(payload_bytes)?),
        })
    }
}

/// One mix, and copies of a packet for it.
pub trait Mix {
    /// Makes so many copies of the packet, of which [`unwrap`](Self::unwrap) uses one up.
    fn restore(&mut self, copies: usize);

    /// Unwraps a packet; whether it is to be sent on. None is left: no.
    fn unwrap(&mut self) -> bool;
}

struct NymMix {
    private: x25519_dalek::StaticSecret,
    packet: Vec<u8>,
    copies: Vec<SphinxPacket>,
}

impl NymMix {
    fn new(payload_bytes: usize) -> Result<Self, String> {
        let private = |hop: u8| x25519_dalek::StaticSecret::from([hop + 1; 32]);
        let node = |hop: u8| {
            let address = NodeAddressBytes::from_bytes([hop; NODE_ADDRESS_LENGTH]);
            Node::new(address, x25519_dalek::PublicKey::from(&private(hop)))
        };
        let route: Vec<_> = (0..HOPS).map(node).collect();
        let address = DestinationAddressBytes::from_bytes([9; DESTINATION_ADDRESS_LENGTH]);
        let destination = Destination::new(address, [9; IDENTIFIER_LENGTH]);
        let delays = vec![Delay::new_from_millis(10); route.len()];
        let packet = SphinxPacketBuilder::new()
            .with_payload_size(payload_bytes + PAYLOAD_OVERHEAD_SIZE)
            .build_packet(vec![7; payload_bytes], &route, &destination, &delays)
            .map_err(|error| error.to_string())?;
        Ok(Self { private: private(0), packet: packet.to_bytes(), copies: Vec::new() })
    }
}

impl Mix for NymMix {
    fn restore(&mut self, copies: usize) {
        let packet = || SphinxPacket::from_bytes(&self.packet).expect("its own bytes");
        self.copies = (0..copies).map(|_| packet()).collect();
    }

    fn unwrap(&mut self) -> bool {
        let processed = self.copies.pop().and_then(|packet| packet.process(&self.private).ok());
        processed.is_some_and(|processed| matches!(processed.data, ProcessedPacketData::ForwardHop { .. }))
    }
}

struct NoxMix {
    private: x25519_dalek_2::StaticSecret,
    header: SphinxHeader,
    body: Vec<u8>,
    copies: Vec<Vec<u8>>,
}

impl NoxMix {
    /// Its packets have 32 kB; its call takes a body of any size.
    fn new(payload_bytes: usize) -> Result<Self, String> {
        let private = |hop: u8| x25519_dalek_2::StaticSecret::from([hop + 1; 32]);
        let hop = |hop: u8| PathHop {
            public_key: x25519_dalek_2::PublicKey::from(&private(hop)),
            address: format!("/ip4/127.0.0.1/tcp/{}", 9000 + u16::from(hop)),
        };
        let path: Vec<_> = (0..HOPS).map(hop).collect();
        let packet = build_multi_hop_packet(&path, &[7; 100], 0).map_err(|error| error.to_string())?;
        let (header, body) = SphinxHeader::from_bytes(&packet).map_err(|error| error.to_string())?;
        if body.len() < payload_bytes {
            return Err(format!("nox-crypto carries {} bytes behind {NOX_HEADER_BYTES} of header", body.len()));
        }
        Ok(Self { private: private(0), header, body: body[..payload_bytes].to_vec(), copies: Vec::new() })
    }
}

impl Mix for NoxMix {
    fn restore(&mut self, copies: usize) {
        self.copies = vec![self.body.clone(); copies];
    }

    fn unwrap(&mut self) -> bool {
        let processed = self.copies.pop().and_then(|body| self.header.process(&self.private, body).ok());
        matches!(processed, Some(ProcessResult::Forward { .. }))
    }
}
