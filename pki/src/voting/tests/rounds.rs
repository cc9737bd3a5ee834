//! Rounds with late, missing and differing votes, reveals, certificates and signatures among honest authorities: the
//! statements of pki.md 20 that a network shows.

use super::network::{FIRST, Flight, Network};
use super::*;
use crate::document::{Document, parse};

const P8: Duration = Duration::from_secs(4);

/// Everything of one kind from one authority (to one authority, if given) takes so long; `None` loses it.
fn weather(from: usize, to: Option<usize>, kind: MessageKind, delay: Option<Duration>) -> network::Weather {
    also(from, to, kind, delay, Box::new(|flight| vec![flight]))
}

fn also(
    from: usize,
    to: Option<usize>,
    kind: MessageKind,
    delay: Option<Duration>,
    mut before: network::Weather,
) -> network::Weather {
    Box::new(move |flight| {
        let is_it = (flight.from, flight.message.kind) == (from, kind) && to.is_none_or(|to| to == flight.to);
        match delay {
            _ if !is_it => before(flight),
            Some(delay) => vec![Flight { delay, ..flight }],
            None => Vec::new(),
        }
    })
}

fn grid(count: u8, mixes_per_layer: u8, change: impl Fn(usize, &mut Configuration)) -> Network {
    let configured = |own: u8| {
        let mut configuration = configuration(count, own.into(), 3, mixes_per_layer);
        change(own.into(), &mut configuration);
        configuration
    };
    Network::with((0..count).map(configured).collect(), [1; 32])
}

#[track_caller]
fn agreed(network: &mut Network, epoch: Epoch, signatures: &[(usize, usize)]) -> Document {
    network.vote(epoch);
    let (document, signers) = network.agreed(epoch).unwrap_or_else(|| panic!("{epoch}: {:#?}", network.notices));
    assert_eq!(signers, signatures.iter().copied().collect(), "{epoch}: {:#?}", network.notices);
    document
}

#[test]
fn four_to_six_authorities_agree() {
    for count in 4..=6 {
        let mut network = Network::new(count);
        let all: Vec<_> = (0..usize::from(count)).map(|who| (who, count.into())).collect();
        agreed(&mut network, FIRST, &all);
        agreed(&mut network, FIRST.after(1), &all);
    }
}

/// pki.md 20 item 1: the own certificate holds what came after it was sent.
#[test]
fn a_late_vote_with_its_reveal_joins_everybodys_set() {
    let mut network = Network::new(4);
    let late = weather(3, None, MessageKind::Vote, Some(P8 * 2 + P8 / 4));
    network.weather = also(3, None, MessageKind::Reveal, Some(P8 + P8 / 2), late);
    agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(network.answers(3, MessageKind::Vote, FIRST), [Status::Ok; 3]);
    assert_eq!(network.answers(3, MessageKind::Reveal, FIRST), [Status::Ok; 3]);
    // Its certificate came before its vote.
    assert_eq!(network.answers(3, MessageKind::Certificate, FIRST), [Status::TooEarly; 3]);
}

/// pki.md 20 item 1: and one without a reveal makes everybody strike itself.
#[test]
fn a_late_vote_without_its_reveal_costs_the_round() {
    let mut network = Network::new(4);
    let late = weather(3, None, MessageKind::Vote, Some(P8 * 2 + P8 / 4));
    network.weather = also(3, None, MessageKind::Reveal, None, late);
    assert!(network.vote(FIRST).is_empty());
    let own = |who: usize| Notice::Struck {
        epoch: FIRST,
        authority: format!("auth{}", who + 1),
        strike: Strike::RevealMissing,
    };
    assert!((0..3).all(|who| network.notices.contains(&(who, own(who)))), "{:#?}", network.notices);
    // The next round begins a new chain.
    network.weather = Box::new(|flight| vec![flight]);
    let document = agreed(&mut network, FIRST.after(1), &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.genesis_epoch, FIRST.after(1));
}

/// pki.md 5.4: a vote in time whose reveal comes to nobody.
#[test]
fn a_vote_without_its_reveal_costs_the_round() {
    let mut network = Network::new(4);
    network.weather = weather(3, None, MessageKind::Reveal, None);
    assert!(network.vote(FIRST).is_empty());
    let is_it = |notice: &Notice| matches!(notice, Notice::StepFailed { kind: MessageKind::Certificate, reason, .. } if reason.contains("reveal"));
    assert!((0..3).all(|who| network.notices.iter().any(|(of, notice)| *of == who && is_it(notice))));
}

/// pki.md 20 item 6.
#[test]
fn without_an_own_certificate_an_authority_still_signs() {
    let mut network = Network::new(4);
    network.weather = weather(3, Some(1), MessageKind::Reveal, None);
    agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert!(network.answers(1, MessageKind::Certificate, FIRST).is_empty());
}

#[test]
fn late_certificates_and_signatures_cost_nothing_but_themselves() {
    let mut network = Network::new(4);
    network.weather = weather(2, None, MessageKind::Certificate, Some(P8 + P8 / 4));
    agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    network.weather = weather(2, Some(0), MessageKind::Signature, Some(P8 + P8 / 4));
    agreed(&mut network, FIRST.after(1), &[(0, 3), (1, 4), (2, 4), (3, 4)]);
    // It came when the next epoch was being voted on: the code's name is the wrong one (pki.md 8.9).
    network.run_to(FIRST.after(1), 7);
    assert_eq!(network.answers(2, MessageKind::Signature, FIRST.after(1)).last(), Some(&Status::TooEarly));
}

#[test]
fn votes_need_a_majority() {
    let mut network = Network::new(4);
    network.silent = [3].into();
    agreed(&mut network, FIRST, &[(0, 3), (1, 3), (2, 3)]);
    network.silent = [2, 3].into();
    assert!(network.vote(FIRST.after(1)).is_empty());
    network.silent.clear();
    let document = agreed(&mut network, FIRST.after(2), &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.genesis_epoch, FIRST.after(2));
}

/// A partition of equal halves: nobody reaches the threshold, nobody publishes.
#[test]
fn two_halves_agree_on_nothing() {
    let mut network = Network::new(4);
    network.weather = Box::new(|flight| if flight.from / 2 == flight.to / 2 { vec![flight] } else { Vec::new() });
    assert!(network.vote(FIRST).is_empty());
}

/// An authority that was cut off for a round takes up the chain from the others.
#[test]
fn who_missed_a_round_fetches_it_and_goes_on() {
    let mut network = Network::new(4);
    agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    network.silent = [1].into();
    agreed(&mut network, FIRST.after(1), &[(0, 3), (2, 3), (3, 3)]);
    network.silent.clear();
    let document = agreed(&mut network, FIRST.after(2), &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.genesis_epoch, FIRST);
    assert!(network.notices.contains(&(1, Notice::Fetched { epoch: FIRST.after(1) })));
}

/// Signatures that do not come to one authority: it gets what the others have published, in the same epoch.
#[test]
fn a_round_lost_to_one_is_fetched_from_the_others_before_the_epoch_begins() {
    let mut network = Network::new(4);
    network.weather = Box::new(|flight| {
        let is_lost = flight.to == 0 && flight.message.kind == MessageKind::Signature && flight.message.epoch == FIRST;
        if is_lost { Vec::new() } else { vec![flight] }
    });
    agreed(&mut network, FIRST, &[(1, 4), (2, 4), (3, 4)]);
    network.run_to(FIRST, 7);
    assert!(network.get(0).documents().epochs().any(|epoch| epoch == FIRST), "{:#?}", network.notices);
    let document = agreed(&mut network, FIRST.after(1), &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.genesis_epoch, FIRST);
}

/// pki.md 9.6, and better than the reference: the chain is taken up even when its last document comes after the vote.
#[test]
fn a_document_that_comes_after_the_vote_is_in_time() {
    let mut network = Network::new(3);
    agreed(&mut network, FIRST, &[(0, 3), (1, 3), (2, 3)]);
    network.run_to(FIRST.after(1), 0);
    network.kill(1);
    network.stores[1].clear();
    network.start(1);
    network.silent = [1].into();
    network.run_until(network.now + P8 - Duration::from_millis(1));
    network.silent.clear();
    agreed(&mut network, FIRST.after(1), &[(0, 3), (1, 3), (2, 3)]);
}

#[test]
fn descriptors_need_a_majority_with_the_same_bytes() {
    let split = MIX;
    let few = MIX + 1;
    let mut network = grid(4, 2, |_, _| {});
    network.reach = Box::new(move |seed, who, epoch| {
        (seed != split || epoch != FIRST) && (seed != few || who < 2) && (seed != REPLICA || who < 3)
    });
    network.run_to(FIRST, 0);
    for who in 0..4 {
        let descriptor = MixDescriptor { load_weight: (who / 2) as u8, ..fixture::descriptor(split, FIRST) };
        let payload = upload(split, descriptor);
        let peer = Peer::Node(fixture::id(split));
        let reply = network.ask(who, peer, Request::PostDescriptor { epoch: FIRST, payload });
        assert_eq!(reply, Some(Reply::PostDescriptorStatus(PostStatus::Ok)));
    }
    let document = agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    let names: Vec<&str> = document.nodes().map(|(_, node)| node.name.as_str()).collect();
    assert!(!names.contains(&"node20") && !names.contains(&"node21") && names.contains(&"node22"), "{names:?}");
    assert_eq!(document.storage_replicas.len(), 2);
    let mut left_out: Vec<String> = vec!["node20".into(), "node21".into()];
    let told = network.notices.iter().find_map(|(_, notice)| match notice {
        Notice::LeftOut { names, .. } => Some(names.clone()),
        _ => None,
    });
    let mut told = told.unwrap_or_default();
    told.sort();
    left_out.sort();
    assert_eq!(told, left_out);
}

/// An authority that knows fewer nodes, or a node by another name, votes like the others for what remains.
#[test]
fn layers_without_a_node_cost_the_round() {
    let mut network = Network::new(3);
    network.reach = Box::new(|seed, _, _| seed != MIX);
    assert!(network.vote(FIRST).is_empty());
    let is_it = |(_, notice): &(usize, Notice)| matches!(notice, Notice::StepFailed { reason, .. } if reason.contains("layer 0 is empty"));
    assert!(network.notices.iter().any(is_it), "{:#?}", network.notices);
}

/// pki.md 20 item 12.
#[test]
fn who_differs_in_lambda_m_signs_with_the_others_and_who_differs_in_mu_is_alone() {
    let mut network = grid(4, 2, |own, configuration| {
        if own == 3 {
            configuration.parameters.lambda_m = 0.3;
        }
    });
    let document = agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.lambda_m, 0.2);
    let told = |what| Notice::Disagreement { authority: "auth4".into(), what };
    assert!(network.notices.contains(&(0, told(vec!["LambdaM"]))));
    let mut network = grid(4, 2, |own, configuration| {
        if own == 3 {
            configuration.parameters.mu = 0.006;
        }
    });
    let document = agreed(&mut network, FIRST, &[(0, 3), (1, 3), (2, 3)]);
    assert_eq!(document.mu, 0.005);
    assert!(network.notices.contains(&(0, told(vec!["Mu", "LambdaG"]))));
    assert!(network.notices.contains(&(0, Notice::SignedOther { epoch: FIRST, authority: "auth4".into() })));
}

#[test]
fn without_a_majority_for_parameters_there_is_no_consensus() {
    let mut network =
        grid(4, 1, |own, configuration| configuration.parameters.lambda_p = if own < 2 { 0.1 } else { 0.2 });
    assert!(network.vote(FIRST).is_empty());
    let is_it = |(_, notice): &(usize, Notice)| notice.to_string().contains("[Parameters]");
    assert!(network.notices.iter().any(is_it));
}

/// pki.md 10.7 in a network: one week of epochs after another.
#[test]
fn prior_shared_randoms_rotate_by_the_week() {
    let mut network = Network::new(3);
    let mut documents = BTreeMap::new();
    for epoch in (0..10).map(|n| FIRST.after(n)) {
        documents.insert(epoch, agreed(&mut network, epoch, &[(0, 3), (1, 3), (2, 3)]));
    }
    let of = |epoch: u64| &documents[&Epoch(epoch)];
    let first = of(1000).shared_random_value.clone();
    assert_eq!(of(1000).prior_shared_random, [first.clone(), first.clone()]);
    assert_eq!(of(1007).prior_shared_random, [first.clone(), first]);
    let weekly = of(1008).shared_random_value.clone();
    assert_eq!(of(1008).prior_shared_random, [weekly, vec![0; 32]]);
    assert_eq!(of(1009).prior_shared_random, of(1008).prior_shared_random);
    assert!(documents.values().all(|document| document.genesis_epoch == FIRST));
}

/// pki.md 20 item 8: certificates of a new chain differ by what each remembers, the consensus does not.
#[test]
fn after_a_restart_in_a_new_chain_certificates_differ_and_the_consensus_does_not() {
    let mut network = Network::new(4);
    agreed(&mut network, FIRST, &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    network.silent = [0, 1, 2, 3].into();
    assert!(network.vote(FIRST.after(1)).is_empty());
    network.silent.clear();
    network.run_to(FIRST.after(1), 7);
    network.kill(2);
    network.start(2);
    let document = agreed(&mut network, FIRST.after(2), &[(0, 4), (1, 4), (2, 4), (3, 4)]);
    assert_eq!(document.genesis_epoch, FIRST.after(2));
    let prior = |who: usize| {
        let key = StoreKey::Message {
            epoch: FIRST.after(2),
            kind: MessageKind::Certificate,
            author: *key(AUTHORITY + who as u8).id(),
        };
        parse(&network.stores[who][&key], FIRST).expect("a certificate").1.prior_shared_random.len()
    };
    assert_eq!([0, 1, 2, 3].map(prior), [2, 2, 0, 2]);
}

fn dynamic(layers: usize) -> Topology {
    Topology::Dynamic { layers }
}

fn set_layers(network: &mut Network, layers: usize) {
    for who in 0..network.configurations.len() {
        network.kill(who);
        let configuration = Configuration::clone(&network.configurations[who]);
        network.configurations[who] = Arc::new(Configuration { topology: dynamic(layers), ..configuration });
        network.start(who);
    }
}

/// pki.md 10.9 and 20 item 7, by networks of ours: the reference cannot run these topologies.
#[test]
fn dynamic_topologies_keep_nodes_in_their_layers_and_grow() {
    let mut network = grid(3, 3, |_, configuration| configuration.topology = dynamic(2));
    let all = [(0, 3), (1, 3), (2, 3)];
    let before = agreed(&mut network, FIRST, &all);
    let again = agreed(&mut network, FIRST.after(1), &all);
    let layer_of = |document: &Document, name: &str| {
        document.topology.iter().position(|layer| layer.iter().any(|node| node.name == name))
    };
    let sizes = |document: &Document| document.topology.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!((sizes(&before), sizes(&again)), (vec![5, 4], vec![5, 4]));
    let moved = (MIX..MIX + 9).filter(|seed| {
        let name = format!("node{seed}");
        layer_of(&before, &name) != layer_of(&again, &name)
    });
    assert!(moved.count() <= 1, "only the odd one may move");
    network.run_to(FIRST.after(1), 7);
    set_layers(&mut network, 3);
    let grown = agreed(&mut network, FIRST.after(2), &all);
    assert_eq!(sizes(&grown), [4, 4, 1]);
    network.run_to(FIRST.after(2), 7);
    set_layers(&mut network, 2);
    assert!(network.vote(FIRST.after(3)).is_empty());
    let is_it = |(_, notice): &(usize, Notice)| notice.to_string().contains("the previous document has 3 layers");
    assert!(network.notices.iter().any(is_it));
    // A new chain asks for no previous layers.
    agreed(&mut network, FIRST.after(4), &all);
}
