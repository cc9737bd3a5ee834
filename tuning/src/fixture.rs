//! A host made up of files in a folder, for tests.

use crate::host::Host;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Its `/proc` and `/sys`.
pub struct Tree(TempDir);

impl Tree {
    /// A host without anything.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// A server with `cores` cores of two processors each (`0` and `cores` are siblings) on two nodes, with a card at the
    /// second one, as a distribution sets it.
    pub fn server(cores: usize) -> Self {
        let tree = Self::new();
        let all = 2 * cores;
        let cpu = "/sys/devices/system/cpu";
        tree.set(&format!("{cpu}/online"), &format!("0-{}", all - 1)).set(&format!("{cpu}/isolated"), "");
        for number in 0..all {
            let folder = format!("{cpu}/cpu{number}");
            let first = number % cores;
            tree.set(&format!("{folder}/topology/thread_siblings_list"), &format!("{first},{}", first + cores))
                .set(&format!("{folder}/cpufreq/scaling_governor"), "powersave")
                .set(&format!("{folder}/cpufreq/scaling_available_governors"), "performance powersave")
                .set(&format!("{folder}/cpufreq/energy_performance_preference"), "balance_performance");
            if number > 0 {
                tree.set(&format!("{folder}/online"), "1");
            }
        }
        let half = cores / 2;
        let node = |from: usize, to: usize| format!("{from}-{},{}-{}", to - 1, from + cores, to + cores - 1);
        tree.set("/sys/devices/system/node/node0/cpulist", &node(0, half))
            .set("/sys/devices/system/node/node1/cpulist", &node(half, cores))
            .set("/sys/class/net/eth0/device/numa_node", "1")
            .set("/sys/class/net/eth0/device/uevent", "DRIVER=ice\nPCI_CLASS=20000")
            .set("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0")
            .set("/sys/class/net/eth0/device/msi_irqs/30", "msix")
            .set("/sys/class/net/eth0/queues/rx-0/rps_cpus", &crate::values::to_mask(&(0..all).collect()))
            .set("/sys/class/net/eth0/queues/tx-0/xps_cpus", "0")
            .set("/sys/class/net/lo/queues/rx-0/rps_cpus", "ffffffff")
            .set("/proc/irq/9/smp_affinity_list", "0")
            .set("/proc/irq/30/smp_affinity_list", &format!("0-{}", all - 1))
            .set("/proc/irq/31/smp_affinity_list", &format!("{}", cores - 1));
        tree.kernel()
    }

    fn kernel(self) -> Self {
        let clock = "/sys/devices/system/clocksource/clocksource0";
        self.set(&format!("{clock}/current_clocksource"), "hpet")
            .set(&format!("{clock}/available_clocksource"), "tsc hpet acpi_pm")
            .set("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
            .set(
                "/proc/cpuinfo",
                "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nflags\t\t: avx2\n",
            )
            .set("/proc/self/limits", LIMITS)
            .set("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 2097148 0 -2")
            .set("/proc/sys/kernel/io_uring_disabled", "2")
            .set("/proc/sys/kernel/osrelease", "5.15.0-91-generic")
            .set("/proc/sys/kernel/random/boot_id", "6f1c7e2e-0000-4000-8000-000000000001")
            .set("/proc/sys/net/core/rmem_max", "212992")
            .set("/proc/sys/net/core/somaxconn", "128")
            .set("/proc/sys/net/core/wmem_max", "8388608")
            .set("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456")
            .set("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "1")
            .set("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304")
            .set("/proc/sys/vm/swappiness", "60");
        self
    }

    /// Its root folder.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Where a file of the host is.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(&path[1..])
    }

    /// Has a text stand in a file.
    pub fn set(&self, path: &str, text: &str) -> &Self {
        let file = self.at(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, format!("{text}\n")).expect("written");
        self
    }

    /// What stands in a file.
    pub fn get(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect(path).trim().into()
    }

    /// The snapshot.
    pub fn host(&self) -> Host {
        Host::read(self.root())
    }
}

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max locked memory         65536                65536                bytes
Max open files            1024                 4096                 files";
