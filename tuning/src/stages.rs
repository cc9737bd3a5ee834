//! The table of stages. Each has a check; what it would change stands in its findings, and is undone from the state that
//! [`crate::change`] keeps.

mod datagrams;
mod kernel;
mod processors;
#[cfg(test)]
mod tests;

use crate::finding::{Finding, Remedy, Report, Write};
use crate::host::Host;
use crate::profile::Profile;
use crate::topology::{Card, Placement, Topology, cards};

/// A row of the table.
pub struct Stage {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    check: fn(&Context<'_>) -> Report,
}

/// All stages, in the order in which they are checked and applied; it is undone backwards.
pub const STAGES: [Stage; 15] = [
    Stage { name: "processors", purpose: "cores for the shards", check: processors::cores },
    Stage { name: "numa", purpose: "shards at the node of the network card", check: processors::numa },
    Stage { name: "interrupts", purpose: "no interrupts on the shards' cores", check: processors::interrupts },
    Stage { name: "queues", purpose: "queues of network cards", check: processors::queues },
    Stage { name: "clock-source", purpose: "time without a system call", check: kernel::clock_source },
    Stage { name: "governor", purpose: "clocks that do not have to speed up first", check: processors::governor },
    Stage { name: "io-uring", purpose: "input and output in batches", check: kernel::io_uring },
    Stage { name: "huge-pages", purpose: "replay sets on few pages", check: kernel::huge_pages },
    Stage { name: "locked-memory", purpose: "keys that are never swapped out", check: kernel::locked_memory },
    Stage { name: "files", purpose: "descriptors for all connections", check: kernel::files },
    Stage { name: "tcp", purpose: "few links that carry much", check: kernel::tcp },
    Stage { name: "udp", purpose: "datagrams that find room", check: datagrams::udp },
    Stage { name: "bypass", purpose: "datagrams past the kernel", check: datagrams::bypass },
    Stage { name: "swap", purpose: "packets that stay in memory", check: kernel::swap },
    // Last: an interrupt may not stay on a processor that leaves.
    Stage { name: "siblings", purpose: "whole cores for the shards", check: processors::siblings },
];

/// What the stages look at.
pub struct Context<'a> {
    /// The host.
    pub host: &'a Host,
    /// What is wanted.
    pub profile: &'a Profile,
    /// Its processors.
    pub topology: Topology,
    /// Its network cards.
    pub cards: Vec<Card>,
    /// Where shards go.
    pub placement: Placement,
    /// What is to carry datagrams past the kernel.
    pub bypass: Bypass,
}

/// What carries datagrams past the kernel's sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bypass {
    /// Nothing.
    #[default]
    None,
    /// AF_XDP.
    Xdp,
    /// DPDK.
    Dpdk,
}

impl<'a> Context<'a> {
    /// What is to be known of `host`; shards go to `pins` if an operator has chosen them.
    pub fn new(host: &'a Host, profile: &'a Profile, pins: Option<&[usize]>) -> Self {
        let (topology, cards) = (Topology::of(host), cards(host));
        let placement = topology.placement(profile, &cards, pins);
        Self { host, profile, topology, cards, placement, bypass: Bypass::None }
    }

    /// Lines for `katzensprung.toml`.
    pub fn suggestion(&self) -> String {
        let Placement { shards, pins, .. } = &self.placement;
        let pins = match pins.is_empty() {
            true => String::new(),
            false => format!("pin_cpus = {pins:?}\n"),
        };
        format!("[dataplane]\nshards = {shards}\n{pins}batch_max = {}\n", self.profile.dataplane.batch_max)
    }

    /// The setting at `path` should be `wanted`.
    fn should_be(
        &self,
        report: &mut Report,
        path: &str,
        wanted: &str,
        why: &'static str,
        is_good: impl Fn(&str) -> bool,
    ) {
        let Some(value) = self.host.text(path) else { return report.findings.push(self.hidden(path, wanted, why)) };
        if !is_good(value) {
            let remedy = Remedy::Writes(vec![Write::new(path, wanted)]);
            let (what, value, wanted) = (path.into(), value.into(), wanted.into());
            report.findings.push(Finding { what, value, wanted, why, remedy });
        }
    }

    /// A file that should be there and is not, as in a container.
    fn hidden(&self, path: &str, wanted: &str, why: &'static str) -> Finding {
        let advice = "look from the host itself: a container or another kernel hides it";
        let value = self.host.why_not(path).into();
        Finding { what: path.into(), value, wanted: wanted.into(), why, remedy: Remedy::Advice(advice.into()) }
    }
}

impl Stage {
    /// What it finds.
    pub fn check(&self, context: &Context<'_>) -> Report {
        (self.check)(context)
    }
}

/// The writes that mend what was found.
pub fn writes(report: &Report) -> impl Iterator<Item = &Write> {
    report.findings.iter().flat_map(|finding| match &finding.remedy {
        Remedy::Writes(writes) => writes.as_slice(),
        Remedy::Advice(_) => &[],
    })
}
