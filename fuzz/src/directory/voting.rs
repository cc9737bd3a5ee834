//! A voting authority that gets from another whatever that one cares to sign, and goes through its round with it.

use super::network::{self, EPOCH, authorities};
use crate::{Target, Verdict};
use pki::certificate::{Certificate, Signature};
use pki::document::{Consensus, LIFETIME_EPOCHS};
use pki::voting::{Configuration, Member, Message, MessageKind, Output, Parameters, Reply, Request};
use pki::voting::{Status, Topology, Voting};
use pki::{EpochClock, EpochTime, VerifyingKey};
use std::sync::{Arc, LazyLock};
use testnet::members::{GEOMETRY_HASH, ed25519, id, link_key, random, signer};

/// The members that are authorities.
const AUTHORITIES: [u8; 3] = [1, 2, 3];

/// Which message, and what authority 2 has signed as its content.
pub const VOTING: Target = Target { name: "pki_voting", run: feed, seeds };

/// The configuration of an authority, by its place.
fn configuration(own: usize) -> Configuration {
    let member = |number: u8| {
        let identity = VerifyingKey::new(ed25519(), signer(number).public_key()).expect("a public key");
        Member { name: format!("node{number}"), identity }
    };
    Configuration {
        authorities: Arc::new(authorities().clone()),
        own,
        scheme_text: "Ed25519".into(),
        parameters: Parameters { mu: 0.005, ..Parameters::default() },
        mixes: vec![member(10), member(11)],
        gateways: vec![member(100)],
        service_nodes: vec![member(200)],
        replicas: Vec::new(),
        topology: Topology::Fixed(vec![vec![id(10)], vec![id(11)]]),
        geometry_hash: GEOMETRY_HASH,
        mix_key_bytes: None,
    }
}

/// So many eighths of the epoch before the one that is voted on.
fn time(eighths: u32) -> EpochTime {
    let clock = EpochClock::default();
    clock.now(clock.start(EPOCH.before(1)) + clock.period() * eighths / 8).expect("after epoch 0")
}

/// An authority that has voted, and its vote.
fn voted(own: usize) -> (Voting, Message) {
    let signer = signer(AUTHORITIES[own]);
    let mut voting = Voting::new(CONFIGURATIONS[own].clone(), signer, Vec::new(), &time(0)).expect("good");
    voting.poll(&time(0), &mut random());
    let sent = voting.poll(&time(1), &mut random()).into_iter().find_map(|output| match output {
        Output::Send { message, .. } => Some(message),
        _ => None,
    });
    (voting, sent.expect("a vote"))
}

static CONFIGURATIONS: LazyLock<[Arc<Configuration>; 2]> =
    LazyLock::new(|| [0, 1].map(|own| Arc::new(configuration(own))));
static FETCHED: LazyLock<Vec<u8>> = LazyLock::new(|| network::signed(&network::document()));
static VOTE: LazyLock<Message> = LazyLock::new(|| voted(1).1);

fn certified(vote: &Message) -> Vec<u8> {
    Certificate::decode(&vote.payload).expect("a certificate").certified
}

fn seeds() -> Vec<Vec<u8>> {
    let vote = certified(&VOTE);
    let signature = Signature { payload: vec![7; 64], public_key_sum256: id(AUTHORITIES[1]) };
    let reveal = [&EPOCH.0.to_be_bytes()[..], &[1; 32]].concat();
    let seed = |kind: u8, content: &[u8]| [&[kind][..], content].concat();
    vec![seed(0, &vote), seed(1, &reveal), seed(2, &vote), seed(3, &signature.encode())]
}

fn feed(data: &[u8]) -> Verdict {
    let Some((kind, content)) = data.split_first() else { return Verdict::Refused };
    let kind = MessageKind::ALL[usize::from(kind % 4)];
    let (mut voting, _) = voted(0);
    if kind != MessageKind::Vote {
        assert_eq!(tell(&mut voting, VOTE.clone()), Status::Ok);
    }
    let is_document = matches!(kind, MessageKind::Vote | MessageKind::Certificate);
    let expiration = EPOCH.after(if is_document { LIFETIME_EPOCHS } else { 0 });
    let mut certificate = Certificate::new("Ed25519", content.to_vec(), expiration);
    // An empty content is not signed.
    let _ = certificate.sign(&*signer(AUTHORITIES[1]), EPOCH.before(1), &mut random());
    let status = tell(&mut voting, Message { kind, payload: certificate.encode().into(), ..VOTE.clone() });
    for eighths in 2..=5 {
        voting.poll(&time(eighths), &mut random());
        assert!(voting.next_deadline() > time(eighths).unix, "polled for ever");
    }
    // What the others have agreed on meanwhile comes in any case.
    let keys = authorities().keys();
    let fetched = Consensus::verify(FETCHED.as_slice().into(), keys, 2, EPOCH, &GEOMETRY_HASH, EPOCH);
    voting.handle_fetched(fetched.expect("a consensus"));
    assert!(voting.documents().answer(EPOCH, &time(6)).1.is_some(), "there is no document");
    Verdict::of(status == Status::Ok)
}

fn tell(voting: &mut Voting, message: Message) -> Status {
    let configuration = voting.configuration().clone();
    let peer = configuration.classify(&id(AUTHORITIES[1]), &link_key(AUTHORITIES[1])).expect("a known peer");
    let inspected = configuration.inspect(&peer, Request::Message(message), &time(1));
    match voting.handle(inspected, &time(1)).reply {
        Reply::MessageStatus { status, .. } => status,
        other => panic!("{other:?}"),
    }
}
