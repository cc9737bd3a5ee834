use super::*;
use crate::change::{apply, undo};
use crate::fixture::Tree;
use std::collections::BTreeMap;
use std::path::Path;

fn reports(host: &Host, profile: &str) -> BTreeMap<&'static str, Report> {
    let profile = Profile::named(profile).expect("a shipped one");
    let context = Context::new(host, &profile, None);
    STAGES.iter().map(|stage| (stage.name, stage.check(&context))).collect()
}

fn all_writes(host: &Host) -> Vec<Write> {
    let profile = Profile::detect(host).expect("a shipped one");
    let context = Context::new(host, &profile, None);
    STAGES.iter().flat_map(|stage| writes(&stage.check(&context)).cloned().collect::<Vec<_>>()).collect()
}

#[test]
fn stages_find_what_a_distribution_sets_otherwise() {
    let host = Tree::server(8).host();
    let reports = reports(&host, "zen3");
    let lines = |name: &str| writes(&reports[name]).map(Write::shell_line).collect::<Vec<_>>();
    assert_eq!(
        lines("interrupts"),
        ["echo 0-3,8-11 > /proc/irq/30/smp_affinity_list", "echo 0-3,8-11 > /proc/irq/31/smp_affinity_list"]
    );
    assert_eq!(lines("queues"), ["echo 00000f0f > /sys/class/net/eth0/queues/rx-0/rps_cpus"]);
    assert_eq!(lines("siblings").first().unwrap(), "echo 0 > /sys/devices/system/cpu/cpu12/online");
    assert_eq!(lines("siblings").len(), 4);
    let governor = lines("governor");
    assert!(governor[0].ends_with("cpu4/cpufreq/energy_performance_preference"), "{governor:?}");
    assert!(governor[4].ends_with("cpu4/cpufreq/scaling_governor"), "{governor:?}");
    assert_eq!(governor.len(), 8);
    assert_eq!(lines("clock-source"), ["echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"]);
    assert_eq!(
        lines("tcp"),
        [
            "echo 1024 > /proc/sys/net/core/somaxconn",
            "echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle",
            "echo '4096 131072 16777216' > /proc/sys/net/ipv4/tcp_rmem",
            "echo '4096 16384 16777216' > /proc/sys/net/ipv4/tcp_wmem"
        ]
    );
    assert_eq!(lines("udp"), ["echo 4194304 > /proc/sys/net/core/rmem_max"]);
    assert_eq!(lines("swap"), ["echo 10 > /proc/sys/vm/swappiness"]);
    for (advised, findings) in [("io-uring", 2), ("locked-memory", 1), ("files", 1)] {
        let report = &reports[advised];
        assert_eq!((report.findings.len(), writes(report).count()), (findings, 0), "{advised}: {report:?}");
    }
    for well in ["processors", "numa", "huge-pages"] {
        assert_eq!(reports[well].findings, [], "{well}");
    }
}

#[test]
fn what_is_well_is_left_alone() {
    let tree = Tree::server(2);
    tree.set("/proc/swaps", "Filename Type Size Used Priority")
        .set("/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock")
        .set("/proc/self/limits", "Max locked memory unlimited unlimited bytes\nMax open files 1024 1048576 files")
        .set("/proc/sys/kernel/io_uring_disabled", "0")
        .set("/proc/sys/kernel/osrelease", "6.1.0")
        .set("/proc/sys/net/core/rmem_max", "4194304")
        .set("/proc/sys/net/core/somaxconn", "4096")
        .set("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0")
        .set("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 33554432")
        .set("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 16777216");
    for number in 0..4 {
        let folder = format!("/sys/devices/system/cpu/cpu{number}/cpufreq");
        tree.set(&format!("{folder}/scaling_governor"), "performance");
        tree.set(&format!("{folder}/energy_performance_preference"), "performance");
    }
    for (name, report) in reports(&tree.host(), "zen3") {
        assert_eq!(report.findings, [], "{name}");
    }
}

fn bypass(host: &Host, bypass: Bypass) -> Report {
    let profile = Profile::named("zen3").expect("a shipped one");
    let context = Context { bypass, ..Context::new(host, &profile, None) };
    STAGES.iter().find(|stage| stage.name == "bypass").expect("a stage").check(&context)
}

fn whats(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn what_goes_past_the_kernel_is_looked_at_where_it_is_wanted() {
    let tree = Tree::server(8);
    assert_eq!(bypass(&tree.host(), Bypass::None).findings, []);

    let xdp = bypass(&tree.host(), Bypass::Xdp);
    assert_eq!((xdp.seen.as_str(), whats(&xdp)), ("eth0: driver ice, 1 queues", vec!["queues of eth0"]));
    let Remedy::Advice(advice) = &xdp.findings[0].remedy else { panic!("nothing is written: {xdp:?}") };
    assert!(advice.ends_with("ethtool -L eth0 combined 4"), "{advice}");
    for queue in 1..4 {
        tree.set(&format!("/sys/class/net/eth0/queues/rx-{queue}/rps_cpus"), "0");
    }
    assert_eq!(bypass(&tree.host(), Bypass::Xdp).findings, []);

    let dpdk = bypass(&tree.host(), Bypass::Dpdk);
    let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    assert_eq!(whats(&dpdk), ["IOMMU", "vfio-pci", "isolated processors", pages]);
    assert_eq!(writes(&dpdk).map(Write::shell_line).collect::<Vec<_>>(), [format!("echo 512 > {pages}")]);
    tree.set("/sys/kernel/iommu_groups/0/type", "DMA")
        .set("/sys/module/vfio_pci/parameters/disable_idle_d3", "N")
        .set("/sys/devices/system/cpu/isolated", "4-7")
        .set(pages, "1024");
    assert_eq!(bypass(&tree.host(), Bypass::Dpdk).findings, []);
}

#[test]
fn siblings_stay_where_nobody_knows_what_else_the_host_does() {
    let host = Tree::server(8).host();
    assert_eq!(reports(&host, "generic")["siblings"].findings, []);
}

#[test]
fn pins_that_an_operator_chose_badly_are_found() {
    let (host, profile) = (Tree::server(4).host(), Profile::named("zen3").expect("shipped"));
    let context = Context::new(&host, &profile, Some(&[0, 1, 2, 3, 99]));
    let found = |at: usize| STAGES[at].check(&context).findings.into_iter().map(|one| one.what).collect::<Vec<_>>();
    assert_eq!(found(0), ["pinned processors", "processors for all else"]);
    assert_eq!(found(1), ["shards away from the card"]);
}

#[test]
fn the_suggestion_is_a_configuration_file() {
    let (host, profile) = (Tree::server(8).host(), Profile::named("zen3").expect("shipped"));
    let text = Context::new(&host, &profile, None).suggestion();
    assert_eq!(text, "[dataplane]\nshards = 4\npin_cpus = [4, 5, 6, 7]\nbatch_max = 32\n");
}

#[test]
fn a_host_that_hides_everything_is_found_and_nothing_is_written() {
    let host = Tree::new().host();
    let reports = reports(&host, "zen4");
    assert!(all_writes(&host).is_empty());
    for name in ["tcp", "udp", "huge-pages", "locked-memory", "files"] {
        let findings = &reports[name].findings;
        assert!(!findings.is_empty() && findings.iter().all(|one| one.value == "is not there"), "{name}: {findings:?}");
    }
}

#[test]
fn garbage_in_any_file_never_panics_nor_is_written() {
    let tree = Tree::server(4);
    let paths: Vec<String> = ["/proc", "/sys"].iter().flat_map(|top| names(tree.root(), &tree.at(top))).collect();
    assert!(paths.len() > 50);
    for path in &paths {
        let good = tree.get(path);
        for garbage in ["", "\u{fffd}\u{0}", "-1", "99999999999999999999", "a b c d", "[", ",,,", "0-1-2"] {
            tree.set(path, garbage);
            for write in all_writes(&tree.host()) {
                assert!(crate::host::is_known(&write.path) && !write.value.contains('\u{fffd}'), "{path}: {write:?}");
            }
        }
        tree.set(path, &good);
    }
}

fn names(root: &Path, folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| format!("/{}", path.strip_prefix(root).expect("below").display());
    entries.flat_map(|path| if path.is_dir() { names(root, &path) } else { vec![name(&path)] }).collect()
}

#[test]
fn what_is_applied_is_well_and_undone_exactly() {
    // 256 processors.
    let tree = Tree::server(128);
    let files: Vec<String> = ["/proc", "/sys"].iter().flat_map(|top| names(tree.root(), &tree.at(top))).collect();
    let all = || files.iter().map(|path| tree.get(path)).collect::<Vec<_>>();
    let (before, state) = (all(), tree.at("/state/tuning.json"));
    let wanted = all_writes(&tree.host());
    assert!(wanted.len() > 100);
    let mut told = Vec::new();
    apply(tree.root(), &wanted, &state, &mut |line| told.push(line.to_owned())).expect("all can be written");
    assert_eq!(told.len(), wanted.len());
    // The files of a real host change others: the processors that are in use.
    tree.set("/sys/devices/system/cpu/online", "0-191");
    assert_eq!(all_writes(&tree.host()), []);
    tree.set("/sys/devices/system/cpu/online", "0-255");
    undo(tree.root(), &state, &mut |_| {}).expect("all can be written");
    let back: Vec<_> = all().iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let before: Vec<_> = before.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(back, before);
    assert!(!state.exists());
}

#[test]
fn this_host_can_be_looked_at() {
    let host = Host::read(Path::new("/"));
    let profile = Profile::detect(&host).expect("a shipped one");
    let context = Context::new(&host, &profile, None);
    assert!(context.placement.shards >= 1 && !context.topology.online.is_empty());
    for stage in &STAGES {
        let report = stage.check(&context);
        assert!(!report.seen.is_empty(), "{}", stage.name);
        assert!(writes(&report).all(|write| crate::host::is_known(&write.path)), "{}", stage.name);
    }
}
