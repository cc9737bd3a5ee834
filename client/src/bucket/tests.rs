use super::*;
use crate::sample::exponential_ms;
use crate::tests::ReferenceBucket;
use crypto_simd::random::SeededRandom;

fn at(ms: u64) -> Instant {
    Instant::default() + Duration::from_millis(ms)
}

#[test]
fn intervals_are_the_reference_ones() {
    let nanoseconds = |p, l| refill_interval(p, l).map_or(0, |interval| interval.as_nanos());
    assert_eq!(nanoseconds(0.0, 0.0), 0);
    assert_eq!(nanoseconds(0.001, 0.0), 909_090_910);
    assert_eq!(nanoseconds(0.001, 0.0005), 606_060_607);
    assert_eq!(nanoseconds(0.5, 0.5), 909_091);
    assert_eq!(nanoseconds(-1.0, -0.5), 0);
    assert_eq!(refill_interval(f64::NAN, 0.1), None);
}

#[test]
fn it_starts_with_one_token_and_fills_at_the_rate() {
    let mut bucket = Bucket::new(refill_interval(0.001, 0.0005), at(0));
    assert!(bucket.take(at(0)));
    assert!(!bucket.take(at(0)));
    let next = bucket.next_token(at(0));
    assert!(next > at(606) && next < at(608), "{next:?}");
    assert!(!bucket.take(at(606)));
    assert!(bucket.take(next));
    assert!(!bucket.take(next));
}

#[test]
fn it_holds_a_little_less_than_the_gateways() {
    let mut bucket = Bucket::new(Some(Duration::from_millis(1)), at(0));
    let later = at(1_000_000);
    let taken = (0..300).filter(|_| bucket.take(later)).count() as u64;
    assert_eq!(taken, CAPACITY - RESERVE);
}

#[test]
fn without_a_rate_nothing_is_limited() {
    let mut bucket = Bucket::new(None, at(0));
    assert!((0..1_000).all(|_| bucket.take(at(1))));
    bucket.set(refill_interval(0.001, 0.0), at(5_000));
    assert!(bucket.take(at(5_000)));
    assert!(!bucket.take(at(5_001)), "from no limit to one begins with one token");
}

#[test]
fn a_lower_rate_counts_at_once_and_a_higher_one_when_the_gateway_has_it() {
    let mut bucket = Bucket::new(Some(Duration::from_millis(100)), at(0));
    assert!(bucket.take(at(0)));
    bucket.set(Some(Duration::from_millis(1_000)), at(0));
    assert!(!bucket.take(at(500)));
    bucket.set(Some(Duration::from_millis(10)), at(500));
    assert!(!bucket.take(at(700)));
    assert!(bucket.take(at(1_100)));
    assert!(!bucket.take(at(1_500)));
    assert!(bucket.take(at(60_490)), "tokens of a minute at the old rate");
    let mut bucket = Bucket { tokens: 0, ..bucket };
    let taken = (0..300).filter(|_| bucket.take(at(61_600))).count();
    assert!((100..=115).contains(&taken), "{taken}: from 60.5 s on at the new rate");
}

/// Whatever the delays of the line and however tightly it sends: no packet of a client that obeys its copy is refused.
#[test]
fn a_gateway_never_refuses_what_the_copy_allows() {
    for seed in 0..20 {
        let mut random = SeededRandom::new(&[seed; 32]);
        let interval = refill_interval(0.01, 0.005).unwrap();
        let mut gateway = ReferenceBucket { tokens: 1, interval, last: at(0) };
        let up = at(30);
        let mut bucket = Bucket::new(Some(interval), up);
        let (mut now, mut arrived, mut sent) = (up, at(0), 0);
        while sent < 5_000 {
            // Long silences, then all that there is.
            let idle = exponential_ms(&mut random, if sent % 700 == 0 { 0.000_02 } else { 0.02 }).unwrap();
            now += Duration::from_secs_f64(idle / 1_000.0);
            while bucket.take(now) {
                let way = exponential_ms(&mut random, 0.05).unwrap();
                arrived = arrived.max(now + Duration::from_secs_f64(way / 1_000.0));
                assert!(gateway.takes(arrived), "packet {sent} of seed {seed}");
                sent += 1;
            }
        }
    }
}
