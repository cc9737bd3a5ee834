use super::*;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::nike;

fn keys() -> MixKeys {
    MixKeys::new(Scheme::Nike(nike::by_name("x25519").unwrap()))
}

#[test]
fn a_descriptor_holds_three_epochs_and_a_published_key_never_changes() {
    let mut random = SeededRandom::new(&[1; 32]);
    let mut keys = keys();
    assert_eq!(keys.public_keys(10), None);
    assert!(keys.make(10, &mut random).unwrap());
    let first = keys.public_keys(10).unwrap();
    assert!(keys.make(11, &mut random).unwrap());
    assert!(!keys.make(11, &mut random).unwrap());
    assert_eq!(keys.public_keys(10).unwrap(), first);
    assert_eq!(keys.public_keys(11).unwrap()[&12], first[&12]);
    assert!(!keys.prune(Epoch(10), None));
    assert!(keys.prune(Epoch(11), None));
    assert_eq!(keys.epochs(), [11, 12, 13]);
    assert!(!keys.prune(Epoch(11), Some(Epoch(13))));
    assert!(keys.prune(Epoch(11), Some(Epoch(12))));
    assert_eq!(keys.epochs(), [11, 12]);
}

#[test]
fn adopted_keys_come_before_new_ones() {
    let mut random = SeededRandom::new(&[2; 32]);
    let mut before = keys();
    before.make(5, &mut random).unwrap();
    let mut after = keys();
    after.adopt(before.private_keys().map(|(epoch, key)| (epoch, key.clone()))).unwrap();
    assert!(!after.make(5, &mut random).unwrap());
    assert_eq!(after.public_keys(5), before.public_keys(5));
}
