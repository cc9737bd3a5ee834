use super::*;
use crypto_simd::random::SeededRandom;

fn random() -> SeededRandom {
    SeededRandom::new(&[5; 32])
}

/// A source that gives one byte for ever.
struct Constant(u8);

impl Random for Constant {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

#[test]
fn choices_are_in_range_and_all_are_made() {
    assert_eq!(index(&mut Constant(0xff), 7), 6);
    assert_eq!(index(&mut Constant(0), 7), 0);
    let mut source = random();
    let mut counts = [0; 7];
    for _ in 0..7_000 {
        counts[index(&mut source, 7)] += 1;
    }
    assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    assert_eq!(one::<u8>(&mut source, &[]), None);
    assert_eq!(one(&mut source, &[9]), Some(&9));
}

#[test]
fn delays_have_the_mean_of_the_rate_and_the_cap_that_nodes_enforce() {
    let mut source = random();
    let mu = 0.005;
    let delays: Vec<u32> = (0..20_000).map(|_| delay_ms(&mut source, mu).unwrap()).collect();
    let mean = delays.iter().map(|delay| f64::from(*delay)).sum::<f64>() / delays.len() as f64;
    // floor(X) + 1 has the mean 1 / (1 - e^-mu).
    assert!((mean - 200.5).abs() < 6.0, "{mean}");
    assert!(delays.iter().all(|delay| *delay >= 1));
    // The least and the greatest that there can be.
    assert_eq!(delay_ms(&mut Constant(0xff), mu), Some(1));
    assert_eq!(delay_ms(&mut Constant(0), mu), Some(5_527));
    assert_eq!(delay_ms(&mut Constant(0), 1e-9), Some(u32::MAX), "a rate whose cap has no room in a command");
}

#[test]
fn rates_that_are_none_give_no_time() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(exponential_ms(&mut random(), rate), None);
        assert_eq!(delay_ms(&mut random(), rate), None);
    }
}
