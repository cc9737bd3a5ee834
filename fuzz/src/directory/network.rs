//! The small signed network, with replicas.

use pki::Epoch;
use pki::address::Addresses;
use pki::authority::Authorities;
use pki::descriptor::{LoopStats, ReplicaDescriptor, SignedReplicaUpload, SignedUpload};
use pki::document::Document;
use pki::policy::View;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use testnet::members::{self, descriptor, id, link_key, random, role, signer};

pub const EPOCH: Epoch = Epoch(1000);
const LAYERS: [&[u8]; 3] = [&[10], &[11], &[12, 13]];

pub fn replica() -> ReplicaDescriptor {
    let url = "tcp://192.0.2.50:30000".to_string();
    ReplicaDescriptor {
        name: "replica1".into(),
        epoch: EPOCH,
        link_key: Some(link_key(50)),
        addresses: Some(Addresses::from(&BTreeMap::from([("tcp4".to_string(), vec![url])]))),
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
    SignedUpload::sign(descriptor(200, EPOCH), loop_stats, &*signer(200), &mut random()).expect("our own key").encode()
}

pub fn replica_upload() -> Vec<u8> {
    SignedReplicaUpload::sign(replica(), &*signer(50), &mut random()).expect("our own key").encode()
}

pub fn document() -> Document {
    document_for(EPOCH)
}

fn document_for(epoch: Epoch) -> Document {
    Document {
        storage_replicas: vec![replica()],
        configured_replica_ids: vec![1],
        configured_replica_identity_keys: vec![signer(50).public_key().into()],
        ..members::document(epoch, &LAYERS)
    }
}

/// The document, signed by all authorities.
pub fn signed(document: &Document) -> Vec<u8> {
    members::signed(document, &[1, 2, 3]).to_vec()
}

pub fn authorities() -> &'static Authorities {
    static LIST: LazyLock<Authorities> = LazyLock::new(members::authorities);
    &LIST
}

/// What a node sees: the documents of the last and of this epoch.
pub fn view(number: u8) -> View {
    let maps = [EPOCH.before(1), EPOCH].map(|epoch| members::map(number, &document_for(epoch)));
    View::new(role(number), maps.into())
}
