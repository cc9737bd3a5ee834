use super::*;
use crate::fixture::{self, consensus, document, id, map};
use Direction::{Incoming, Outgoing};

const EPOCH: Epoch = Epoch(50);

/// The table of wire.md 5.4, as text: own layer, incoming from, outgoing to.
#[test]
fn neighbours_follow_the_table() {
    let edge = vec![Layer::Gateway, Layer::Service];
    let mix = |layer| vec![Layer::Mix(layer)];
    let expected = [
        (1, Layer::Mix(0), edge.clone(), edge.clone()),
        (1, Layer::Gateway, mix(0), mix(0)),
        (2, Layer::Mix(0), edge.clone(), mix(1)),
        (2, Layer::Mix(1), mix(0), edge.clone()),
        (3, Layer::Mix(0), edge.clone(), mix(1)),
        (3, Layer::Mix(1), mix(0), mix(2)),
        (3, Layer::Mix(2), mix(1), edge.clone()),
        (3, Layer::Gateway, mix(2), mix(0)),
        (3, Layer::Service, mix(2), mix(0)),
    ];
    for (layers, own, incoming, outgoing) in expected {
        let of = |direction| -> Vec<Layer> {
            all_layers(layers).into_iter().filter(|peer| is_neighbour(own, layers, *peer, direction)).collect()
        };
        assert_eq!((of(Incoming), of(Outgoing)), (incoming, outgoing), "{own:?} of {layers}");
    }
}

#[test]
fn incoming_and_outgoing_mirror_each_other() {
    for layers in [1, 2, 3, 5, 254] {
        for a in all_layers(layers) {
            for b in all_layers(layers) {
                let forward = is_neighbour(a, layers, b, Outgoing);
                assert_eq!(forward, is_neighbour(b, layers, a, Incoming), "{a:?} to {b:?} of {layers}");
            }
        }
    }
}

#[test]
fn a_view_of_a_document() {
    let document = document(EPOCH, &[&[10, 11], &[12, 13], &[14]]);
    let map = map(12, &document);
    assert_eq!((map.own_layer, map.layers, map.epoch), (Layer::Mix(1), 3, EPOCH));
    let ids = |direction| -> Vec<NodeId> {
        let mut ids: Vec<_> = map.neighbours(direction).map(|node| node.id).collect();
        ids.sort();
        ids
    };
    let mut first = vec![id(10), id(11)];
    first.sort();
    assert_eq!((ids(Incoming), ids(Outgoing)), (first, vec![id(14)]));
    assert_eq!(map.nodes().len(), 9);
    assert_eq!(map.layer(Layer::Service).count(), 2);
    let service = map.node(&id(200)).unwrap();
    assert_eq!((service.services[0].capability.as_str(), service.services[0].endpoint.as_str()), ("echo", "+echo"));
    assert_eq!(service.mix_key(EPOCH.after(2)), Some(&[200; 32][..]));
    assert_eq!(service.mix_key(EPOCH.after(3)), None);
    assert_eq!(service.urls("tcp4").collect::<Vec<_>>(), ["tcp://192.0.2.200:30000"]);
    assert_eq!(service.urls("quic").count(), 0);
    assert_eq!(map.node(&[0; 32]), None);
}

#[test]
fn it_crosses_between_processes_unchanged() {
    let map = map(10, &document(EPOCH, &[&[10, 11], &[12]]));
    let bytes = postcard::to_stdvec(&map).unwrap();
    assert_eq!(postcard::from_bytes::<NeighbourMap>(&bytes).unwrap(), map);
}

#[test]
fn a_document_without_the_node_as_configured_is_of_no_use() {
    let consensus = consensus(&document(EPOCH, &[&[10], &[11]]));
    let new = |own: OwnNode| NeighbourMap::new(&consensus, &own).map(|_| ()).unwrap_err();
    assert_eq!(new(fixture::own(99)), OwnEntryError::NotListed);
    let gateway = OwnNode { role: Role::Gateway, ..fixture::own(10) };
    assert_eq!(new(gateway), OwnEntryError::OtherRole { configured: Role::Gateway, listed: Layer::Mix(0) });
    let named = OwnNode { name: "other".into(), ..fixture::own(10) };
    assert_eq!(new(named), OwnEntryError::OtherName("node10".into()));
    let keyed = OwnNode { link_key: vec![], ..fixture::own(10) };
    assert_eq!(new(keyed), OwnEntryError::OtherLinkKey);
}

fn all_layers(layers: u8) -> Vec<Layer> {
    (0..layers).map(Layer::Mix).chain([Layer::Gateway, Layer::Service]).collect()
}
