use super::*;

#[test]
fn things_count_from_the_kernels_time_but_not_from_long_ago() {
    let (civil, at) = (Duration::from_secs(1_800_000_000), Instant(5_000_000_000));
    let look = Look { at, civil };
    let lain = |lain: Duration| look.arrived_at(Some(civil - lain));
    assert_eq!(lain(Duration::from_micros(300)), Instant(at.0 - 300_000));
    assert_eq!(lain(LAIN_MAX), Instant(at.0 - 1_000_000));
    assert_eq!(lain(Duration::from_secs(9)), Instant(at.0 - 1_000_000), "the clock was set forward");
    assert_eq!(look.arrived_at(Some(civil + Duration::from_micros(1))), at, "the clock was set back");
    assert_eq!(look.arrived_at(None), at, "no time");
    assert_eq!(Look { at: Instant(7), civil }.arrived_at(Some(civil - LAIN_MAX)), Instant(0), "just started");
}
