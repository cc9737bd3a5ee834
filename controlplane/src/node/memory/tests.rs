use super::*;
use std::fs;

const GB: u64 = 1_000_000_000;

fn wanted() -> Wanted {
    Wanted {
        line_rate: None,
        slots: None,
        shards: 2,
        epoch_period: Duration::from_secs(1200),
        packet_bytes: 3082,
        has_clients: false,
        spool_mib: None,
    }
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
            let sizes = Wanted { shards, has_clients: true, ..wanted() }.sizes(&host(gigabytes * GB));
            let Ok(sizes) = sizes else { panic!("{shards} shards, {gigabytes} GB: {}", sizes.unwrap_err()) };
            assert!(sizes.spool_bytes <= gigabytes * GB / 8 && sizes.spool_bytes <= 256 << 20, "{sizes:?}");
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
fn the_setting_at_fault_is_named_with_one_that_fits() {
    let told_on = |host: Host, wanted: Wanted, key: &str| -> u64 {
        let error = wanted.sizes(&host).expect_err("far too much").to_string();
        let (_, rest) = error.split_once(key).unwrap_or_else(|| panic!("{key}: {error}"));
        let number = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        number.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
    };
    let told = |wanted: Wanted, key: &str| told_on(host(4 * GB), wanted, key);
    let slots = Wanted { slots: Some(4_194_304), ..wanted() };
    let most = told(slots, "write dataplane.slots = ");
    let with = |slots: u64| Wanted { slots: Some(slots as usize), ..wanted() }.sizes(&host(4 * GB));
    assert!(with(most).is_ok() && with(most + 1).is_err());
    // Nothing is configured, and one wrong unit asks for twenty hours of tags.
    let long = Wanted { epoch_period: Duration::from_secs(72_000), ..wanted() };
    let most = told_on(host(2 * GB), long, "set KATZENPOST_EPOCH_DURATION to");
    assert!(Wanted { epoch_period: Duration::from_secs(most), ..wanted() }.sizes(&host(2 * GB)).is_ok());
    let rate = Wanted { line_rate: Some(1_000_000), ..wanted() };
    let most = told(rate, "write dataplane.line_rate_packets_per_second = ");
    assert!(Wanted { line_rate: Some(most as u32), ..rate }.sizes(&host(4 * GB)).is_ok());
    // Both are too large.
    let both = Wanted { slots: Some(4_194_304), ..rate };
    let most = told(both, "write dataplane.line_rate_packets_per_second = ");
    assert!(Wanted { line_rate: Some(most as u32), slots: Some(256), ..both }.sizes(&host(4 * GB)).is_ok());
}

#[test]
fn messages_for_clients_are_part_of_the_memory_where_there_are_clients() {
    let asked = Wanted { has_clients: true, spool_mib: Some(1_000_000), ..wanted() };
    let error = asked.sizes(&host(4 * GB)).expect_err("far too much").to_string();
    assert!(error.contains("messages for clients 1048 GB"), "{error}");
    let (_, rest) = error.split_once("write dataplane.spool_mib = ").expect(&error);
    let most: u32 = rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number");
    let with = |spool_mib: u32| Wanted { spool_mib: Some(spool_mib), ..asked }.sizes(&host(4 * GB));
    assert!(with(most).is_ok() && with(most + 1).is_err());
    assert_eq!(with(most).map(|sizes| sizes.spool_bytes), Ok(u64::from(most) << 20));
    assert_eq!(Wanted { has_clients: false, ..asked }.sizes(&host(4 * GB)).map(|sizes| sizes.spool_bytes), Ok(0));
    // Another setting is too large as well.
    let both =
        Wanted { line_rate: Some(10_000_000), ..asked }.sizes(&host(4 * GB)).expect_err("far too much").to_string();
    assert!(both.contains("write dataplane.spool_mib = 1; then write dataplane.line_rate_"), "{both}");
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
