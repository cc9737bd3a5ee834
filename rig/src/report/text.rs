//! The report for people.

use super::super::account::NodeAccount;
use super::super::latency::Latency;
use super::super::plan::IDLE;
use super::{IdleClients, NewClients, OpenLoop, Report};
use std::fmt;

fn latency(latency: &Option<Latency>) -> String {
    latency.map_or_else(|| "none measured".into(), |latency| latency.to_string())
}

fn percent(share: f64) -> f64 {
    100.0 * share
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_one_way(formatter)?;
        if let Some(to_clients) = &self.to_clients {
            to_clients.fmt_one_way(formatter)?;
        }
        if let Some(idle) = &self.idle_clients {
            fmt_idle_clients(idle, formatter)?;
        }
        self.peer.iter().try_for_each(|peer| peer.fmt(formatter))?;
        self.soaks.iter().try_for_each(|soak| soak.fmt(formatter))?;
        let faults = self.faults();
        if faults.is_empty() {
            return write!(formatter, "  every packet right, every new link up, account balanced");
        }
        write!(formatter, "  NOT GOOD: {}", faults.join("\n            "))
    }
}

impl Report {
    fn fmt_one_way(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_figures(formatter)?;
        if let Some(new_clients) = &self.new_clients {
            fmt_new_clients(new_clients, formatter)?;
        }
        self.fmt_packets(formatter)
    }

    /// What the node is, and which way packets take.
    pub(super) fn subject(&self) -> String {
        let clients = self.clients;
        let users = self.users.as_ref().map_or(String::new(), |users| format!(" ({users})"));
        match self.traffic {
            "echo" => "One service node, requests to its echo".into(),
            "plugin" => "One service node, requests to a plugin that echoes".into(),
            "from_clients" => format!("One gateway{users}, packets from {clients} clients (no rate limit) to mixes"),
            "to_clients" => format!("One gateway{users}, packets from mixes to {clients} clients"),
            _ => "One mix".into(),
        }
    }

    fn fmt_figures(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}, {} shard(s), {} by {}, {}, packets of {} bytes, delays of {} ms ({} at most), {} links on either side",
            self.subject(),
            self.shards,
            self.transport,
            self.io.as_deref().unwrap_or("what the node chooses"),
            self.sphinx,
            self.packet_bytes,
            self.delay_mean_ms,
            self.delay_max_ms,
            self.links
        )?;
        writeln!(
            formatter,
            "  capacity      {:>9.0} packets/s over {:.1} s, {:.2} us of CPU each",
            self.packets_per_second, self.measured_seconds, self.cpu_us_per_packet
        )?;
        writeln!(
            formatter,
            "  processors    node busy {:.0} %, waiting {:.0} %; rig busy {:.0} %, waiting {:.0} %{}",
            percent(self.node_cpu_share),
            percent(self.node_wait_share),
            percent(self.rig_cpu_share),
            percent(self.rig_wait_share),
            if self.is_quiet() { "" } else { "; NOT A QUIET MACHINE" }
        )?;
        writeln!(formatter, "  placement     node {}", self.placement())?;
        writeln!(formatter, "  new links     {} meanwhile; answered after {}", self.calls, latency(&self.answered_ms))?;
        writeln!(
            formatter,
            "                without the caller's own waiting {}; up after {}",
            latency(&self.answered_without_wait_ms),
            latency(&self.link_up_ms)
        )?;
        fmt_open_loop(&self.open_loop, formatter)?;
        self.at_80_percent.iter().try_for_each(|open_loop| fmt_open_loop(open_loop, formatter))?;
        writeln!(
            formatter,
            "  idle          node busy {:.2} % of one processor, over {} s",
            percent(self.idle_node_cpu_share),
            IDLE.as_secs()
        )?;
        writeln!(
            formatter,
            "  floor         {:>9.0} packets/s: one core that opens frames, unwraps and seals frames, in {} turns with the \
             node{}; the node does {:.0} % of it",
            self.floor_packets_per_second,
            self.turns.iter().filter(|turn| turn.counts).count(),
            if self.floor_at_full_width {
                " at the full width of the core"
            } else {
                ", A NEIGHBOUR ON THE CORE IN MOST OF THEM"
            },
            percent(self.node_to_floor)
        )?;
        writeln!(formatter, "  unwrap only   {:>9.0} packets/s on one core", self.unwrap_only_packets_per_second)?;
        writeln!(formatter, "  rig's ceiling {:>9.0} packets/s", self.rig_ceiling_packets_per_second)
    }

    fn fmt_packets(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "  packets       {} made, {} sent, {} received, {} lost, {} wrong (unknown {}, twice {}, wrong node {}, early \
             {} by up to {} ms)",
            self.packets_made,
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
        let NodeAccount { received, originated, sent, delivered, held, lost_in_restart, dropped } = &self.account;
        writeln!(
            formatter,
            "  node's account received {received}, originated {originated}, sent {sent}, delivered {delivered}, held \
             {held}, lost in restart {lost_in_restart}, dropped {dropped:?}"
        )
    }
}

fn fmt_open_loop(open_loop: &OpenLoop, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        formatter,
        "  at {:>9.0}/s  lateness {}; {:.2} us of CPU each, node busy {:.0} %, waiting {:.0} %",
        open_loop.open_loop_packets_per_second,
        latency(&open_loop.lateness_ms),
        open_loop.open_loop_cpu_us_per_packet,
        percent(open_loop.open_loop_node_cpu_share),
        percent(open_loop.open_loop_node_wait_share)
    )?;
    writeln!(
        formatter,
        "                where the rig itself was in time ({:.0} % of the packets) {}",
        percent(open_loop.guarded_share),
        latency(&open_loop.lateness_guarded_ms)
    )?;
    writeln!(formatter, "                of that, before the rig sent the packet, {}", latency(&open_loop.held_up_ms))
}

fn fmt_new_clients(new: &NewClients, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        formatter,
        "  new clients   {:>9.0} /s meanwhile at {:.0} packets/s out; up after {}; node busy {:.0} %, waiting {:.0} %",
        new.per_second,
        new.packets_per_second_out,
        latency(&new.up_ms),
        percent(new.node_cpu_share),
        percent(new.node_wait_share)
    )?;
    writeln!(
        formatter,
        "                lateness of the packets {}; of that, before the rig sent them, {}",
        latency(&new.lateness_ms),
        latency(&new.held_up_ms)
    )
}

fn fmt_idle_clients(idle: &IdleClients, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        formatter,
        "One gateway, {} clients that do nothing, made at {:.0} /s\n  memory        {:.1} KiB each ({:.1} MiB with the \
         first few of them, {:.1} MiB with all), all buffers included\n  heartbeats    node busy {:.2} % of one processor, \
         over {:.0} s; {} sessions lost",
        idle.sessions,
        idle.handshakes_per_second,
        idle.memory_bytes_per_session / 1024.0,
        mebibytes(idle.memory_bytes_before),
        mebibytes(idle.memory_bytes),
        percent(idle.node_cpu_share),
        idle.seconds,
        idle.sessions_lost
    )
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
