//! Authorities that send what they should not.

use super::network::{FIRST, Network};
use super::*;
use crate::certificate::{Certificate, Signature};
use crate::document::{Document, parse};

/// A message for [`FIRST`] of authority `author`.
fn message(author: u8, kind: MessageKind, payload: Vec<u8>) -> Message {
    Message { kind, epoch: FIRST, public_key: signer(AUTHORITY + author).public_key().into(), payload: payload.into() }
}

fn certificate(author: u8, certified: Vec<u8>) -> Vec<u8> {
    let mut certificate = Certificate::new("Ed25519", certified, FIRST);
    certificate.sign(&*signer(AUTHORITY + author), FIRST.before(1), &mut fixture::random()).expect("signable");
    certificate.encode()
}

fn signed(author: u8, document: &Document) -> Vec<u8> {
    let signer = signer(AUTHORITY + author);
    document.sign(&[&*signer], FIRST.before(1), &mut fixture::random()).expect("signable").encode()
}

/// What authority 0 says to a message that authority 1's connection brings.
fn tell(network: &mut Network, message: Message) -> (Status, u8) {
    match network.ask(0, Peer::Authority(1), Request::Message(message)) {
        Some(reply @ Reply::MessageStatus { status, .. }) => (status, reply.code()),
        other => panic!("{other:?}"),
    }
}

fn stored(network: &Network, who: usize, kind: MessageKind) -> Vec<u8> {
    let author = *key(AUTHORITY + who as u8).id();
    network.stores[who][&StoreKey::Message { epoch: FIRST, kind, author }].clone()
}

/// A network in which authority 2 says nothing, so that a test may speak for it, at the given part of the epoch.
fn quiet(eighths: u32) -> Network {
    let mut network = Network::new(4);
    network.weather = Box::new(|flight| if flight.from == 2 { Vec::new() } else { vec![flight] });
    network.run_to(FIRST, eighths);
    network.run_until(network.now + Duration::from_secs(1));
    network
}

#[test]
fn votes_get_the_codes_of_the_first_failing_check() {
    let mut network = quiet(1);
    let vote = stored(&network, 2, MessageKind::Vote);
    let (_, mut document) = parse(&vote, FIRST.before(1)).expect("a vote");
    let good = || message(2, MessageKind::Vote, vote.clone());
    let mut check = |message, expected| assert_eq!(tell(&mut network, message), expected);
    check(Message { public_key: vec![1; 32], ..good() }, (Status::NotAuthorized, 3));
    check(Message { public_key: signer(MIX).public_key().into(), ..good() }, (Status::NotAuthorized, 3));
    check(Message { epoch: FIRST.before(1), ..good() }, (Status::TooEarly, 2));
    check(Message { epoch: FIRST.after(1), ..good() }, (Status::TooLate, 1));
    check(Message { public_key: signer(AUTHORITY + 3).public_key().into(), ..good() }, (Status::AlreadyReceived, 6));
    check(message(2, MessageKind::Vote, b"none".to_vec()), (Status::NotSigned, 4));
    check(message(2, MessageKind::Vote, signed(3, &document)), (Status::NotSigned, 4));
    let commits = std::mem::take(&mut document.shared_random_commit);
    check(message(2, MessageKind::Vote, signed(2, &document)), (Status::Malformed, 5));
    let other = Document { epoch: FIRST.after(1), shared_random_commit: commits.clone(), ..document.clone() };
    check(message(2, MessageKind::Vote, signed(2, &other)), (Status::Malformed, 5));
    // pki.md 20 item 2: a commit that nobody could make a certificate with.
    for part in
        [Vec::new(), vec![0; 3], certificate(2, vec![0; 7]), certificate(2, vec![0; 41]), certificate(3, vec![0; 40])]
    {
        document.shared_random_commit = BTreeMap::from([(*key(AUTHORITY + 2).id(), part)]);
        check(message(2, MessageKind::Vote, signed(2, &document)), (Status::Malformed, 5));
    }
    check(good(), (Status::Ok, 0));
    check(good(), (Status::AlreadyReceived, 6));
}

/// pki.md 20 item 2: where the reference loses the round, the others go on without the vote.
#[test]
fn a_malformed_commit_costs_nobody_else_the_round() {
    let mut network = Network::new(4);
    network.weather = Box::new(|mut flight| {
        if (flight.from, flight.message.kind) == (2, MessageKind::Vote) {
            let (_, mut document) = parse(&flight.message.payload, FIRST.before(1)).expect("a vote");
            document.shared_random_commit = BTreeMap::from([(*key(AUTHORITY + 2).id(), vec![1, 2, 3])]);
            flight.message.payload = signed(2, &document).into();
        }
        vec![flight]
    });
    network.vote(FIRST);
    let (_, signers) = network.agreed(FIRST).expect("a consensus of the others");
    assert_eq!(signers, BTreeMap::from([(0, 3), (1, 3), (3, 3)]));
}

/// pki.md 20 item 3 among others.
#[test]
fn reveals_get_the_codes_of_the_first_failing_check() {
    let mut network = quiet(1);
    let (vote, reveal) = (stored(&network, 2, MessageKind::Vote), stored(&network, 2, MessageKind::Reveal));
    let good = || message(2, MessageKind::Reveal, reveal.clone());
    assert_eq!(tell(&mut network, good()), (Status::TooEarly, 9), "there is no commit");
    assert_eq!(tell(&mut network, message(2, MessageKind::Vote, vote)), (Status::Ok, 0));
    let part = |epoch: Epoch| [&epoch.0.to_be_bytes()[..], &[1; 32]].concat();
    let mut check = |message, expected| assert_eq!(tell(&mut network, message), expected);
    check(Message { public_key: vec![1; 32], ..good() }, (Status::NotAuthorized, 10));
    for length in [0, 7, 8, 39, 41] {
        let certified = if length == 0 { vec![9] } else { vec![0; length] };
        assert!(matches!(certified.len(), 1 | 7..));
        let (_, code) = tell(&mut network, message(2, MessageKind::Reveal, certificate(2, certified)));
        assert_eq!(code, 11, "{length} bytes");
    }
    let mut check = |message, expected| assert_eq!(tell(&mut network, message), expected);
    check(message(2, MessageKind::Reveal, certificate(3, part(FIRST))), (Status::NotSigned, 11));
    check(message(2, MessageKind::Reveal, certificate(2, part(FIRST.before(1)))), (Status::TooLate, 13));
    check(message(2, MessageKind::Reveal, certificate(2, part(FIRST.after(1)))), (Status::TooEarly, 9));
    // The command's own epoch is not asked.
    check(Message { epoch: Epoch(3), ..good() }, (Status::Ok, 8));
    check(good(), (Status::AlreadyReceived, 12));
}

/// pki.md 20 items 4 and 5 among others.
#[test]
fn certificates_get_the_codes_of_the_first_failing_check() {
    let mut network = quiet(3);
    let made = stored(&network, 2, MessageKind::Certificate);
    let (_, document) = parse(&made, FIRST.before(1)).expect("a certificate");
    let good = || message(2, MessageKind::Certificate, made.clone());
    let mut check = |message, expected| assert_eq!(tell(&mut network, message), expected);
    check(Message { public_key: vec![1; 32], ..good() }, (Status::NotAuthorized, 16));
    check(Message { epoch: FIRST.before(1), ..good() }, (Status::TooEarly, 15));
    check(Message { epoch: FIRST.after(1), ..good() }, (Status::TooLate, 19));
    check(message(2, MessageKind::Certificate, signed(3, &document)), (Status::NotSigned, 17));
    check(good(), (Status::TooEarly, 15));
    let vote = stored(&network, 2, MessageKind::Vote);
    assert_eq!(tell(&mut network, message(2, MessageKind::Vote, vote)), (Status::Ok, 0));
    let mut with = |id: crate::identity::NodeId, part: Vec<u8>| {
        let mut document = document.clone();
        document.shared_random_commit.insert(id, part.clone());
        document.shared_random_reveal.insert(id, part);
        assert_eq!(
            tell(&mut network, message(2, MessageKind::Certificate, signed(2, &document))),
            (Status::Malformed, 17)
        );
        network.notices.last().map(|(_, notice)| notice.to_string()).unwrap_or_default()
    };
    let mut node = Certificate::new("Ed25519", vec![0; 40], FIRST);
    node.sign(&*signer(MIX), FIRST.before(1), &mut fixture::random()).expect("signable");
    let told = with(fixture::id(MIX), node.encode());
    assert!(told.contains("no authority"), "{told}");
    let told = with(*key(AUTHORITY + 3).id(), certificate(3, vec![0; 7]));
    assert!(told.contains("auth4") && told.contains("7 bytes"), "{told}");
    assert_eq!(tell(&mut network, good()), (Status::Ok, 14));
    assert_eq!(tell(&mut network, good()), (Status::AlreadyReceived, 18));
}

/// pki.md 20 item 9 among others.
#[test]
fn signatures_get_the_codes_of_the_first_failing_check() {
    let mut network = quiet(4);
    let sum = *key(AUTHORITY + 2).id();
    let signature = |sum| Signature { payload: vec![1; 64], public_key_sum256: sum }.encode();
    let good = || message(2, MessageKind::Signature, certificate(2, signature(sum)));
    let mut check = |message, expected| assert_eq!(tell(&mut network, message), expected);
    check(Message { public_key: vec![1; 32], ..good() }, (Status::NotAuthorized, 21));
    check(Message { epoch: FIRST.before(1), ..good() }, (Status::TooEarly, 23));
    check(Message { epoch: FIRST.after(1), ..good() }, (Status::TooLate, 24));
    check(message(2, MessageKind::Signature, certificate(3, signature(sum))), (Status::NotSigned, 22));
    check(message(2, MessageKind::Signature, certificate(2, vec![0xff])), (Status::Malformed, 26));
    let false_sum = certificate(2, signature(*key(AUTHORITY).id()));
    check(message(2, MessageKind::Signature, false_sum), (Status::Malformed, 26));
    check(good(), (Status::Ok, 20));
    check(good(), (Status::AlreadyReceived, 25));
    // It is over nothing that anybody holds, and does not count.
    network.vote(FIRST);
    assert!(network.notices.contains(&(0, Notice::SignedOther { epoch: FIRST, authority: "auth3".into() })));
}

/// pki.md 20 item 10.
#[test]
fn an_own_vote_that_comes_back_is_refused_and_changes_nothing() {
    let mut network = Network::new(3);
    network.run_to(FIRST, 0);
    network.run_until(network.now + Duration::from_secs(1));
    let own = signed(0, &fixture::document(FIRST, &[&[MIX]]));
    assert_eq!(tell(&mut network, message(0, MessageKind::Vote, own)), (Status::AlreadyReceived, 6));
    assert_eq!(network.vote(FIRST).len(), 3);
}

/// The key in the command decides, not the connection: one authority may deliver what another has signed.
#[test]
fn messages_may_be_passed_on() {
    let mut network = quiet(1);
    let vote = stored(&network, 2, MessageKind::Vote);
    assert_eq!(tell(&mut network, message(2, MessageKind::Vote, vote)), (Status::Ok, 0));
    assert_eq!(network.get(0).round().votes, [0, 1, 2, 3]);
}

/// One who tells every other something else is struck, and the honest ones agree.
#[test]
fn an_authority_that_reveals_differently_to_each_is_left_out() {
    let mut network = Network::new(4);
    let mut others = BTreeMap::new();
    network.weather = Box::new(move |mut flight| {
        let random = &mut crypto_simd::random::SeededRandom::new(&[flight.to as u8; 32]);
        if flight.from == 2 && flight.to != 0 && flight.message.epoch == FIRST {
            let made = others.entry(flight.to).or_insert_with(|| {
                let signer = signer(AUTHORITY + 2);
                let pair = shared_random::commit(FIRST, "Ed25519", &*signer, FIRST.before(1), random);
                pair.unwrap_or_else(|error| panic!("{error}"))
            });
            match flight.message.kind {
                MessageKind::Vote => {
                    let (_, mut document) = parse(&flight.message.payload, FIRST.before(1)).expect("a vote");
                    document.shared_random_commit = BTreeMap::from([(*key(AUTHORITY + 2).id(), made.commit.clone())]);
                    flight.message.payload = signed(2, &document).into();
                }
                MessageKind::Reveal => flight.message.payload = made.reveal.clone().into(),
                MessageKind::Certificate | MessageKind::Signature => {}
            }
        }
        vec![flight]
    });
    network.vote(FIRST);
    let (_, signers) = network.agreed(FIRST).unwrap_or_else(|| panic!("{:#?}", network.notices));
    assert!([0, 1, 3].iter().all(|who| signers[who] >= 3), "{signers:?}");
    let struck = Notice::Struck { epoch: FIRST, authority: "auth3".into(), strike: Strike::Split };
    assert!(network.notices.contains(&(0, struck)), "{:#?}", network.notices);
}

/// A reveal that does not open its commit: nobody who holds both can make a certificate.
#[test]
fn a_false_reveal_costs_the_round_and_no_more() {
    let mut network = Network::new(4);
    network.weather = Box::new(|mut flight| {
        let is_it = (flight.from, flight.message.kind, flight.message.epoch) == (2, MessageKind::Reveal, FIRST);
        if is_it {
            flight.message.payload = certificate(2, [&FIRST.0.to_be_bytes()[..], &[1; 32]].concat()).into();
        }
        vec![flight]
    });
    assert!(network.vote(FIRST).is_empty());
    assert_eq!(network.vote(FIRST.after(1)).len(), 4);
}

/// A vote that lists a node twice with different bytes counts for neither.
#[test]
fn a_vote_counts_once_for_a_node() {
    let configuration = configuration(3, 0, 1, 2);
    let (one, two) =
        (fixture::descriptor(MIX, FIRST), MixDescriptor { load_weight: 1, ..fixture::descriptor(MIX, FIRST) });
    let other = fixture::descriptor(MIX + 1, FIRST);
    let vote = |nodes: &[&MixDescriptor]| Document {
        topology: vec![nodes.iter().map(|node| (*node).clone()).collect()],
        ..fixture::document(FIRST, &[])
    };
    let votes = [vote(&[&one, &other]), vote(&[&two]), vote(&[&one, &two, &other, &other])];
    let votes = (0..3).map(|number| *key(AUTHORITY + number).id()).zip(votes).collect();
    let tally = tally::tally(&votes, &configuration).expect("enough votes");
    assert_eq!(tally.nodes.mixes, [other]);
    assert!(tally.left_out.contains(&fixture::id(MIX)));
}

#[test]
fn answers_that_are_no_success_are_told() {
    let mut network = Network::new(3);
    let voting = network.authorities[0].as_mut().expect("running");
    let mut told = |kind, code| {
        let outputs = voting.handle_answer(1, kind, code);
        outputs
            .into_iter()
            .map(|output| match output {
                Output::Notice(notice) => notice.to_string(),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert!(told(MessageKind::Vote, 0).is_empty() && told(MessageKind::Signature, 20).is_empty());
    assert_eq!(told(MessageKind::Certificate, 19), ["auth2 refused our certificate: too_late"]);
    assert_eq!(told(MessageKind::Vote, 8), ["auth2 refused our vote: unknown code"]);
    for kind in MessageKind::ALL {
        let codes: Vec<u8> = (0..=26).filter(|code| kind.status(*code).is_some()).collect();
        assert!(codes.len() >= 6 && kind.status(99).is_none(), "{kind}: {codes:?}");
    }
}
