//! What was found of another implementation's mix.

use super::super::floor::median;
use super::super::latency::Latency;
use serde::Serialize;
use std::fmt;

/// A mix that keeps up is late with half of the packets by less than this; one that does not queues for seconds.
const KEEPS_UP_MS: f64 = 50.0;

/// One rate at which the other implementation was sent packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Trial {
    /// Packets per second that it was sent.
    pub packets_per_second: f64,
    /// How many that were.
    pub sent: u64,
    /// How many of them never came out.
    pub lost: u64,
    /// Its processor time for each, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Lateness of those that came out.
    pub lateness_ms: Option<Latency>,
}

impl Trial {
    /// Whether the rate is one that the mix carries.
    pub fn keeps_up(&self) -> bool {
        self.sent > 0 && self.lost == 0 && self.lateness_ms.is_some_and(|latency| latency.p50 < KEEPS_UP_MS)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Peer {
    /// Its program.
    pub program: String,
    /// The highest rate at which it lost nothing and did not fall behind.
    pub packets_per_second: f64,
    /// Its processor time for a packet at that rate, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Its lateness at about half of that rate.
    pub at_half: Trial,
    /// All trials, in order.
    pub trials: Vec<Trial>,
    /// What ours did in each turn.
    pub own_packets_per_second: Vec<f64>,
    /// Our processor time for a packet, in microseconds: the median of the turns.
    pub own_cpu_us_per_packet: f64,
    /// The median of ours over the other one's best.
    pub ratio: f64,
    /// The other one's processor time over ours.
    pub cpu_ratio: f64,
    /// Packets that ours lost, or that came out of it wrong.
    pub own_faults: u64,
    /// Packets that came out of the other one wrong.
    pub peer_wrong: u64,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.trials.iter().filter(|trial| !trial.keeps_up()).map(|trial| trial.packets_per_second);
        let latency = self.at_half.lateness_ms.map_or("none measured".into(), |latency| latency.to_string());
        writeln!(formatter, "The mix {}, {} turns with ours", self.program, self.own_packets_per_second.len())?;
        writeln!(
            formatter,
            "  carries       {:>9.0} packets/s without loss, {:.1} us of CPU each; of {} rates it did not carry {}, from {:.0} \
             packets/s on",
            self.packets_per_second,
            self.cpu_us_per_packet,
            self.trials.len(),
            failed.clone().count(),
            failed.fold(f64::INFINITY, f64::min)
        )?;
        writeln!(
            formatter,
            "  at {:>9.0}/s  lateness {}; {:.1} us of CPU each",
            self.at_half.packets_per_second, latency, self.at_half.cpu_us_per_packet
        )?;
        writeln!(
            formatter,
            "  ours          {:>9.0} packets/s, {:.2} us of CPU each: {:.1} times as many, {:.1} times less CPU",
            median(self.own_packets_per_second.clone()),
            self.own_cpu_us_per_packet,
            self.ratio,
            self.cpu_ratio
        )
    }
}
