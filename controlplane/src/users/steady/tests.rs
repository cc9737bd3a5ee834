use super::*;

const DAY: u64 = 24 * 3600;

#[test]
fn a_clock_that_jumps_is_not_believed_for_a_while() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut steady = Steady::new(1000 * DAY, start);
    assert!(steady.is_believed(1000 * DAY, at(0)));
    // A correction is no jump.
    assert!(steady.is_believed(1000 * DAY + 160, at(60)));
    assert!(steady.is_believed(1000 * DAY + 100, at(120)));
    // Ahead for two minutes.
    assert!(!steady.is_believed(1030 * DAY, at(180)));
    assert!(!steady.is_believed(1030 * DAY + 60, at(240)));
    assert!(!steady.is_believed(1000 * DAY + 300, at(300)));
    assert!(!steady.is_believed(1000 * DAY + 360, at(360)));
    // An hour later what it says counts.
    assert!(!steady.is_believed(1000 * DAY + 3890, at(3890)));
    assert!(steady.is_believed(1000 * DAY + 3900, at(3900)));
}
