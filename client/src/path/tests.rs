use super::*;
use crate::tests::Network;
use crypto_simd::random::SeededRandom;
use pki::Epoch;
use std::collections::BTreeSet;

const EPOCH: Epoch = Network::FIRST_EPOCH;

struct Case {
    network: Network,
    document: Document,
    random: SeededRandom,
}

impl Case {
    fn new() -> Self {
        let network = Network::new(3);
        Self { document: network.document(EPOCH), network, random: SeededRandom::new(&[8; 32]) }
    }

    /// A round trip that begins so long after the beginning of the epoch.
    fn choose(&mut self, elapsed: Duration) -> Result<RoundTrip, PathError> {
        let unix = self.network.clock.start(EPOCH) + elapsed;
        let (gateway, service) = (self.document.gateway_nodes[0].id(), self.document.service_nodes[0].id());
        round_trip(&self.document, &self.network.clock, &gateway, &service, unix, &mut self.random)
    }
}

#[test]
fn a_way_has_one_mix_of_each_layer_between_gateway_and_service() {
    let mut case = Case::new();
    let mut chosen = vec![BTreeSet::new(); 6];
    for _ in 0..60 {
        let trip = case.choose(Duration::ZERO).expect("a way");
        let names = |hops: &[Hop]| hops.iter().map(|hop| hop.name.clone()).collect::<Vec<_>>();
        let (there, back) = (names(&trip.forward), names(&trip.reply));
        assert_eq!((there.len(), back.len()), (5, 4));
        assert_eq!((there[0].as_str(), there[4].as_str(), back[3].as_str()), ("gateway1", "service1", "gateway1"));
        for layer in 0..3 {
            assert!(there[1 + layer].starts_with(&format!("mix{layer}")));
            assert!(back[layer].starts_with(&format!("mix{layer}")));
            chosen[layer].insert(there[1 + layer].clone());
            chosen[3 + layer].insert(back[layer].clone());
        }
        assert!(trip.forward.iter().all(|hop| hop.delay_ms.is_some_and(|delay| delay >= 1)));
        assert!(trip.reply[..3].iter().all(|hop| hop.delay_ms.is_some()));
        assert_eq!(trip.reply[3].delay_ms, None, "the gateway keeps the reply for the client");
    }
    assert!(chosen.iter().all(|names| names.len() == 2), "each mix of each layer on both ways: {chosen:?}");
}

#[test]
fn keys_are_those_of_the_epoch_of_arrival() {
    let mut case = Case::new();
    // Half of the hops are reached after the end of the epoch.
    let elapsed = case.network.clock.period() - Duration::from_millis(400);
    let mut crossed = 0;
    for _ in 0..20 {
        let trip = case.choose(elapsed).expect("a way");
        let mut arrival = case.network.clock.start(EPOCH) + elapsed;
        for hop in trip.forward.iter().chain(&trip.reply) {
            let epoch = case.network.clock.now(arrival).unwrap().epoch;
            let node = case.document.nodes().find(|(_, node)| node.id() == hop.id).unwrap().1;
            assert_eq!(Some(hop.key.as_slice()), node.mix_key(epoch), "{} in epoch {epoch}", hop.name);
            crossed += u32::from(epoch != EPOCH);
            arrival += hop.delay();
        }
    }
    assert!((20..180).contains(&crossed), "{crossed} of 180 hops");
}

#[test]
fn a_node_without_the_key_is_not_chosen() {
    let mut case = Case::new();
    case.document.topology[1][0].mix_keys = None;
    let trips: Vec<_> = (0..40).map(|_| case.choose(Duration::ZERO)).collect();
    let found: Vec<_> = trips.iter().flatten().collect();
    assert!(found.len() > 20, "three tries each: {}", found.len());
    let id = case.document.topology[1][0].id();
    assert!(found.iter().all(|trip| trip.forward.iter().chain(&trip.reply).all(|hop| hop.id != id)));
    case.document.topology[1][1].mix_keys = None;
    assert_eq!(case.choose(Duration::ZERO), Err(PathError::NoKey));
}

#[test]
fn a_document_without_a_way_says_what_is_missing() {
    let mut case = Case::new();
    case.document.mu = 0.0;
    assert_eq!(case.choose(Duration::ZERO), Err(PathError::NoRate));
    // Delays of half an hour where an epoch has half a minute: no keys for that time.
    case.document.mu = 1e-6;
    assert_eq!(case.choose(Duration::ZERO), Err(PathError::NoKey));
    case.document.mu = 0.01;
    case.document.topology[2].clear();
    assert_eq!(case.choose(Duration::ZERO), Err(PathError::NoMix));
    let (clock, random) = (case.network.clock, &mut case.random);
    let (gateway, service) = (case.document.gateway_nodes[0].id(), case.document.service_nodes[0].id());
    let unix = clock.start(EPOCH);
    let mut choose = |gateway, service| round_trip(&case.document, &clock, gateway, service, unix, random);
    assert_eq!(choose(&service, &service), Err(PathError::NoGateway));
    assert_eq!(choose(&gateway, &gateway), Err(PathError::NoService));
}

#[test]
fn a_round_trip_ends_within_two_epochs() {
    let mut case = Case::new();
    // 9 delays of 6 s on average, 54 s in all: some take more than two epochs of 30 s.
    case.document.mu = 1.0 / 6_000.0;
    let trips: Vec<_> = (0..100).map(|_| case.choose(Duration::ZERO)).collect();
    assert!(trips.iter().flatten().count() > 50);
    assert!(trips.iter().flatten().all(|trip| trip.delay() < case.network.clock.period() * 2));
}
