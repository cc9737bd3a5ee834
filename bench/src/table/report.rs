//! The table for people (Markdown) and for programs (one JSON object per line).

use super::contest::Outcome;
use super::host::Host;
use super::limits::{Limit, Verdict};
use crate::measures::Row;
use crate::statistics::Figure;
use rig::probe::WIDTH_SHARE_MIN;
use serde::Serialize;
use std::fmt::Write;

/// Spreads above this are shown.
const SPREAD_SHOWN: f64 = 0.05;

/// One row with its figures and its verdict.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub row: Row,
    /// What it has shown.
    pub outcome: Outcome,
    /// What it must show.
    pub limit: Option<Limit>,
}

/// Our unwrap beside another implementation's benchmark.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// What was measured.
    pub row: Row,
    /// Ours, between the other's runs.
    pub outcome: Outcome,
    /// The other's time in nanoseconds.
    pub other_ns: f64,
    /// The least share of a processor that the other had in a run.
    pub other_cpu_share: Option<f64>,
    /// The other's time over ours, run by run: the median.
    pub ratio: f64,
    /// What it must show.
    pub limit: Option<Limit>,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The circumstances.
    pub host: Host,
    /// The rows.
    pub lines: Vec<Line>,
    /// Rows against another implementation.
    pub against_command: Vec<CommandLine>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    name: &'a str,
    scheme: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    level: &'a str,
    batch: usize,
    ns: f64,
    cycles: f64,
    cycles_per_byte: Option<f64>,
    floor_ns: Option<f64>,
    peer: Option<&'a str>,
    peer_ns: Option<f64>,
    ratio: Option<f64>,
    width: f64,
    disturbed: bool,
    spread: f64,
    rounds: usize,
    must: Option<f64>,
    aim: Option<f64>,
    missed: bool,
    host: &'a Host,
}

impl Line {
    fn cycles(&self) -> f64 {
        self.outcome.ours_ns.median * self.outcome.ghz
    }

    fn cycles_per_byte(&self) -> Option<f64> {
        let bytes = bytes(&self.row).filter(|_| !self.row.measure.is_unwrap())?;
        Some(self.cycles() / bytes as f64)
    }

    fn ratio(&self) -> Option<f64> {
        self.outcome.ratio.map(|ratio| ratio.median)
    }

    /// How the row stands to its limit.
    pub fn verdict(&self) -> Option<Verdict> {
        self.limit.map(|limit| limit.verdict(self.ratio(), self.cycles_per_byte()))
    }
}

impl CommandLine {
    /// How the row stands to its limit.
    pub fn verdict(&self) -> Option<Verdict> {
        self.limit.map(|limit| limit.verdict(Some(self.ratio), None))
    }
}

impl Report {
    /// Whether a row misses what it must show.
    pub fn is_missed(&self) -> bool {
        let mut verdicts = self.lines.iter().map(Line::verdict);
        let mut against = self.against_command.iter().map(CommandLine::verdict);
        verdicts.any(|verdict| verdict == Some(Verdict::Missed)) || against.any(|v| v == Some(Verdict::Missed))
    }

    /// Whether something else was at work in at least one round that counts, by the full width as it is known now.
    pub fn is_disturbed(&self, outcome: &Outcome) -> bool {
        outcome.disturbed || outcome.width_min < self.host.full_width * WIDTH_SHARE_MIN
    }

    /// One object per line.
    pub fn to_json(&self) -> Result<String, String> {
        let rows = self.lines.iter().map(|line| self.json_line(line));
        let against = self.against_command.iter().map(|line| self.json_command_line(line));
        let mut text = String::new();
        for line in rows.chain(against) {
            text.push_str(&serde_json::to_string(&line).map_err(|error| error.to_string())?);
            text.push('\n');
        }
        Ok(text)
    }

    fn json_line<'a>(&'a self, line: &'a Line) -> JsonLine<'a> {
        let Line { row, outcome, limit } = line;
        let is_unwrap = row.measure.is_unwrap();
        let (must, aim) = limits(*limit);
        JsonLine {
            name: row.measure.name(),
            scheme: row.measure.scheme(),
            payload_bytes: bytes(row).filter(|_| is_unwrap),
            bytes: bytes(row).filter(|_| !is_unwrap),
            level: self.host.level,
            batch: row.batch,
            ns: outcome.ours_ns.median,
            cycles: line.cycles(),
            cycles_per_byte: line.cycles_per_byte(),
            floor_ns: outcome.floor_ns.map(|floor| floor.median),
            peer: outcome.peer_ns.map(|(name, _)| name),
            peer_ns: outcome.peer_ns.map(|(_, peer)| peer.median),
            ratio: line.ratio(),
            width: outcome.width,
            disturbed: self.is_disturbed(outcome),
            spread: outcome.ours_ns.spread,
            rounds: outcome.rounds,
            must,
            aim,
            missed: line.verdict() == Some(Verdict::Missed),
            host: &self.host,
        }
    }

    fn json_command_line<'a>(&'a self, line: &'a CommandLine) -> JsonLine<'a> {
        let CommandLine { row, outcome, other_ns, ratio, limit, .. } = line;
        let (must, aim) = limits(*limit);
        JsonLine {
            name: row.measure.name(),
            scheme: row.measure.scheme(),
            payload_bytes: bytes(row),
            bytes: None,
            level: self.host.level,
            batch: row.batch,
            ns: outcome.ours_ns.median,
            cycles: outcome.ours_ns.median * outcome.ghz,
            cycles_per_byte: None,
            floor_ns: None,
            peer: Some("--peer"),
            peer_ns: Some(*other_ns),
            ratio: Some(*ratio),
            width: outcome.width,
            disturbed: self.is_disturbed(outcome),
            spread: outcome.ours_ns.spread,
            rounds: outcome.rounds,
            must,
            aim,
            missed: line.verdict() == Some(Verdict::Missed),
            host: &self.host,
        }
    }

    /// A head of circumstances and the tables.
    pub fn to_markdown(&self) -> String {
        let host = &self.host;
        let mut text = format!(
            "Level `{}`, {}, {} processors, {:.2} GHz by dependent adds, {}, {}. Full width {:.2} adds per cycle; \
             rounds below {:.2} or with interruptions do not count, a row marked `!` had too few others.\n",
            host.level,
            host.cpu,
            host.processors,
            host.ghz,
            host.rustc,
            host.date,
            host.full_width,
            host.full_width * WIDTH_SHARE_MIN
        );
        if host.level != "avx512" {
            text.push_str("\nNOT RUN ON AVX-512.\n");
        }
        if host.level != host.best_level {
            text.push_str(&format!(
                "\nForced on a processor that has `{}`: the limits are those of processors that have no more than `{}`, \
                 whose scalar multipliers, and so the peers, are slower.\n",
                host.best_level, host.level
            ));
        }
        if cfg!(debug_assertions) {
            text.push_str("\nDEBUG BUILD: these figures say nothing.\n");
        }
        text.push_str(
            "\n| what | scheme | bytes | batch | ns | cycles | per byte | floor ns | peer | peer ns | ratio | must, aim \
             | verdict | width |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            self.write_row(&mut text, line);
        }
        if !self.against_command.is_empty() {
            text.push_str(
                "\nAgainst another implementation's benchmark, in turns on this host; times of a run that had less than \
                 0.95 of a processor are scaled by its share:\n\n| what | ours ns | theirs ns | CPU share | ratio | \
                 must | verdict | width |\n|---|---|---|---|---|---|---|---|\n",
            );
        }
        for line in &self.against_command {
            let cells = [
                format!("unwrap {}, batch of {}", line.row.measure.scheme(), line.row.batch),
                with_spread(line.outcome.ours_ns),
                number(line.other_ns),
                line.other_cpu_share.map(|share| format!("{share:.2}")).unwrap_or_default(),
                format!("{:.1}", line.ratio),
                limit_cell(line.limit),
                verdict_cell(line.verdict()).into(),
                self.width_cell(&line.outcome),
            ];
            write_cells(&mut text, &cells);
        }
        text
    }

    fn write_row(&self, text: &mut String, line: &Line) {
        let Line { row, outcome, limit } = line;
        let (peer, peer_ns) = outcome.peer_ns.map_or(("", String::new()), |(name, ns)| (name, with_spread(ns)));
        let cells = [
            row.measure.name().into(),
            row.measure.scheme().into(),
            bytes(row).map(|bytes| bytes.to_string()).unwrap_or_default(),
            row.batch.to_string(),
            with_spread(outcome.ours_ns),
            number(line.cycles()),
            line.cycles_per_byte().map(|cycles| format!("{cycles:.2}")).unwrap_or_default(),
            outcome.floor_ns.map(|floor| number(floor.median)).unwrap_or_default(),
            peer.into(),
            peer_ns,
            outcome.ratio.map(|ratio| format!("{:.2}{}", ratio.median, spread(ratio))).unwrap_or_default(),
            limit_cell(*limit),
            verdict_cell(line.verdict()).into(),
            self.width_cell(outcome),
        ];
        write_cells(text, &cells);
    }

    fn width_cell(&self, outcome: &Outcome) -> String {
        format!("{:.2}{}", outcome.width, if self.is_disturbed(outcome) { " !" } else { "" })
    }
}

fn bytes(row: &Row) -> Option<usize> {
    (row.size > 0).then_some(row.size)
}

fn limits(limit: Option<Limit>) -> (Option<f64>, Option<f64>) {
    match limit {
        Some(Limit::Ratio { must, aim }) => (Some(must), aim),
        Some(Limit::CyclesPerByte { must }) => (Some(must), None),
        None => (None, None),
    }
}

fn limit_cell(limit: Option<Limit>) -> String {
    match limit {
        Some(Limit::Ratio { must, aim: Some(aim) }) => format!(">= {must}, {aim}"),
        Some(Limit::Ratio { must, aim: None }) => format!(">= {must}"),
        Some(Limit::CyclesPerByte { must }) => format!("<= {must} per byte"),
        None => String::new(),
    }
}

fn verdict_cell(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Aim) => "aim",
        Some(Verdict::Met) => "met",
        Some(Verdict::Missed) => "MISSED",
        None => "",
    }
}

fn with_spread(figure: Figure) -> String {
    number(figure.median) + &spread(figure)
}

/// Only where it says something.
fn spread(figure: Figure) -> String {
    if figure.spread > SPREAD_SHOWN { format!(" ±{:.0} %", figure.spread * 50.0) } else { String::new() }
}

/// Whole numbers with separators, small ones with a digit more.
pub(super) fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn write_cells(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "| {} |", cells.join(" | "));
}
