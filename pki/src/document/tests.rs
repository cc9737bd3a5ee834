use super::*;
use crate::address::Addresses;
use crate::cbor::{Canonical, CborError, Value, record};
use crate::certificate::Signature;
use crate::descriptor::Services;
use crate::fixture::{self, GEOMETRY_HASH, id, key, signed, signer};
use crate::identity::VerifyingKey;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::sync::Arc;
use vectors::{hex, verify};

fn keys() -> Vec<VerifyingKey> {
    (1..=3).map(key).collect()
}

/// The current epoch in the voting phases, in which commits are still valid.
fn voting(file: &Json) -> Epoch {
    Epoch(file["epoch"].as_u64().unwrap_or_default()).before(1)
}

#[test]
fn votes_certificates_and_consensuses_of_the_reference() {
    verify("pki_document.json", "/consensus/sum256", |file, tally| {
        for kind in ["vote", "certificate", "consensus", "consensus_without_replicas"] {
            let case = &file[kind];
            let raw = hex(&case["certificate_cbor"]);
            let (certificate, document) = parse(&raw, voting(file)).map_err(|error| format!("{kind}: {error}"))?;
            assert_eq!(certificate.encode(), raw, "{kind}");
            assert_eq!(certificate.certified, hex(&case["document_cbor"]), "{kind}");
            assert_eq!(certificate.key_type, case["key_type"], "{kind}");
            assert_eq!(certificate.expiration.0, case["expiration"], "{kind}");
            assert_eq!(document.encode(), hex(&case["document_cbor"]), "{kind}");
            assert_eq!(document.check(&keys(), voting(file)), Ok(()), "{kind}");
            let bare = document.to_certificate();
            assert_eq!(crate::certificate::Certificate { signatures: certificate.signatures, ..bare }.encode(), raw);
            if case.get("sum256").is_some() {
                check_consensus(case, &document, voting(file))?;
            }
            tally.assert_case();
        }
        Ok(())
    });
}

fn check_consensus(case: &Json, document: &Document, now: Epoch) -> Result<(), String> {
    let raw: Arc<[u8]> = hex(&case["certificate_cbor"]).into();
    let geometry_hash = <[u8; 32]>::try_from(document.sphinx_geometry_hash.as_slice()).map_err(|e| e.to_string())?;
    let verify = |threshold| Consensus::verify(raw.clone(), &keys(), threshold, document.epoch, &geometry_hash, now);
    let consensus = verify(2).map_err(|error| error.to_string())?;
    assert_eq!(consensus.sum256()[..], hex(&case["sum256"]));
    assert_eq!(consensus.signers().good.len() as u64, case["good"]);
    assert_eq!(consensus.document(), document);
    for (layer, node) in document.nodes() {
        assert_eq!(consensus.node(&node.id()), Some((layer, node)));
    }
    assert!(verify(4).is_err());
    // The signatures that authorities exchanged add up to the published certificate.
    let mut certificate = document.to_certificate();
    for exchange in case["sig_exchange"].as_array().ok_or("no exchange")? {
        let key = keys().into_iter().find(|key| key.id()[..] == hex(&exchange["authority_pk_hash"])).ok_or("no key")?;
        let command = crate::certificate::Certificate::decode(&hex(&exchange["sig_command_payload"]));
        let command = command.map_err(|error| error.to_string())?;
        let inner = command.verify(&key, now).map_err(|error| error.to_string())?;
        assert_eq!(inner, hex(&exchange["signature_cbor"]));
        let signature = Signature::decode(inner).map_err(|error| error.to_string())?;
        certificate.add_signature(&key, signature, now).map_err(|error| error.to_string())?;
    }
    assert_eq!(certificate.encode(), raw[..]);
    // And our own signing makes the same bytes.
    let signers: Vec<_> = (1..=3).map(signer).collect();
    let signers: Vec<_> = signers.iter().map(|signer| &**signer).collect();
    let again = document.sign(&signers, now, &mut fixture::random()).map_err(|error| error.to_string())?;
    assert_eq!(again.encode(), raw[..]);
    Ok(())
}

const EPOCH: Epoch = Epoch(50);

fn good() -> Document {
    fixture::document(EPOCH, &[&[10, 11], &[12], &[13]])
}

fn verify_raw(raw: Arc<[u8]>, wanted: Epoch, now: Epoch) -> Result<Consensus, DocumentError> {
    Consensus::verify(raw, &keys(), 2, wanted, &GEOMETRY_HASH, now)
}

#[test]
fn a_consensus_needs_signatures_time_epoch_and_geometry() {
    let raw = signed(&good(), &[1, 3]);
    let consensus = verify_raw(raw.clone(), EPOCH, EPOCH).unwrap();
    assert_eq!(consensus.signers().bad, [id(2)]);
    assert_eq!(
        consensus.node(&id(12)).map(|(layer, node)| (layer, node.name.clone())),
        Some((Layer::Mix(1), "node12".into()))
    );
    assert_eq!(consensus.node(&id(100)).map(|(layer, _)| layer.number()), Some(255));
    assert_eq!(consensus.node(&id(99)).map(|(layer, _)| layer), None);
    assert!(verify_raw(raw.clone(), EPOCH, EPOCH.after(4)).is_ok());
    assert!(matches!(
        verify_raw(raw.clone(), EPOCH, EPOCH.after(5)),
        Err(DocumentError::Certificate(CertificateError::Expired { .. }))
    ));
    let error = verify_raw(raw, EPOCH.after(1), EPOCH).unwrap_err();
    assert_eq!(error, DocumentError::WrongEpoch { found: EPOCH, wanted: EPOCH.after(1) });
    let error = verify_raw(signed(&good(), &[1, 4]), EPOCH, EPOCH).unwrap_err();
    assert_eq!(error, DocumentError::Certificate(CertificateError::BelowThreshold { good: 1, needed: 2 }));
    let other = Document { sphinx_geometry_hash: vec![8; 32], ..good() };
    assert_eq!(verify_raw(signed(&other, &[1, 2]), EPOCH, EPOCH).unwrap_err(), DocumentError::GeometryMismatch);
    let unsigned = good().to_certificate().encode();
    assert_eq!(parse(&unsigned, EPOCH).unwrap_err(), DocumentError::NotSigned);
}

/// The payload `good`, signed by authorities 1 and 2.
fn signed_payload(payload: Vec<u8>) -> Certificate {
    let mut certificate = Certificate::new("Ed25519", payload, EPOCH.after(5));
    for seed in [1, 2] {
        certificate.sign(&*signer(seed), EPOCH, &mut fixture::random()).unwrap();
    }
    certificate
}

#[test]
fn an_authority_that_signs_under_a_false_hash_costs_nobody_the_consensus() {
    let mut certificate = signed_payload(good().encode());
    certificate.sign(&*signer(3), EPOCH, &mut fixture::random()).unwrap();
    certificate.signatures.get_mut(&id(3)).unwrap().public_key_sum256 = [9; 32];
    let consensus = verify_raw(certificate.encode().into(), EPOCH, EPOCH).unwrap();
    assert_eq!((consensus.signers().good.len(), &consensus.signers().bad[..]), (2, &[id(3)][..]));
}

#[test]
fn a_descriptor_that_nothing_can_be_made_of_costs_its_own_node_only() {
    let whole = good();
    let name = whole.topology[0][0].name.clone();
    let addresses = |url: &str| Addresses::from(&BTreeMap::from([("tcp4".to_string(), vec![url.to_string()])]));
    let mut document = whole.clone();
    document.topology[0][0].addresses = Some(addresses("tcp://192.0.2.1"));
    document.storage_replicas = vec![Default::default()];
    assert!(document.check(&keys(), EPOCH).is_err());
    let mut payload = document.encode();
    // The gateway's flag, for which there is no such value.
    let flag = b"\x6dIsGatewayNode\xf5";
    let at = payload.windows(flag.len()).position(|window| window == flag).unwrap() + flag.len() - 1;
    payload[at] = 0x00;
    assert!(Document::decode(&payload).is_err());
    let consensus = verify_raw(signed_payload(payload).encode().into(), EPOCH, EPOCH).unwrap();
    let said: Vec<_> = consensus.left_out().iter().map(|node| (node.list, node.name.as_str())).collect();
    assert_eq!(said, [("Topology", name.as_str()), ("GatewayNodes", ""), ("StorageReplicas", "")]);
    let mut expected = whole;
    expected.topology[0].remove(0);
    expected.gateway_nodes.remove(0);
    assert_eq!(consensus.document(), &expected);
    assert_eq!(consensus.node(&id(100)), None);
    assert_eq!(consensus.node(&id(101)).map(|(_, node)| node), expected.gateway_nodes.first());
}

#[test]
fn what_the_reference_publishes_of_an_odd_node_is_read() {
    let mut document = good();
    let urls = ["tcp://192.0.2.1:1", "tcp://h%C3%A9:1", "tcp://[fe80::1%25a%41]:1", "tcp://h:1#\u{1}"];
    let urls = BTreeMap::from([("tcp4".to_string(), urls.map(String::from).to_vec())]);
    document.topology[0][0].addresses = Some(Addresses::from(&urls));
    // A simple value without a meaning, tags in front of 29 arrays, and two million items.
    let rows = [vec![0x9a, 0x00, 0x02, 0x00, 0x00], vec![0x00; 131_072]].concat().repeat(16);
    for odd in [vec![0xe0], [[0xc5, 0x81].repeat(29), vec![0x00]].concat(), [vec![0x90], rows].concat()] {
        let value = Value::from(&Canonical::any(crate::cbor::decode(&odd).unwrap()).unwrap());
        let about = BTreeMap::from([("s".to_string(), Some(BTreeMap::from([("p".to_string(), value)])))]);
        document.topology[0][0].kaetzchen_advertized_data = Some(Services::from(&about));
        let consensus = verify_raw(signed_payload(document.encode()).encode().into(), EPOCH, EPOCH).unwrap();
        assert_eq!((consensus.left_out(), consensus.document()), (&[][..], &document));
    }
}

#[test]
fn a_document_lists_no_more_nodes_than_there_can_be() {
    let node = |_| Value::Map(Vec::new());
    let list = |nodes: usize| Value::Array((0..nodes).map(node).collect());
    let decode = |nodes| Document::decode(&record(&["GatewayNodes"], [list(nodes)]).encode()).map(|_| ());
    assert_eq!(decode(NODES_MAX), Ok(()));
    assert_eq!(decode(NODES_MAX + 1), Err(CborError::TooMany));
}

#[test]
fn ill_formed_documents_are_refused() {
    let check = |change: &dyn Fn(&mut Document)| {
        let mut document = good();
        change(&mut document);
        document.check(&keys(), EPOCH).unwrap_err()
    };
    assert_eq!(check(&|d| d.version = "v0".into()), DocumentIllFormed::Version("v0".into()));
    assert_eq!(check(&|d| d.genesis_epoch = Epoch(0)), DocumentIllFormed::Genesis);
    assert_eq!(check(&|d| d.prior_shared_random.clear()), DocumentIllFormed::PriorSharedRandom);
    assert_eq!(check(&|d| d.topology.clear()), DocumentIllFormed::Layers(0));
    assert_eq!(check(&|d| d.topology = vec![d.topology[0].clone(); 255]), DocumentIllFormed::Layers(255));
    assert_eq!(check(&|d| d.topology[1].clear()), DocumentIllFormed::EmptyLayer(1));
    assert_eq!(check(&|d| d.gateway_nodes.clear()), DocumentIllFormed::NoGateway);
    assert_eq!(check(&|d| d.service_nodes.clear()), DocumentIllFormed::NoServiceNode);
    assert_eq!(check(&|d| d.gateway_nodes[1].is_gateway_node = false), DocumentIllFormed::Role("node101".into()));
    assert_eq!(check(&|d| d.topology[2] = d.topology[1].clone()), DocumentIllFormed::Twice("node12".into()));
    assert!(matches!(check(&|d| d.topology[0][0].addresses = None), DocumentIllFormed::Descriptor { .. }));
    assert!(matches!(check(&|d| d.storage_replicas = vec![Default::default()]), DocumentIllFormed::Descriptor { .. }));
    assert_eq!(check(&|d| d.shared_random_commit = [([9; 32], vec![])].into()), DocumentIllFormed::UnknownAuthority);
    assert!(matches!(
        check(&|d| d.shared_random_commit = [(id(1), vec![0xa0])].into()),
        DocumentIllFormed::SharedRandom(_)
    ));
}

#[test]
fn commits_and_reveals_have_to_pair() {
    let certified = |seed: u8, bytes: Vec<u8>| {
        let mut certificate = crate::certificate::Certificate::new("Ed25519", bytes, EPOCH);
        certificate.sign(&*signer(seed), EPOCH.before(1), &mut fixture::random()).unwrap();
        certificate.encode()
    };
    let part = |hash: [u8; 32]| [&EPOCH.0.to_be_bytes()[..], &hash].concat();
    let check = |document: &Document| document.check(&keys(), EPOCH.before(1));
    let mut document = good();
    for seed in [1, 2] {
        let reveal = part([seed; 32]);
        document.shared_random_commit.insert(id(seed), certified(seed, part(crate::hash(&reveal))));
        document.shared_random_reveal.insert(id(seed), certified(seed, reveal));
    }
    assert_eq!(check(&document), Ok(()));
    let mut other = document.clone();
    other.shared_random_reveal.insert(id(2), certified(2, part([9; 32])));
    assert_eq!(check(&other), Err(DocumentIllFormed::RevealMismatch));
    other.shared_random_reveal.insert(id(2), certified(2, vec![9; 40]));
    assert_eq!(check(&other), Err(DocumentIllFormed::MalformedSharedRandom));
    other.shared_random_reveal.remove(&id(2));
    assert_eq!(check(&other), Err(DocumentIllFormed::RevealCount { commits: 2, reveals: 1 }));
    other.shared_random_reveal.insert(id(3), vec![]);
    assert_eq!(check(&other), Err(DocumentIllFormed::RevealMissing));
    other.shared_random_commit.remove(&id(2));
    assert_eq!(check(&other), Err(DocumentIllFormed::RevealCount { commits: 1, reveals: 2 }));
}

#[test]
fn delay_caps_follow_the_rate() {
    assert_eq!(delay_cap_ms(0.005), 5527);
    for off in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(delay_cap_ms(off), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_and_damaged_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte: u8) {
        let _ = Document::decode(&noise);
        let mut payload = good().encode();
        let at = at % payload.len();
        payload[at] = byte;
        if let Ok(document) = Document::decode(&payload) {
            let _ = document.check(&keys(), EPOCH);
        }
        // A signed document with that payload, so that everything behind the signature is reached too.
        let mut certificate = crate::certificate::Certificate::new("Ed25519", payload, EPOCH.after(5));
        for seed in [1, 2] {
            certificate.sign(&*signer(seed), EPOCH, &mut fixture::random()).unwrap();
        }
        let _ = verify_raw(certificate.encode().into(), EPOCH, EPOCH);
        let _ = verify_raw(noise.into(), EPOCH, EPOCH);
    }
}
