//! The directory: what authorities, other nodes and replicas sign and send.

mod network;
mod voting;

pub use voting::VOTING;

use crate::{Target, Verdict};
use network::{EPOCH, authorities};
use pki::address::Addresses;
use pki::cbor::{self, Canonical, Value};
use pki::certificate::{Certificate, Signature};
use pki::descriptor::{MixDescriptor, ReplicaDescriptor, Services, SignedReplicaUpload, SignedUpload};
use pki::document::{self, Consensus, Document};
use pki::neighbours::{Direction, NeighbourMap};
use pki::policy::{self, IncomingPeer, PeerCredentials, View};
use pki::{Epoch, EpochClock, EpochTime, NodeId};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use testnet::members::{self, GEOMETRY_HASH, ed25519, random};

/// Any item.
pub const CBOR: Target = Target { name: "pki_cbor", run: item, seeds: items };
/// A certificate with signatures.
pub const CERTIFICATE: Target =
    Target { name: "pki_certificate", run: certificate, seeds: || vec![network::signed(&network::document())] };
/// The descriptor of a mix, gateway or service node.
pub const DESCRIPTOR: Target = Target { name: "pki_descriptor", run: descriptor, seeds: descriptors };
/// The descriptor of a replica.
pub const REPLICA_DESCRIPTOR: Target =
    Target { name: "pki_replica_descriptor", run: replica_descriptor, seeds: || vec![network::replica().encode()] };
/// What a node posts.
pub const UPLOAD: Target = Target { name: "pki_upload", run: upload, seeds: || vec![network::upload()] };
/// What a replica posts.
pub const REPLICA_UPLOAD: Target =
    Target { name: "pki_replica_upload", run: replica_upload, seeds: || vec![network::replica_upload()] };
/// The payload of a vote or consensus.
pub const DOCUMENT: Target =
    Target { name: "pki_document", run: document, seeds: || vec![network::document().encode()] };
/// The payload of a consensus, signed by authorities that agree on anything.
pub const CONSENSUS: Target =
    Target { name: "pki_consensus", run: consensus, seeds: || vec![network::document().encode()] };
/// Direction, seconds since the epoch's start, length of the additional data, that, and a link key.
pub const POLICY: Target = Target { name: "pki_policy", run: ask, seeds: questions };

/// Demands that what was written reads as the same, by what it writes again.
fn assert_stable<E: std::fmt::Debug>(once: Vec<u8>, rewrite: impl Fn(&[u8]) -> Result<Vec<u8>, E>) {
    let twice = rewrite(&once).expect("what was written is readable");
    assert!(once == twice, "encoding is not stable");
}

fn item(data: &[u8]) -> Verdict {
    let Ok(item) = cbor::decode(data) else { return Verdict::Refused };
    let _ = item.into_u64("x");
    let _ = item.into_f64("x");
    let _ = item.into_bytes("x");
    let _ = item.into_fixed::<32>("x");
    let _ = item.into_map("x", |key| key.into_text("x"), |value| value.into_bool("x"));
    let _ = item.into_array("x").map(|items| items.into_iter().flatten().count());
    let write = |bytes: &[u8]| cbor::decode(bytes).and_then(Canonical::any).map(|it| it.as_bytes().to_vec());
    let Ok(once) = write(data) else { return Verdict::Refused };
    assert!(once.len() <= data.len(), "it has grown");
    assert_stable(once, write);
    Verdict::Accepted
}

fn items() -> Vec<Vec<u8>> {
    let scalars =
        [Value::Uint(300), Value::Negative(7), Value::Null, Value::Bool(true), Value::Float(0.1), "text".into()];
    let key = |number: u64| Value::from(number);
    let map = Value::Map(scalars.iter().cloned().zip(0..).map(|(value, number)| (key(number), value)).collect());
    let list = Value::Array(vec![Value::Bytes(vec![1, 2, 3]), map.clone()]);
    let mut items: Vec<_> = scalars.iter().chain([&map, &list]).map(Value::encode).collect();
    // Indefinite lengths, a long head for a small number, a half float.
    items.push(b"\x9f\x5f\x41\x01\x41\x02\xff\xbf\x61a\x19\x00\x01\xff\xf9\x3c\x00\xff".to_vec());
    // Tags, simple values, big integers, keys out of order, twice, and both zeros.
    items.push(
        b"\x86\xd9\xd9\xf7\xe0\xf8\xff\xc5\xd9\xd9\xf7\xf7\xc2\x42\x00\x01\xc3\x49\x01\0\0\0\0\0\0\0\0\x40".to_vec(),
    );
    items.push(b"\xa6\x62bb\x01\x61a\x02\x61a\x03\x41a\x04\xf9\0\0\x05\xf9\x80\0\x06".to_vec());
    items
}

fn certificate(data: &[u8]) -> Verdict {
    let _ = Signature::decode(data);
    let _ = document::parse(data, EPOCH);
    let Ok(certificate) = Certificate::decode(data) else { return Verdict::Refused };
    assert_stable(certificate.encode(), |bytes| Certificate::decode(bytes).map(|again| again.encode()));
    let keys = authorities().keys();
    let one = certificate.verify(&keys[0], EPOCH).is_ok();
    let all = certificate.verify_all(keys, EPOCH).is_ok();
    let most = certificate.verify_threshold(keys, 2, EPOCH);
    assert!(!all || one && most.is_ok(), "all have signed, but not most");
    if let Ok((_, signers)) = &most {
        assert_eq!(signers.good.len() + signers.bad.len(), keys.len(), "a key was lost");
    }
    Verdict::of(most.is_ok())
}

fn descriptors() -> Vec<Vec<u8>> {
    let mut odd = members::descriptor(10, EPOCH);
    let about = BTreeMap::from([("a".into(), Value::Array(vec![Value::Float(0.5), Value::Map(Vec::new())]))]);
    let about = BTreeMap::from([("echo".into(), None), ("other".into(), Some(about))]);
    odd.kaetzchen_advertized_data = Some(Services::from(&about));
    odd.addresses = Some(Addresses::from(&BTreeMap::from([
        ("tcp6".into(), vec!["tcp://[2001:db8::1]:30000".into(), "tcp://[fe80::1%25a%41]:1#\u{1}".into()]),
        ("quic".into(), vec!["quic://u:p@node%C3%A9.example:1".into()]),
    ])));
    let seeds = [10, 100, 200].map(|seed| members::descriptor(seed, EPOCH).encode());
    seeds.into_iter().chain([odd.encode()]).collect()
}

fn descriptor(data: &[u8]) -> Verdict {
    let Ok(descriptor) = MixDescriptor::decode(data) else { return Verdict::Refused };
    assert_stable(descriptor.encode(), |bytes| MixDescriptor::decode(bytes).map(|again| again.encode()));
    let _ = (descriptor.id(), descriptor.addresses().count(), descriptor.endpoints().count());
    let _ = descriptor.check(Epoch(u64::MAX));
    Verdict::of(descriptor.check(EPOCH).is_ok())
}

fn replica_descriptor(data: &[u8]) -> Verdict {
    let Ok(descriptor) = ReplicaDescriptor::decode(data) else { return Verdict::Refused };
    assert_stable(descriptor.encode(), |bytes| ReplicaDescriptor::decode(bytes).map(|again| again.encode()));
    let _ = descriptor.id();
    Verdict::of(descriptor.check().is_ok())
}

fn upload(data: &[u8]) -> Verdict {
    let Ok(upload) = SignedUpload::decode(data) else { return Verdict::Refused };
    assert_stable(upload.encode(), |bytes| SignedUpload::decode(bytes).map(|again| again.encode()));
    Verdict::of(upload.verify(ed25519()).is_ok())
}

fn replica_upload(data: &[u8]) -> Verdict {
    let Ok(upload) = SignedReplicaUpload::decode(data) else { return Verdict::Refused };
    assert_stable(upload.encode(), |bytes| SignedReplicaUpload::decode(bytes).map(|again| again.encode()));
    Verdict::of(upload.verify(ed25519()).is_ok())
}

fn document(data: &[u8]) -> Verdict {
    let Ok(document) = Document::decode(data) else { return Verdict::Refused };
    assert_stable(document.encode(), |bytes| Document::decode(bytes).map(|again| again.encode()));
    for rate in [document.mu, document.lambda_p, document.lambda_l, document.lambda_m, document.lambda_g] {
        let _ = document::delay_cap_ms(rate);
    }
    let _ = document.nodes().fold(0, |sum, (layer, node)| sum ^ layer.number() ^ node.id()[0]);
    Verdict::of(document.check(authorities().keys(), EPOCH).is_ok())
}

fn consensus(data: &[u8]) -> Verdict {
    // A majority signs what it was given.
    let mut certificate = Certificate::new("Ed25519", data.to_vec(), EPOCH.after(document::LIFETIME_EPOCHS));
    for signer in [1, 2] {
        // An empty payload is not signed.
        let _ = certificate.sign(&*members::signer(signer), EPOCH, &mut random());
    }
    let keys = authorities().keys();
    let verified = Consensus::verify(certificate.encode().into(), keys, 2, EPOCH, &GEOMETRY_HASH, EPOCH);
    let Ok(consensus) = verified else { return Verdict::Refused };
    assert!(consensus.document().nodes().all(|(_, node)| consensus.node(&node.id()).is_some()), "a node was lost");
    for own in [10, 11, 12, 100, 200] {
        let Ok(map) = NeighbourMap::new(&consensus, &members::own(own)) else { continue };
        let view = View::new(members::role(own), vec![map]);
        for seconds in [0, 60, 1199] {
            decide(&view, &members::id(12), &members::link_key(12), &time(seconds));
        }
    }
    Verdict::Accepted
}

/// So many seconds after the start of the documents' epoch.
fn time(seconds: u32) -> EpochTime {
    let clock = EpochClock::default();
    clock.now(clock.start(EPOCH) + Duration::from_secs(seconds.into())).expect("after epoch 0")
}

/// Asks everything that there is to ask about a peer; gives whether it may connect to us or we to it.
fn decide(view: &View, additional_data: &[u8], link_key: &[u8], now: &EpochTime) -> bool {
    let peer = PeerCredentials { additional_data, link_key };
    let verdicts = [Direction::Incoming, Direction::Outgoing].map(|direction| {
        let verdict = policy::authenticate(view, peer, direction, now);
        assert!(verdict.valid || !verdict.may_send, "may send, but not connect");
        if let Some(index) = verdict.descriptor {
            assert!(view.node(index).is_some_and(|node| node.id[..] == *additional_data), "another node's entry");
        }
        verdict
    });
    if let IncomingPeer::Node(verdict) = policy::classify_incoming(view, peer, now) {
        assert_eq!(verdict, verdicts[0]);
    }
    if let Ok(id) = NodeId::try_from(additional_data) {
        let found = policy::destination(view, &id, now);
        assert_eq!(policy::destinations(view, now).get(&id), found.as_ref(), "two answers about one destination");
    }
    assert!(policy::next_change(now) > now.unix, "the next change is not in the future");
    verdicts.iter().any(|verdict| verdict.valid)
}

static VIEW: LazyLock<View> = LazyLock::new(|| network::view(11));

fn questions() -> Vec<Vec<u8>> {
    let question =
        |seconds: u32, id: &[u8], key: &[u8]| [&seconds.to_be_bytes()[..], &[id.len() as u8], id, key].concat();
    let nodes = [10, 12].map(|seed| question(30, &members::id(seed), &members::link_key(seed)));
    let early = question(1190, &members::id(10), &members::link_key(10));
    nodes.into_iter().chain([early]).collect()
}

fn ask(data: &[u8]) -> Verdict {
    let Some((seconds, rest)) = data.split_first_chunk() else { return Verdict::Refused };
    let Some((length, rest)) = rest.split_first() else { return Verdict::Refused };
    let (id, link_key) = rest.split_at(usize::from(*length).min(rest.len()));
    Verdict::of(decide(&VIEW, id, link_key, &time(u32::from_be_bytes(*seconds))))
}

/// What a mix of the last layer but one sees, for snapshots.
pub fn view() -> View {
    VIEW.clone()
}
