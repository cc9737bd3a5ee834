//! The gateway before the node, played by the test with that gateway's own keys: what it sends, it can send twice.

use super::{NETWORK, NODE};
use crate::support::wait_for;
use config::ServerConfig;
use crypto_simd::pem;
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::NodeId;
use pki::descriptor::MixDescriptor;
use pki::document::Document;
use sphinx::create::{LoadCommand, LoadMaker};
use sphinx::{Geometry, Sphinx};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testnet::session::{Identity, Session};
use wire::{Command, CommandSizes, Role, SessionConfig};

/// A neighbour that dials the node.
pub struct Neighbour {
    session: SessionConfig,
    own: Identity,
    node_link_key: Vec<u8>,
    address: SocketAddr,
    geometry: Geometry,
    /// To whom the node sends on what this one sends it.
    behind: NodeId,
}

impl Neighbour {
    /// The network's gateway, by its files below `root`.
    pub fn new(root: &Path, node: &ServerConfig, document: &Document) -> Self {
        let find = |name: &str| document.nodes().find(|(_, node)| node.name == name).expect("it is listed").1;
        let folder = root.join(NETWORK.trim_start_matches('/')).join("gateway1");
        let kem = node.wire_kem.0;
        let text = fs::read_to_string(folder.join("link.private.pem")).unwrap();
        let private = pem::decode(&text, &pem::private_key_type(kem.info().name)).unwrap();
        let own = Identity { id: find("gateway1").id(), link_key: Arc::from(kem.load(&private).unwrap()) };
        let geometry = node.geometry.clone();
        let reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
        let sizes = CommandSizes::mixnet(geometry.packet_length, reply_bytes);
        let (_, url) = find(NODE).addresses().next().expect("an address");
        let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
        Self {
            session: SessionConfig::mixnet(Role::Initiator, kem, sizes).receive_client_to_server(),
            own,
            node_link_key: find(NODE).link_key().to_vec(),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            behind: document.topology[1][0].id(),
            geometry,
        }
    }

    /// New packets for the node's mix key of that epoch. Who is behind it has no use for them.
    pub fn packets(&self, node: &MixDescriptor, epoch: Epoch, count: usize) -> Vec<Vec<u8>> {
        let key = node.mix_key(epoch).expect("a key of the next epoch is published");
        let maker = LoadMaker::new(Sphinx::new(self.geometry.clone()).unwrap(), key, &mut OsRandom).unwrap();
        let commands = vec![LoadCommand::Forward { next: self.behind, delay_ms: 20 }; count];
        let mut packets = vec![vec![0; self.geometry.packet_length]; count];
        let mut behind = packets.clone();
        let mut before: Vec<_> = packets.iter_mut().map(Vec::as_mut_slice).collect();
        let mut after: Vec<_> = behind.iter_mut().map(Vec::as_mut_slice).collect();
        maker.make(&commands, &mut OsRandom, &mut before, &mut after).unwrap();
        packets
    }

    /// Links itself, and sends packets.
    pub fn send(&self, packets: &[Vec<u8>]) {
        let mut session = wait_for("a link to the node", Duration::from_secs(20), || {
            let stream = TcpStream::connect(self.address).ok()?;
            Session::establish(stream, &self.session, &self.own, |peer| peer.public_key == self.node_link_key).ok()
        });
        for packet in packets {
            session.send(&Command::SendPacket { packet }).expect("the node reads");
        }
        // Read to its end before the link ends.
        std::thread::sleep(Duration::from_secs(1));
    }
}
