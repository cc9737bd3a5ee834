//! Small signed networks for tests.

use crate::authority::{Authorities, Authority};
use crate::descriptor::MixDescriptor;
use crate::document::{Consensus, Document, Layer};
use crate::epoch::{Epoch, EpochClock, EpochTime};
use crate::identity::{NodeId, VerifyingKey, hash};
use crate::neighbours::{NeighbourMap, OwnNode, Role};
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Signature, SignatureSigningKey, signature};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const GEOMETRY_HASH: [u8; 32] = [7; 32];

pub fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("Ed25519 is built in")
}

/// A source that gives one byte for ever: the vectors' seeds.
struct Repeated(u8);

impl Random for Repeated {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// The signing key whose seed repeats `seed`.
pub fn signer(seed: u8) -> Box<dyn SignatureSigningKey> {
    ed25519().load(&ed25519().generate(&mut Repeated(seed))).expect("a generated key loads")
}

pub fn key(seed: u8) -> VerifyingKey {
    VerifyingKey::new(ed25519(), signer(seed).public_key()).expect("a public key")
}

pub fn random() -> SeededRandom {
    SeededRandom::new(&[42; 32])
}

/// The id of the node whose identity seed is `seed`.
pub fn id(seed: u8) -> NodeId {
    hash(signer(seed).public_key())
}

pub fn link_key(seed: u8) -> Vec<u8> {
    vec![seed ^ 0x80; 32]
}

/// The descriptor of the node with that seed: 10.. are mixes, 100.. gateways, 200.. service nodes.
pub fn descriptor(seed: u8, epoch: Epoch) -> MixDescriptor {
    let addresses = BTreeMap::from([("tcp4".to_string(), Some(vec![format!("tcp://192.0.2.{seed}:30000")]))]);
    MixDescriptor {
        name: format!("node{seed}"),
        epoch,
        link_key: Some(link_key(seed)),
        mix_keys: Some((0..3).map(|n| (epoch.after(n), Some(vec![seed; 32]))).collect()),
        addresses: Some(addresses),
        identity_key: Some(signer(seed).public_key().into()),
        is_gateway_node: role(seed) == Role::Gateway,
        is_service_node: role(seed) == Role::Service,
        kaetzchen: (role(seed) == Role::Service).then(|| {
            let endpoint = BTreeMap::from([("endpoint".to_string(), "+echo".into())]);
            BTreeMap::from([("echo".to_string(), Some(endpoint))])
        }),
        ..MixDescriptor::default()
    }
}

pub fn role(seed: u8) -> Role {
    match seed {
        0..100 => Role::Mix,
        100..200 => Role::Gateway,
        200.. => Role::Service,
    }
}

/// A document with these mixes in layers, gateways 100 and 101, service nodes 200 and 201.
pub fn document(epoch: Epoch, layers: &[&[u8]]) -> Document {
    let nodes = |seeds: &[u8]| seeds.iter().map(|seed| descriptor(*seed, epoch)).collect::<Vec<_>>();
    Document {
        epoch,
        genesis_epoch: Epoch(1),
        mu: 0.005,
        lambda_p: 0.001,
        lambda_m: 0.2,
        version: "v1".into(),
        topology: layers.iter().map(|layer| nodes(layer)).collect(),
        gateway_nodes: nodes(&[100, 101]),
        service_nodes: nodes(&[200, 201]),
        prior_shared_random: vec![vec![1; 32], vec![2; 32]],
        shared_random_value: vec![3; 32],
        pki_signature_scheme: "Ed25519".into(),
        sphinx_geometry_hash: GEOMETRY_HASH.into(),
        ..Document::default()
    }
}

/// Three authorities with the seeds 1, 2, 3.
pub fn authorities() -> Authorities {
    let authority = |seed: u8| Authority {
        name: format!("auth{seed}"),
        identity: key(seed),
        link_key: link_key(seed),
        addresses: vec![format!("tcp://192.0.2.{seed}:30000")],
    };
    Authorities::new((1..=3).map(authority).collect()).expect("three authorities")
}

/// The raw consensus, signed by the authorities with these seeds.
pub fn signed(document: &Document, seeds: &[u8]) -> Arc<[u8]> {
    let signers: Vec<_> = seeds.iter().map(|seed| signer(*seed)).collect();
    let signers: Vec<_> = signers.iter().map(|signer| &**signer).collect();
    document.sign(&signers, document.epoch, &mut random()).expect("signable").encode().into()
}

pub fn consensus(document: &Document) -> Consensus {
    let (authorities, epoch) = (authorities(), document.epoch);
    Consensus::verify(signed(document, &[1, 2]), authorities.keys(), 2, epoch, &GEOMETRY_HASH, epoch).expect("good")
}

pub fn own(seed: u8) -> OwnNode {
    OwnNode {
        name: format!("node{seed}"),
        identity_key: signer(seed).public_key().into(),
        link_key: link_key(seed),
        role: role(seed),
    }
}

pub fn map(seed: u8, document: &Document) -> NeighbourMap {
    NeighbourMap::new(&consensus(document), &own(seed)).expect("listed")
}

/// `numerator/denominator` of the way through `epoch`.
pub fn time(epoch: Epoch, numerator: u32, denominator: u32) -> EpochTime {
    let clock = EpochClock::default();
    let unix = clock.start(epoch) + clock.period() * numerator / denominator;
    clock.now(unix).expect("after epoch 0")
}

pub fn all_layers(layers: u8) -> Vec<Layer> {
    (0..layers).map(Layer::Mix).chain([Layer::Gateway, Layer::Service]).collect()
}
