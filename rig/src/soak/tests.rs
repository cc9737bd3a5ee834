use super::super::process::Memory;
use super::found::{Growth, MemorySample, Minute, Soak};

const MIB: u64 = 1 << 20;

fn good(minute: u64) -> Minute {
    Minute { minute, sent: 100, received: 100, account_balanced: true, ..Minute::default() }
}

/// Samples of 600 s, as many MiB in the data plane as `mebibytes` says for each second.
fn memory(mebibytes: impl Fn(u64) -> u64) -> Vec<MemorySample> {
    let memory = |second| Memory { control_plane_bytes: 20 * MIB, data_plane_bytes: mebibytes(second) * MIB };
    (0..=600).map(|second| MemorySample { seconds: second as f64, memory: memory(second) }).collect()
}

fn soak(memory: Vec<MemorySample>) -> Soak {
    let minutes = (1..=10).map(good).collect();
    Soak { memory, minutes, epoch_seconds: 60.0, capacity_packets_per_second: 1000.0, ..Soak::default() }
}

#[test]
fn memory_that_comes_and_goes_with_the_epochs_is_flat() {
    // For a moment there is more, as when an epoch begins; here only the last quarter has such a moment.
    let soak = soak(memory(|second| match second {
        0..200 => second,
        500 => 900,
        _ => 200 + second % 60,
    }));
    assert_eq!(soak.faults(), Vec::<String>::new());
    assert!(soak.to_string().contains(": flat"), "{soak}");
}

#[test]
fn a_leak_is_found() {
    let soak = soak(memory(|second| 200 + second / 30));
    let [control, data] = soak.growth().expect("long enough");
    assert_eq!(control, Growth { third_quarter_bytes: 20 * MIB, last_quarter_bytes: 20 * MIB, is_flat: true });
    assert_eq!(data, Growth { third_quarter_bytes: 214 * MIB, last_quarter_bytes: 219 * MIB, is_flat: false });
    assert!(matches!(&soak.faults()[..], [fault] if fault.contains("memory of the data plane grew")));
}

#[test]
fn a_short_run_says_nothing_about_memory() {
    let short = Soak { epoch_seconds: 120.0, ..soak(memory(|second| second)) };
    assert_eq!((short.growth(), short.faults().len()), (None, 0));
    assert!(short.to_string().contains("too short"), "{short}");
}

#[test]
fn each_minute_must_be_right() {
    for bad in [
        Minute { lost: 1, ..good(3) },
        Minute { wrong: 1, ..good(3) },
        Minute { dropped: 1, ..good(3) },
        Minute { account_balanced: false, ..good(3) },
    ] {
        let mut soak = soak(memory(|_| 200));
        soak.minutes[2] = bad;
        assert!(matches!(&soak.faults()[..], [fault] if fault.contains("minute 3")), "{:?}", soak.faults());
    }
}
