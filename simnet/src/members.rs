//! Who is in the network: names, addresses and keys, all from the seed of the run.

use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Kem, KemDecapsulationKey, Signature, SignatureSigningKey, kem, signature};
use pki::authority::{Authorities, Authority};
use pki::neighbours::{OwnNode, Role};
use pki::voting::{Configuration, Member, Parameters, Topology};
use pki::{NodeId, VerifyingKey, hash};
use sphinx::Geometry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The port of every member.
const PORT: u16 = 30_000;
/// User bytes of a packet.
const USER_PAYLOAD_BYTES: usize = 200;
/// Hops there and, by the reply block, back.
const HOPS: usize = 5;
/// The only service of each service node.
pub const ENDPOINT: &str = "+echo";

/// How many members there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Authorities.
    pub authorities: u8,
    /// Layers of mixes; one mix or more in each.
    pub layers: u8,
    /// Mixes in each layer.
    pub mixes: u8,
    /// Gateways.
    pub gateways: u8,
    /// Service nodes.
    pub services: u8,
    /// Clients; each has the gateways in an order of its own.
    pub clients: u8,
    /// Shards of each node.
    pub shards: u8,
    /// Whether mixes and gateways send loops.
    pub decoys: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { authorities: 3, layers: 3, mixes: 1, gateways: 1, services: 1, clients: 1, shards: 1, decoys: false }
    }
}

impl Shape {
    /// The network of a seed: the smallest for one seed of four, larger ones for the others.
    pub fn from_seed(seed: u64) -> Self {
        let small = Self::default();
        let digest = hash(&seed.to_le_bytes());
        if digest[0].is_multiple_of(4) {
            return small;
        }
        Self {
            authorities: 3 + digest[1] % 3,
            mixes: 1 + digest[2] % 2,
            gateways: 1 + digest[3] % 2,
            services: 1 + digest[4] % 2,
            clients: 1 + digest[5] % 3,
            shards: 1 + digest[6] % 3,
            decoys: digest[7].is_multiple_of(4),
            ..small
        }
    }
}

/// A node's identity.
#[derive(Clone)]
pub struct NodeKeys {
    /// What documents say of it.
    pub own: OwnNode,
    /// Its id.
    pub id: NodeId,
    /// The layer of a mix.
    pub layer: usize,
    /// Where it listens.
    pub address: SocketAddr,
    /// Signs its uploads.
    pub signer: Arc<dyn SignatureSigningKey>,
    /// Of its links.
    pub link_key: Arc<dyn KemDecapsulationKey>,
}

/// All members.
pub struct Members {
    /// Sizes of packets.
    pub geometry: Geometry,
    /// Of authorities, in their order.
    pub authority_seeds: Vec<[u8; 32]>,
    /// Their public side.
    pub authorities: Arc<Authorities>,
    /// Mixes, gateways, service nodes.
    pub nodes: Vec<NodeKeys>,
}

/// Ed25519.
pub fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("built in")
}

/// X25519.
pub fn link_kem() -> &'static dyn Kem {
    kem::by_name("x25519").expect("built in")
}

/// An authority's signing key.
pub fn signer(seed: &[u8; 32]) -> Box<dyn SignatureSigningKey> {
    ed25519().load(&ed25519().generate(&mut SeededRandom::new(seed))).expect("a generated key loads")
}

/// The address of a member by its number.
pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], PORT))
}

/// A seed of its own for everything that needs one.
pub fn draw(random: &mut SeededRandom) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    seed
}

impl Members {
    /// The members of a network of that shape.
    pub fn new(shape: Shape, random: &mut SeededRandom) -> Self {
        let authority_seeds: Vec<[u8; 32]> = (0..shape.authorities).map(|_| draw(random)).collect();
        let authority = |(number, seed): (usize, &[u8; 32])| Authority {
            name: format!("auth{}", number + 1),
            identity: VerifyingKey::new(ed25519(), signer(seed).public_key()).expect("a public key"),
            link_key: hash(seed).to_vec(),
            addresses: vec![format!("tcp://192.0.2.{}:{PORT}", number + 1)],
        };
        let list = authority_seeds.iter().enumerate().map(authority).collect();
        let mut nodes = Vec::new();
        let mut add = |role: Role, name: String, layer: usize| {
            let number = u8::try_from(10 + nodes.len()).expect("few nodes");
            nodes.push(NodeKeys::new(role, name, layer, address(number), random));
        };
        for layer in 0..shape.layers {
            (0..shape.mixes).for_each(|mix| add(Role::Mix, format!("mix{layer}x{mix}"), layer.into()));
        }
        (0..shape.gateways).for_each(|number| add(Role::Gateway, format!("gateway{number}"), 0));
        (0..shape.services).for_each(|number| add(Role::Service, format!("service{number}"), 0));
        Self {
            geometry: Geometry::nike("x25519", USER_PAYLOAD_BYTES, HOPS, true).expect("a sound geometry"),
            authority_seeds,
            authorities: Arc::new(Authorities::new(list).expect("distinct authorities")),
            nodes,
        }
    }

    /// What one authority goes by.
    pub fn configuration(&self, own: usize, layers: u8, parameters: Parameters) -> Configuration {
        let of = |role: Role| self.nodes.iter().filter(move |node| node.own.role == role);
        let members = |role: Role| {
            let member = |node: &NodeKeys| Member {
                name: node.own.name.clone(),
                identity: VerifyingKey::new(ed25519(), &node.own.identity_key).expect("a public key"),
            };
            of(role).map(member).collect::<Vec<_>>()
        };
        let mut topology: BTreeMap<usize, Vec<NodeId>> = (0..layers.into()).map(|layer| (layer, Vec::new())).collect();
        of(Role::Mix).for_each(|node| topology.entry(node.layer).or_default().push(node.id));
        Configuration {
            authorities: self.authorities.clone(),
            own,
            scheme_text: ed25519().info().name.into(),
            parameters,
            mixes: members(Role::Mix),
            gateways: members(Role::Gateway),
            service_nodes: members(Role::Service),
            replicas: Vec::new(),
            topology: Topology::Fixed(topology.into_values().collect()),
            geometry_hash: self.geometry.hash(),
            mix_key_bytes: Some(32),
        }
    }
}

impl NodeKeys {
    fn new(role: Role, name: String, layer: usize, address: SocketAddr, random: &mut SeededRandom) -> Self {
        let signer: Arc<dyn SignatureSigningKey> = Arc::from(signer(&draw(random)));
        let private = link_kem().generate(random);
        let link_key: Arc<dyn KemDecapsulationKey> =
            Arc::from(link_kem().load(&private).expect("a generated key loads"));
        let identity_key = signer.public_key().to_vec();
        Self {
            id: hash(&identity_key),
            own: OwnNode { name, identity_key, link_key: link_key.public_key().to_vec(), role },
            layer,
            address,
            signer,
            link_key,
        }
    }

    /// Where it says that it listens.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }
}
