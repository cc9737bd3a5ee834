use super::found::Trial;
use super::{Latency, Search};

/// A mix that needs so many microseconds for a packet, and carries what its processor allows.
fn search(us: f64, carried: f64) -> (f64, Vec<Trial>) {
    let mut search = Search::new(50_000.0);
    let mut trials = Vec::new();
    for _ in 0..14 {
        let (fails, queues) = (search.rate > carried, trials.len() % 2 == 0);
        let p50 = if fails && queues { 700.0 } else { 1.0 };
        let trial = Trial {
            packets_per_second: search.rate,
            sent: 100,
            lost: u64::from(fails && !queues),
            cpu_us_per_packet: us,
            lateness_ms: Some(Latency { p50, ..Latency::default() }),
        };
        search.handle(&trial);
        trials.push(trial);
    }
    let free = trials.iter().filter(|trial| trial.keeps_up()).map(|trial| trial.packets_per_second);
    (free.fold(0.0, f64::max), trials)
}

#[test]
fn the_highest_rate_that_is_carried_is_found_closely() {
    for (us, carried) in [(480.0, 1800.0), (480.0, 2600.0), (156.0, 4000.0), (25.0, 30_000.0)] {
        let (found, trials) = search(us, carried);
        assert!(found <= carried && found > 0.93 * carried, "{found} of {carried}: {trials:?}");
    }
}

#[test]
fn a_mix_that_never_keeps_up_is_asked_less_and_less() {
    let (found, trials) = search(480.0, 0.0);
    assert_eq!(found, 0.0);
    assert!(trials.windows(2).all(|pair| pair[1].packets_per_second < pair[0].packets_per_second), "{trials:?}");
}
