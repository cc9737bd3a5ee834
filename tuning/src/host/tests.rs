use super::*;
use crate::fixture::Tree;

#[test]
fn stars_stand_for_parts_of_names() {
    let pattern = "/sys/class/net/*/queues/rx-*/rps_cpus";
    assert_eq!(stars(pattern, "/sys/class/net/eth0/queues/rx-11/rps_cpus"), Some(vec!["eth0", "11"]));
    for other in ["/sys/class/net/eth0/queues/tx-1/rps_cpus", "/sys/class/net/eth0/queues/rx-1", "/", ""] {
        assert_eq!(stars(pattern, other), None, "{other}");
    }
}

#[test]
fn only_files_that_are_read_are_known() {
    for path in ["/proc/sys/vm/swappiness", "/proc/irq/12/smp_affinity_list"] {
        assert!(is_known(path), "{path}");
    }
    for path in ["/etc/shadow", "/proc/sys/kernel/core_pattern", "/sys/class/net/../device/numa_node", "", "/"] {
        assert!(!is_known(path), "{path}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let tree = Tree::new();
    tree.set("/proc/sys/vm/swappiness", " 60 ");
    fs::create_dir_all(tree.at("/proc/swaps")).expect("a folder");
    fs::write(tree.at("/proc/cpuinfo"), b"processor\xff").expect("written");
    std::os::unix::fs::symlink("/dev/zero", tree.at("/proc/sys/kernel")).expect("a link");
    fs::create_dir_all(tree.at("/sys/devices/system/cpu")).expect("a folder");
    std::os::unix::fs::symlink("/dev/zero", tree.at("/sys/devices/system/cpu/online")).expect("a link");
    let host = tree.host();
    assert_eq!(host.text("/proc/sys/vm/swappiness"), Some("60"));
    for (path, why) in [
        ("/proc/swaps", "cannot be read: "),
        ("/proc/cpuinfo", "is no text"),
        ("/sys/devices/system/cpu/online", "is no text"),
        ("/proc/sys/kernel/osrelease", "is not there"),
    ] {
        assert_eq!(host.text(path), None, "{path}");
        assert!(host.why_not(path).starts_with(why), "{path}: {}", host.why_not(path));
    }
}
