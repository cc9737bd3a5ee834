//! Who may ask for what, and the answers to uploads and fetches (pki.md 8.2 to 8.5).

use super::network::{FIRST, Network};
use super::*;
use crate::authority::ConsensusCode;
use crate::cbor::{Value, record};
use crate::descriptor::SignedUpload;
use crate::identity::VerifyingKey;
use crypto_simd::schemes::signature;

const NODE: u8 = MIX;

fn post(network: &mut Network, seed: u8, epoch: Epoch, payload: Arc<[u8]>) -> PostStatus {
    let peer = Peer::Node(fixture::id(seed));
    match network.ask(0, peer, Request::PostDescriptor { epoch, payload }) {
        Some(Reply::PostDescriptorStatus(status)) => status,
        other => panic!("{other:?}"),
    }
}

fn last_reason(network: &Network) -> String {
    network.notices.last().map(|(_, notice)| notice.to_string()).unwrap_or_default()
}

#[test]
fn peers_are_known_by_what_they_say_and_authorities_by_their_link_key_too() {
    let configuration = configuration(3, 0, 3, 1);
    let classify = |seed: u8, link: u8| configuration.classify(&fixture::id(seed), &fixture::link_key(link));
    assert_eq!(configuration.classify(&[], &[1, 2, 3]), Some(Peer::Client));
    assert_eq!(classify(MIX, 9), Some(Peer::Node(fixture::id(MIX))));
    assert_eq!(classify(GATEWAY, 9), Some(Peer::Node(fixture::id(GATEWAY))));
    assert_eq!(classify(AUTHORITY + 1, AUTHORITY + 1), Some(Peer::Authority(1)));
    assert_eq!(classify(AUTHORITY + 1, 9), None);
    assert_eq!(classify(REPLICA, 9), Some(Peer::Replica(fixture::id(REPLICA))));
    assert_eq!(classify(77, 77), None);
    assert_eq!(configuration.classify(&fixture::id(MIX)[..31], &[]), None);
    let get = Request::GetConsensus { epoch: FIRST };
    let may = |peer: Peer| peer.may_send(&get);
    assert!(may(Peer::Client) && may(Peer::Node([0; 32])) && may(Peer::Authority(0)) && !may(Peer::Replica([0; 32])));
    let post = Request::PostDescriptor { epoch: FIRST, payload: Arc::new([]) };
    assert!(Peer::Node([0; 32]).may_send(&post));
    assert!(![Peer::Client, Peer::Authority(0), Peer::Replica([0; 32])].iter().any(|peer| peer.may_send(&post)));
}

fn good_authorities() -> Vec<Authority> {
    authorities(3).list().to_vec()
}

#[test]
fn configurations_that_cannot_vote_are_refused() {
    let good = || configuration(3, 0, 3, 1);
    let check = |configuration: Configuration, seed: u8| configuration.check(&*signer(seed));
    assert_eq!(check(good(), AUTHORITY), Ok(()));
    assert_eq!(check(good(), AUTHORITY + 1), Err(ConfigurationError::OtherKey("auth1".into())));
    assert_eq!(check(Configuration { own: 3, ..good() }, AUTHORITY), Err(ConfigurationError::NotListed));
    assert_eq!(check(configuration(1, 0, 3, 1), AUTHORITY), Err(ConfigurationError::Alone));
    let other_case = Configuration { scheme_text: "ed25519".into(), ..good() };
    assert!(matches!(check(other_case, AUTHORITY), Err(ConfigurationError::SchemeText { canonical: "Ed25519", .. })));
    let hybrid = signature::by_name("Ed25519-Sphincs+").expect("built in");
    let hybrid_signer = hybrid.load(&hybrid.generate(&mut fixture::random())).expect("its own key");
    for (text, good) in [("Ed25519-Sphincs+", true), ("Ed25519 Sphincs+", true), ("Ed25519_Sphincs+", false)] {
        let mut list = good_authorities();
        list[0].identity = VerifyingKey::new(hybrid, hybrid_signer.public_key()).expect("a public key");
        let authorities = Arc::new(Authorities::new(list).expect("distinct"));
        let configuration = Configuration { authorities, scheme_text: text.into(), ..configuration(3, 0, 3, 1) };
        assert_eq!(configuration.check(&*hybrid_signer).is_ok(), good, "{text}");
    }
    let bare = Configuration { topology: Topology::Fixed(Vec::new()), ..good() };
    assert_eq!(check(bare, AUTHORITY), Err(ConfigurationError::Layers(0)));
    let twice = Configuration { gateways: vec![member(MIX)], ..good() };
    assert_eq!(check(twice, AUTHORITY), Err(ConfigurationError::Twice("node20".into())));
}

#[test]
fn uploads_get_the_codes_of_the_first_failing_check() {
    let mut network = Network::new(3);
    network.reach = Box::new(|_, _, _| false);
    network.run_to(FIRST, 0);
    let good = || fixture::descriptor(NODE, FIRST);
    let mut try_one = |seed: u8, epoch: Epoch, descriptor: MixDescriptor| {
        let status = post(&mut network, seed, epoch, upload(seed, descriptor));
        (status, last_reason(&network))
    };
    assert_eq!(try_one(NODE, FIRST.after(1), good()).0, PostStatus::InvalidEpoch);
    let foreign = try_one(NODE, FIRST, fixture::descriptor(NODE, FIRST.before(1)));
    assert_eq!(foreign.0, PostStatus::Malformed, "{}", foreign.1);
    let (status, reason) = try_one(NODE, FIRST, MixDescriptor { epoch: FIRST.after(7), ..good() });
    assert!(status == PostStatus::InvalidEpoch && reason.contains("epoch 1007"), "{reason}");
    let (status, reason) = try_one(NODE, FIRST, MixDescriptor { name: "other".into(), ..good() });
    assert!(status == PostStatus::Unauthorized && reason.contains("other"), "{reason}");
    let gateway = MixDescriptor { is_gateway_node: true, ..good() };
    assert_eq!(try_one(NODE, FIRST, gateway.clone()).0, PostStatus::Unauthorized);
    assert_eq!(try_one(NODE, FIRST, MixDescriptor { is_service_node: true, ..gateway }).0, PostStatus::Unauthorized);
    let keys = good().mix_keys.map(|keys| keys.into_keys().map(|epoch| (epoch, Some(vec![1; 56]))).collect());
    let (status, reason) = try_one(NODE, FIRST, MixDescriptor { mix_keys: keys, ..good() });
    assert!(status == PostStatus::Malformed && reason.contains("[SphinxGeometry]"), "{reason}");
    assert_eq!(try_one(NODE, FIRST, good()).0, PostStatus::Ok);
    // The same again, then another: pki.md 8.5.
    assert_eq!(try_one(NODE, FIRST, good()).0, PostStatus::Ok);
    assert_eq!(try_one(NODE, FIRST, MixDescriptor { load_weight: 1, ..good() }).0, PostStatus::Conflict);
    assert_eq!(network.get(0).round().descriptors, 1);
}

#[test]
fn uploads_that_are_not_what_they_should_be_are_refused_with_a_reason() {
    let mut network = Network::new(3);
    network.reach = Box::new(|_, _, _| false);
    network.run_to(FIRST, 0);
    let good = SignedUpload::decode(&upload(NODE, fixture::descriptor(NODE, FIRST))).expect("an upload");
    let mut try_one = |seed: u8, payload: Vec<u8>| post(&mut network, seed, FIRST, payload.into());
    assert_eq!(try_one(NODE, b"nothing".to_vec()), PostStatus::DeserializeFailed);
    let bare = SignedUpload { descriptor: None, ..good.clone() };
    assert_eq!(try_one(NODE, bare.encode()), PostStatus::NilDescriptor);
    assert_eq!(try_one(NODE + 1, good.encode()), PostStatus::IdentityMismatch);
    let unsigned = SignedUpload { signature: None, ..good.clone() };
    assert_eq!(try_one(NODE, unsigned.encode()), PostStatus::SignatureInvalid);
    let stranger = fixture::descriptor(77, FIRST);
    assert_eq!(try_one(77, upload(77, stranger).to_vec()), PostStatus::Unauthorized);
    // A field that nobody knows: it was signed with it, and cannot be passed on without.
    let mut more = good.encode();
    more[0] += 1;
    more.extend_from_slice(&[0x61, b'X', 0x01]);
    assert_eq!(try_one(NODE, more.clone()), PostStatus::Ok, "a field outside of what is signed changes nothing");
    let mut descriptor = fixture::descriptor(NODE + 1, FIRST).encode();
    descriptor[0] += 1;
    descriptor.extend_from_slice(&[0x61, b'X', 0x01]);
    let payload = foreign_upload(NODE + 1, descriptor);
    assert_eq!(try_one(NODE + 1, payload), PostStatus::SignatureInvalid);
    assert!(last_reason(&network).contains("does not know"), "{}", last_reason(&network));
}

#[test]
fn descriptors_that_authorities_may_write_in_two_ways_are_refused_with_a_reason() {
    let mut network = Network::new(3);
    network.reach = Box::new(|_, _, _| false);
    network.run_to(FIRST, 0);
    let mut try_one = |advertized: &[u8], how: &str, expected: Option<&str>| {
        let descriptor = fixture::descriptor(NODE, FIRST);
        let field = b"KaetzchenAdvertizedData";
        let mut sent = descriptor.encode();
        let at = sent.windows(field.len()).position(|window| window == field).expect("the field") + field.len();
        sent.splice(at..at + 1, [b"\xa1\x61s\xa1\x61p", advertized].concat());
        let status = post(&mut network, NODE, FIRST, reread_upload(NODE, &sent).into());
        let reason = last_reason(&network);
        match expected {
            Some(expected) => assert!(status != PostStatus::Ok && reason.contains(expected), "{how}: {reason}"),
            None => assert_eq!(status, PostStatus::Ok, "{how}: {reason}"),
        }
    };
    let canonical = Some("not written canonically");
    try_one(&[0x18, 0x01], "a long head", canonical);
    try_one(&[0xd9, 0xd9, 0xf7, 0x01], "a tag that says nothing", canonical);
    try_one(&[0xc2, 0x42, 0x00, 0x01], "a big integer that is none", canonical);
    try_one(&[0xa2, 0x61, b'a', 1, 0x61, b'a', 2], "a key twice", canonical);
    try_one(&[0xc1, 0x01], "a time", Some("a time"));
    try_one(&[0xa1, 0x80, 0x01], "an array as a key", Some("key is an array"));
    let vast = [&[0x5a, 0x00, 0x20, 0x00, 0x00][..], &vec![0; 2 << 20]].concat();
    try_one(&vast, "more bytes than there may be", Some("shorten what its services advertise"));
    try_one(&[0xe0], "what the reference keeps", None);
}

/// An upload of `descriptor`, signed as the reference verifies it: over what it writes when it has read that.
fn reread_upload(seed: u8, descriptor: &[u8]) -> Vec<u8> {
    let canonical = MixDescriptor::decode(descriptor).map(|descriptor| descriptor.encode());
    let signature = match SignedUpload::decode(&foreign_upload(seed, canonical.unwrap_or_default())) {
        Ok(upload) => upload.signature,
        Err(_) => None,
    };
    upload_around(descriptor, signature.map(|signature| signature.to_value()).into())
}

fn upload_around(descriptor: &[u8], signature: Value) -> Vec<u8> {
    record(&["LoopStats", "Signature", "MixDescriptor"], [Value::Null, signature, descriptor.into()]).encode()
}

/// An upload signed over a descriptor that is not ours to write.
fn foreign_upload(seed: u8, descriptor: Vec<u8>) -> Vec<u8> {
    let message = upload_around(&descriptor, Value::Null);
    let signature = crate::certificate::Signature::new(&*signer(seed), &message, &mut fixture::random());
    upload_around(&descriptor, signature.to_value())
}

#[test]
fn a_descriptor_comes_too_late_when_there_is_a_consensus() {
    let mut network = Network::new(3);
    network.reach = Box::new(|seed, who, _| (seed, who) != (MIX, 0));
    assert_eq!(network.vote(FIRST).len(), 3);
    let status = post(&mut network, MIX, FIRST, upload(MIX, fixture::descriptor(MIX, FIRST)));
    assert_eq!(status, PostStatus::Conflict);
    // Another that was stored before is confirmed all the same.
    let status = post(&mut network, MIX + 1, FIRST, upload(MIX + 1, fixture::descriptor(MIX + 1, FIRST)));
    assert_eq!(status, PostStatus::Ok);
}

#[test]
fn fetches_get_the_codes_of_the_epoch() {
    let mut network = Network::new(3);
    network.run_to(FIRST, 2);
    let ask = |network: &mut Network, epoch: Epoch| match network.ask(0, Peer::Client, Request::GetConsensus { epoch })
    {
        Some(Reply::Consensus { code, payload }) => (code, payload),
        other => panic!("{other:?}"),
    };
    let code = |network: &mut Network, epoch: Epoch| ask(network, epoch).0;
    assert_eq!(code(&mut network, FIRST.before(1)), ConsensusCode::Gone);
    assert_eq!(code(&mut network, FIRST.before(2)), ConsensusCode::Gone);
    assert_eq!(code(&mut network, FIRST), ConsensusCode::NotFound);
    assert_eq!(code(&mut network, FIRST.after(1)), ConsensusCode::NotFound);
    network.run_to(FIRST, 6);
    let (got, payload) = ask(&mut network, FIRST);
    assert_eq!((got, &payload), (ConsensusCode::Ok, &network.published[&FIRST][&0]));
    // A round without a consensus: after 7/8 nobody need wait.
    network.silent = [0, 1, 2].into();
    let next = FIRST.after(1);
    network.run_to(next, 7);
    assert_eq!(code(&mut network, next), ConsensusCode::NotFound);
    network.run_until(network.now + Duration::from_secs(1));
    assert_eq!(code(&mut network, next), ConsensusCode::Gone);
    assert_eq!(code(&mut network, FIRST), ConsensusCode::Ok);
}
