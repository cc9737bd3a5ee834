//! Pings over time as a picture: how much longer than asked for each was under way, and which were lost.

use client::Report;
use std::fmt::Write as _;
use std::time::Duration;

#[cfg(test)]
mod tests;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
/// The lane of what was lost is above it.
const TOP: f64 = 62.0;
const BOTTOM: f64 = 44.0;
/// Below, a round trip took what it was asked to take.
const MS_MIN: f64 = 1.0;
const STYLE: &str = "text{font:12px sans-serif;fill:#555}.grid{stroke:#ccc}\
                     .ping{stroke:#1769aa;stroke-width:3;stroke-linecap:round}\
                     .lost{stroke:#c62828;stroke-width:2}.lost-name{fill:#c62828}\
                     @media(prefers-color-scheme:dark){text{fill:#bbb}.grid{stroke:#444}.ping{stroke:#6db3f2}\
                     .lost{stroke:#ff6b6b}.lost-name{fill:#ff6b6b}}";

/// Draws all pings that were sent.
pub fn svg(report: &Report) -> String {
    let sent = || report.pings.iter().filter_map(|ping| Some((ping.sent_unix?, ping)));
    let begin = sent().map(|(at, _)| at).min().unwrap_or_default();
    let seconds = |at: Duration| at.saturating_sub(begin).as_secs_f64();
    let last = sent().map(|(at, _)| seconds(at)).fold(1.0, f64::max);
    let beyond = |ping: &client::Ping| Some((ping.rtt()?.saturating_sub(ping.delay()).as_secs_f64() * 1e3).max(MS_MIN));
    let most = sent().filter_map(|(_, ping)| beyond(ping)).fold(10.0 * MS_MIN, f64::max);
    let decades = (most / MS_MIN).log10().ceil();
    let across = |second: f64| LEFT + second / last * (WIDTH - RIGHT - LEFT);
    let upwards = |ms: f64| HEIGHT - BOTTOM - (ms / MS_MIN).log10() / decades * (HEIGHT - BOTTOM - TOP);

    let lost: Vec<f64> = sent().filter(|(_, ping)| ping.rtt().is_none()).map(|(at, _)| across(seconds(at))).collect();
    let answered = sent().filter_map(|(at, ping)| Some((across(seconds(at)), upwards(beyond(ping)?))));
    let title = format!("{} pings, {} answered", report.pings.len(), report.received());
    let mut text = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"><title>{title}</title><style>{STYLE}</style>
"#
    );
    let mut add = |element: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _never = writeln!(text, "{element}");
    };
    for decade in 0..=decades as i32 {
        let (y, ms) = (upwards(MS_MIN * 10_f64.powi(decade)), 10_f64.powi(decade));
        add(format_args!(r#"<line x1="{LEFT}" y1="{y:.1}" x2="{}" y2="{y:.1}" class="grid"/>"#, WIDTH - RIGHT));
        add(format_args!(r#"<text x="{}" y="{:.1}" text-anchor="end">{ms} ms</text>"#, LEFT - 6.0, y + 4.0));
    }
    for second in (0..=last as u64).step_by(step(last)) {
        let (x, y) = (across(second as f64), HEIGHT - BOTTOM + 18.0);
        add(format_args!(r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{second}</text>"#));
    }
    // A line of no length is a point, and the shortest way to write one.
    let points: String = answered.map(|(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
    add(format_args!(r#"<path d="{points}" class="ping"/>"#));
    let lines: String = lost.iter().map(|x| format!("M{x:.1} 28v18")).collect();
    add(format_args!(r#"<path d="{lines}" class="lost"/>"#));
    add(format_args!(r#"<text x="0" y="14">{title}: time beyond what the packets were asked to wait</text>"#));
    add(format_args!(
        r#"<text x="{}" y="41" text-anchor="end" class="lost-name">{} lost</text>"#,
        LEFT - 6.0,
        lost.len()
    ));
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    add(format_args!(r#"<text x="{middle}" y="{}" text-anchor="middle">seconds</text>"#, HEIGHT - 6.0));
    text + "</svg>\n"
}

/// Round numbers of seconds, at most a dozen of them.
fn step(seconds: f64) -> usize {
    let fits = |step: &usize| seconds / *step as f64 <= 12.0;
    [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].into_iter().find(fits).unwrap_or(36_000)
}
