use super::*;
use std::fs;

const GB: u64 = 1_000_000_000;

fn wanted() -> Wanted {
    Wanted { line_rate: None, slots: None, shards: 2, epoch_period: Duration::from_secs(1200), packet_bytes: 3082 }
}

fn host(bytes: u64) -> Host {
    Host { bytes: Some(bytes), is_limited: false, available: None }
}

#[test]
fn by_default_a_drop_in_at_twenty_thousand_packets_a_second_fills_nothing() {
    let sizes = wanted().sizes(&host(16 * GB)).expect("16 GB are enough");
    assert!(sizes.line_rate >= 20_000, "{sizes:?}");
    // An epoch at that rate stays at the design fill, far from the first refusal.
    let tags = 20_000 * 1200;
    assert!(tags * 100 / (sizes.replay_buckets * 8) <= interplane::replay::DESIGN_FILL_PERCENT);
    // All of them may wait as long as the usual documents allow.
    assert!(u64::from(sizes.slots_per_shard) * 2 >= 20_000 * 5527 / 1000);
    assert!(sizes.total_bytes() < 12 * GB, "{sizes:?}");
}

#[test]
fn the_defaults_follow_processors_and_memory_and_always_fit() {
    for shards in [1, 2, 8, 64, 256] {
        for gigabytes in [1, 2, 4, 16, 64, 512] {
            let sizes = Wanted { shards, ..wanted() }.sizes(&host(gigabytes * GB));
            let Ok(sizes) = sizes else { panic!("{shards} shards, {gigabytes} GB: {}", sizes.unwrap_err()) };
            assert!(u64::from(sizes.line_rate) <= 20_000 * shards as u64);
        }
    }
    let small = wanted().sizes(&host(GB)).expect("1 GB is enough");
    let large = wanted().sizes(&host(64 * GB)).expect("64 GB are enough");
    assert!(small.line_rate < large.line_rate && large.line_rate == 40_000);
}

#[test]
fn what_is_configured_is_taken_or_refused_with_what_to_write() {
    let asked = Wanted { line_rate: Some(3_000_000), slots: Some(1024), ..wanted() };
    let error = asked.sizes(&Host { is_limited: true, ..host(2 * GB) }).expect_err("far too much").to_string();
    assert!(error.contains("the memory limit of this container is 2000 MB"), "{error}");
    assert!(error.contains("dataplane.line_rate_packets_per_second = "), "{error}");
    let told: u32 = error.split(" = ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
    let sizes = Wanted { line_rate: Some(told), ..asked }.sizes(&host(2 * GB)).expect("as told");
    assert_eq!((sizes.line_rate, sizes.slots_per_shard), (told, 1024));
    assert!(asked.sizes(&Host { bytes: None, is_limited: false, available: None }).is_ok());
}

#[test]
fn a_line_rate_decides_how_many_packets_may_wait() {
    let sizes = Wanted { line_rate: Some(5_000), shards: 1, ..wanted() }.sizes(&host(16 * GB)).expect("it fits");
    assert!(u64::from(sizes.slots_per_shard) >= 5_000 * 5527 / 1000, "{sizes:?}");
    assert!(sizes.slots_per_shard < 40_000, "{sizes:?}");
}

#[test]
fn limits_of_containers_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let look = || Host::at(folder.path());
    assert_eq!(look(), Host { bytes: None, is_limited: false, available: None });
    write("proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    4000000 kB\n");
    let whole = Host { bytes: Some(8_192_000_000), is_limited: false, available: Some(4_096_000_000) };
    assert_eq!(look(), whole);
    // The second version: the group itself has no limit, the one above it has.
    write("proc/self/cgroup", "0::/machine/node\n");
    write("sys/fs/cgroup/machine/node/memory.max", "max\n");
    assert_eq!(look(), whole);
    write("sys/fs/cgroup/machine/memory.max", "2000000000\n");
    assert_eq!(look(), Host { bytes: Some(2_000_000_000), is_limited: true, ..whole });
    // As a container sees it that has a name space of its own.
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/memory.max", "1000000000\n");
    assert_eq!(look().bytes, Some(1_000_000_000));
    // The first version, where no limit is a huge number.
    write("proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n");
    write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(look(), whole);
    write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "500000000\n");
    assert_eq!(look(), Host { bytes: Some(500_000_000), is_limited: true, ..whole });
}

#[test]
fn the_report_says_what_for_and_warns_when_it_is_not_free() {
    let sizes = wanted().sizes(&host(16 * GB)).expect("it fits");
    let (text, is_warning) = sizes.report(&host(16 * GB));
    assert!(!is_warning && text.contains("replay sets") && text.contains("slots"), "{text}");
    let (text, is_warning) = sizes.report(&Host { available: Some(100_000_000), ..host(16 * GB) });
    assert!(is_warning && text.ends_with("only 100 MB are free now"), "{text}");
}
