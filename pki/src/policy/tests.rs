use super::*;
use crate::fixture::{self, document, id, link_key, map, time};
use Direction::{Incoming, Outgoing};
use proptest::prelude::*;

const NOW: Epoch = Epoch(50);

/// The view of mix 20, which is in the middle layer of every document, with mix `first[i]` alone in the first layer of
/// the document for epoch `50 + offset`.
fn view(documents: &[(i64, &[u8])]) -> View {
    let map = |(offset, first): &(i64, &[u8])| {
        let epoch = Epoch(NOW.0.wrapping_add_signed(*offset));
        map(20, &document(epoch, &[first, &[20], &[30]]))
    };
    View::new(Role::Mix, documents.iter().map(map).collect())
}

fn ask(view: &View, seed: u8, direction: Direction, now: &EpochTime) -> (bool, bool) {
    let (id, link_key) = (id(seed), link_key(seed));
    let verdict = authenticate(view, PeerCredentials { additional_data: &id, link_key: &link_key }, direction, now);
    (verdict.valid, verdict.may_send)
}

const NO: (bool, bool) = (false, false);
const CONNECT: (bool, bool) = (true, false);
const SEND: (bool, bool) = (true, true);

/// The middle of the epoch, and just inside the slack before its end.
fn moments() -> (EpochTime, EpochTime) {
    (time(NOW, 1, 2), time(NOW, 15, 16))
}

#[test]
fn the_current_document_decides() {
    let (middle, late) = moments();
    let view = view(&[(0, &[10])]);
    for now in [&middle, &late] {
        assert_eq!(ask(&view, 10, Incoming, now), SEND);
        assert_eq!(ask(&view, 30, Outgoing, now), SEND);
        assert_eq!(ask(&view, 10, Outgoing, now), NO);
        assert_eq!(ask(&view, 30, Incoming, now), NO);
        assert_eq!(ask(&view, 20, Incoming, now), NO);
        assert_eq!(ask(&view, 99, Incoming, now), NO);
        assert_eq!(ask(&view, 100, Incoming, now), NO);
    }
}

#[test]
fn the_next_document_counts_in_the_slack_only() {
    let (middle, late) = moments();
    let view = view(&[(1, &[11]), (0, &[10])]);
    assert_eq!(ask(&view, 11, Incoming, &middle), NO);
    assert_eq!(ask(&view, 11, Incoming, &late), SEND);
    assert_eq!(ask(&view, 10, Incoming, &late), SEND);
    // Outgoing: connect early, send when the epoch begins; a node in both documents may be sent to all the time.
    let only_next = View::new(Role::Mix, view.documents()[1..].to_vec());
    assert_eq!(ask(&only_next, 30, Outgoing, &late), CONNECT);
    assert_eq!(ask(&only_next, 30, Outgoing, &time(NOW.after(1), 0, 1)), SEND);
    assert_eq!(ask(&view, 30, Outgoing, &late), SEND);
    // Exactly an eighth before the end is not inside the slack.
    assert_eq!(ask(&view, 11, Incoming, &time(NOW, 7, 8)), NO);
}

#[test]
fn older_documents_count_while_the_node_is_listed() {
    let (middle, _) = moments();
    // Mix 11 was in the first layer one epoch ago, mix 12 two ago; 11 is now a colleague in the first layer's place of
    // the current document only if listed.
    let moved = {
        let current = map(20, &document(NOW, &[&[10], &[20, 11], &[30]]));
        let mut documents = view(&[(-1, &[11]), (-2, &[12])]).documents().to_vec();
        documents.push(current);
        View::new(Role::Mix, documents)
    };
    assert_eq!(ask(&moved, 11, Incoming, &middle), SEND, "listed in another layer");
    assert_eq!(ask(&moved, 12, Incoming, &middle), NO, "not listed any more");
    let without_current = view(&[(-1, &[11]), (-2, &[12])]);
    assert_eq!(ask(&without_current, 11, Incoming, &middle), NO);
    assert!(without_current.is_usable(&middle));
    let too_old = view(&[(0, &[10]), (-3, &[13])]);
    assert_eq!(ask(&too_old, 13, Incoming, &middle), NO);
    assert!(!view(&[(-3, &[13])]).is_usable(&middle));
}

#[test]
fn the_link_key_has_to_be_the_listed_one() {
    let (middle, _) = moments();
    let view = view(&[(0, &[10]), (-1, &[10])]);
    let peer = PeerCredentials { additional_data: &id(10), link_key: &[0; 32] };
    let verdict = authenticate(&view, peer, Incoming, &middle);
    assert!(!verdict.valid && !verdict.may_send && verdict.link_key_mismatch);
    let entry = view.node(verdict.descriptor.unwrap()).unwrap();
    assert_eq!((verdict.descriptor.unwrap().epoch, entry.id), (NOW, id(10)));
}

#[test]
fn a_gateway_takes_everybody_else_for_a_client() {
    let (middle, _) = moments();
    let documents = vec![map(100, &document(NOW, &[&[10], &[20], &[30]]))];
    let gateway = View::new(Role::Gateway, documents);
    let classify = |ad: &[u8], key: &[u8]| {
        classify_incoming(&gateway, PeerCredentials { additional_data: ad, link_key: key }, &middle)
    };
    assert!(matches!(classify(&id(30), &link_key(30)), IncomingPeer::Node(Verdict { may_send: true, .. })));
    assert_eq!(classify(&id(30), &link_key(31)), IncomingPeer::Client);
    assert_eq!(classify(b"0123456789abcdef0123456789abcdef", &[]), IncomingPeer::Client);
    assert_eq!(classify(b"", &[]), IncomingPeer::Client);
    let mix = view(&[(0, &[10])]);
    let peer = PeerCredentials { additional_data: b"", link_key: b"" };
    assert_eq!(classify_incoming(&mix, peer, &middle), IncomingPeer::Rejected(Verdict::default()));
}

#[test]
fn destinations_are_the_union_over_the_window() {
    let (middle, late) = moments();
    // The last layer changes: 30 in the document before, 31 in the current one (30 still listed), 32 in the next one.
    let at = |offset: u64, layers: &[&[u8]]| map(20, &document(Epoch(NOW.0 - 1 + offset), layers));
    let documents =
        vec![at(0, &[&[10], &[20], &[30, 33]]), at(1, &[&[10, 30], &[20], &[31]]), at(2, &[&[10], &[20], &[31, 32]])];
    let view = View::new(Role::Mix, documents);
    let seeds = |now: &EpochTime| -> Vec<u8> {
        let found = destinations(&view, now);
        (0..=255).filter(|seed| found.contains_key(&id(*seed))).collect()
    };
    assert_eq!(seeds(&middle), [30, 31]);
    assert_eq!(seeds(&late), [30, 31, 32]);
    assert_eq!(destinations(&view, &late)[&id(31)].epoch, NOW.after(1));
    for now in [&middle, &late] {
        for seed in [10, 20, 30, 31, 32, 33, 100, 200] {
            assert_eq!(destination(&view, &id(seed), now), destinations(&view, now).get(&id(seed)).copied());
        }
    }
}

#[test]
fn verdicts_change_when_announced() {
    let view = view(&[(1, &[11]), (0, &[10])]);
    let clock = crate::EpochClock::default();
    let middle = time(NOW, 1, 2);
    let slack = clock.now(next_change(&middle)).unwrap();
    assert_eq!(slack.epoch, NOW);
    assert_eq!(ask(&view, 11, Incoming, &slack), SEND);
    let next = clock.now(next_change(&slack)).unwrap();
    assert_eq!((next.epoch, next.elapsed), (NOW.after(1), Duration::ZERO));
}

#[test]
fn a_view_crosses_between_processes_unchanged() {
    let view = view(&[(1, &[11]), (0, &[10])]);
    let bytes = postcard::to_stdvec(&view).unwrap();
    assert_eq!(postcard::from_bytes::<View>(&bytes).unwrap(), view);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_peer_is_judged_without_panic(ad in proptest::collection::vec(any::<u8>(), 0..64), key in proptest::collection::vec(any::<u8>(), 0..64)) {
        let view = fixture_view();
        let peer = PeerCredentials { additional_data: &ad, link_key: &key };
        for direction in [Incoming, Outgoing] {
            prop_assert!(!authenticate(&view, peer, direction, &time(NOW, 1, 2)).valid);
        }
    }
}

fn fixture_view() -> View {
    View::new(Role::Mix, vec![fixture::map(20, &document(NOW, &[&[10], &[20], &[30]]))])
}
