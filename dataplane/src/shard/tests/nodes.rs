//! The nodes of a small network, their keys, and documents that list them.

use crate::shared::keys::{EpochKey, KeyRing};
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Kem, KemDecapsulationKey, kem};
use interplane::ReplaySet;
use interplane::snapshot::Snapshot;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use pki::document::Document;
use pki::epoch::EpochClock;
use pki::neighbours::{NeighbourMap, Role};
use pki::policy::View;
use sphinx::commands::RoutingCommand;
use sphinx::path::{Terminal, compose};
use sphinx::{Geometry, MixKey, Sphinx};
use std::net::SocketAddr;
use std::sync::Arc;
use testnet::members::{self, Member, listing};
pub use testnet::members::{id as id_of, unix_at};

/// The epoch in which tests begin.
pub const EPOCH: Epoch = Epoch(1000);
pub const DELAY_MS_MAX: u64 = 5527;

/// This node, in the middle layer, and its neighbours.
pub const OWN: u8 = 20;
pub const UPSTREAM: [u8; 3] = [10, 11, 12];
pub const DOWNSTREAM: [u8; 3] = [30, 31, 32];
/// Between the two where this node is a service node.
pub const MIDDLE: u8 = 40;
pub const SERVICE: u8 = 200;
const GATEWAY: u8 = 100;

pub fn clock() -> EpochClock {
    EpochClock::default()
}

fn seed_of(node: u8, purpose: u8, epoch: Epoch) -> [u8; 32] {
    let mut seed = [node; 32];
    seed[1] = purpose;
    seed[2..10].copy_from_slice(&epoch.0.to_le_bytes());
    seed
}

pub fn link_kem() -> &'static dyn Kem {
    kem::by_name("x25519").expect("built in")
}

/// The link key of a node; `edition` tells later ones apart.
pub fn link_key(node: u8, edition: u8) -> Arc<dyn KemDecapsulationKey> {
    let private = link_kem().generate(&mut SeededRandom::new(&seed_of(node, 2 + edition, Epoch(0))));
    Arc::from(link_kem().load(&private).expect("a generated key loads"))
}

pub fn address_of(node: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, node], 30000))
}

pub fn geometry() -> Geometry {
    Geometry::nike("X25519", 103, 5, true).expect("a sound geometry")
}

pub fn mix_key(node: u8, epoch: Epoch) -> MixKey {
    let mut private = [0; 32];
    SeededRandom::new(&seed_of(node, 9, epoch)).fill(&mut private);
    MixKey::new(&geometry(), &private).expect("32 bytes are a private key")
}

/// This node's keys for the epochs, with empty replay sets.
pub fn key_ring(epochs: impl IntoIterator<Item = u64>) -> KeyRing {
    let key = |epoch: u64| EpochKey {
        epoch: Epoch(epoch),
        key: Arc::new(mix_key(OWN, Epoch(epoch))),
        replays: Arc::new(ReplaySet::heap(epoch, 1 << 16, [epoch as u8; 16])),
    };
    KeyRing { link_key: Some(link_key(OWN, 0)), mix_keys: epochs.into_iter().map(key).collect() }
}

/// A node as the network knows it, with a link key that it has.
fn member(node: u8) -> Member {
    Member { link_key: link_key(node, 0).public_key().into(), ..members::member(node) }
}

fn descriptor(node: u8, epoch: Epoch) -> MixDescriptor {
    member(node).descriptor(epoch, |epoch| mix_key(node, epoch).public_key().into())
}

/// A document with these layers around this node.
pub fn document(epoch: Epoch, upstream: &[u8], downstream: &[u8]) -> Document {
    let nodes = |list: &[u8]| list.iter().map(|node| descriptor(*node, epoch)).collect::<Vec<_>>();
    let topology = vec![nodes(upstream), nodes(&[OWN]), nodes(downstream)];
    listing(epoch, topology, nodes(&[GATEWAY]), nodes(&[SERVICE]))
}

/// A document in which this node is a gateway: it sends to these nodes, and hears from those.
pub fn gateway_document(epoch: Epoch, downstream: &[u8], upstream: &[u8]) -> Document {
    let between = document(epoch, downstream, upstream);
    let mut topology = between.topology;
    let own = topology.remove(1).into_iter().map(|own| MixDescriptor { is_gateway_node: true, ..own }).collect();
    Document { topology, gateway_nodes: own, ..between }
}

/// A document in which this node is a service node: its upstream is the last layer, its downstream the first.
pub fn service_document(epoch: Epoch) -> Document {
    let nodes = |list: &[u8]| list.iter().map(|node| descriptor(*node, epoch)).collect::<Vec<_>>();
    let services = descriptor(SERVICE, epoch).kaetzchen;
    let own = MixDescriptor { is_service_node: true, kaetzchen: services, ..descriptor(OWN, epoch) };
    let topology = vec![nodes(&DOWNSTREAM), nodes(&[MIDDLE]), nodes(&UPSTREAM)];
    listing(epoch, topology, nodes(&[GATEWAY]), vec![own])
}

/// What this node makes of documents in which it is a mix.
pub fn snapshot(serial: u64, documents: &[Document]) -> Snapshot {
    snapshot_as(Role::Mix, serial, documents)
}

/// What this node makes of documents in one role.
pub fn snapshot_as(role: Role, serial: u64, documents: &[Document]) -> Snapshot {
    let own = Member { role, ..member(OWN) }.own();
    let map =
        |document: &Document| NeighbourMap::new(&members::consensus(document), &own).expect("this node is listed");
    Snapshot {
        serial,
        view: View::new(role, documents.iter().map(map).collect()),
        delay_ms_max: documents.iter().map(|document| (document.epoch, DELAY_MS_MAX)).collect(),
        client_documents: Vec::new(),
        services: Vec::new(),
    }
}

/// The usual documents: the current epoch's and its neighbours'.
pub fn usual_snapshot(serial: u64) -> Snapshot {
    let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
    snapshot(serial, &epochs.map(|epoch| document(epoch, &UPSTREAM, &DOWNSTREAM)))
}

/// Makes packets.
pub struct Mint {
    pub sphinx: Sphinx,
    pub random: SeededRandom,
    made: u32,
}

/// What a packet is to do.
#[derive(Clone, Copy)]
pub struct Order {
    pub next: u8,
    pub delay_ms: u32,
    /// The epoch of the mix keys.
    pub epoch: Epoch,
}

impl Order {
    pub fn to(next: u8, delay_ms: u32) -> Self {
        Self { next, delay_ms, epoch: EPOCH }
    }
}

impl Mint {
    pub fn new(seed: u8) -> Self {
        Self {
            sphinx: Sphinx::new(geometry()).expect("a sound geometry"),
            random: SeededRandom::new(&[seed; 32]),
            made: 0,
        }
    }

    /// A packet that goes through this node to the next one and ends there. Its payload begins with its number.
    pub fn packet(&mut self, order: Order) -> Vec<u8> {
        let hop = |node: u8| (id_of(node), mix_key(node, order.epoch).public_key().to_vec());
        let terminal = Terminal { recipient: [5; 32], surb_id: None, delay_ms: None };
        let path = compose([hop(OWN), hop(order.next)], &[order.delay_ms], &terminal).expect("one delay");
        self.seal(&path)
    }

    /// A packet with these commands for this node, and nothing behind it.
    pub fn ending_here(&mut self, commands: Vec<RoutingCommand>) -> Vec<u8> {
        let public_key = mix_key(OWN, EPOCH).public_key().to_vec();
        self.seal(&[sphinx::PathHop { id: id_of(OWN), public_key, commands }])
    }

    pub fn seal(&mut self, path: &[sphinx::PathHop]) -> Vec<u8> {
        let mut payload = vec![0; geometry().forward_payload_length];
        payload[..4].copy_from_slice(&self.made.to_le_bytes());
        self.made += 1;
        self.sphinx.new_packet(path, &payload, &mut self.random).expect("a possible packet")
    }
}
