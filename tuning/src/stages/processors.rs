//! Stages of processors, interrupts and network cards.

use super::Context;
use crate::finding::{Finding, Remedy, Report, Write};
use crate::profile::Siblings;
use crate::topology::Placement;
use crate::values::{Processors, of_list, of_mask, to_list, to_mask};

const GOVERNOR_WHY: &str =
    "a shard naps between packets, and a clock that has slowed down meanwhile makes the next batch late";

pub fn cores(context: &Context<'_>) -> Report {
    let Placement { shards, pins, others, .. } = &context.placement;
    let strangers: Vec<_> = pins.iter().filter(|pin| !context.topology.online.contains(pin)).collect();
    let place = match pins.is_empty() {
        true => format!("{shards} shards, not pinned: too few cores to keep some for shards alone, or not wanted"),
        false => format!("{shards} shards on {pins:?}, all else on {}", to_list(others)),
    };
    let mut report = Report::fine(format!("{}; {place}", context.topology.text()));
    if !strangers.is_empty() {
        report.findings.push(Finding {
            what: "pinned processors".into(),
            value: format!("{strangers:?} not in use"),
            wanted: format!("some of {}", to_list(&context.topology.online)),
            why: "a shard cannot be pinned to a processor that is not there",
            remedy: Remedy::Advice("name others in `dataplane.pin_cpus` of katzensprung.toml".into()),
        });
    }
    if !pins.is_empty() && others.is_empty() {
        report.findings.push(Finding {
            what: "processors for all else".into(),
            value: "none".into(),
            wanted: "at least one core without a shard".into(),
            why: "the control plane, interrupts and the kernel's own work would take turns with shards",
            remedy: Remedy::Advice("leave a core out of `dataplane.pin_cpus` in katzensprung.toml".into()),
        });
    }
    report
}

pub fn numa(context: &Context<'_>) -> Report {
    let nodes = &context.topology.nodes;
    if nodes.len() < 2 {
        return Report::fine("one node: all memory is equally near");
    }
    let Some(node) = context.topology.node_of_cards(&context.cards) else {
        return Report::fine(format!("{} nodes; the cards do not say at which one they are, or differ", nodes.len()));
    };
    let mut report = Report::fine(format!("{} nodes, the card at node {node}", nodes.len()));
    let near = nodes.get(&node).cloned().unwrap_or_default();
    let far: Processors = context.placement.pins.iter().copied().filter(|pin| !near.contains(pin)).collect();
    if !far.is_empty() {
        report.findings.push(Finding {
            what: "shards away from the card".into(),
            value: to_list(&far),
            wanted: format!("some of {}", to_list(&near)),
            why: "each packet would cross from one node to the other twice",
            remedy: Remedy::Advice("name others in `dataplane.pin_cpus` of katzensprung.toml".into()),
        });
    }
    report
}

/// Processors on which nothing but shards is to run.
fn reserved(context: &Context<'_>) -> Processors {
    let Placement { pins, siblings, .. } = &context.placement;
    pins.iter().chain(siblings).copied().collect()
}

pub fn interrupts(context: &Context<'_>) -> Report {
    let (reserved, others) = (reserved(context), &context.placement.others);
    if reserved.is_empty() || others.is_empty() {
        return Report::fine("no core is kept for shards alone");
    }
    let (mut writes, mut all, mut touched) = (Vec::new(), 0, Processors::new());
    for (stars, text) in context.host.matching("/proc/irq/*/smp_affinity_list") {
        let Some(now) = of_list(text) else { continue };
        all += 1;
        if now.is_disjoint(&reserved) {
            continue;
        }
        touched.extend(now.intersection(&reserved));
        let kept: Processors = now.intersection(others).copied().collect();
        let wanted = if kept.is_empty() { others } else { &kept };
        writes.push(Write::new(format!("/proc/irq/{}/smp_affinity_list", stars[0]), to_list(wanted)));
    }
    let mut report = Report::fine(format!("{} of {all} interrupts may come to the shards' cores", writes.len()));
    if !writes.is_empty() {
        report.findings.push(Finding {
            what: format!("{} interrupts (/proc/irq/*/smp_affinity_list)", writes.len()),
            value: format!("may come to {}", to_list(&touched)),
            wanted: format!("only to {}", to_list(others)),
            why: "an interrupt stops the shard of its processor in the middle of a batch",
            remedy: Remedy::Writes(writes),
        });
    }
    report
}

pub fn queues(context: &Context<'_>) -> Report {
    if context.cards.is_empty() {
        return Report::fine("no network card with a device is seen here");
    }
    let text = |card: &crate::topology::Card| {
        let (name, receive, send) = (&card.name, card.receive_queues, card.send_queues);
        format!("{name}: {receive} queues in, {send} out, {} interrupts", card.interrupts.len())
    };
    let mut report = Report::fine(context.cards.iter().map(text).collect::<Vec<_>>().join("; "));
    let reserved = reserved(context);
    let mut writes = Vec::new();
    for (stars, text) in context.host.matching("/sys/class/net/*/queues/rx-*/rps_cpus") {
        let is_card = context.cards.iter().any(|card| card.name == stars[0]);
        let Some(now) = of_mask(text).filter(|now| is_card && !now.is_disjoint(&reserved)) else { continue };
        let path = format!("/sys/class/net/{}/queues/rx-{}/rps_cpus", stars[0], stars[1]);
        writes.push(Write::new(path, to_mask(&now.difference(&reserved).copied().collect())));
    }
    if !writes.is_empty() {
        report.findings.push(Finding {
            what: format!("{} queues (rps_cpus)", writes.len()),
            value: "hand packets to the shards' cores".into(),
            wanted: "only to others".into(),
            why: "the kernel's work on a packet would stop the shard of that processor",
            remedy: Remedy::Writes(writes),
        });
    }
    report
}

pub fn governor(context: &Context<'_>) -> Report {
    let wanted = &context.profile.wanted;
    let cpus = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";
    let governors: Vec<_> =
        context.host.matching(cpus).filter(|(stars, _)| stars[0].parse::<usize>().is_ok()).collect();
    let Some((_, first)) = governors.first() else {
        return Report::fine(
            "the clocks are not the kernel's to choose: a virtual machine's host or the firmware does",
        );
    };
    let mut report = Report::fine(format!("{first} on the first of {} processors", governors.len()));
    // The preference first: where the governor is `performance`, some drivers refuse to have it changed.
    let settings =
        [("energy_performance_preference", &wanted.energy_preference), ("scaling_governor", &wanted.governor)];
    for (setting, value) in settings {
        let pattern = format!("/sys/devices/system/cpu/cpu*/cpufreq/{setting}");
        let (mut writes, mut seen, mut numbers) = (Vec::new(), Vec::new(), Processors::new());
        for (stars, text) in context.host.matching(&pattern) {
            let Some(number) = stars[0].parse().ok().filter(|number| is_for_shards(context, *number)) else { continue };
            let folder = format!("/sys/devices/system/cpu/cpu{number}/cpufreq");
            let known = context.host.text(&format!("{folder}/scaling_available_governors"));
            let is_offered = known.is_none_or(|known| known.split_whitespace().any(|one| one == value));
            if text != value && (is_offered || setting != "scaling_governor") {
                writes.push(Write::new(format!("{folder}/{setting}"), value));
                seen.push(text);
                numbers.insert(number);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        if !writes.is_empty() {
            report.findings.push(Finding {
                what: format!("{setting} of processors {}", to_list(&numbers)),
                value: seen.join(", "),
                wanted: value.clone(),
                why: GOVERNOR_WHY,
                remedy: Remedy::Writes(writes),
            });
        }
    }
    report
}

/// Where nothing is pinned a shard may be anywhere.
fn is_for_shards(context: &Context<'_>, number: usize) -> bool {
    let pins = &context.placement.pins;
    pins.is_empty() || pins.contains(&number)
}

pub fn siblings(context: &Context<'_>) -> Report {
    let siblings = &context.placement.siblings;
    if siblings.is_empty() {
        return Report::fine("no processor in use shares a core with a pinned shard");
    }
    let list = to_list(siblings);
    if context.profile.wanted.siblings == Siblings::Leave {
        return Report::fine(format!("{list} share cores with shards; the profile leaves them in use"));
    }
    let path = |number: &usize| format!("/sys/devices/system/cpu/cpu{number}/online");
    let (there, hidden): (Processors, Processors) =
        siblings.iter().partition(|number| context.host.text(&path(number)).is_some());
    let mut report = Report::fine(format!("{list} share cores with shards"));
    let why = "siblings share the vector units and caches of a core: what runs there slows its shard down by up to two";
    let wanted = "out of use";
    if !there.is_empty() {
        report.findings.push(Finding {
            what: format!("siblings {}", to_list(&there)),
            value: "in use".into(),
            wanted: wanted.into(),
            why,
            remedy: Remedy::Writes(there.iter().map(|number| Write::new(path(number), "0")).collect()),
        });
    }
    report.findings.extend(hidden.first().map(|number| context.hidden(&path(number), wanted, why)));
    report
}
