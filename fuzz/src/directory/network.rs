//! A small signed network. A node's number says what it is: mixes from 10, gateways from 100, service nodes from 200.

use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Signature, SignatureSigningKey, signature};
use pki::authority::{Authorities, Authority};
use pki::descriptor::{LoopStats, MixDescriptor, ReplicaDescriptor, SignedReplicaUpload, SignedUpload};
use pki::document::{Consensus, Document};
use pki::neighbours::{NeighbourMap, OwnNode, Role};
use pki::policy::View;
use pki::{Epoch, NodeId, VerifyingKey, hash};
use std::collections::BTreeMap;
use std::sync::LazyLock;

pub const EPOCH: Epoch = Epoch(1000);
pub const GEOMETRY_HASH: [u8; 32] = [7; 32];
pub const AUTHORITIES: [u8; 3] = [1, 2, 3];
const LAYERS: [&[u8]; 3] = [&[10], &[11], &[12, 13]];

pub fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("built in")
}

pub fn random() -> SeededRandom {
    SeededRandom::new(&[42; 32])
}

pub fn signer(number: u8) -> Box<dyn SignatureSigningKey> {
    ed25519().load(&ed25519().generate(&mut SeededRandom::new(&[number; 32]))).expect("a fresh key")
}

pub fn id(number: u8) -> NodeId {
    hash(signer(number).public_key())
}

pub fn link_key(number: u8) -> Vec<u8> {
    vec![number ^ 0x80; 32]
}

pub fn role(number: u8) -> Role {
    match number {
        0..100 => Role::Mix,
        100..200 => Role::Gateway,
        200.. => Role::Service,
    }
}

pub fn own(number: u8) -> OwnNode {
    OwnNode {
        name: format!("node{number}"),
        identity_key: signer(number).public_key().into(),
        link_key: link_key(number),
        role: role(number),
    }
}

pub fn descriptor(number: u8) -> MixDescriptor {
    descriptor_for(number, EPOCH)
}

fn descriptor_for(number: u8, epoch: Epoch) -> MixDescriptor {
    let url = format!("tcp://192.0.2.{number}:30000");
    let endpoint = BTreeMap::from([("endpoint".to_string(), "+echo".into())]);
    let services = BTreeMap::from([("echo".to_string(), Some(endpoint))]);
    MixDescriptor {
        name: format!("node{number}"),
        epoch,
        link_key: Some(link_key(number)),
        mix_keys: Some((0..3).map(|after| (epoch.after(after), Some(vec![number; 32]))).collect()),
        addresses: Some(BTreeMap::from([("tcp4".to_string(), Some(vec![url]))])),
        identity_key: Some(signer(number).public_key().into()),
        is_gateway_node: role(number) == Role::Gateway,
        is_service_node: role(number) == Role::Service,
        kaetzchen: (role(number) == Role::Service).then_some(services),
        ..MixDescriptor::default()
    }
}

pub fn replica() -> ReplicaDescriptor {
    let url = "tcp://192.0.2.50:30000".to_string();
    ReplicaDescriptor {
        name: "replica1".into(),
        epoch: EPOCH,
        link_key: Some(link_key(50)),
        addresses: Some(BTreeMap::from([("tcp4".to_string(), Some(vec![url]))])),
        replica_id: 1,
        identity_key: Some(signer(50).public_key().into()),
        envelope_keys: Some(BTreeMap::from([(2, Some(vec![5; 32]))])),
    }
}

pub fn upload() -> Vec<u8> {
    let mut segment = [0; 64];
    segment[..32].copy_from_slice(&id(10));
    segment[32..].copy_from_slice(&id(11));
    let loop_stats = LoopStats {
        epoch: EPOCH,
        segment_ratios: Some(BTreeMap::from([(segment, 0.5)])),
        mix_identity_hash: Some(id(200)),
    };
    SignedUpload::sign(descriptor(200), loop_stats, &*signer(200), &mut random()).expect("our own key").encode()
}

pub fn replica_upload() -> Vec<u8> {
    SignedReplicaUpload::sign(replica(), &*signer(50), &mut random()).expect("our own key").encode()
}

pub fn document() -> Document {
    document_for(EPOCH)
}

fn document_for(epoch: Epoch) -> Document {
    let nodes = |numbers: &[u8]| numbers.iter().map(|number| descriptor_for(*number, epoch)).collect::<Vec<_>>();
    Document {
        epoch,
        genesis_epoch: Epoch(1),
        mu: 0.005,
        lambda_p: 0.001,
        lambda_m: 0.2,
        version: "v1".into(),
        topology: LAYERS.iter().map(|layer| nodes(layer)).collect(),
        gateway_nodes: nodes(&[100, 101]),
        service_nodes: nodes(&[200, 201]),
        storage_replicas: vec![replica()],
        prior_shared_random: vec![vec![1; 32], vec![2; 32]],
        shared_random_value: vec![3; 32],
        pki_signature_scheme: "Ed25519".into(),
        sphinx_geometry_hash: GEOMETRY_HASH.into(),
        configured_replica_ids: vec![1],
        configured_replica_identity_keys: vec![signer(50).public_key().into()],
        ..Document::default()
    }
}

/// The document, signed by all authorities.
pub fn signed(document: &Document) -> Vec<u8> {
    let signers = AUTHORITIES.map(signer);
    let signers: Vec<_> = signers.iter().map(|signer| &**signer).collect();
    document.sign(&signers, EPOCH, &mut random()).expect("a document to sign").encode()
}

pub fn authorities() -> &'static Authorities {
    static LIST: LazyLock<Authorities> = LazyLock::new(|| {
        let authority = |number: u8| Authority {
            name: format!("auth{number}"),
            identity: VerifyingKey::new(ed25519(), signer(number).public_key()).expect("a fresh key"),
            link_key: link_key(number),
            addresses: vec![format!("tcp://192.0.2.{number}:30000")],
        };
        Authorities::new(AUTHORITIES.map(authority).into()).expect("three authorities")
    });
    &LIST
}

/// What a node sees: the documents of the last and of this epoch.
pub fn view(number: u8) -> View {
    let maps = [EPOCH.before(1), EPOCH].map(|epoch| {
        let raw = signed(&document_for(epoch)).into();
        let consensus = Consensus::verify(raw, authorities().keys(), 2, epoch, &GEOMETRY_HASH, EPOCH);
        NeighbourMap::new(&consensus.expect("a good document"), &own(number)).expect("a listed node")
    });
    View::new(role(number), maps.into())
}
