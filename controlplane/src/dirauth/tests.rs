//! What tests of several modules need.

use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::signature;
use pki::VerifyingKey;
use pki::authority::{Authorities, Authority};
use std::sync::Arc;

/// So many authorities that nobody can reach.
pub fn authorities(count: u8) -> Arc<Authorities> {
    let scheme = signature::by_name("Ed25519").expect("built in");
    let list = (1..=count).map(|number| {
        let key = scheme.load(&scheme.generate(&mut SeededRandom::new(&[number; 32]))).expect("a fresh key");
        Authority {
            name: format!("auth{number}"),
            identity: VerifyingKey::new(scheme, key.public_key()).expect("a fresh key"),
            link_key: vec![number],
            addresses: Vec::new(),
        }
    });
    Arc::new(Authorities::new(list.collect()).expect("all differ"))
}
