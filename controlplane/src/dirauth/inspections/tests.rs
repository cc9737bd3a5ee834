use super::*;
use crate::dirauth::tests::authorities;
use pki::voting::{Member, Parameters, Topology};
use std::time::Duration;

/// An authority with so many mixes.
fn configuration(mixes: u8) -> Configuration {
    let keys = authorities(3 + mixes);
    let members = keys.list()[3..].iter();
    Configuration {
        authorities: authorities(3),
        own: 0,
        scheme_text: "Ed25519".into(),
        parameters: Parameters::default(),
        mixes: members.map(|key| Member { name: key.name.clone(), identity: key.identity.clone() }).collect(),
        gateways: Vec::new(),
        service_nodes: Vec::new(),
        replicas: Vec::new(),
        topology: Topology::Dynamic { layers: 1 },
        geometry_hash: [0; 32],
        mix_key_bytes: None,
    }
}

/// The turn, if it is this peer's now.
async fn now(inspections: &Inspections, peer: Peer) -> Option<Turn> {
    tokio::time::timeout(Duration::ZERO, inspections.turn(&peer)).await.ok().flatten()
}

/// However many uploads wait, under whatever names: a vote's turn comes at once, and so does another node's while there
/// is a processor left.
#[tokio::test]
async fn nobody_waits_behind_another_name() {
    let configuration = configuration(3);
    let inspections = Inspections::new(&configuration, 2);
    let node = |number: usize| Peer::Node(*configuration.mixes[number].identity.id());
    let first = now(&inspections, node(0)).await.expect("its turn");
    assert!(now(&inspections, node(0)).await.is_none(), "one of a name at a time");
    let _second = now(&inspections, node(1)).await.expect("its turn");
    assert!(now(&inspections, node(2)).await.is_none(), "no more than there are processors");
    let votes = (now(&inspections, Peer::Authority(1)).await, now(&inspections, Peer::Authority(1)).await);
    assert!(votes.0.is_some() && votes.1.is_some());
    drop(first);
    assert!(now(&inspections, node(2)).await.is_some());
    assert!(now(&inspections, node(0)).await.is_some());
    assert!(now(&inspections, Peer::Client).await.is_none());
}
