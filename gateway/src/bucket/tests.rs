use super::*;

fn at(ns: u64) -> Instant {
    Instant::default() + Duration::from_nanos(ns)
}

#[test]
fn rates_are_those_of_the_specification() {
    let vectors = [
        (0.0, 0.0, None),
        (0.001, 0.0, Some(909_090_910)),
        (0.001, 0.0005, Some(606_060_607)),
        (0.5, 0.5, Some(909_091)),
        (-1.0, -0.5, None),
        (f64::NAN, 0.0, None),
        (f64::INFINITY, 0.0, None),
        (f64::MIN_POSITIVE, 0.0, Some(u64::MAX)),
    ];
    for (lambda_p, lambda_l, interval_ns) in vectors {
        let expected = interval_ns.map(Duration::from_nanos);
        assert_eq!(Rate::of(lambda_p, lambda_l).interval(), expected, "({lambda_p}, {lambda_l})");
    }
}

#[test]
fn a_fresh_client_has_one_token_and_gets_more_at_the_rate() {
    let rate = Rate::of(0.001, 0.0);
    let interval = 909_090_910;
    let mut bucket = TokenBucket::default();
    bucket.set_rate(rate, at(0));
    assert!(bucket.take(at(0)));
    assert!(!bucket.take(at(0)));
    assert!(!bucket.take(at(interval - 1)));
    assert!(bucket.take(at(interval)));
    assert!(!bucket.take(at(2 * interval - 1)), "the part of an interval that is over is not forgotten");
    assert!(bucket.take(at(2 * interval)));
}

#[test]
fn no_burst_is_larger_than_the_bucket() {
    let mut bucket = TokenBucket::default();
    bucket.set_rate(Rate::of(0.5, 0.5), at(0));
    let late = at(u64::MAX / 2);
    let passed = (0..1000).filter(|_| bucket.take(late)).count();
    assert_eq!(passed as u64, BURST);
}

#[test]
fn a_sender_at_the_rate_of_the_document_loses_nothing() {
    // One packet each 1/(lambda), a tenth slower than tokens come.
    let mut bucket = TokenBucket::default();
    bucket.set_rate(Rate::of(0.01, 0.0), at(0));
    let dropped = (0..10_000_u64).filter(|number| !bucket.take(at(number * 100_000_000))).count();
    assert_eq!(dropped, 0);
    // At twice the rate, 1.1 of 2 pass in the long run.
    let mut bucket = TokenBucket::default();
    bucket.set_rate(Rate::of(0.01, 0.0), at(0));
    let passed = (0..10_000_u64).filter(|number| bucket.take(at(number * 50_000_000))).count();
    assert!((5_490..=5_510).contains(&passed), "{passed} of 10000");
}

#[test]
fn without_a_limit_everything_passes_and_changes_keep_what_is_owed() {
    let mut bucket = TokenBucket::default();
    assert!((0..1000).all(|_| bucket.take(at(0))));
    bucket.set_rate(Rate::of(0.5, 0.5), at(0));
    assert!(bucket.take(at(0)) && !bucket.take(at(0)));
    // Half of the bucket fills, and stays when the rate changes.
    bucket.set_rate(Rate::of(0.5, 0.5), at(0));
    assert!(bucket.take(at(10 * 909_091)));
    bucket.set_rate(Rate::of(0.001, 0.0), at(10 * 909_091));
    assert_eq!((0..100).filter(|_| bucket.take(at(10 * 909_091))).count(), 9);
    bucket.set_rate(Rate::OFF, at(0));
    assert!((0..1000).all(|_| bucket.take(at(0))));
    // Off and on again: one token.
    bucket.set_rate(Rate::of(0.001, 0.0), at(5));
    assert!(bucket.take(at(5)) && !bucket.take(at(5)));
}

#[test]
fn an_operator_may_order_another_rate_and_a_smaller_bucket() {
    assert_eq!(Rate::per_minute(0), Rate::OFF);
    assert_eq!(Rate::per_minute(1).interval(), Some(Duration::from_secs(60)));
    assert_eq!(Rate::per_minute(120).interval(), Some(Duration::from_millis(500)));
    assert!(Rate::per_minute(u32::MAX).interval().is_some_and(|interval| !interval.is_zero()));
    let mut bucket = TokenBucket::default();
    bucket.set_rate(Rate::per_minute(60), at(0));
    let later = at(100_000_000_000);
    assert!(bucket.take(later));
    // What is saved up beyond the new size is gone, and no more is saved up.
    bucket.set_rate(Rate::per_minute(60).with_burst(3), later);
    assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 3);
    let much_later = at(500_000_000_000);
    assert_eq!((0..100).filter(|_| bucket.take(much_later)).count(), 3);
}
