//! Stages of datagrams: what `quic://` links need of the kernel's sockets, and of a card past them.

use super::{Bypass, Context};
use crate::finding::{Finding, Remedy, Report, Write};
use crate::topology::Card;

const BUFFERS: [&str; 2] = ["/proc/sys/net/core/rmem_max", "/proc/sys/net/core/wmem_max"];
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const IOMMU_GROUPS: &str = "/sys/kernel/iommu_groups/*/type";
const VFIO: &str = "/sys/module/vfio_pci/parameters/disable_idle_d3";

/// Pages of 2 MiB for the rings and buffers of DPDK: a gibibyte.
const HUGE_PAGES_MIN: u64 = 512;

pub fn udp(context: &Context<'_>) -> Report {
    let bytes = context.profile.wanted.udp_buffer_bytes_min;
    let mut report = Report::fine("buffers of the sockets of quic:// addresses");
    for path in BUFFERS {
        let why = "a socket of a quic:// address asks for so much and gets no more than this; what finds no room while a shard \
                   is busy is lost, and has to be sent again";
        let is_enough = |value: &str| value.parse().is_ok_and(|value: u64| value >= bytes);
        context.should_be(&mut report, path, &bytes.to_string(), why, is_enough);
    }
    report
}

pub fn bypass(context: &Context<'_>) -> Report {
    match context.bypass {
        Bypass::None => Report::fine("not asked for (--bypass xdp or dpdk)"),
        Bypass::Xdp => xdp(context),
        Bypass::Dpdk => dpdk(context),
    }
}

/// A queue gives its frames to one shard, and the frames of queues without a shard take the kernel's way.
fn xdp(context: &Context<'_>) -> Report {
    let shards = context.placement.shards;
    if context.cards.is_empty() {
        return Report::fine(
            "no network card with a device is seen here: virtual interfaces have the queues they were made with",
        );
    }
    let seen = |card: &Card| format!("{}: driver {}, {} queues", card.name, driver(context, card), card.receive_queues);
    let mut report = Report::fine(context.cards.iter().map(seen).collect::<Vec<_>>().join("; "));
    for card in context.cards.iter().filter(|card| card.receive_queues != shards) {
        report.findings.push(Finding {
            what: format!("queues of {}", card.name),
            value: card.receive_queues.to_string(),
            wanted: format!("{shards}, one for each shard"),
            why: "a shard without a queue of its own has no part in AF_XDP, and frames of a queue without a shard go through \
                  the kernel",
            remedy: Remedy::Advice(format!("if links come over it: ethtool -L {} combined {shards}", card.name)),
        });
    }
    report
}

fn driver<'a>(context: &Context<'a>, card: &Card) -> &'a str {
    let path = format!("/sys/class/net/{}/device/uevent", card.name);
    let lines = context.host.text(&path).unwrap_or_default().lines();
    lines.filter_map(|line| line.strip_prefix("DRIVER=")).next().unwrap_or("not shown")
}

/// A card that a process owns: from user space through an IOMMU, with memory that does not move, by shards that never sleep.
fn dpdk(context: &Context<'_>) -> Report {
    let groups = context.host.matching(IOMMU_GROUPS).count();
    let has_vfio = context.host.text(VFIO).is_some();
    let isolated = &context.topology.isolated;
    let mut report = Report::fine(format!(
        "IOMMU groups: {groups}, vfio-pci: {}, isolated processors: {}",
        if has_vfio { "loaded" } else { "not loaded" },
        isolated.len()
    ));
    let mut advise = |what: &str, value: &str, wanted: &str, why: &'static str, advice: &str| {
        let remedy = Remedy::Advice(advice.into());
        report.findings.push(Finding { what: what.into(), value: value.into(), wanted: wanted.into(), why, remedy });
    };
    if groups == 0 {
        let why = "without an IOMMU a card that a process owns may write anywhere in the host's memory";
        let advice = "switch it on in the firmware and start the kernel with intel_iommu=on or amd_iommu=on";
        advise("IOMMU", "no groups", "groups of devices", why, advice);
    }
    if !has_vfio {
        let why = "cards of most makers are given to DPDK by this driver; those of Mellanox need none";
        advise("vfio-pci", "not loaded", "loaded", why, "modprobe vfio-pci, then dpdk-devbind.py -b vfio-pci DEVICE");
    }
    if isolated.len() < context.placement.shards {
        let why =
            "a shard that asks its card without end never sleeps: what shares its processor waits, or makes it late";
        let value = isolated.len().to_string();
        let advice = "start the kernel with isolcpus=LIST nohz_full=LIST of the processors in dataplane.pin_cpus";
        advise("isolated processors", &value, "one for each shard", why, advice);
    }
    let why = "rings and buffers must lie where the card finds them";
    let pages = context.host.text(HUGE_PAGES).and_then(|pages| pages.parse::<u64>().ok());
    match pages {
        None => report.findings.push(context.hidden(HUGE_PAGES, &format!("{HUGE_PAGES_MIN} or more"), why)),
        Some(pages) if pages < HUGE_PAGES_MIN => report.findings.push(Finding {
            what: HUGE_PAGES.into(),
            value: pages.to_string(),
            wanted: HUGE_PAGES_MIN.to_string(),
            why,
            remedy: Remedy::Writes(vec![Write::new(HUGE_PAGES, HUGE_PAGES_MIN.to_string())]),
        }),
        Some(_) => {}
    }
    report
}
