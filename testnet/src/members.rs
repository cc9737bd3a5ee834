//! Members by number, and documents that list them: of a number follow the name, the role, the address and the keys.
//!
//! Mixes have numbers below 100 (1, 2 and 3 are the authorities), gateways from 100, service nodes from 200. Whoever needs
//! link keys or mix keys with their private halves puts these in place of those here.
//!
//! The unit tests of `pki` compile this file themselves, as they cannot use a crate that stands on theirs: it uses `pki`
//! and `crypto_simd`, and nothing of this crate.

use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Signature, SignatureSigningKey, signature};
use pki::address::Addresses;
use pki::authority::{Authorities, Authority};
use pki::descriptor::{MixDescriptor, Services};
use pki::document::{self, Consensus, Document};
use pki::neighbours::{NeighbourMap, OwnNode, Role};
use pki::{Epoch, EpochClock, EpochTime, MIX_KEY_EPOCHS, NodeId, VerifyingKey, hash};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The geometry that documents name which no packet follows.
pub const GEOMETRY_HASH: [u8; 32] = [7; 32];

/// What a network knows of one of its members.
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// The public identity key.
    pub identity_key: Vec<u8>,
    /// The public link key.
    pub link_key: Vec<u8>,
    /// Where it listens.
    pub url: String,
}

impl Member {
    /// What it says of itself for an epoch, with these public mix keys.
    pub fn descriptor(self, epoch: Epoch, mix_key: impl Fn(Epoch) -> Vec<u8>) -> MixDescriptor {
        let mix_keys = (0..MIX_KEY_EPOCHS).map(|n| (epoch.after(n), Some(mix_key(epoch.after(n)))));
        MixDescriptor {
            name: self.name,
            epoch,
            link_key: Some(self.link_key),
            mix_keys: Some(mix_keys.collect()),
            addresses: Some(Addresses::from(&BTreeMap::from([(transport(&self.url).to_string(), vec![self.url])]))),
            identity_key: Some(self.identity_key),
            is_gateway_node: self.role == Role::Gateway,
            is_service_node: self.role == Role::Service,
            kaetzchen: (self.role == Role::Service).then(|| {
                let endpoint = BTreeMap::from([("endpoint".to_string(), "+echo".into())]);
                Services::from(&BTreeMap::from([("echo".to_string(), Some(endpoint))]))
            }),
            ..MixDescriptor::default()
        }
    }

    /// What it knows of itself.
    pub fn own(self) -> OwnNode {
        OwnNode { name: self.name, identity_key: self.identity_key, link_key: self.link_key, role: self.role }
    }
}

/// The member with that number.
pub fn member(number: u8) -> Member {
    Member {
        name: format!("node{number}"),
        role: role(number),
        identity_key: signer(number).public_key().into(),
        link_key: link_key(number),
        url: url(number),
    }
}

/// What its number makes it.
pub fn role(number: u8) -> Role {
    match number {
        0..100 => Role::Mix,
        100..200 => Role::Gateway,
        200.. => Role::Service,
    }
}

/// The scheme of all signatures.
pub fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("Ed25519 is built in")
}

/// A source that gives one byte for ever: the seeds of recorded vectors.
struct Repeated(u8);

impl Random for Repeated {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// A member's identity key: its seed repeats the number.
pub fn signer(number: u8) -> Box<dyn SignatureSigningKey> {
    ed25519().load(&ed25519().generate(&mut Repeated(number))).expect("a generated key loads")
}

/// The public half.
pub fn key(number: u8) -> VerifyingKey {
    VerifyingKey::new(ed25519(), signer(number).public_key()).expect("a public key")
}

/// A source for what needs one.
pub fn random() -> SeededRandom {
    SeededRandom::new(&[42; 32])
}

/// A member's id.
pub fn id(number: u8) -> NodeId {
    hash(signer(number).public_key())
}

/// A public link key that nobody has the private half of.
pub fn link_key(number: u8) -> Vec<u8> {
    vec![number ^ 0x80; 32]
}

/// Under which key descriptors have an address.
fn transport(url: &str) -> &'static str {
    if url.starts_with("quic:") { "quic" } else { "tcp4" }
}

fn url(number: u8) -> String {
    format!("tcp://192.0.2.{number}:30000")
}

/// A member's descriptor, with mix keys that nobody has the private halves of.
pub fn descriptor(number: u8, epoch: Epoch) -> MixDescriptor {
    member(number).descriptor(epoch, |_| vec![number; 32])
}

/// What a member knows of itself.
pub fn own(number: u8) -> OwnNode {
    member(number).own()
}

/// A document with these mixes in layers, gateways 100 and 101, service nodes 200 and 201.
pub fn document(epoch: Epoch, layers: &[&[u8]]) -> Document {
    let nodes = |numbers: &[u8]| numbers.iter().map(|number| descriptor(*number, epoch)).collect::<Vec<_>>();
    let topology = layers.iter().map(|layer| nodes(layer)).collect();
    let listed = listing(epoch, topology, nodes(&[100, 101]), nodes(&[200, 201]));
    Document { lambda_p: 0.001, lambda_m: 0.2, ..listed }
}

/// A document with these nodes, in a network without decoys.
pub fn listing(
    epoch: Epoch,
    topology: Vec<Vec<MixDescriptor>>,
    gateway_nodes: Vec<MixDescriptor>,
    service_nodes: Vec<MixDescriptor>,
) -> Document {
    Document {
        epoch,
        genesis_epoch: Epoch(1),
        mu: 0.005,
        version: document::VERSION.into(),
        topology,
        gateway_nodes,
        service_nodes,
        prior_shared_random: vec![vec![1; 32], vec![2; 32]],
        shared_random_value: vec![3; 32],
        pki_signature_scheme: ed25519().info().name.into(),
        sphinx_geometry_hash: GEOMETRY_HASH.into(),
        ..Document::default()
    }
}

/// The three authorities: 1, 2 and 3.
pub fn authorities() -> Authorities {
    let authority = |number: u8| Authority {
        name: format!("auth{number}"),
        identity: key(number),
        link_key: link_key(number),
        addresses: vec![url(number)],
    };
    Authorities::new((1..=3).map(authority).collect()).expect("three authorities")
}

/// The raw consensus, signed by the authorities with these numbers.
pub fn signed(document: &Document, numbers: &[u8]) -> Arc<[u8]> {
    let signers: Vec<_> = numbers.iter().map(|number| signer(*number)).collect();
    let signers: Vec<_> = signers.iter().map(|signer| &**signer).collect();
    document.sign(&signers, document.epoch, &mut random()).expect("signable").encode().into()
}

/// The consensus of two of the three authorities.
pub fn consensus(document: &Document) -> Consensus {
    let (authorities, epoch) = (authorities(), document.epoch);
    Consensus::verify(signed(document, &[1, 2]), authorities.keys(), 2, epoch, &GEOMETRY_HASH, epoch).expect("good")
}

/// What a member makes of the document.
pub fn map(number: u8, document: &Document) -> NeighbourMap {
    NeighbourMap::new(&consensus(document), &own(number)).expect("listed")
}

/// Civil time `numerator/denominator` of the way through `epoch`.
pub fn unix_at(epoch: Epoch, numerator: u32, denominator: u32) -> Duration {
    let clock = EpochClock::default();
    clock.start(epoch) + clock.period() * numerator / denominator
}

/// The same as a position in the epoch.
pub fn time(epoch: Epoch, numerator: u32, denominator: u32) -> EpochTime {
    EpochClock::default().now(unix_at(epoch, numerator, denominator)).expect("after epoch 0")
}
