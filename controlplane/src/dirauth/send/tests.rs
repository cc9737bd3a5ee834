use super::*;
use crypto_simd::random::SeededRandom;

#[test]
fn waits_double_up_to_the_longest_and_vary() {
    let settings =
        PeerRetry { attempts_max: 20, base: Duration::from_millis(10), max: Duration::from_secs(3), jitter: 0.2 };
    let random = &mut SeededRandom::new(&[1; 32]);
    let mut seen = std::collections::BTreeSet::new();
    for (retry, middle) in [(1, 10), (2, 20), (3, 40), (9, 2560), (10, 3000), (4_000_000_000, 3000)] {
        for _ in 0..100 {
            let wait = retry_delay(retry, &settings, random);
            let middle = Duration::from_millis(middle);
            assert!(wait >= middle.mul_f64(0.799) && wait <= middle.mul_f64(1.201), "{retry}: {wait:?}");
            seen.insert(wait);
        }
    }
    assert!(seen.len() > 500, "they are drawn");
    let steady = PeerRetry { jitter: 0.0, ..settings };
    assert_eq!(retry_delay(1, &steady, random), Duration::from_millis(10));
}
