//! What the authority and the node know of each other.

use super::LONG;
use crate::support::authority::Documents;
use crate::support::site::{SOON, Site};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn waits_for_an_authority_that_is_down() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("authority authority: ", 2);
    assert!(node.runs() && !site.is_dialled());
    let _authority = site.start_authority();
    site.wait_for_document();
    site.link();
    node.stop();
    site.is_quiet();
}

#[test]
fn believes_no_document_that_is_not_the_authoritys_or_of_another_epoch() {
    for documents in [Documents::OtherEpoch, Documents::OtherSigner, Documents::Damaged] {
        let site = Site::new(LONG);
        let authority = site.start_authority();
        authority.serve(documents);
        let mut node = site.start_node();
        site.wait_for_log(" WARN pki: authority authority: ", 2);
        let epoch = site.network.epoch().0;
        assert!(!site.holds(epoch) && !site.holds(epoch + 1), "{documents:?}");
        assert!(!site.is_dialled(), "{documents:?}");
        authority.serve(Documents::Good);
        site.wait_for_document();
        site.link();
        node.stop();
        site.is_quiet();
    }
}

/// Once for each Mu, not for each document.
#[test]
fn tells_of_delays_that_are_short_for_its_slots() {
    const WARNING: &str = " WARN pki: the document's Mu of 0.25 means delays of 4.0 ms on average";
    for (mu, warnings) in [(0.2, 0), (0.25, 1)] {
        let mut site = Site::new(LONG);
        Arc::get_mut(&mut site.network).expect("nobody has it yet").mu = mu;
        let _authority = site.start_authority();
        let mut node = site.start_node();
        site.wait_for_log("Going by the document of epoch ", 1);
        site.wait_for_document();
        node.stop();
        assert_eq!(site.log().matches(WARNING).count(), warnings, "{}", site.log());
        site.is_quiet();
    }
}

#[test]
fn crosses_epochs() {
    let site = Site::new(Duration::from_secs(8));
    let authority = site.start_authority();
    let mut node = site.start_node();
    let first = site.next_epoch();
    let mut traffic = site.link();
    let posts = [first, first.after(1)].map(|epoch| authority.wait_for_post(epoch, SOON));
    let [one, two] = posts.map(|post| post.descriptor());
    // Keys are promised three epochs ahead and never change.
    for epoch in [first.after(1), first.after(2)] {
        assert_eq!(one.mix_key(epoch), two.mix_key(epoch));
    }
    assert_ne!(two.mix_key(first.after(1)), two.mix_key(first.after(3)));
    // The second post comes in the epoch that the first one was for, of which there is a document with the node's keys.
    assert_eq!(site.network.epoch(), first);
    site.wait_for_document();
    let (current, next) = (traffic.packets(&two, first.after(1), 20), traffic.packets(&one, first, 20));
    traffic.pass(&current);
    traffic.pass(&next);
    assert_eq!(authority.posts().len(), 2, "one post for each epoch");
    node.stop();
    site.is_quiet();
}
