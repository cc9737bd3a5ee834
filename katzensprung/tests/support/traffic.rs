//! Packets through the node, from the node before it to the one behind it.

use super::site::{SOON, Site};
use bench::rig::link::{FRAME_OVERHEAD_BYTES, Incoming, PACKET_OFFSET};
use bench::rig::network::Network;
use bench::rig::peers::{self, Links, NodeCredentials};
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use sphinx::Sphinx;
use sphinx::create::{LoadCommand, LoadMaker};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The delay that packets ask for.
const DELAY_MS: u32 = 5;

/// A packet as it goes in and as it comes out.
#[derive(Clone)]
pub struct Packet {
    before: Vec<u8>,
    behind: Vec<u8>,
}

/// Links through which packets go.
pub struct Traffic {
    network: Arc<Network>,
    credentials: NodeCredentials,
    address: SocketAddr,
    links: Links,
}

impl Traffic {
    /// With the links of one node on either side.
    pub fn new(site: &Site, links: Links) -> Self {
        let (network, credentials) = (site.network.clone(), site.credentials.clone());
        Self { network, credentials, address: site.folder.address, links }
    }

    /// New packets for the mix key of `epoch` in the node's descriptor.
    pub fn packets(&self, descriptor: &MixDescriptor, epoch: Epoch, count: usize) -> Vec<Packet> {
        let geometry = &self.network.geometry;
        let key = descriptor.mix_key(epoch).expect("a key of that epoch");
        let sphinx = Sphinx::new(geometry.clone()).expect("a geometry");
        let maker = LoadMaker::new(sphinx, key, &mut OsRandom).expect("a mix key");
        let next = self.network.downstream[0].identity.id;
        let commands: Vec<_> = (0..count).map(|_| LoadCommand { next, delay_ms: DELAY_MS }).collect();
        let empty = Packet { before: vec![0; geometry.packet_length], behind: vec![0; geometry.packet_length] };
        let mut packets = vec![empty; count];
        let (mut before, mut behind): (Vec<_>, Vec<_>) =
            packets.iter_mut().map(|packet| (&mut packet.before[..], &mut packet.behind[..])).unzip();
        maker.make(&commands, &mut OsRandom, &mut before, &mut behind).expect("packets");
        packets
    }

    /// Sends packets to the node without waiting for what comes of them.
    #[track_caller]
    pub fn send(&mut self, packets: &[Packet]) {
        let link = &mut self.links.upstream[0];
        let mut frames = Vec::new();
        for packet in packets {
            let begin = frames.len();
            frames.resize(begin + PACKET_OFFSET, 0);
            frames.extend_from_slice(&packet.before);
            frames.resize(begin + FRAME_OVERHEAD_BYTES + packet.before.len(), 0);
            link.seal(&mut frames[begin..]).expect("a frame");
            link.push(begin..frames.len());
        }
        let deadline = Instant::now() + SOON;
        while link.is_pending() {
            link.flush(&frames).expect("the node reads");
            assert!(Instant::now() < deadline, "the node does not read");
        }
    }

    /// Waits until exactly these packets have come out, each once, in any order.
    #[track_caller]
    pub fn receive(&mut self, packets: &[Packet]) {
        let mut missing: Vec<&[u8]> = packets.iter().map(|packet| &packet.behind[..]).collect();
        let deadline = Instant::now() + SOON;
        while !missing.is_empty() {
            while let Some(packet) = self.next_received() {
                let at = missing.iter().position(|expected| *expected == packet);
                missing.swap_remove(at.expect("a packet that was sent, and once"));
            }
            assert!(Instant::now() < deadline, "{} packets have not come out", missing.len());
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(self.next_received().is_none(), "more packets have come out than went in");
    }

    /// Packets through the node.
    #[track_caller]
    pub fn pass(&mut self, packets: &[Packet]) {
        self.send(packets);
        self.receive(packets);
    }

    /// Nothing comes out for a while.
    #[track_caller]
    pub fn nothing_comes(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            assert!(self.next_received().is_none(), "a packet came out");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Links the neighbours again after the node has dropped them.
    #[track_caller]
    pub fn relink(&mut self) {
        self.links.downstream[0] = None;
        let deadline = Instant::now() + SOON;
        let before = &self.network.upstream[0];
        let link = peers::dial(&self.network, before, &self.credentials, self.address, deadline);
        self.links.upstream[0] = link.expect("the node is willing");
        let (_, link) = self.links.accepted.recv_timeout(SOON).expect("the node dials");
        self.links.downstream[0] = Some(link);
    }

    fn next_received(&mut self) -> Option<Vec<u8>> {
        let link: &mut Incoming = self.links.downstream[0].as_mut().expect("a link");
        let whole = link.next_packet().expect("packets only").map(|packet| packet.to_vec());
        whole.or_else(|| {
            link.fill().expect("the node keeps the link");
            link.next_packet().expect("packets only").map(|packet| packet.to_vec())
        })
    }
}
