//! The status page: what an operator asks first, out of the same sources as the metrics. One file, no script, nothing
//! from anywhere else; a browser asks again every few seconds.

use super::history::{Rates, Sample};
use super::{Page, Sources};
use crate::directory::epoch_time;
use crate::node::State;
use interplane::counter::{Counter, Family, KeyEpoch, Kind, PeerClass};
use interplane::reason::DropReason;
use interplane::replay::{Fill, WARN_FILL_PERCENT};
use pki::document::Layer;
use std::fmt::Write as _;

/// The picture of the throughput.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 80.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fff;--text:#1c2024;--faint:#5c646d;--line:#d5dade;--good:#1a7f37;--bad:#b42318;\
--alarm:#fdeceb;--tint:#2563eb;--area:#2563eb22;--link:#1d4ed8}\
@media(prefers-color-scheme:dark){:root{--page:#14171a;--text:#e6e8ea;--faint:#a0a8b0;--line:#363d44;--good:#4ac26b;\
--bad:#ff8a80;--alarm:#3a1d1b;--tint:#7aa7ff;--area:#7aa7ff22;--link:#8ab4ff}}\
body{background:var(--page);color:var(--text);font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;\
overflow-wrap:anywhere;padding:1rem}\
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .4rem}p{margin:.4rem 0}a{color:var(--link)}\
small{color:var(--faint);font-size:.85rem}.good{color:var(--good)}.bad{color:var(--bad)}\
ul.attention{background:var(--alarm);border-left:4px solid var(--bad);margin:.8rem 0 0;padding:.5rem .6rem .5rem 1.6rem}\
.cards{display:grid;gap:.6rem;grid-template-columns:repeat(auto-fill,minmax(max(10rem,22%),1fr));margin-top:1rem}\
.card{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .7rem}\
.card b,.card small{display:block}.card b{font-size:1.25rem}\
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.4rem 0;text-align:left;\
vertical-align:top}td+td,th+th{padding-left:.8rem}.w{white-space:nowrap}.n{text-align:right;white-space:nowrap}\
td.m{width:60%}meter{display:block;height:1.4rem;width:100%}\
svg{border-bottom:1px solid var(--line);display:block;height:5rem;width:100%}\
.ends{display:flex;justify-content:space-between}";

/// The page.
pub fn html(sources: &Sources) -> String {
    let facts = Facts::of(sources);
    let name = escaped(&sources.identifier);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"refresh\" content=\"5\">\
         <title>{name}</title><style>{STYLE}</style></head><body>"
    );
    // What is missing stands below.
    let (class, state) = match (sources.health(), sources.readiness()) {
        (Ok(()), Ok(())) => ("good", "takes part in this epoch"),
        (Ok(()), Err(_)) => ("bad", "does not take part in this epoch"),
        (Err(_), _) => ("bad", "is not at work"),
    };
    // Writing to a string cannot fail, here and below.
    let _written = write!(page, "<h1>{name} <span class=\"{class}\">{state}</span></h1>");
    attention(&mut page, &facts.attention(sources));
    facts.cards(&mut page);
    facts.throughput(&mut page);
    facts.drops(&mut page);
    facts.keys(&mut page);
    let _written = writeln!(
        page,
        "<h2>More</h2><p>Katzensprung {}. <a href=\"/metrics\">/metrics</a> for Prometheus, <a href=\"/ready\">/ready</a> \
         and <a href=\"/health\">/health</a> for probes.</p></body></html>",
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn attention(page: &mut String, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.push_str("<ul class=\"attention\">");
    for line in lines {
        let _written = write!(page, "<li>{}</li>", escaped(line));
    }
    page.push_str("</ul>");
}

/// One look at everything.
struct Facts {
    epoch: u64,
    seconds_left: u64,
    documents: Vec<u64>,
    /// In the newest document that is held, with the number of mix layers.
    place: Option<(Layer, u8)>,
    published: Option<u64>,
    /// How many authorities answer, of how many.
    answering: [usize; 2],
    samples: Vec<Sample>,
    rates: Option<Rates>,
    held: u64,
    /// Handshaking, incoming, outgoing, of clients.
    links: [u64; 4],
    lateness_ms: [Option<f64>; 2],
    drops: Vec<(DropReason, u64)>,
    /// How full the replay set of each mix key is.
    keys: Vec<(&'static str, Fill)>,
}

impl Facts {
    fn of(sources: &Sources) -> Self {
        let now = epoch_time(&sources.clock);
        let status = sources.directory_status();
        let total = |counter| sources.counters.total(counter);
        let samples = sources.history.samples();
        let drops = DropReason::ALL.iter().map(|reason| (*reason, total(Counter::dropped(*reason))));
        let mut drops: Vec<_> = drops.filter(|(_, count)| *count > 0).collect();
        drops.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let fill = |key: &KeyEpoch| {
            let (tags, slots) = (total(Counter::replay_tags(*key)), total(Counter::replay_slots(*key)));
            (key.label(), Fill { tags, slots })
        };
        let reached = sources.reached.by_name();
        let answering = reached.iter().filter(|(_, answered)| **answered).count();
        Self {
            epoch: now.epoch.0,
            seconds_left: now.till.as_secs(),
            documents: status.documents,
            place: status.nodes.places.values().next_back().copied(),
            answering: [answering, reached.len()],
            published: status.published,
            rates: Rates::over(&samples),
            samples,
            held: total(Counter::HELD),
            links: [PeerClass::Handshaking, PeerClass::Incoming, PeerClass::Outgoing, PeerClass::Client]
                .map(|class| total(Counter::connections(class))),
            lateness_ms: [0.5, 0.99].map(|part| lateness_ms(sources, part)),
            drops,
            keys: KeyEpoch::ALL.iter().map(fill).filter(|(_, fill)| fill.slots > 0).collect(),
        }
    }

    /// What needs somebody, the worst first.
    fn attention(&self, sources: &Sources) -> Vec<String> {
        let mut lines = Vec::new();
        if let Err(missing) = sources.health() {
            lines.push(format!("{missing}: see the log"));
        } else if let Err(missing) = sources.readiness() {
            lines.push(missing.to_owned());
        }
        match sources.order.state() {
            State::Draining => lines.push("the node leaves the consensus and stops then".into()),
            State::Stopping => lines.push("the node is stopping".into()),
            State::Running => {}
        }
        let reached = sources.reached.by_name();
        let silent = reached.iter().filter(|(_, answered)| !**answered);
        lines.extend(silent.map(|(name, _)| format!("authority {name} does not answer")));
        for (key, fill) in self.keys.iter().filter(|(_, fill)| fill.is_warning()) {
            let (percent, more) =
                (fill.percent(), "raise dataplane.line_rate_packets_per_second, packets are dropped when it is full");
            lines.push(format!("the replay set of the {key} key is {percent} % full: {more}"));
        }
        if let Some(rates) = &self.rates
            && rates.dropped > 0.0
        {
            lines.push(format!("{} packets were dropped in a second, see below", rate(rates.dropped)));
        }
        match sources.counters.total(Counter::LINKS_SLOW) {
            0 => {}
            slow => lines.push(format!("links to {slow} nodes are slow: 'katzensprung ctl PEERS' says which")),
        }
        if sources.health.restarts() > 0 {
            lines.push(format!("the data plane was started {} times again: see the log", sources.health.restarts()));
        }
        if sources.health.are_keys_locked() == Some(false) {
            lines.push("private keys may be swapped out: raise the limit of locked memory".into());
        }
        lines
    }

    fn cards(&self, page: &mut String) {
        let documents: Vec<_> = self.documents.iter().map(u64::to_string).collect();
        let documents = if documents.is_empty() {
            "no document is held".into()
        } else {
            format!("documents of {}", documents.join(", "))
        };
        let published = self.published.map_or("none yet".into(), |epoch| format!("for epoch {epoch}"));
        let [answering, authorities] = self.answering;
        let [median, high] = self.lateness_ms.map(|ms| ms.map_or("none yet".into(), |ms| format!("\u{2264} {ms} ms")));
        let rates = |of: fn(&Rates) -> f64| self.rates.as_ref().map_or("none yet".into(), |rates| rate(of(rates)));
        let dropped: u64 = self.drops.iter().map(|(_, count)| count).sum();
        let [handshaking, incoming, outgoing, clients] = self.links.map(grouped);
        page.push_str("<div class=\"cards\">");
        card(page, "epoch", &self.epoch.to_string(), &format!("{} s to go", self.seconds_left));
        card(page, "place in the consensus", &self.place(), &documents);
        card(page, "keys published", &published, &format!("{answering} of {authorities} authorities answer"));
        card(page, "links", &format!("{incoming} in, {outgoing} out"), &format!("{handshaking} not known yet"));
        card(page, "packets in, a second", &rates(|rates| rates.received), "over the last half minute");
        card(page, "packets out, a second", &rates(|rates| rates.sent), &format!("{} are held", grouped(self.held)));
        card(
            page,
            "packets dropped, a second",
            &rates(|rates| rates.dropped),
            &format!("{} since the start", grouped(dropped)),
        );
        card(page, "late, 99 of 100 packets", &high, &format!("half of them {median}"));
        if clients != "0" || matches!(self.place, Some((Layer::Gateway, _))) {
            card(page, "clients", &clients, "connected now");
        }
        page.push_str("</div>");
    }

    fn place(&self) -> String {
        match self.place {
            None => "none".into(),
            // People count from one.
            Some((Layer::Mix(layer), layers)) => format!("layer {} of {layers}", u16::from(layer) + 1),
            Some((Layer::Gateway, _)) => "gateway".into(),
            Some((Layer::Service, _)) => "service node".into(),
        }
    }

    /// What came in over the last minutes, as a line.
    fn throughput(&self, page: &mut String) {
        let rates: Vec<f64> = self.samples.windows(2).filter_map(|pair| Some(Rates::over(pair)?.received)).collect();
        let (Some(oldest), Some(newest)) = (self.samples.first(), self.samples.last()) else { return };
        if rates.len() < 2 {
            return;
        }
        let most = rates.iter().copied().fold(1.0, f64::max);
        let step = WIDTH / (rates.len() - 1) as f64;
        let points = rates.iter().enumerate().map(|(place, rate)| {
            format!("{:.1},{:.1}", place as f64 * step, HEIGHT - rate / most * (HEIGHT - 4.0) - 2.0)
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let seconds = newest.at.saturating_duration_since(oldest.at).as_secs();
        let _written = write!(
            page,
            "<h2>Packets in, a second (at most {})</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             preserveAspectRatio=\"none\" role=\"img\" aria-label=\"throughput\">\
             <polygon fill=\"var(--area)\" points=\"0,{HEIGHT} {points} {WIDTH},{HEIGHT}\"/><polyline fill=\"none\" \
             stroke=\"var(--tint)\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\" points=\"{points}\"/></svg>\
             <div class=\"ends\"><small>{seconds} s ago</small><small>now</small></div>",
            rate(most)
        );
    }

    fn drops(&self, page: &mut String) {
        page.push_str("<h2>Dropped packets since the start</h2>");
        if self.drops.is_empty() {
            page.push_str("<p>None.</p>");
            return;
        }
        page.push_str("<table><tr><th>reason, and what to do</th><th class=\"n\">packets</th></tr>");
        for (reason, count) in &self.drops {
            let (label, meaning, remedy) = (reason.label(), escaped(reason.meaning()), escaped(reason.remedy()));
            let _written = write!(
                page,
                "<tr><td><b>{label}</b> <small>{meaning}</small><br>{remedy}</td><td class=\"n\">{}</td></tr>",
                grouped(*count)
            );
        }
        page.push_str("</table>");
    }

    fn keys(&self, page: &mut String) {
        if self.keys.is_empty() {
            return;
        }
        page.push_str("<h2>Replay sets of the mix keys</h2><table>");
        for (key, Fill { tags, slots }) in &self.keys {
            let percent = 100.0 * *tags as f64 / *slots as f64;
            let _written = write!(
                page,
                "<tr><td class=\"w\">{key}</td><td class=\"m\"><meter max=\"100\" high=\"{WARN_FILL_PERCENT}\" \
                 value=\"{percent:.1}\" aria-label=\"how full\"></meter></td>\
                 <td class=\"n\">{percent:.1} %<br><small>{} packets</small></td></tr>",
                grouped(*tags)
            );
        }
        page.push_str("</table>");
    }
}

fn card(page: &mut String, title: &str, value: &str, below: &str) {
    let _written = write!(page, "<div class=\"card\"><small>{title}</small><b>{value}</b><small>{below}</small></div>");
}

/// The bound below which this part of all packets was late; none before the first packet.
fn lateness_ms(sources: &Sources, part: f64) -> Option<f64> {
    let Kind::Histogram { bounds, per_unit } = Family::Lateness.kind() else { return None };
    let counts = Counter::of(Family::Lateness, 0).map(|cell| sources.counters.total(cell));
    let counts: Vec<u64> = counts.take(bounds.len() + 1).collect();
    let wanted = (part * counts.iter().sum::<u64>() as f64).ceil() as u64;
    let mut seen = 0;
    let place = counts.iter().position(|count| {
        seen += count;
        seen >= wanted.max(1)
    })?;
    // What is beyond the last bound is told as the last bound.
    let bound = bounds.get(place).or(bounds.last())?;
    Some(*bound as f64 * 1000.0 / per_unit as f64)
}

/// A number per second, short.
fn rate(per_second: f64) -> String {
    // Rates are finite and not negative.
    if per_second < 10.0 { format!("{per_second:.1}") } else { grouped(per_second.round() as u64) }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text that is no markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
