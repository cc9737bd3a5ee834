use super::*;
use crate::tests::gateway::Answer;
use crate::tests::{Network, World};
use crypto_simd::random::SeededRandom;
use pki::document::Document;
use wire::Command;
use wire::command::codes::consensus;

const SECOND: Duration = Duration::from_secs(1);

fn has(world: &World, wanted: impl Fn(&Event) -> bool) -> bool {
    world.events.iter().any(wanted)
}

fn disconnected(world: &World) -> Vec<String> {
    let reason = |event: &Event| match event {
        Event::Disconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    world.events.iter().filter_map(reason).collect()
}

#[test]
fn it_dials_the_pinned_gateway_and_gets_its_first_document() {
    let mut world = World::new(Network::new(1));
    world.run_for(SECOND);
    assert_eq!(world.dialled, ["gateway1"]);
    let epoch = world.epoch();
    assert!(has(&world, |event| *event == Event::Document { epoch }));
    assert!(world.client.is_ready(world.now));
}

#[test]
fn cover_traffic_has_the_rates_of_the_document_and_is_never_refused() {
    let mut world = World::new(Network::new(2));
    world.run_for(SECOND * 200);
    // 5 slots of one kind and 2 of the other in a second, and a bucket that fills a tenth faster.
    let (packets, refused, failures) = world.account();
    assert_eq!(refused, 0);
    assert_eq!(failures, Vec::<String>::new());
    assert!((1_240..1_560).contains(&packets), "{packets}");
}

#[test]
fn without_cover_traffic_it_is_silent_but_keeps_its_link() {
    let network = Network::new(2);
    let settings = Settings { sends_decoys: false, ..network.settings() };
    let mut world = World::with(network, settings);
    world.run_for(SECOND * 300);
    assert_eq!(disconnected(&world), Vec::<String>::new());
    assert_eq!(world.account().0, 0);
}

#[test]
fn it_crosses_epochs_on_one_link() {
    let mut world = World::new(Network::new(3));
    world.run_for(SECOND * 150);
    for past in 0..5 {
        let epoch = Network::FIRST_EPOCH.after(past);
        assert!(has(&world, |event| *event == Event::Document { epoch }), "{epoch}");
    }
    assert_eq!(disconnected(&world), Vec::<String>::new());
    assert_eq!(world.account().2, Vec::<String>::new(), "every hop had the key of its epoch");
}

#[test]
fn a_gateway_that_is_no_longer_listed_is_left_for_another() {
    let mut network = Network::new(4);
    let id = network.gateways[0].id;
    network.unlisted_from.insert(id, Network::FIRST_EPOCH.after(1));
    let mut world = World::new(network);
    world.run_for(SECOND * 60);
    assert_eq!(world.dialled, ["gateway1", "gateway2"]);
    assert_eq!(disconnected(&world), ["the gateway is no longer listed with this key"]);
    assert!(world.client.is_ready(world.now));
}

#[test]
fn a_link_that_breaks_is_made_again_after_longer_and_longer_pauses() {
    let mut world = World::new(Network::new(5));
    world.unreachable = vec!["gateway1".into(), "gateway2".into()];
    world.run_for(SECOND * 60);
    // Pauses of 1, 2, 4, 8, 16, 30 s, each by a quarter more or less.
    assert!((5..=8).contains(&world.dialled.len()), "{:?}", world.dialled);
    world.unreachable.clear();
    world.run_for(SECOND * 40);
    assert!(world.client.is_ready(world.now));
    let before = world.dialled.len();
    world.cut();
    world.run_for(SECOND * 2);
    assert_eq!(world.dialled.len(), before + 1, "after a link that was up the pause is short");
    assert!(world.client.is_ready(world.now));
}

#[test]
fn an_impostor_is_not_talked_to() {
    let mut world = World::new(Network::new(6));
    world.impostor = Some(1);
    world.run_for(SECOND);
    assert_eq!(disconnected(&world), ["the peer is not the gateway that was dialled"]);
    assert!(!has(&world, |event| matches!(event, Event::Connected { .. })));
}

#[test]
fn a_document_that_does_not_verify_is_told_of_and_not_used() {
    let mut network = Network::new(7);
    let epoch = Network::FIRST_EPOCH;
    let forged = Document { mu: 1.0, ..network.document(epoch) };
    let forged = network.sign(&forged, 1);
    let mut world = World::new(network);
    world.answers.insert(epoch.0, Answer::Raw(forged));
    world.answers.insert(epoch.0 - 1, Answer::Code(consensus::GONE));
    world.run_for(SECOND * 10);
    assert!(has(&world, |event| matches!(event, Event::BadDocument { .. })));
    assert!(has(&world, |event| *event == Event::NoDocument { epoch: epoch.before(1) }));
    assert!(!world.client.is_ready(world.now));
    assert_eq!(world.account().0, 0, "nothing is sent by it");
    // The next epoch's is good.
    world.run_for(SECOND * 20);
    assert!(world.client.is_ready(world.now));
}

#[test]
fn what_a_gateway_must_not_say_ends_the_link() {
    let said: [(Command<'_>, &str); 3] = [
        (Command::Consensus2 { error_code: 0, chunk: 0, chunks: 1, payload: &[1] }, "a document that nobody asked for"),
        (Command::Consensus { error_code: 0, payload: &[1] }, "the peer sent Consensus, which has no place here"),
        (Command::Disconnect, "the peer closed the link"),
    ];
    for (command, reason) in said {
        let mut world = World::new(Network::new(8));
        world.run_for(SECOND);
        world.gateway.as_mut().expect("a link").say(&command);
        world.run_for(SECOND / 10);
        assert_eq!(disconnected(&world), [reason]);
        world.run_for(SECOND * 2);
        assert!(world.client.is_ready(world.now), "and another one is made");
    }
}

#[test]
fn replies_that_nobody_waits_for_are_acknowledged_and_dropped() {
    let mut world = World::new(Network::new(9));
    world.run_for(SECOND);
    let payload = vec![5; world.network.geometry.forward_payload_length + 32];
    world.gateway.as_mut().expect("a link").say(&Command::Message {
        sequence: 9,
        surb_id: &[1; 16],
        payload: &payload,
    });
    world.events.clear();
    world.run_for(SECOND);
    assert_eq!(disconnected(&world), Vec::<String>::new());
    assert!(!has(&world, |event| matches!(event, Event::Answered { .. })));
}

#[test]
fn a_silent_gateway_is_left_after_fifteen_seconds() {
    let mut world = World::new(Network::new(9));
    world.run_for(SECOND);
    // The line is dead, and nobody says so.
    world.gateway = None;
    let up = world.now.at;
    world.run_for(SECOND * 20);
    let told = world.events.iter().position(|event| matches!(event, Event::Disconnected { .. }));
    assert!(told.is_some());
    assert_eq!(disconnected(&world), ["the peer was silent for too long"]);
    assert!(world.now.at.since(up) >= SECOND * 15);
}

#[test]
fn requests_have_a_limit_and_each_comes_to_one_end() {
    let mut world = World::new(Network::new(10));
    let random = &mut SeededRandom::new(&[1; 32]);
    let service = Service { node: [0; 32], name: "nowhere".into(), endpoint: "+echo".into() };
    for number in 0..1_500 {
        world.client.request(Request { number, service: service.clone(), payload: vec![1] }, world.now, random);
    }
    world.run_for(SECOND * 400);
    let mut ends: Vec<u64> = Vec::new();
    for event in &world.events {
        match event {
            Event::Lost { request, loss: Loss::Full | Loss::NoPath(_), .. } => ends.push(*request),
            Event::Sent { .. } | Event::Answered { .. } | Event::Lost { .. } => panic!("{event:?}"),
            _ => {}
        }
    }
    ends.sort_unstable();
    assert_eq!(ends, (0..1_500).collect::<Vec<_>>());
}
