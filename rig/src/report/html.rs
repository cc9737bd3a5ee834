//! The report as one page that stands for itself: pictures, and the text behind them.

mod svg;
#[cfg(test)]
mod tests;

use super::super::floor::median;
use super::super::latency::Latency;
use super::super::peer::found::Peer;
use super::super::soak::found::Soak;
use super::{OpenLoop, Report, TurnRates};
use hdrhistogram::Histogram;
use std::fmt::Write;
use svg::{Bar, Series, escape, number};

const STYLE: &str = include_str!("html/style.css");
/// Steps of the histograms for each factor of ten.
const STEPS_PER_DECADE: f64 = 12.0;
/// Lateness beyond this rank is left out of the pictures.
const SHOWN_QUANTILE: f64 = 0.9999;

impl Report {
    /// The whole page.
    pub fn to_html(&self) -> String {
        let faults = self.faults();
        let (class, verdict) = match faults.is_empty() {
            true => ("", "every packet right, account balanced"),
            false => (" bad", "not good"),
        };
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><main>\n\
             <h1>{title}</h1><p>{facts}</p><span class=\"verdict{class}\">{verdict}</span>",
            title = escape(&self.subject()),
            facts = escape(&self.facts()),
        );
        if !faults.is_empty() {
            let items: String = faults.iter().map(|fault| format!("<li>{}</li>", escape(fault))).collect();
            page += &format!("<ul class=\"faults\">{items}</ul>");
        }
        self.add_way(&mut page);
        if let Some(other) = &self.to_clients {
            page += &format!("<h2>{}</h2><p>{}</p>", escape(&other.subject()), escape(&other.facts()));
            other.add_way(&mut page);
        }
        self.peer.iter().for_each(|peer| add_peer(peer, &mut page));
        self.soaks.iter().for_each(|soak| add_soak(soak, &mut page));
        page +=
            &format!("<h2>All figures</h2><p>As the command prints them.</p><pre>{}</pre>", escape(&self.to_string()));
        page += "</main></body></html>\n";
        page
    }

    fn facts(&self) -> String {
        format!(
            "{}, packets of {} bytes, delays of {} ms ({} at most), {} links on either side, {} shard(s), {} by {}; node on \
             {}{}",
            self.sphinx,
            number(self.packet_bytes as f64),
            self.delay_mean_ms,
            number(f64::from(self.delay_max_ms)),
            self.links,
            self.shards,
            self.transport,
            self.io.as_deref().unwrap_or("what the node chooses"),
            self.placement(),
            if self.is_quiet() { "" } else { "; NOT A QUIET MACHINE" }
        )
    }

    fn add_way(&self, page: &mut String) {
        let late = |open_loop: &OpenLoop| {
            open_loop
                .lateness_guarded_ms
                .map_or("–".into(), |ms| format!("{} / {} ms", number(ms.p50), number(ms.p99)))
        };
        let percent = |share: f64| format!("{} %", number((1000.0 * share).round() / 10.0));
        let mut tiles = vec![
            (number(self.packets_per_second), "packets per second at most"),
            (percent(self.node_to_floor), "of what the cryptography alone allows"),
            (format!("{} µs", number(self.cpu_us_per_packet)), "of CPU for a packet at full load"),
            (
                late(&self.open_loop),
                if self.at_80_percent.is_some() { "late at half load, p50 / p99" } else { "late, p50 / p99" },
            ),
        ];
        tiles.extend(self.at_80_percent.iter().map(|high| (late(high), "late at 80 % load, p50 / p99")));
        tiles.push((percent(self.idle_node_cpu_share), "of a processor with nothing to do"));
        let tiles: String = tiles
            .iter()
            .map(|(value, name)| format!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>"))
            .collect();
        *page += &format!("<div class=\"tiles\">{tiles}</div><div class=\"cards\">");
        self.add_lateness(page);
        self.add_turns(page);
        self.add_cpu(page);
        self.add_stages(page);
        self.add_drops(page);
        *page += "</div>";
    }

    fn add_lateness(&self, page: &mut String) {
        let loops = std::iter::once(&self.open_loop).chain(&self.at_80_percent).zip(["a", "b"]);
        let mut series = Vec::new();
        let mut marks = Vec::new();
        for (open_loop, class) in loops {
            let Some(lateness_us) = open_loop.lateness_us.as_ref().filter(|lateness| !lateness.is_empty()) else {
                continue;
            };
            let name = format!("at {} packets/s", number(open_loop.open_loop_packets_per_second));
            series.push(Series { name, class, points: shares(lateness_us) });
            let p99 = lateness_us.value_at_quantile(0.99) as f64 / 1000.0;
            marks.push((p99, format!("p99 {} ms", number(p99)), class));
        }
        if !series.is_empty() {
            let text = "How long after its moment a packet came out, where the rig itself was in time: the share of the \
                        packets in each step of a logarithmic scale.";
            let legend = legend(series.iter().map(|series| (series.class, series.name.as_str())));
            let picture = svg::steps("Lateness", "milliseconds", &series, &marks);
            add_card(page, "Lateness", text, &legend, &picture);
        }
    }

    fn add_turns(&self, page: &mut String) {
        if self.turns.is_empty() {
            return;
        }
        let cores = self.shards.max(1) as f64;
        let group = |(number, TurnRates { node, floor, counts, .. }): (usize, &TurnRates)| {
            let note = format!("{:.0} %{}", 100.0 * node / floor / cores, if *counts { "" } else { " (not counted)" });
            (format!("turn {}", number + 1), [*floor * cores, *node], note)
        };
        let groups: Vec<_> = self.turns.iter().enumerate().map(group).collect();
        let text = "What the node carried, and just before it what as many cores do when they only open frames, unwrap and \
                    seal frames.";
        let legend = legend([("b", "cryptography alone"), ("a", "the node")].into_iter());
        add_card(
            page,
            "Node and floor in turns",
            text,
            &legend,
            &svg::pairs("Node and floor", "packets/s", &groups, ["b", "a"]),
        );
    }

    fn add_cpu(&self, page: &mut String) {
        let bar = |name: String, us: f64| Bar { name, value: us, note: format!("{} µs", number(us)), class: "a" };
        let mut bars = vec![bar("full load".into(), self.cpu_us_per_packet)];
        let of = |open_loop: &OpenLoop, name: &str| {
            let rate = number(open_loop.open_loop_packets_per_second);
            bar(format!("{name}{rate}/s"), open_loop.open_loop_cpu_us_per_packet)
        };
        bars.extend(self.at_80_percent.iter().map(|high| of(high, "80 %, ")));
        bars.push(of(&self.open_loop, if self.at_80_percent.is_some() { "half, " } else { "" }));
        let text =
            "Time of the data plane on its processors for each packet: batches are smaller when there is less to do.";
        add_card(page, "CPU for a packet", text, "", &svg::bars("CPU for a packet", &bars));
    }

    fn add_stages(&self, page: &mut String) {
        if self.stages.is_empty() {
            return;
        }
        let packets = self.account.received.max(1) as f64;
        let bars: Vec<Bar> = self
            .stages
            .iter()
            .map(|stage| {
                let us = stage.seconds * 1e6 / packets;
                Bar { name: stage.name.clone(), value: us, note: format!("{} µs", number(us)), class: "c" }
            })
            .collect();
        let text = "Where the node says that its time went, for each packet that it received in all phases.";
        add_card(page, "Stages", text, "", &svg::bars("Stages", &bars));
    }

    fn add_drops(&self, page: &mut String) {
        let count = |(reason, count): (&String, &u64)| Bar {
            name: reason.clone(),
            value: *count as f64,
            note: number(*count as f64),
            class: "bad",
        };
        let bars: Vec<Bar> = self.account.dropped.iter().map(count).collect();
        let received = number(self.account.received as f64);
        let (text, picture) = match bars.is_empty() {
            true => (format!("Of {received} packets the node dropped none."), String::new()),
            false => {
                (format!("Of {received} packets, by the node's own counters:"), svg::bars("Dropped packets", &bars))
            }
        };
        add_card(page, "Dropped packets", &text, "", &picture);
    }
}

fn add_peer(peer: &Peer, page: &mut String) {
    let own = median(peer.own_packets_per_second.clone());
    let bar = |name: &str, value: f64, unit: &str, class| Bar {
        name: name.into(),
        value,
        note: format!("{} {unit}", number(value)),
        class,
    };
    *page += &format!("<h2>Beside another mix</h2><p>{}</p><div class=\"cards\">", escape(&peer.program));
    let rates = [bar("ours", own, "/s", "a"), bar("the other", peer.packets_per_second, "/s", "b")];
    let text = format!("In turns on one processor, without loss: {} times as many.", number(peer.ratio));
    add_card(page, "Packets per second", &text, "", &svg::bars("Packets per second", &rates));
    let costs =
        [bar("ours", peer.own_cpu_us_per_packet, "µs", "a"), bar("the other", peer.cpu_us_per_packet, "µs", "b")];
    let text = format!("At these rates: {} times less.", number(peer.cpu_ratio));
    add_card(page, "CPU for a packet", &text, "", &svg::bars("CPU for a packet", &costs));
    *page += "</div>";
}

fn add_soak(soak: &Soak, page: &mut String) {
    let text = soak.to_string();
    let text = escape(text.split_once(": ").map_or(text.as_str(), |(_, facts)| facts));
    let facts = text.lines().map(str::trim).collect::<Vec<_>>().join("<br>");
    *page += &format!("<h2>Soak, {}</h2><p>{facts}</p><div class=\"cards\">", soak.traffic.replace('_', " "));
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let memory = |class, name: &str, bytes: &dyn Fn(usize) -> u64| Series {
        name: name.into(),
        class,
        points: soak
            .memory
            .iter()
            .enumerate()
            .map(|(n, sample)| (sample.seconds / 60.0, mebibytes(bytes(n))))
            .collect(),
    };
    let series = [
        memory("a", "data plane", &|n| soak.memory[n].memory.data_plane_bytes),
        memory("b", "control plane", &|n| soak.memory[n].memory.control_plane_bytes),
    ];
    let names = legend(series.iter().map(|series| (series.class, series.name.as_str())));
    let text = "What both processes have in memory.";
    add_card(page, "Memory", text, &names, &svg::lines("Memory", "minutes", "MiB", &series));
    let late = |class, name: &str, of: fn(&Latency) -> f64| Series {
        name: name.into(),
        class,
        points: soak
            .minutes
            .iter()
            .filter_map(|minute| Some((minute.minute as f64, of(minute.lateness_guarded_ms.as_ref()?))))
            .collect(),
    };
    let series = [late("a", "p50", |latency| latency.p50), late("b", "p99", |latency| latency.p99)];
    let names = legend(series.iter().map(|series| (series.class, series.name.as_str())));
    let text = "By the minute, where the rig itself was in time.";
    add_card(page, "Lateness", text, &names, &svg::lines("Lateness", "minutes", "ms", &series));
    let points = soak.minutes.iter().map(|minute| (minute.minute as f64, minute.packets_per_second_out)).collect();
    let series = [Series { name: String::new(), class: "c", points }];
    let text = "Packets that came out, by the minute.";
    add_card(page, "Load", text, "", &svg::lines("Load", "minutes", "packets/s", &series));
    *page += "</div>";
}

fn add_card(page: &mut String, title: &str, text: &str, legend: &str, picture: &str) {
    // Writing to a string does not fail.
    let _never = write!(page, "<section class=\"card\"><h3>{title}</h3><p>{text}</p>{legend}{picture}</section>");
}

fn legend<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let names: String = names.map(|(class, name)| format!("<i class=\"{class}\"></i>{}", escape(name))).collect();
    format!("<div class=\"legend\">{names}</div>")
}

/// Where steps begin, in milliseconds, and the share of all values in each, in percent.
fn shares(us: &Histogram<u64>) -> Vec<(f64, f64)> {
    let step = |value: u64| ((value.max(1) as f64).log10() * STEPS_PER_DECADE).floor() as i32;
    let (first, last) = (step(us.min()), step(us.value_at_quantile(SHOWN_QUANTILE)));
    let mut counts = vec![0; (last - first) as usize + 1];
    for value in us.iter_recorded() {
        if let Some(count) = counts.get_mut((step(value.value_iterated_to()) - first) as usize) {
            *count += value.count_at_value();
        }
    }
    let begin = |step: i32| 10_f64.powf(f64::from(step) / STEPS_PER_DECADE) / 1000.0;
    let all = us.len().max(1) as f64;
    let mut shares: Vec<_> =
        (first..).zip(&counts).map(|(step, count)| (begin(step), 100.0 * *count as f64 / all)).collect();
    shares.push((begin(last + 1), 0.0));
    shares
}
