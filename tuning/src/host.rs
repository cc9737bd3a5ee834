//! What the kernel shows of a host in `/proc` and `/sys`, read once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// What is read. A `*` stands for any part of one name.
const PATTERNS: [&str; 37] = [
    "/proc/cpuinfo",
    "/proc/irq/*/smp_affinity_list",
    "/proc/self/limits",
    "/proc/swaps",
    "/proc/sys/kernel/io_uring_disabled",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/fs/nr_open",
    "/proc/sys/net/core/rmem_max",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/core/wmem_max",
    "/proc/sys/net/ipv4/tcp_rmem",
    "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
    "/proc/sys/net/ipv4/tcp_wmem",
    "/proc/sys/vm/swappiness",
    "/sys/class/net/*/device/local_cpulist",
    "/sys/class/net/*/device/msi_irqs/*",
    "/sys/class/net/*/device/numa_node",
    "/sys/class/net/*/device/uevent",
    "/sys/class/net/*/operstate",
    "/sys/class/net/*/queues/rx-*/rps_cpus",
    "/sys/class/net/*/queues/tx-*/xps_cpus",
    "/sys/devices/system/clocksource/clocksource0/available_clocksource",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference",
    "/sys/devices/system/cpu/cpu*/cpufreq/scaling_available_governors",
    "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/cpu*/online",
    "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/node/node*/cpulist",
    "/sys/kernel/iommu_groups/*/type",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "/sys/module/vfio_pci/parameters/disable_idle_d3",
];

/// Of a file that is longer, nothing is believed; `/proc/cpuinfo` has about 1.5 kB for each processor.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A snapshot: paths as on the host, with what stood in the files.
#[derive(Clone, Debug, Default)]
pub struct Host {
    files: BTreeMap<String, Result<String, String>>,
}

impl Host {
    /// Reads the host whose root folder is `root`. What is not there or cannot be read is not there in the snapshot either.
    pub fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        for pattern in PATTERNS {
            for path in expand(root, pattern) {
                let text = read_text(&root.join(&path[1..]));
                files.insert(path, text);
            }
        }
        Self { files }
    }

    /// What stands in a file, without white space around it; none where it is not there or cannot be read.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref().ok().map(str::trim)
    }

    /// Why there is no text of a file, in words for an operator.
    pub fn why_not(&self, path: &str) -> &str {
        match self.files.get(path) {
            Some(Err(problem)) => problem,
            _ => "is not there",
        }
    }

    /// The files that match a pattern, with what the stars stand for and the text.
    pub fn matching<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = (Vec<&'a str>, &'a str)> {
        let found = self.files.iter().filter_map(move |(path, text)| Some((stars(pattern, path)?, text)));
        found.filter_map(|(stars, text)| Some((stars, text.as_deref().ok()?.trim())))
    }
}

/// Whether `path` is one of those that are read: nothing else is ever written.
pub fn is_known(path: &str) -> bool {
    !path.split('/').any(|name| name == "..") && PATTERNS.iter().any(|pattern| stars(pattern, path).is_some())
}

/// Reads a file as far as it is a text of bearable length.
pub fn read_text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    match String::from_utf8(bytes) {
        Ok(text) if text.len() as u64 <= FILE_BYTES_MAX && !text.contains('\0') => Ok(text),
        _ => Err("is no text".into()),
    }
}

/// What the stars of `pattern` stand for in `path`, if it fits.
fn stars<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut names, mut found) = (path.split('/'), Vec::new());
    for wanted in pattern.split('/') {
        let name = names.next()?;
        match wanted.split_once('*') {
            None if wanted == name => {}
            None => return None,
            Some((before, after)) => found.push(name.strip_prefix(before)?.strip_suffix(after)?),
        }
    }
    names.next().is_none().then_some(found)
}

/// The files of the host at `root` that fit the pattern, as paths of the host.
fn expand(root: &Path, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for wanted in pattern.split('/').skip(1) {
        found = match wanted.contains('*') {
            false => found.into_iter().map(|path| format!("{path}/{wanted}")).collect(),
            true => found.iter().flat_map(|path| children(root, path, wanted)).collect(),
        };
    }
    found.retain(|path| root.join(&path[1..]).exists());
    found
}

fn children(root: &Path, folder: &str, wanted: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(folder.trim_start_matches('/'))) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| stars(wanted, name).is_some()).map(|name| format!("{folder}/{name}")).collect()
}
