use super::*;
use proptest::prelude::*;

fn check_file(file: &str) {
    vectors::verify(file, "/cases/4/elapsed_ns", |file, tally| {
        let period = Duration::from_nanos(file["period_ns"].as_u64().ok_or("no period")?);
        let clock = EpochClock::with_period(period).map_err(|error| error.to_string())?;
        assert_eq!(file["epoch_zero_unix"], EpochClock::GENESIS.as_secs());
        assert_eq!(file["week_of_epochs"], WEEK_OF_EPOCHS);
        for case in file["cases"].as_array().ok_or("no cases")? {
            let unix = Duration::from_secs(case["unix"].as_u64().ok_or("no time")?);
            let time = clock.now(unix).map_err(|error| error.to_string())?;
            assert_eq!(case["epoch"], time.epoch.0);
            assert_eq!(case["elapsed_ns"], time.elapsed.as_nanos() as u64);
            assert_eq!(case["till_ns"], time.till.as_nanos() as u64);
            assert_eq!(clock.start(time.epoch) + time.elapsed, unix);
            assert!(clock.is_in(time.epoch, unix) && !clock.is_in(time.epoch.after(1), unix));
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn usual_period() {
    check_file("pki_epochtime.json");
}

#[test]
fn short_period() {
    check_file("pki_epochtime_period_2m.json");
}

#[test]
fn time_before_epoch_zero_is_an_error() {
    assert_eq!(EpochClock::default().now(Duration::from_secs(1)), Err(BeforeGenesis));
}

#[test]
fn variable_replaces_the_period() {
    assert_eq!(EpochClock::from_variable(None), Ok(EpochClock::default()));
    assert_eq!(EpochClock::from_variable(Some("2m")).unwrap().period(), Duration::from_secs(120));
    assert!(matches!(EpochClock::from_variable(Some("2 minutes")), Err(PeriodVariableError::Duration(_))));
    for short in ["2ms", "20ns", "1.9s"] {
        let error = EpochClock::from_variable(Some(short)).unwrap_err();
        assert!(error.to_string().contains(short) && error.to_string().contains("2m"), "{error}");
    }
    assert!(EpochClock::from_variable(Some("2s")).is_ok());
    assert!(matches!(EpochClock::from_variable(Some("0s")), Err(PeriodVariableError::Period(_))));
}

#[test]
fn durations_as_go_reads_them() {
    let good = [
        ("0", 0),
        ("2m", 120_000_000_000),
        ("90s", 90_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("+1.5s", 1_500_000_000),
        (".5ms", 500_000),
        ("5.s", 5_000_000_000),
        ("3µs", 3_000),
        ("1h1ns", 3_600_000_000_001),
        ("-0s", 0),
    ];
    for (text, nanoseconds) in good {
        assert_eq!(parse_go_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
    }
    for text in ["", "+", "3", "s", ".s", "1x", "1d", "-1s", "1 s", "9999999999h", "99999999999999999999s"] {
        assert!(parse_go_duration(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_time_and_period_are_consistent(unix in any::<u64>(), period in 1u64..) {
        let Ok(clock) = EpochClock::with_period(Duration::from_nanos(period)) else { return Ok(()) };
        if let Ok(time) = clock.now(Duration::from_nanos(unix)) {
            prop_assert!(time.elapsed < clock.period());
            prop_assert_eq!(time.elapsed + time.till, clock.period());
        }
    }

    #[test]
    fn any_text_is_a_duration_or_an_error(text in "\\PC*") {
        let _ = parse_go_duration(&text);
    }
}
