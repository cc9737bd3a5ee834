//! What a run says at its end: one object for programs, a few lines for people.

use super::account::NodeAccount;
use super::check::Wrong;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;

/// With more waiting than this the figures say more about others than about the node.
const WAIT_SHARE_MAX: f64 = 0.03;

/// The outcome of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scheme of the packets.
    pub sphinx: String,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// Links on either side of the node.
    pub links: usize,
    /// Packets that the rig sent to the node, in all phases.
    pub packets_sent: u64,
    /// Packets that came out of it.
    pub packets_received: u64,
    /// Packets that came out with wrong bytes, at a wrong node, twice, or too early.
    pub packets_wrong: u64,
    /// Of these: bytes that no packet becomes.
    pub packets_unknown: u64,
    /// Of these: came a second time.
    pub packets_duplicate: u64,
    /// Of these: at another node than their next hop.
    pub packets_wrong_next_hop: u64,
    /// Of these: before their delay was over.
    pub packets_early: u64,
    /// The most by which one of them was early.
    pub early_ms_max: f64,
    /// Packets that never came out.
    pub packets_lost: u64,
    /// Whether the node's account adds up and agrees with what the rig counted.
    pub account_balanced: bool,
    /// The node's account.
    pub account: NodeAccount,
    /// The most that the node forwards, from a bounded number of packets inside it.
    pub packets_per_second: f64,
    /// For how long that was measured.
    pub measured_seconds: f64,
    /// CPU time of the data plane per packet at that rate, in microseconds.
    pub cpu_us_per_packet: f64,
    /// The share of its processor that the data plane used meanwhile: well below 1, something else was the limit.
    pub node_cpu_share: f64,
    /// The share of the time in which it could have run, and somebody else did: zero on a quiet machine.
    pub node_wait_share: f64,
    /// The share of its processor that the rig used meanwhile: near 1, the rig was the limit.
    pub rig_cpu_share: f64,
    /// The share of the time in which the rig could have run, and somebody else did.
    pub rig_wait_share: f64,
    /// The rate, half of that, at which lateness was measured.
    pub open_loop_packets_per_second: f64,
    /// CPU time of the data plane per packet at the half rate, in microseconds.
    pub open_loop_cpu_us_per_packet: f64,
    /// Lateness at the half rate: departure less arrival and delay, links included.
    pub lateness_ms_p50: f64,
    /// The same, exceeded by one in a hundred.
    pub lateness_ms_p99: f64,
    /// The latest.
    pub lateness_ms_max: f64,
    /// What the rig does with a node that only opens and seals frames.
    pub rig_ceiling_packets_per_second: f64,
    /// What one core unwraps in batches of 32 when it does nothing else.
    pub unwrap_only_packets_per_second: f64,
}

impl Report {
    /// Whether every packet was right and everything is accounted for.
    pub fn is_good(&self) -> bool {
        self.packets_wrong == 0 && self.packets_lost == 0 && self.account_balanced
    }

    /// Whether node and rig had their processors for themselves.
    pub fn is_quiet(&self) -> bool {
        self.node_wait_share.max(self.rig_wait_share) < WAIT_SHARE_MAX
    }

    /// The whole report as one line of JSON.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    pub(super) fn set_wrong(&mut self, wrong: Wrong) {
        self.packets_wrong = wrong.total();
        self.packets_unknown = wrong.unknown;
        self.packets_duplicate = wrong.duplicate;
        self.packets_wrong_next_hop = wrong.next_hop;
        self.packets_early = wrong.early;
        self.early_ms_max = wrong.early_us_max as f64 / 1000.0;
    }

    pub(super) fn set_lateness(&mut self, lateness_us: &Histogram<u64>) {
        let ms = |us: u64| us as f64 / 1000.0;
        self.lateness_ms_p50 = ms(lateness_us.value_at_quantile(0.5));
        self.lateness_ms_p99 = ms(lateness_us.value_at_quantile(0.99));
        self.lateness_ms_max = ms(lateness_us.max());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sphinx, packet_bytes, links, account, .. } = self;
        writeln!(
            formatter,
            "One mix, one shard, {sphinx}, packets of {packet_bytes} bytes, {links} links on either side"
        )?;
        writeln!(
            formatter,
            "  capacity      {:>9.0} packets/s over {:.1} s, {:.2} us of CPU each",
            self.packets_per_second, self.measured_seconds, self.cpu_us_per_packet
        )?;
        writeln!(
            formatter,
            "  processors    node busy {:.0} %, waiting {:.0} %; rig busy {:.0} %, waiting {:.0} %{}",
            100.0 * self.node_cpu_share,
            100.0 * self.node_wait_share,
            100.0 * self.rig_cpu_share,
            100.0 * self.rig_wait_share,
            if self.is_quiet() { "" } else { "; NOT A QUIET MACHINE" }
        )?;
        writeln!(
            formatter,
            "  at {:>9.0}/s  lateness p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms; {:.2} us of CPU each",
            self.open_loop_packets_per_second,
            self.lateness_ms_p50,
            self.lateness_ms_p99,
            self.lateness_ms_max,
            self.open_loop_cpu_us_per_packet
        )?;
        writeln!(formatter, "  unwrap only   {:>9.0} packets/s on one core", self.unwrap_only_packets_per_second)?;
        writeln!(formatter, "  rig's ceiling {:>9.0} packets/s", self.rig_ceiling_packets_per_second)?;
        writeln!(
            formatter,
            "  packets       {} sent, {} received, {} lost, {} wrong (unknown {}, twice {}, wrong node {}, early {} by up to {} ms)",
            self.packets_sent,
            self.packets_received,
            self.packets_lost,
            self.packets_wrong,
            self.packets_unknown,
            self.packets_duplicate,
            self.packets_wrong_next_hop,
            self.packets_early,
            self.early_ms_max
        )?;
        writeln!(
            formatter,
            "  node's account received {}, originated {}, sent {}, delivered {}, held {}, lost in restart {}, dropped {:?}",
            account.received,
            account.originated,
            account.sent,
            account.delivered,
            account.held,
            account.lost_in_restart,
            account.dropped
        )?;
        write!(formatter, "  {}", if self.is_good() { "every packet right, account balanced" } else { "NOT GOOD" })
    }
}
