use super::*;
use crypto_simd::random::SeededRandom;
use std::collections::BTreeMap;
use testnet::members;

#[test]
fn addresses_are_dialled_in_random_order() {
    let mut random = SeededRandom::new(&[7; 32]);
    let authority = Authority {
        addresses: ["tcp://192.0.2.1:1", "quic://192.0.2.2:2", "tcp://[2001:db8::3]:3", "tcp://mix.example:4"]
            .map(String::from)
            .into(),
        ..members::authorities().list()[0].clone()
    };
    let mut orders: BTreeMap<Vec<Target>, usize> = BTreeMap::new();
    for _ in 0..2400 {
        *orders.entry(dialled_addresses(&authority, &mut random)).or_default() += 1;
    }
    assert_eq!(orders.len(), 24, "{orders:?}");
    assert!(orders.values().all(|count| (60..140).contains(count)), "{orders:?}");
    let mut all = orders.into_keys().next().expect("one order");
    all.sort();
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(all, ["192.0.2.1:1", "[2001:db8::3]:3", "mix.example:4", "quic://192.0.2.2:2"]);
}
