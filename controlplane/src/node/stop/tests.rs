use super::*;
use pki::{Epoch, EpochClock};

/// server.md 1.8; 13 point 4.
#[test]
fn a_withdrawal_lasts_as_long_as_the_node_is_advertised() {
    let clock = EpochClock::default();
    let period = clock.period();
    let now = clock.now(clock.start(Epoch(100)) + period / 4).expect("after the first epoch");
    let till = period * 3 / 4;
    assert_eq!(advertised_for(None, &now), None);
    assert_eq!(advertised_for(Some(99), &now), None);
    assert_eq!(advertised_for(Some(100), &now), Some(till));
    assert_eq!(advertised_for(Some(101), &now), Some(till + period));
}
