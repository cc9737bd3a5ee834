//! What memory the node may take, and what it is used for. Shared memory and packet slots are taken as they are used,
//! so that nothing else would say before the kernel ends a process that there is too little.

#[cfg(test)]
mod tests;

use interplane::replay::{memory_bytes, replay_capacity};
use interplane::setup::{Clients, PoolSize};
use pki::EpochClock;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Mix keys under which packets are accepted at once: the previous epoch's, the current one's and the next one's. The
/// replay sets of later keys are empty and take no memory.
const LIVE_KEYS: u64 = 3;

/// Without a configured line rate: so many packets per second for each shard, where there is the memory for it.
const LINE_RATE_PER_SHARD: u64 = 20_000;

/// The least that memory makes of it: what sets are sized for then is a small node's traffic.
const LINE_RATE_MIN: u64 = 1_000;

/// The part of the memory that replay sets may take where nobody has configured them, and that slots may.
const REPLAY_SHARE: u64 = 2;
const SLOTS_SHARE: u64 = 4;
/// The same for messages that wait for clients.
const SPOOL_SHARE: u64 = 8;

/// Slots that a shard gets at least, and that a configuration may give it.
const SLOTS_MIN: u64 = 512;
const CONFIGURED_SLOTS_MIN: u64 = 256;

/// What bounds the memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Bytes that it may have; none where nobody can tell.
    pub bytes: Option<u64>,
    /// Whether that is a container's limit.
    pub is_limited: bool,
    /// Bytes that are free now.
    pub available: Option<u64>,
}

/// What is asked of the node.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The configured line rate, in packets per second.
    pub line_rate: Option<u32>,
    /// The configured slots of each shard.
    pub slots: Option<usize>,
    /// Shards.
    pub shards: usize,
    /// The period of epochs.
    pub epoch_period: Duration,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// Whether messages wait here for clients.
    pub has_clients: bool,
    /// What is configured for those, in MiB.
    pub spool_mib: Option<u32>,
}

/// What the node is sized for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Packets per second.
    pub line_rate: u32,
    /// Buckets of each replay set.
    pub replay_buckets: u64,
    /// Packet slots of each shard.
    pub slots_per_shard: u32,
    /// Bytes of all replay sets that are in use at once.
    pub replay_bytes: u64,
    /// Bytes of all slots.
    pub slot_bytes: u64,
    /// Bytes for the messages that wait for clients.
    pub spool_bytes: u64,
}

/// The node does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "replay sets for {rate} packets per second take up to {} with epochs of {epoch_seconds} s, and packets up to {}{}, but \
     {whose} {}: {advice}",
    size(*.replay_bytes),
    size(*.slot_bytes),
    spool(*.spool_bytes),
    size(*.bytes),
)]
pub struct MemoryTooSmall {
    rate: u32,
    epoch_seconds: u64,
    replay_bytes: u64,
    slot_bytes: u64,
    spool_bytes: u64,
    bytes: u64,
    whose: &'static str,
    advice: String,
}

impl Wanted {
    /// Works out the sizes; an error if what is configured cannot fit. They depend on what does not change while the
    /// host runs, so that a node that starts again finds the data plane at work that it wants.
    pub fn sizes(&self, host: &Host) -> Result<Sizes, MemoryTooSmall> {
        let sizes = self.work_out(host);
        match host.bytes {
            Some(bytes) if sizes.total_bytes() > bytes => Err(MemoryTooSmall {
                rate: sizes.line_rate,
                epoch_seconds: self.epoch_period.as_secs(),
                replay_bytes: sizes.replay_bytes,
                slot_bytes: sizes.slot_bytes,
                spool_bytes: sizes.spool_bytes,
                bytes,
                whose: if host.is_limited { "the memory limit of this container is" } else { "this host has" },
                advice: self.advice(host, &sizes),
            }),
            _ => Ok(sizes),
        }
    }

    /// The setting that is too large, and the largest that fits.
    fn advice(&self, host: &Host, sizes: &Sizes) -> String {
        const MORE: &str = "or give it more memory";
        let variable = pki::epoch::PERIOD_VARIABLE;
        let fits = |wanted: Self| host.bytes.is_none_or(|bytes| wanted.work_out(host).total_bytes() <= bytes);
        let rate_of = |slots| {
            let most = u64::from(self.line_rate?);
            let with = |rate: u64| Self { line_rate: Some(u32::try_from(rate).unwrap_or(u32::MAX)), slots, ..*self };
            largest(1, most, |rate| fits(with(rate)))
        };
        let slots_of = |line_rate| {
            let with = |slots: u64| Self { slots: usize::try_from(slots).ok(), line_rate, ..*self };
            largest(CONFIGURED_SLOTS_MIN, self.slots? as u64, |slots| fits(with(slots)))
        };
        let seconds = || {
            let with = |seconds| Self { epoch_period: Duration::from_secs(seconds), ..*self };
            largest(1, self.epoch_period.as_secs(), |seconds| fits(with(seconds)))
        };
        let spool_of = || {
            let with = |mib: u64| Self { spool_mib: u32::try_from(mib).ok(), ..*self };
            largest(1, self.spool_mib.filter(|_| self.has_clients)?.into(), |mib| fits(with(mib)))
        };
        let (rate, slots) = ("dataplane.line_rate_packets_per_second", "dataplane.slots");
        let spool = "dataplane.spool_mib";
        // Nobody's network has epochs that are so much longer than the usual ones.
        let is_unusual =
            self.epoch_period > EpochClock::PERIOD && fits(Self { epoch_period: EpochClock::PERIOD, ..*self });
        if is_unusual && let Some(most) = seconds() {
            return format!("set {variable} to the length of the network's epochs (up to {most} s fit), {MORE}");
        }
        let slots_alone = slots_of(self.line_rate).map(|most| format!("write {slots} = {most} or less, {MORE}"));
        let rate_alone = rate_of(self.slots).map(|most| format!("write {rate} = {most} or less, {MORE}"));
        let spool_alone = spool_of().map(|most| format!("write {spool} = {most} or less, {MORE}"));
        let mut alone =
            [(sizes.replay_bytes, rate_alone), (sizes.slot_bytes, slots_alone), (sizes.spool_bytes, spool_alone)];
        alone.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let is_spool_too_much = self.has_clients && self.spool_mib.is_some_and(|mib| mib > 1);
        let alone = alone.into_iter().find_map(|(_, advice)| advice);
        alone
            .or_else(|| {
                let least = Self { spool_mib: Some(1), ..*self };
                is_spool_too_much
                    .then(|| format!("write {spool} = 1; then {}", least.advice(host, &least.work_out(host))))
            })
            .or_else(|| {
                let least = CONFIGURED_SLOTS_MIN as usize;
                let most = rate_of(Some(least))?;
                Some(format!("write {rate} = {most} or less and {slots} = {least}, {MORE}"))
            })
            .unwrap_or_else(|| "give it more memory".into())
    }

    /// The sizes, whether they fit or not.
    fn work_out(&self, host: &Host) -> Sizes {
        let seconds = self.epoch_period.as_secs();
        let replay_bytes = |rate: u64| memory_bytes(replay_capacity(rate, seconds)).saturating_mul(LIVE_KEYS);
        // What a rate of one takes, well above rounding.
        let fitting = |bytes: u64| bytes / (replay_bytes(1_000_000) / 1_000_000).max(1);
        let shards = self.shards.max(1) as u64;
        let line_rate = self.line_rate.unwrap_or_else(|| {
            let most = host.bytes.map_or(u64::MAX, |bytes| fitting(bytes / REPLAY_SHARE)).max(LINE_RATE_MIN);
            u32::try_from(LINE_RATE_PER_SHARD.saturating_mul(shards).min(most)).unwrap_or(u32::MAX)
        });
        let slot_bytes = self.packet_bytes as u64 + PoolSize::SLOT_OVERHEAD_BYTES;
        let delay_max = Duration::from_millis(pki::document::delay_cap_ms(pki::document::MU_USUAL));
        let slots = self.slots.map_or_else(
            || {
                let most =
                    host.bytes.map_or(u64::MAX, |bytes| bytes / SLOTS_SHARE / slot_bytes / shards).max(SLOTS_MIN);
                PoolSize::new(u64::from(line_rate), shards, delay_max).slots().max(SLOTS_MIN).min(most)
            },
            |slots| slots as u64,
        );
        let slots = slots.min(PoolSize::SLOTS_MAX);
        let replay_bytes = replay_bytes(u64::from(line_rate));
        let slot_bytes = slots.saturating_mul(slot_bytes).saturating_mul(shards);
        Sizes {
            line_rate,
            replay_buckets: replay_capacity(u64::from(line_rate), seconds),
            slots_per_shard: u32::try_from(slots).unwrap_or(u32::MAX),
            replay_bytes,
            slot_bytes,
            spool_bytes: self.spool_bytes(host, replay_bytes.saturating_add(slot_bytes)),
        }
    }

    /// What is configured, or what the memory has room for beside all else.
    fn spool_bytes(&self, host: &Host, beside: u64) -> u64 {
        if !self.has_clients {
            return 0;
        }
        self.spool_mib.map_or_else(
            || {
                let most = host.bytes.map_or(u64::MAX, |bytes| (bytes / SPOOL_SHARE).min(bytes.saturating_sub(beside)));
                Clients::default().spool_bytes.min(most)
            },
            |mib| u64::from(mib) << 20,
        )
    }
}

/// The largest of the numbers that is good, if the least one is; all below it are.
fn largest(least: u64, most: u64, is_good: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut good, mut bad) = (is_good(least).then_some(least)?, most.max(least).saturating_add(1));
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if is_good(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

impl Sizes {
    /// All that grows with traffic.
    pub fn total_bytes(&self) -> u64 {
        self.replay_bytes.saturating_add(self.slot_bytes).saturating_add(self.spool_bytes)
    }

    /// What an operator should know about memory, and whether it is a warning.
    pub fn report(&self, host: &Host) -> (String, bool) {
        let of = match (host.bytes, host.is_limited) {
            (Some(bytes), true) => format!(" of the {} that this container may have", size(bytes)),
            (Some(bytes), false) => format!(" of this host's {}", size(bytes)),
            (None, _) => String::new(),
        };
        let mut text = format!(
            "Memory: sized for {} packets per second; under full load replay sets take {} and {} slots per shard {}{}{of} \
             (dataplane.line_rate_packets_per_second, dataplane.slots{})",
            self.line_rate,
            size(self.replay_bytes),
            self.slots_per_shard,
            size(self.slot_bytes),
            spool(self.spool_bytes),
            if self.spool_bytes > 0 { ", dataplane.spool_mib" } else { "" },
        );
        let short = host.available.filter(|available| self.total_bytes() > *available);
        if let Some(available) = short {
            text += &format!("; only {} are free now", size(available));
        }
        (text, short.is_some())
    }
}

/// What a gateway needs beside the rest.
fn spool(bytes: u64) -> String {
    if bytes > 0 { format!(", and messages for clients {}", size(bytes)) } else { String::new() }
}

/// In units that are easy to read.
fn size(bytes: u64) -> String {
    if bytes >= 10_000_000_000 {
        format!("{} GB", bytes / 1_000_000_000)
    } else {
        format!("{} MB", bytes.div_ceil(1_000_000))
    }
}

impl Host {
    /// What this host, or the container around this process, says.
    pub fn look() -> Self {
        Self::at(Path::new("/"))
    }

    /// The same with another root of `/proc` and `/sys`.
    fn at(root: &Path) -> Self {
        let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let total = meminfo(&text, "MemTotal:");
        let limit = container_limit(root).filter(|limit| total.is_none_or(|total| *limit < total));
        Self { bytes: limit.or(total), is_limited: limit.is_some(), available: meminfo(&text, "MemAvailable:") }
    }
}

fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The least limit of the control groups around this process, of either version. A container may see its own group as
/// the root.
fn container_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            named if named.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let mount = root.join(mount);
        let relative = Path::new(path.trim_start_matches('/'));
        // "max" and the old version's number for no limit are filtered by parsing and by the host's memory.
        relative
            .ancestors()
            .filter_map(|group| fs::read_to_string(mount.join(group).join(file)).ok()?.trim().parse::<u64>().ok())
            .min()
    });
    limits.min()
}
