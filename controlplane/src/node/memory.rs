//! Whether the host has the memory that the configured line rate asks for. Shared memory is taken page by page, so that
//! nothing else would say so before the kernel ends a process.

use interplane::replay::{memory_bytes, replay_capacity};
use std::time::Duration;

/// Mix keys that are live at once: the previous epoch's, the current one's and three to come.
const KEYS: u64 = 5;

/// The replay sets do not fit.
#[derive(Debug, thiserror::Error)]
#[error(
    "the replay sets for {rate} packets per second need {needed_gb} GB, this host has {available_gb} GB; \
     write a smaller number (dataplane.line_rate_packets_per_second)"
)]
pub struct MemoryTooSmall {
    rate: u32,
    needed_gb: u64,
    available_gb: u64,
}

/// What the replay sets of all keys that are live at once take when they are full.
pub fn wanted_bytes(packets_per_second: u32, epoch_period: Duration) -> u64 {
    memory_bytes(replay_capacity(u64::from(packets_per_second), epoch_period.as_secs())).saturating_mul(KEYS)
}

/// Compares what the replay sets grow to with the memory of the host.
pub fn check(packets_per_second: u32, epoch_period: Duration) -> Result<(), MemoryTooSmall> {
    let needed = wanted_bytes(packets_per_second, epoch_period);
    match total_bytes() {
        Some(total) if needed > total => Err(MemoryTooSmall {
            rate: packets_per_second,
            needed_gb: needed.div_ceil(1_000_000_000),
            available_gb: total / 1_000_000_000,
        }),
        // Where /proc is not mounted nobody can tell.
        _ => Ok(()),
    }
}

fn total_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
