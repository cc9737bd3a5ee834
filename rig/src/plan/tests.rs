use super::super::Failure;
use super::{OVERHEAD, SETTLE, Schedule, geometry, packets};
use pki::{Epoch, EpochClock};
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(20);
const EPOCH: Epoch = Epoch(1000);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn clock() -> EpochClock {
    EpochClock::with_period(PERIOD).expect("a period")
}

/// Asks when to begin at `now` seconds after the start of the key's epoch, with phases of 15 s.
fn begin_at(now: f64) -> Result<f64, Failure> {
    let clock = clock();
    let schedule = Schedule { clock: &clock, epoch: EPOCH, measured: seconds(15.0) };
    let start = clock.start(EPOCH);
    // Before the epoch, too.
    let now = (start + seconds(100.0 + now)).saturating_sub(seconds(100.0));
    schedule.begin(now).map(|begin| (begin.as_secs_f64() - start.as_secs_f64()) * 1.0)
}

#[test]
fn all_phases_lie_in_one_epoch_of_the_keys_life() {
    let settle = SETTLE.as_secs_f64();
    let close = |found: Result<f64, Failure>, expected: f64| {
        let found = found.expect("in time");
        assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
    };
    close(begin_at(-3.0), settle);
    close(begin_at(2.0), 2.0);
    close(begin_at(4.9), 4.9);
    // From here on they would reach into the next epoch: they wait for it.
    close(begin_at(5.1), 20.0 + settle);
    close(begin_at(19.0), 20.0 + settle);
    close(begin_at(22.0), 22.0);
}

#[test]
fn what_is_ready_too_late_gives_no_figure() {
    for now in [24.0, 39.0, 41.0, 300.0] {
        let failure = begin_at(now).expect_err("the key would end meanwhile");
        assert!(matches!(&failure, Failure::NoFigure(reason) if reason.contains("too long")), "{failure:?}");
    }
}

#[test]
fn a_key_that_ended_meanwhile_gives_no_figure() {
    let clock = clock();
    let schedule = Schedule { clock: &clock, epoch: EPOCH, measured: seconds(15.0) };
    let end = clock.start(EPOCH.after(2));
    assert_eq!(schedule.key_ends(), end);
    assert_eq!(schedule.check_key(end - Duration::from_millis(1), "lateness"), Ok(()));
    let failure = schedule.check_key(end, "lateness").expect_err("the node has no key for what came last");
    assert!(matches!(failure, Failure::NoFigure(reason) if reason.contains("lateness")));
    assert_eq!(schedule.latest_begin(), end - seconds(15.0) - OVERHEAD / 2);
}

#[test]
fn packets_are_shared_out_by_what_each_phase_needs() {
    let ramp = seconds(0.3);
    let (all, shares) = packets(1000.0, 500.0, 0.0, seconds(9.7), 1, 5 * ramp, ramp);
    // A second, five ramps and all turns, a ramp and half as fast.
    assert!((all - 17_200.0).abs() < 1e-6, "{all}");
    assert!((shares.warm_up - 1.0 / 17.2).abs() < 1e-9 && (shares.capacity - 11.2 / 17.2).abs() < 1e-9, "{shares:?}");
    let (all, shares) = packets(1000.0, 500.0, 800.0, seconds(9.7), 2, 5 * ramp, ramp);
    assert!((all - 30_200.0).abs() < 1e-6 && (shares.open - 5.0 / 30.2).abs() < 1e-9, "{all}, {shares:?}");
    assert!((shares.high - 8.0 / 30.2).abs() < 1e-9, "{shares:?}");
}

#[test]
fn an_empty_payload_is_refused_with_the_range() {
    assert_eq!(geometry("x25519", 0), Err("--payload 0: 1 to 100000 bytes".into()));
    assert!(geometry("x25519", 100_001).is_err() && geometry("x25519", 1).is_ok());
}
