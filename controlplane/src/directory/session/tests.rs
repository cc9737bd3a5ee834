use super::*;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::signature;
use pki::VerifyingKey;
use std::collections::BTreeMap;

#[test]
fn addresses_are_dialled_in_random_order() {
    let mut random = SeededRandom::new(&[7; 32]);
    let scheme = signature::by_name("Ed25519").expect("built in");
    let key = scheme.load(&scheme.generate(&mut random)).expect("a fresh key");
    let authority = Authority {
        name: "one".into(),
        identity: VerifyingKey::new(scheme, key.public_key()).expect("its own key"),
        link_key: Vec::new(),
        addresses: ["tcp://192.0.2.1:1", "quic://192.0.2.2:2", "tcp://[2001:db8::3]:3", "tcp://mix.example:4"]
            .map(String::from)
            .into(),
    };
    let mut orders: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for _ in 0..600 {
        *orders.entry(dialled_addresses(&authority, &mut random)).or_default() += 1;
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
    assert!(orders.values().all(|count| (60..140).contains(count)), "{orders:?}");
    let mut all = orders.into_keys().next().expect("one order");
    all.sort();
    assert_eq!(all, ["192.0.2.1:1", "[2001:db8::3]:3", "mix.example:4"]);
}
