//! Processors, their siblings and their nodes; network cards; and where the shards of a node go.

#[cfg(test)]
mod tests;

use crate::host::Host;
use crate::profile::{PinPolicy, Profile, ShardPolicy};
use crate::values::{Processors, of_list, to_list};
use std::collections::BTreeMap;

/// As many as `dataplane.shards` may say.
const SHARDS_MAX: usize = 256;

/// With fewer cores none can be kept for shards alone: the control plane and the kernel need one too.
const CORES_TO_PIN_MIN: usize = 4;

/// The processors of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Those that are in use.
    pub online: Processors,
    /// For each core the processors that share it, all of them in use.
    pub cores: Vec<Processors>,
    /// Those that the kernel's scheduler leaves alone.
    pub isolated: Processors,
    /// NUMA nodes and their processors.
    pub nodes: BTreeMap<usize, Processors>,
}

/// A network card: an interface with a device behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The interface.
    pub name: String,
    /// The NUMA node at which it is, where that is known.
    pub node: Option<usize>,
    /// Queues for receiving.
    pub receive_queues: usize,
    /// Queues for sending.
    pub send_queues: usize,
    /// Its interrupts.
    pub interrupts: Vec<usize>,
}

/// Where the shards of a node go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// How many shards.
    pub shards: usize,
    /// Their processors; empty is not pinned.
    pub pins: Vec<usize>,
    /// The other processors of the same cores.
    pub siblings: Processors,
    /// Processors for all else.
    pub others: Processors,
}

impl Topology {
    /// The processors of `host`.
    pub fn of(host: &Host) -> Self {
        let list = |path: &str| host.text(path).and_then(of_list);
        let counted = || (0..host.text("/proc/cpuinfo").map_or(0, processor_lines)).collect();
        let mut online: Processors = list("/sys/devices/system/cpu/online").unwrap_or_else(counted);
        if online.is_empty() {
            online.insert(0);
        }
        let mut cores: Vec<Processors> = Vec::new();
        for &number in &online {
            let path = format!("/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list");
            let mut core: Processors = list(&path).unwrap_or_default().intersection(&online).copied().collect();
            core.insert(number);
            match cores.iter_mut().find(|other| !other.is_disjoint(&core)) {
                Some(other) => other.extend(core),
                None => cores.push(core),
            }
        }
        let nodes = host.matching("/sys/devices/system/node/node*/cpulist");
        let nodes = nodes.filter_map(|(stars, text)| Some((stars[0].parse().ok()?, of_list(text)?))).collect();
        Self { cores, isolated: list("/sys/devices/system/cpu/isolated").unwrap_or_default(), nodes, online }
    }

    /// Where the shards go: those of `pins` where an operator has chosen, else one for each core as the profile says.
    pub fn placement(&self, profile: &Profile, cards: &[Card], pins: Option<&[usize]>) -> Placement {
        let pins = pins.map_or_else(|| self.suggested_pins(profile, cards), <[usize]>::to_vec);
        let shards = match (pins.len(), profile.dataplane.shards) {
            (0, ShardPolicy::Cores) => self.cores.len(),
            (0, ShardPolicy::Processors) => self.online.len(),
            (pinned, _) => pinned,
        };
        let is_pinned = |number: &usize| pins.contains(number);
        let used = self.cores.iter().filter(|core| core.iter().any(is_pinned)).flatten().copied();
        let siblings: Processors = used.filter(|number| !is_pinned(number)).collect();
        let is_free = |number: &&usize| !is_pinned(number) && !siblings.contains(*number);
        let others = self.online.iter().filter(is_free).copied().collect();
        Placement { shards: shards.min(SHARDS_MAX), pins, siblings, others }
    }

    fn suggested_pins(&self, profile: &Profile, cards: &[Card]) -> Vec<usize> {
        if profile.dataplane.pin_cpus == PinPolicy::None {
            return Vec::new();
        }
        let firsts = self.cores.iter().filter_map(|core| core.first().copied());
        if !self.isolated.is_empty() {
            return firsts.filter(|first| self.isolated.contains(first)).take(SHARDS_MAX).collect();
        }
        if self.cores.len() < CORES_TO_PIN_MIN {
            return Vec::new();
        }
        let near = self.node_of_cards(cards).and_then(|node| self.nodes.get(&node));
        let is_near = |first: &usize| near.is_none_or(|near| near.contains(first));
        // The kernel's own work and most interrupts begin on the first one.
        firsts.skip(1).filter(is_near).take(SHARDS_MAX).collect()
    }

    /// The NUMA node of the cards, where there are several nodes and all cards that say so are at the same one.
    pub fn node_of_cards(&self, cards: &[Card]) -> Option<usize> {
        let mut nodes: Vec<_> = cards.iter().filter_map(|card| card.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        (self.nodes.len() > 1 && nodes.len() == 1).then(|| nodes[0])
    }

    /// In one line: how many of what.
    pub fn text(&self) -> String {
        let siblings = if self.cores.len() < self.online.len() { "with siblings" } else { "without siblings" };
        let isolated = match self.isolated.is_empty() {
            true => String::new(),
            false => format!("; isolated: {}", to_list(&self.isolated)),
        };
        let (processors, cores, nodes) = (self.online.len(), self.cores.len(), self.nodes.len().max(1));
        format!("processors: {processors}, cores: {cores} ({siblings}), NUMA nodes: {nodes}{isolated}")
    }
}

/// The network cards of `host`, by name.
pub fn cards(host: &Host) -> Vec<Card> {
    let mut cards: BTreeMap<&str, Card> = BTreeMap::new();
    let devices = ["/sys/class/net/*/device/numa_node", "/sys/class/net/*/device/local_cpulist"];
    let interrupts = "/sys/class/net/*/device/msi_irqs/*";
    for pattern in devices.into_iter().chain([interrupts]) {
        for (stars, text) in host.matching(pattern) {
            let card = cards.entry(stars[0]).or_insert_with(|| Card {
                name: stars[0].into(),
                node: None,
                receive_queues: 0,
                send_queues: 0,
                interrupts: Vec::new(),
            });
            match stars.get(1) {
                Some(number) => card.interrupts.extend(number.parse::<usize>()),
                // A card that is at no node says -1.
                None if pattern == devices[0] => card.node = text.parse().ok(),
                None => {}
            }
        }
    }
    for (name, card) in &mut cards {
        let count = |pattern| host.matching(pattern).filter(|(stars, _)| stars[0] == *name).count();
        card.receive_queues = count("/sys/class/net/*/queues/rx-*/rps_cpus");
        card.send_queues = count("/sys/class/net/*/queues/tx-*/xps_cpus");
    }
    cards.into_values().collect()
}

fn processor_lines(cpuinfo: &str) -> usize {
    cpuinfo.lines().filter(|line| line.starts_with("processor")).count()
}
