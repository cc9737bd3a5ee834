//! Authorities that end and begin in the middle of things.

use super::network::{FIRST, Network};
use super::*;

/// At every sixteenth of an epoch, one after the other: nobody notices.
#[test]
fn a_restart_in_mid_vote_goes_on_where_it_was() {
    for sixteenth in 0..16 {
        let mut network = Network::new(3);
        network.run_to(FIRST, 0);
        network.run_until(network.now + network.clock.period() * sixteenth / 16 + Duration::from_secs(1));
        let was = network.get(1).state();
        network.kill(1);
        network.start(1);
        for epoch in [FIRST, FIRST.after(1)] {
            assert_eq!(network.vote(epoch).len(), 3, "{sixteenth}/16, {was:?}, {epoch}: {:#?}", network.notices);
            let (document, signers) = network.agreed(epoch).expect("a consensus");
            assert_eq!(signers, BTreeMap::from([(0, 3), (1, 3), (2, 3)]), "{sixteenth}/16, {was:?}, {epoch}");
            assert_eq!(document.genesis_epoch, FIRST);
        }
    }
}

/// Once in a chain of documents, and with the reveal in the hands of the old process only.
#[test]
fn all_may_restart_at_once() {
    let mut network = Network::new(3);
    network.vote(FIRST);
    for eighths in 1..5 {
        network.run_to(FIRST.after(1), eighths);
        network.run_until(network.now + Duration::from_secs(1));
        for who in 0..3 {
            network.kill(who);
            network.start(who);
        }
    }
    network.vote(FIRST.after(1));
    let (document, signers) = network.agreed(FIRST.after(1)).unwrap_or_else(|| panic!("{:#?}", network.notices));
    assert_eq!((document.genesis_epoch, signers), (FIRST, BTreeMap::from([(0, 3), (1, 3), (2, 3)])));
}

/// Gone over its vote: the others agree without it, it fetches what they agreed on, and votes on in the next epoch.
#[test]
fn a_missed_vote_is_made_up_for() {
    let mut network = Network::new(3);
    network.vote(FIRST);
    network.run_to(FIRST.after(1), 0);
    network.run_until(network.now + Duration::from_secs(2));
    network.kill(1);
    network.run_to(FIRST.after(1), 2);
    network.start(1);
    network.run_until(network.now + Duration::from_secs(1));
    assert_eq!(network.get(1).state(), State::Bootstrap);
    network.vote(FIRST.after(1));
    let (_, signers) = network.agreed(FIRST.after(1)).expect("a consensus of two");
    assert_eq!(signers, BTreeMap::from([(0, 2), (2, 2)]));
    assert_eq!(network.vote(FIRST.after(2)).len(), 3);
    let (document, signers) = network.agreed(FIRST.after(2)).expect("a consensus");
    assert_eq!((document.genesis_epoch, signers), (FIRST, BTreeMap::from([(0, 3), (1, 3), (2, 3)])));
}

/// Nodes ask any authority, and the others may end or change their programs before the epoch begins.
#[test]
fn who_begins_after_the_vote_has_the_next_document_before_its_epoch() {
    let mut network = Network::new(3);
    let begin = |network: &mut Network, who: usize| {
        network.kill(who);
        network.stores[who].clear();
        network.start(who);
    };
    let holds = |network: &Network, who: usize, epoch| network.get(who).documents().epochs().any(|held| held == epoch);
    network.vote(FIRST);
    network.run_to(FIRST.after(1), 0);
    network.run_to(FIRST.after(1), 5);
    network.run_until(network.now + Duration::from_secs(1));
    begin(&mut network, 1);
    network.run_until(network.now + Duration::from_secs(1));
    assert!(holds(&network, 1, FIRST) && !holds(&network, 1, FIRST.after(1)));
    network.run_to(FIRST.after(1), 7);
    assert!(holds(&network, 1, FIRST.after(1)));
    begin(&mut network, 0);
    begin(&mut network, 2);
    network.run_to(FIRST.after(2), 0);
    assert!([0, 2].iter().all(|who| [FIRST, FIRST.after(1)].iter().all(|epoch| holds(&network, *who, *epoch))));
    network.vote(FIRST.after(2));
    let (document, signers) = network.agreed(FIRST.after(2)).expect("a consensus");
    assert_eq!((document.genesis_epoch, signers.len()), (FIRST, 3));
}

/// What is stored keeps what was accepted, where the reference loses it (pki.md 11).
#[test]
fn uploads_outlive_a_restart_and_others_are_forgotten() {
    let mut network = Network::new(3);
    network.run_to(FIRST, 0);
    network.run_until(network.now + Duration::from_secs(1));
    let before = network.get(0).round();
    assert_eq!((before.descriptors, before.replica_descriptors), (5, 2));
    network.kill(0);
    let id = fixture::id(MIX);
    network.stores[0].insert(StoreKey::Descriptor { epoch: FIRST, id }, b"garbage".to_vec());
    network.stores[0].insert(StoreKey::Document { epoch: FIRST.before(1) }, b"garbage".to_vec());
    let author = *key(AUTHORITY + 1).id();
    let message = StoreKey::Message { epoch: FIRST, kind: MessageKind::Vote, author };
    network.stores[0].insert(message, b"garbage".to_vec());
    network.start(0);
    network.poll(0);
    let after = network.get(0).round();
    assert_eq!((after.descriptors, after.replica_descriptors), (4, 2));
    let told: Vec<String> = network.notices.iter().map(|(_, notice)| notice.to_string()).collect();
    for what in ["upload of epoch 1000", "consensus of epoch 999", "vote of auth2 for epoch 1000"] {
        assert!(told.iter().any(|told| told.contains(what)), "{what}: {told:#?}");
    }
}

/// A suspended process or a clock that jumps: nothing is sent that would cost others their round.
#[test]
fn a_clock_that_jumps_costs_no_more_than_the_round() {
    let period = Duration::from_secs(32);
    for jump in [period / 4, period / 2, period, period * 3, period * 1000] {
        let mut network = Network::new(3);
        network.vote(FIRST);
        network.run_to(FIRST.after(1), 0);
        let mut voting = network.authorities[1].take().expect("running");
        let now = network.clock.now(network.now + jump + Duration::from_millis(100)).expect("a time");
        let outputs = voting.poll(&now, &mut fixture::random());
        assert!(!outputs.iter().any(|output| matches!(output, Output::Send { .. })), "{jump:?}: {outputs:?}");
        assert!(voting.next_deadline() > now.unix && voting.next_deadline() <= now.unix + period);
        // And back.
        let before = network.time();
        voting.poll(&before, &mut fixture::random());
        assert!(voting.next_deadline() <= before.unix + period, "{jump:?}");
        network.authorities[1] = Some(voting);
        assert_eq!(network.vote(FIRST.after(2)).len(), 3, "{jump:?}: {:#?}", network.notices);
    }
}

/// One look at a clock that has jumped costs nothing that is stored; where it has stood for a while, what is older goes.
#[test]
fn a_clock_that_jumps_deletes_nothing_until_it_has_stood_there() {
    let mut network = Network::new(3);
    network.vote(FIRST);
    network.vote(FIRST.after(1));
    let mut voting = network.authorities[1].take().expect("running");
    let pruned = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            // What is older than the newest document is no matter of the clock.
            Output::Prune { before } if *before >= FIRST => Some(*before),
            _ => None,
        })
    };
    let present = network.time();
    let mut look = |ahead: u32| {
        let now = network.clock.now(network.now + network.clock.period() * ahead).expect("a time");
        (pruned(&voting.poll(&now, &mut fixture::random())), voting.documents().epochs().count())
    };
    assert_eq!(look(1000), (None, 2));
    assert_eq!(look(2000), (None, 2));
    assert_eq!(look(0), (None, 2));
    // An hour in which it goes on from where it was set to.
    assert_eq!([look(1000), look(1001), look(1002)], [(None, 2); 3]);
    assert_eq!(look(1003), (Some(present.epoch.after(1000)), 0));
}
