use super::*;
use crate::fixture::{key, random, signer};
use vectors::{hex, verify};

const EPOCH: Epoch = Epoch(40);

#[test]
fn commits_reveals_and_values_are_the_references() {
    verify("pki_sharedrandom.json", "/srv_previous_value_0x55_x32", |file, tally| {
        let epoch = Epoch(file["epoch"].as_u64().ok_or("no epoch")?);
        let mut reveals = BTreeMap::new();
        for entry in file["authorities"].as_array().ok_or("no authorities")? {
            let drawn = hex(&entry["rn"]).try_into().map_err(|_| "not 32 bytes")?;
            let reveal = reveal_of(epoch, &drawn);
            assert_eq!(reveal[..], hex(&entry["reveal"]));
            assert_eq!(commit_to(&reveal)[..], hex(&entry["commit"]));
            reveals.insert(hex(&entry["authority_pk_hash"]).try_into().map_err(|_| "not 32 bytes")?, reveal);
            tally.assert_case();
        }
        assert_eq!(value(epoch, &reveals, &NONE)[..], hex(&file["srv_no_previous_document"]));
        assert_eq!(value(epoch, &reveals, &[0x55; 32])[..], hex(&file["srv_previous_value_0x55_x32"]));
        tally.assert_case();
        Ok(())
    });
}

/// Signed pairs of the authorities with the seeds 1 to 4.
fn pairs() -> Vec<(NodeId, Pair)> {
    let mut random = random();
    let pair = |seed| (*key(seed).id(), commit(EPOCH, "Ed25519", &*signer(seed), Epoch(39), &mut random));
    (1..=4).map(pair).map(|(id, pair)| (id, pair.unwrap_or_else(|error| panic!("{error}")))).collect()
}

fn contribution(pairs: &[(NodeId, Pair)]) -> Contribution {
    let mut all = Contribution::default();
    for (id, pair) in pairs {
        all.commits.insert(*id, pair.commit.clone());
        all.reveals.insert(*id, pair.reveal.clone());
    }
    all
}

fn count(certificates: &[(NodeId, Contribution)]) -> (usize, BTreeMap<NodeId, Strike>) {
    let keys: Vec<_> = (1..=4).map(key).collect();
    let certificates: Vec<_> = certificates.iter().map(|(id, contribution)| (*id, contribution)).collect();
    let counted = counted(&certificates, &keys, EPOCH, Epoch(39));
    (counted.len(), counted.struck)
}

/// All four certificates hold the same, except what `change` does to that of authority 1.
fn count_with(change: impl FnOnce(&mut Contribution)) -> (usize, BTreeMap<NodeId, Strike>) {
    let same = contribution(&pairs());
    let mut certificates: Vec<_> = (1..=4).map(|seed| (*key(seed).id(), same.clone())).collect();
    change(&mut certificates[0].1);
    count(&certificates)
}

#[test]
fn each_fault_strikes_who_has_made_it() {
    let (one, two, five) = (*key(1).id(), *key(2).id(), *key(5).id());
    assert_eq!(count_with(|_| {}), (4, BTreeMap::new()));
    let struck = |id, strike| (3, BTreeMap::from([(id, strike)]));
    let other = pairs().remove(1).1.commit;
    assert_eq!(count_with(|c| drop(c.commits.insert(five, other))), struck(one, Strike::Unknown));
    assert_eq!(count_with(|c| drop(c.reveals.remove(&two))), struck(one, Strike::RevealMissing));
    assert_eq!(count_with(|c| drop(c.commits.insert(two, vec![1, 2]))), struck(one, Strike::Commit));
    assert_eq!(count_with(|c| drop(c.reveals.insert(two, vec![1, 2]))), struck(one, Strike::Reveal));
    // Another pair of authority 2, validly signed: it has told different things.
    let again = commit(EPOCH, "Ed25519", &*signer(2), Epoch(39), &mut crypto_simd::random::SeededRandom::new(&[1; 32]));
    let again = again.unwrap_or_else(|error| panic!("{error}"));
    let (commit_again, reveal_again) = (again.commit, again.reveal);
    let split = count_with(|c| {
        c.commits.insert(two, commit_again);
        c.reveals.insert(two, reveal_again.clone());
    });
    assert_eq!(split, struck(two, Strike::Split));
    let unopened = count_with(|c| drop(c.reveals.insert(two, reveal_again)));
    assert_eq!(unopened, (2, BTreeMap::from([(one, Strike::Unopened), (two, Strike::Unopened)])));
}

#[test]
fn a_commit_for_another_epoch_strikes_its_author() {
    let two = *key(2).id();
    let late = commit(EPOCH.after(1), "Ed25519", &*signer(2), Epoch(39), &mut random());
    let late = late.unwrap_or_else(|error| panic!("{error}"));
    let mut all = contribution(&pairs());
    all.commits.insert(two, late.commit);
    all.reveals.insert(two, late.reveal);
    let (count, struck) = count(&[(*key(1).id(), all)]);
    assert_eq!(struck.get(&two), Some(&Strike::Unopened));
    assert!(count < 4);
}

/// pki.md 10.7: the rotation at both places of a round leaves zeros.
#[test]
fn the_weekly_rotation_leaves_zeros_in_the_second_place() {
    let (old, new) = ([1; 32], [9; 32]);
    let mut prior = Prior(vec![old.into(), old.into()]);
    prior.begin(Epoch(503));
    prior.rotate(Epoch(503), Epoch(1), &new);
    assert_eq!(prior.0, [old, old]);
    prior.begin(Epoch(504));
    assert_eq!(prior.0, [NONE, old]);
    prior.rotate(Epoch(504), Epoch(1), &new);
    assert_eq!(prior.0, [new, NONE]);
    // A new chain: the value twice, the week does not matter.
    let mut prior = Prior::default();
    prior.begin(Epoch(504));
    assert_eq!(prior.0, [NONE, NONE]);
    prior.rotate(Epoch(504), Epoch(504), &new);
    assert_eq!(prior.0, [new, new]);
}
