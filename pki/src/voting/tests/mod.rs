//! The state machine against the recorded rounds, against each statement of pki.md 20, and in simulated networks.

mod misbehaviour;
mod network;
mod requests;
mod restarts;
mod rounds;
mod simulation;
mod vectors_test;

use super::*;
use crate::authority::{Authorities, Authority};
use crate::fixture::{self, GEOMETRY_HASH, key, signer};
use crate::identity::hash;

/// Seeds of authorities, from here on.
pub(super) const AUTHORITY: u8 = 1;
/// Seeds of mixes, from here on; the fixture knows roles by ranges.
pub(super) const MIX: u8 = 20;
/// The seed of the only gateway.
pub(super) const GATEWAY: u8 = 100;
/// The seed of the only service node.
pub(super) const SERVICE: u8 = 200;
/// Seeds of replicas, from here on.
pub(super) const REPLICA: u8 = 240;

pub(super) fn authorities(count: u8) -> Arc<Authorities> {
    let authority = |number: u8| Authority {
        name: format!("auth{}", number + 1),
        identity: key(AUTHORITY + number),
        link_key: fixture::link_key(AUTHORITY + number),
        addresses: vec![format!("tcp://192.0.2.{number}:30000")],
    };
    Arc::new(Authorities::new((0..count).map(authority).collect()).expect("distinct authorities"))
}

fn member(seed: u8) -> Member {
    Member { name: format!("node{seed}"), identity: key(seed) }
}

/// Authority number `own` of `count` with a fixed topology of `layers` layers of `mixes_per_layer` mixes.
pub(super) fn configuration(count: u8, own: usize, layers: u8, mixes_per_layer: u8) -> Configuration {
    let mixes: Vec<u8> = (MIX..MIX + layers * mixes_per_layer).collect();
    let layer = |layer: u8| {
        let seeds = mixes.iter().skip(usize::from(layer)).step_by(usize::from(layers));
        seeds.map(|seed| fixture::id(*seed)).collect()
    };
    Configuration {
        authorities: authorities(count),
        own,
        scheme_text: "Ed25519".into(),
        parameters: Parameters { mu: 0.005, lambda_p: 0.001, lambda_l: 0.0005, lambda_m: 0.2, lambda_r: 0.0005 },
        mixes: mixes.iter().map(|seed| member(*seed)).collect(),
        gateways: vec![member(GATEWAY)],
        service_nodes: vec![member(SERVICE)],
        replicas: (0..2)
            .map(|id| {
                let Member { name, identity } = member(REPLICA + id);
                ReplicaMember { name, identity, replica_id: id }
            })
            .collect(),
        topology: Topology::Fixed((0..layers).map(layer).collect()),
        geometry_hash: GEOMETRY_HASH,
        mix_key_bytes: Some(32),
    }
}

/// A configuration of which only the gateways' decoy rate is asked.
pub(super) fn configuration_with(n: usize, gateways: usize, mu: f64, lambda_p: f64, lambda_l: f64) -> Configuration {
    let mut configuration = configuration(2, 0, 1, 1);
    configuration.parameters = Parameters { mu, lambda_p, lambda_l, ..Parameters::default() };
    configuration.gateways = vec![member(GATEWAY); gateways];
    configuration.topology = Topology::Fixed(vec![vec![[0; 32]; n]]);
    configuration
}

/// The descriptor of the replica with this number.
pub(super) fn replica_descriptor(id: u8, epoch: Epoch) -> ReplicaDescriptor {
    let seed = REPLICA + id;
    let addresses = BTreeMap::from([("tcp".to_string(), vec![format!("tcp://192.0.2.{seed}:31000")])]);
    ReplicaDescriptor {
        name: format!("node{seed}"),
        epoch,
        link_key: Some(fixture::link_key(seed)),
        addresses: Some(crate::address::Addresses::from(&addresses)),
        replica_id: id,
        identity_key: Some(signer(seed).public_key().into()),
        envelope_keys: Some(BTreeMap::from([(hash(&[seed])[0].into(), Some(vec![seed; 32]))])),
    }
}

/// The signed upload of a node.
pub(super) fn upload(seed: u8, descriptor: MixDescriptor) -> Arc<[u8]> {
    let upload = crate::descriptor::SignedUpload::sign(
        descriptor,
        crate::descriptor::LoopStats::default(),
        &*signer(seed),
        &mut fixture::random(),
    );
    upload.expect("its own key").encode().into()
}

/// The signed upload of a replica.
pub(super) fn replica_upload(id: u8, descriptor: ReplicaDescriptor) -> Arc<[u8]> {
    let signer = signer(REPLICA + id);
    let upload = crate::descriptor::SignedReplicaUpload::sign(descriptor, &*signer, &mut fixture::random());
    upload.expect("its own key").encode().into()
}
