//! Stages of the kernel's settings and of a process's limits.

use super::Context;
use crate::finding::{Finding, Remedy, Report};

const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const CLOCKS: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const IO_URING: &str = "/proc/sys/kernel/io_uring_disabled";
const LIMITS: &str = "/proc/self/limits";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const SWAPPINESS: &str = "/proc/sys/vm/swappiness";

/// Clocks that a process reads without a system call.
const QUICK_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

/// The newest of what the data plane asks of a ring (`DEFER_TASKRUN`).
const URING_SINCE: (u32, u32) = (6, 1);

/// What the control plane locks, and the data plane for itself, and for each shard and one thread more.
const CONTROL_LOCKED_BYTES: u64 = 5 << 20;
const ARENA_LOCKED_BYTES: u64 = 1 << 20;
const STACK_LOCKED_BYTES: u64 = 512 << 10;

pub fn clock_source(context: &Context<'_>) -> Report {
    let why = "a node asks for the time many times for each packet; with this clock each answer is a system call or a slow \
               device";
    let now = context.host.text(CLOCK);
    let mut report = Report::fine(now.unwrap_or("not shown"));
    let offered = context.host.text(CLOCKS).unwrap_or_default();
    match QUICK_CLOCKS.iter().find(|clock| offered.split_whitespace().any(|one| one == **clock)) {
        Some(quick) => {
            context.should_be(&mut report, CLOCK, quick, why, |now| QUICK_CLOCKS.contains(&now));
        }
        None if now.is_none_or(|now| QUICK_CLOCKS.contains(&now)) => {}
        None => report.findings.push(Finding {
            what: CLOCK.into(),
            value: now.unwrap_or_default().into(),
            wanted: QUICK_CLOCKS[0].into(),
            why,
            remedy: Remedy::Advice(
                "the kernel found the time stamp counter unreliable; its log says why (dmesg)".into(),
            ),
        }),
    }
    report
}

pub fn io_uring(context: &Context<'_>) -> Report {
    let why = "without it the data plane goes over epoll, which takes more processor time for each packet";
    let release = context.host.text(RELEASE);
    let mut report = Report::fine(format!("Linux {}", release.unwrap_or("of unknown version")));
    let finding = |what: &str, value: &str, wanted: &str, advice: &str| {
        let remedy = Remedy::Advice(advice.into());
        Finding { what: what.into(), value: value.into(), wanted: wanted.into(), why, remedy }
    };
    if release.and_then(version).is_some_and(|version| version < URING_SINCE) {
        let value = release.unwrap_or_default();
        report.findings.push(finding(RELEASE, value, "6.1 or newer", "install a newer kernel"));
    }
    // Kernels before 6.6 do not have it.
    match context.host.text(IO_URING) {
        None | Some("0") => {}
        Some("1") => report.findings.push(finding(
            IO_URING,
            "1",
            "1 with the node's group, or 0",
            "write the number of the node's group to /proc/sys/kernel/io_uring_group; whoever turned it off for others had a \
             reason, so this is not done for you",
        )),
        Some(value) => report.findings.push(finding(
            IO_URING,
            value,
            "0, or 1 with the node's group in kernel.io_uring_group",
            "weigh it and write it yourself: whoever turned it off had a reason, so this is not done for you",
        )),
    }
    report
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub fn huge_pages(context: &Context<'_>) -> Report {
    let mut report = Report::fine(context.host.text(HUGE_PAGES).unwrap_or("not there"));
    if context.host.text(HUGE_PAGES).is_none() {
        let why = "a look-up in a replay set misses the tables of small pages nearly each time";
        report.findings.push(context.hidden(HUGE_PAGES, "any policy", why));
    } else {
        report.seen += "; replay sets are merged into huge pages whatever the policy says";
    }
    report
}

/// Soft and hard limit of this process; none where there is no limit.
fn limit(context: &Context<'_>, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let line = context.host.text(LIMITS)?.lines().find_map(|line| line.strip_prefix(name))?;
    let mut numbers = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some((numbers.next()??, numbers.next()??))
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string())
}

pub fn locked_memory(context: &Context<'_>) -> Report {
    let shards = context.placement.shards as u64;
    let needed = (ARENA_LOCKED_BYTES + STACK_LOCKED_BYTES * (shards + 1)).max(CONTROL_LOCKED_BYTES);
    let why = "keys that do not fit may be swapped out to a disk; the node warns and katzensprung_keys_locked is 0";
    let Some((soft, _)) = limit(context, "Max locked memory") else {
        let finding = context.hidden(LIMITS, &format!("a limit of {needed} bytes"), why);
        return Report { seen: "not shown".into(), findings: vec![finding] };
    };
    let mut report = Report::fine(format!("{} bytes for what is started from here; a unit has its own", shown(soft)));
    if soft.is_some_and(|soft| soft < needed) {
        report.findings.push(Finding {
            what: "locked memory (memlock)".into(),
            value: format!("{} bytes", shown(soft)),
            wanted: format!("{needed} bytes for {shards} shards"),
            why,
            remedy: Remedy::Advice(format!(
                "LimitMEMLOCK={needed} in the unit, `ulimit -l {}` in a shell",
                needed >> 10
            )),
        });
    }
    report
}

pub fn files(context: &Context<'_>) -> Report {
    let needed = context.profile.wanted.open_files_min;
    let why = "each connection takes a descriptor; with fewer the node takes fewer connections";
    let Some((_, hard)) = limit(context, "Max open files") else {
        let finding = context.hidden(LIMITS, &format!("a limit of {needed}"), why);
        return Report { seen: "not shown".into(), findings: vec![finding] };
    };
    let mut report = Report::fine(format!("{} for what is started from here; a unit has its own", shown(hard)));
    if hard.is_some_and(|hard| hard < needed) {
        report.findings.push(Finding {
            what: "open files (nofile, the hard limit)".into(),
            value: shown(hard),
            wanted: needed.to_string(),
            why,
            remedy: Remedy::Advice(format!(
                "LimitNOFILE={needed} in the unit, `ulimit -n {needed}` in a shell of root"
            )),
        });
    }
    report
}

pub fn tcp(context: &Context<'_>) -> Report {
    let wanted = &context.profile.wanted;
    let mut report = Report::fine("buffers, idle links and the queue of new connections");
    let backlog = wanted.somaxconn_min;
    context.should_be(
        &mut report,
        "/proc/sys/net/core/somaxconn",
        &backlog.to_string(),
        "the node asks for 1024 connections that may wait while a data plane is replaced; the kernel cuts that to this",
        |value| value.parse().is_ok_and(|value: u64| value >= backlog),
    );
    context.should_be(
        &mut report,
        "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
        "0",
        "links live for hours and are quiet in between; each time they would begin slowly again, and packets be late",
        |value| value == "0",
    );
    let bytes = wanted.tcp_buffer_bytes_min;
    for path in ["/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"] {
        let why = "a link carries at most this much in each round trip: 1 Gbit/s over 100 ms needs 12.5 MB";
        let Some(value) = context.host.text(path) else {
            report.findings.push(context.hidden(path, &format!("at most {bytes} or more"), why));
            continue;
        };
        let mut parts: Vec<_> = value.split_whitespace().collect();
        let most = bytes.to_string();
        if let [_, _, last] = parts.as_mut_slice()
            && last.parse().is_ok_and(|last: u64| last < bytes)
        {
            *last = &most;
            context.should_be(&mut report, path, &parts.join(" "), why, |_| false);
        }
    }
    report
}

pub fn swap(context: &Context<'_>) -> Report {
    // The first line is a heading.
    if context.host.text("/proc/swaps").is_none_or(|text| text.lines().count() < 2) {
        return Report::fine("there is no swap");
    }
    let most = context.profile.wanted.swappiness_max;
    let mut report = Report::fine("there is swap; keys are locked and never go there");
    context.should_be(
        &mut report,
        SWAPPINESS,
        &most.to_string(),
        "a shard that touches a packet or a replay set in swap stands still until the disk answers",
        |value| value.parse().is_ok_and(|value: u64| value <= most),
    );
    report
}
