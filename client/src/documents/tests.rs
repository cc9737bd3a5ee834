use super::*;
use crate::tests::Network;
use pki::certificate::CertificateError;
use pki::document::Document;

fn at(ms: u64) -> Instant {
    Instant::default() + Duration::from_millis(ms)
}

fn documents(network: &Network) -> Documents {
    let settings = network.settings();
    Documents::new(DocumentVerifier { authorities: settings.authorities, geometry_hash: settings.geometry.hash() })
}

/// `sixteenths` of the way through the epoch.
fn time(network: &Network, epoch: Epoch, sixteenths: u32) -> EpochTime {
    let unix = network.clock.start(epoch) + network.clock.period() * sixteenths / 16;
    network.clock.now(unix).expect("after epoch 0")
}

const EPOCH: Epoch = Network::FIRST_EPOCH;

#[test]
fn more_than_half_of_the_authorities_make_a_document() {
    let mut network = Network::new(1);
    let mut documents = documents(&network);
    let document = network.document(EPOCH);
    let one = network.sign(&document, 1);
    assert_eq!(
        documents.handle_document(one, EPOCH, EPOCH),
        Err(DocumentError::Certificate(CertificateError::BelowThreshold { good: 1, needed: 2 }))
    );
    assert!(documents.current(EPOCH).is_none());
    let two = network.sign(&document, 2);
    assert_eq!(
        documents.handle_document(two.clone(), EPOCH.after(1), EPOCH),
        Err(DocumentError::WrongEpoch { found: EPOCH, wanted: EPOCH.after(1) })
    );
    assert_eq!(documents.handle_document(two, EPOCH, EPOCH), Ok(()));
    assert_eq!(documents.current(EPOCH).map(|consensus| consensus.epoch()), Some(EPOCH));
}

#[test]
fn a_document_of_another_network_or_without_sense_is_none() {
    let mut network = Network::new(1);
    let mut documents = documents(&network);
    let other = Document { sphinx_geometry_hash: vec![9; 32], ..network.document(EPOCH) };
    let raw = network.sign(&other, 3);
    assert_eq!(documents.handle_document(raw, EPOCH, EPOCH), Err(DocumentError::GeometryMismatch));
    let empty = Document { service_nodes: Vec::new(), ..network.document(EPOCH) };
    let raw = network.sign(&empty, 3);
    assert!(matches!(documents.handle_document(raw, EPOCH, EPOCH), Err(DocumentError::IllFormed(_))));
    assert!(matches!(documents.handle_document(vec![0xa0; 40], EPOCH, EPOCH), Err(DocumentError::Certificate(_))));
    assert!(!documents.has(EPOCH));
}

#[test]
fn what_is_missing_is_asked_for_once_in_a_pass() {
    let network = Network::new(1);
    let mut documents = documents(&network);
    let early = time(&network, EPOCH, 4);
    assert_eq!(documents.next_request(at(0), &early), Some(EPOCH));
    // For want of the current one the one before will do.
    assert_eq!(documents.next_request(at(1), &early), Some(EPOCH.before(1)));
    assert_eq!(documents.next_request(at(2), &early), None);
    let recheck = early.fraction(1, 16);
    assert_eq!(documents.next_pass(), at(2) + recheck);
    assert_eq!(documents.next_request(at(3), &early), None);
    assert_eq!(documents.next_request(at(2) + recheck, &early), Some(EPOCH));
}

#[test]
fn the_next_document_is_asked_for_in_the_last_five_sixteenths() {
    let mut network = Network::new(1);
    let mut documents = documents(&network);
    let document = network.document(EPOCH);
    let raw = network.sign(&document, 3);
    documents.handle_document(raw, EPOCH, EPOCH).expect("a document");
    let early = time(&network, EPOCH, 8);
    assert_eq!(documents.next_request(at(0), &early), None);
    let until_due = early.fraction(3, 16);
    assert_eq!(documents.next_pass(), at(1) + until_due);
    let late = time(&network, EPOCH, 12);
    let due = at(1) + until_due;
    assert_eq!(documents.next_request(due, &late), Some(EPOCH.after(1)));
    assert_eq!(documents.next_request(due, &late), None, "it was asked for, and the pass is over");
    assert_eq!(documents.next_pass(), due + late.fraction(1, 16));
    // One that will never exist is not asked for again.
    documents.handle_gone(EPOCH.after(1));
    assert_eq!(documents.next_request(due + late.fraction(1, 16), &late), None);
    // In its epoch the last one still counts, and is what there is.
    assert_eq!(documents.current(EPOCH.after(1)).map(|consensus| consensus.epoch()), Some(EPOCH));
    assert!(documents.current(EPOCH.after(2)).is_none());
}

#[test]
fn with_both_it_rests_until_the_one_after_is_due() {
    let mut network = Network::new(1);
    let mut documents = documents(&network);
    for epoch in [EPOCH, EPOCH.after(1)] {
        let document = network.document(epoch);
        let raw = network.sign(&document, 3);
        documents.handle_document(raw, epoch, EPOCH).expect("a document");
    }
    let late = time(&network, EPOCH, 14);
    assert_eq!(documents.next_request(at(0), &late), None);
    let wait = late.till + late.fraction(11, 16);
    assert_eq!(documents.next_pass(), at(1) + wait);
    // A new link asks at once, and forgets what lies two epochs back.
    documents.handle_link(at(7));
    assert_eq!(documents.next_request(at(7), &time(&network, EPOCH.after(3), 1)), Some(EPOCH.after(3)));
    assert!(!documents.has(EPOCH.after(1)));
}
