//! What a soak has found, minute by minute, and the verdict.

use super::super::account::NodeAccount;
use super::super::check::{Checker, lateness_histogram};
use super::super::drive::Phase;
use super::super::latency::Latency;
use super::super::process::Memory;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;

/// Memory is flat when the last quarter's level is above that of the quarter before by no more than this part and so many
/// bytes. The level is what this share of the samples does not exceed: memory goes up and down with the epochs, of which
/// every quarter has a whole one at least, and for a moment at their changes, which one look may see and another not.
const LEVEL_QUANTILE: f64 = 0.9;
const GROWTH_SHARE_MAX: f64 = 0.01;
const GROWTH_BYTES_MAX: u64 = 1 << 20;
/// Memory that a node takes for its first epochs is no growth: so many must be over in the first half.
const FIRST_EPOCHS: f64 = 3.0;

/// The memory of both processes at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MemorySample {
    /// Seconds since the first packet.
    pub seconds: f64,
    /// How much it was.
    #[serde(flatten)]
    pub memory: Memory,
}

/// Packets until a moment, or in a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent to the node.
    pub sent: u64,
    /// Came out, the wrong ones among them.
    pub received: u64,
    /// Never came out.
    pub lost: u64,
    /// Came out wrong.
    pub wrong: u64,
}

impl Counts {
    /// All so far.
    pub fn of(checker: &Checker) -> Self {
        Self {
            sent: checker.sent(),
            received: checker.received(),
            lost: checker.lost(),
            wrong: checker.wrong().total(),
        }
    }

    /// Those since then.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            received: self.received - before.received,
            lost: self.lost - before.lost,
            wrong: self.wrong - before.wrong,
        }
    }
}

/// A minute of load, and the pause behind it in which all came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Minute {
    /// The first is 1.
    pub minute: u64,
    /// Epochs since the first that had packets.
    pub epochs: u64,
    /// Packets per second that were sent while there were any, as a part of the capacity.
    pub load: f64,
    /// The part of the stock that was there at its beginning.
    pub stocked: f64,
    /// Packets per second that came out while packets were sent.
    pub packets_per_second_out: f64,
    /// Packets that were sent.
    pub sent: u64,
    /// Packets that came out.
    pub received: u64,
    /// Packets that the node has dropped.
    pub dropped: u64,
    /// Packets that never came out.
    pub lost: u64,
    /// Packets that came out wrong.
    pub wrong: u64,
    /// The part of the minute in which a packet was due and none was made: the load was less by so much.
    pub without_packets_share: f64,
    /// The part of its processors that the data plane used, as if it had one.
    pub node_cpu_share: f64,
    /// Its time for each packet, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Lateness of all packets.
    pub lateness_ms: Option<Latency>,
    /// Lateness of those for which the rig itself was in time.
    pub lateness_guarded_ms: Option<Latency>,
    /// The memory at its end.
    #[serde(flatten)]
    pub memory: Memory,
    /// Whether the node's account adds up and agrees with what the rig counted, to the packet.
    pub account_balanced: bool,
}

impl Minute {
    /// What the rig knows of it.
    pub fn of(phase: &Phase, counts: &Counts, memory: Memory) -> Self {
        let seconds = phase.duration.as_secs_f64();
        let Counts { sent, received, lost, wrong } = *counts;
        Self {
            packets_per_second_out: phase.packets_per_second,
            sent,
            received,
            lost,
            wrong,
            without_packets_share: phase.without_packets.as_secs_f64() / seconds,
            node_cpu_share: phase.node_cpu.used.as_secs_f64() / seconds,
            cpu_us_per_packet: phase.node_cpu.used.as_secs_f64() * 1e6 / phase.packets.max(1) as f64,
            lateness_ms: Latency::of(&phase.lateness_us),
            lateness_guarded_ms: Latency::of(&phase.guarded.lateness_us),
            memory,
            ..Self::default()
        }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = |latency: &Option<Latency>| match latency {
            Some(Latency { p50, p99, .. }) => format!("{p50:.2} / {p99:.2} ms"),
            None => "not measured".into(),
        };
        write!(
            formatter,
            "minute {:>4}  {:>9} in, {:>9} out, {} dropped, {} lost, {} wrong; {:.0} % of the capacity, {:.2} us of CPU \
             each; late p50 / p99 {}, guarded {}; memory {:.1} + {:.1} MiB; {} epochs; account {}{}",
            self.minute,
            self.sent,
            self.received,
            self.dropped,
            self.lost,
            self.wrong,
            100.0 * self.load * (1.0 - self.without_packets_share),
            self.cpu_us_per_packet,
            late(&self.lateness_ms),
            late(&self.lateness_guarded_ms),
            mebibytes(self.memory.control_plane_bytes),
            mebibytes(self.memory.data_plane_bytes),
            self.epochs,
            if self.account_balanced { "balanced" } else { "NOT BALANCED" },
            match self.without_packets_share {
                share if share > 0.001 => format!("; no packet made in time for {:.1} %", 100.0 * share),
                _ => String::new(),
            }
        )
    }
}

/// How the memory of one process went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// Its level in the third quarter of the time.
    pub third_quarter_bytes: u64,
    /// Its level in the last quarter.
    pub last_quarter_bytes: u64,
    /// Whether that is no growth.
    pub is_flat: bool,
}

impl Growth {
    /// None where a quarter has no sample.
    pub fn of(samples: &[MemorySample], bytes: fn(&Memory) -> u64) -> Option<Self> {
        let end = samples.last()?.seconds;
        let level = |from: f64, to: f64| {
            let within = samples.iter().filter(|sample| (from * end..=to * end).contains(&sample.seconds));
            let mut within: Vec<u64> = within.map(|sample| bytes(&sample.memory)).collect();
            within.sort_unstable();
            within.get((within.len().saturating_sub(1) as f64 * LEVEL_QUANTILE) as usize).copied()
        };
        let (third_quarter_bytes, last_quarter_bytes) = (level(0.5, 0.75)?, level(0.75, 1.0)?);
        let most = third_quarter_bytes as f64 * (1.0 + GROWTH_SHARE_MAX) + GROWTH_BYTES_MAX as f64;
        Some(Self { third_quarter_bytes, last_quarter_bytes, is_flat: last_quarter_bytes as f64 <= most })
    }
}

/// One soak.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// Which way the packets took.
    pub traffic: &'static str,
    /// What the node forwards at most.
    pub capacity_packets_per_second: f64,
    /// The load that was asked for.
    pub asked_packets_per_second: f64,
    /// The length of an epoch.
    pub epoch_seconds: f64,
    /// All minutes.
    pub minutes: Vec<Minute>,
    /// The memory over time.
    pub memory: Vec<MemorySample>,
    /// The node's account at the end.
    pub account: NodeAccount,
    /// Lateness of all packets.
    #[serde(skip)]
    pub lateness_us: Histogram<u64>,
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            traffic: "",
            capacity_packets_per_second: 0.0,
            asked_packets_per_second: 0.0,
            epoch_seconds: 0.0,
            minutes: Vec::new(),
            memory: Vec::new(),
            account: NodeAccount::default(),
            lateness_us: lateness_histogram(),
        }
    }
}

impl Soak {
    /// One more minute.
    pub fn add(&mut self, minute: Minute, account: NodeAccount, phase: &Phase) -> Result<(), String> {
        self.minutes.push(minute);
        self.account = account;
        self.lateness_us.add(&phase.lateness_us).map_err(|error| error.to_string())
    }

    /// How the memory of control plane and data plane went; none when the run was too short to tell.
    pub fn growth(&self) -> Option<[Growth; 2]> {
        let end = self.memory.last()?.seconds;
        if end < 2.0 * FIRST_EPOCHS * self.epoch_seconds {
            return None;
        }
        let of = |bytes| Growth::of(&self.memory, bytes);
        Some([of(|memory| memory.control_plane_bytes)?, of(|memory| memory.data_plane_bytes)?])
    }

    /// The load of all minutes in packets per second that came out.
    pub fn packets_per_second(&self) -> f64 {
        self.minutes.iter().map(|minute| minute.packets_per_second_out).sum::<f64>() / self.minutes.len().max(1) as f64
    }

    /// What was not right.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for Minute { minute, lost, wrong, dropped, account_balanced, .. } in &self.minutes {
            if lost + wrong + dropped > 0 {
                faults.push(format!(
                    "minute {minute}: {lost} packets never came out, {wrong} were wrong, the node dropped {dropped}"
                ));
            }
            if !account_balanced {
                faults.push(format!("minute {minute}: the account did not balance"));
            }
        }
        if self.account.dropped_in_all() > 0 {
            faults.push(format!("the node's reasons for what it dropped: {:?}", self.account.dropped));
        }
        for (name, growth) in ["control plane", "data plane"].iter().zip(self.growth().iter().flatten()) {
            if !growth.is_flat {
                faults.push(format!(
                    "the memory of the {name} grew: {:.1} MiB in the third quarter, {:.1} MiB in the last",
                    mebibytes(growth.third_quarter_bytes),
                    mebibytes(growth.last_quarter_bytes)
                ));
            }
        }
        faults
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |count: fn(&Minute) -> u64| self.minutes.iter().map(count).sum::<u64>();
        writeln!(
            formatter,
            "Soak, {}: {} minutes at {:.0} packets/s, {:.0} % of the capacity of {:.0}, over {} epochs of {:.0} s{}",
            self.traffic,
            self.minutes.len(),
            self.packets_per_second(),
            100.0 * self.packets_per_second() / self.capacity_packets_per_second,
            self.capacity_packets_per_second,
            self.minutes.last().map_or(0, |minute| minute.epochs),
            self.epoch_seconds,
            match self.asked_packets_per_second {
                asked if asked > 1.02 * self.packets_per_second() => {
                    format!("; {asked:.0} were asked for, THE MILLS WERE THE LIMIT")
                }
                _ => String::new(),
            }
        )?;
        writeln!(
            formatter,
            "  packets       {} in, {} out, {} dropped, {} lost, {} wrong; account balanced in {} of {} minutes",
            all(|minute| minute.sent),
            all(|minute| minute.received),
            all(|minute| minute.dropped),
            all(|minute| minute.lost),
            all(|minute| minute.wrong),
            all(|minute| u64::from(minute.account_balanced)),
            self.minutes.len()
        )?;
        writeln!(
            formatter,
            "  lateness      {}",
            Latency::of(&self.lateness_us).map_or("none measured".into(), |latency| latency.to_string())
        )?;
        match self.growth() {
            None => writeln!(formatter, "  memory        too short a run to say whether it is flat"),
            Some([control, data]) => writeln!(
                formatter,
                "  memory        {:.1} MiB (control plane) and {:.1} MiB (data plane) in the third quarter, {:.1} \
                 and {:.1} MiB in the last: {}",
                mebibytes(control.third_quarter_bytes),
                mebibytes(data.third_quarter_bytes),
                mebibytes(control.last_quarter_bytes),
                mebibytes(data.last_quarter_bytes),
                if control.is_flat && data.is_flat { "flat" } else { "IT GROWS" }
            ),
        }
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
