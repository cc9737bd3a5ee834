//! `table`: ours, the best libraries and the floor in turns on one core.
//!
//! | module | what it holds |
//! |---|---|
//! | `contest` | one row: rounds, and which of them count |
//! | [`limits`] | what rows must show |
//! | [`command`] | another implementation's benchmark |
//! | [`host`] | what figures have to come with |
//! | [`report`] | Markdown and JSON |
//! | [`section`] | the part of a file that belongs to one level |

pub mod command;
mod contest;
pub mod host;
pub mod limits;
pub mod report;
pub mod section;

#[cfg(test)]
mod tests;

pub use contest::{Outcome, ROUNDS_MIN};

use crate::cases::{CASES, Case};
use crate::measures::{self, Measure, Row};
use crate::statistics::median;
use crate::subjects::Contest;
use crate::subjects::unwrap::Unwraps;
use crypto_simd::cpu::{self, Level};
use host::Host;
use report::{CommandLine, Line, Report};
use rig::pin;
use rig::probe::Probe;

/// The payload and the batch of the rows against another implementation.
const COMMAND_PAYLOAD_BYTES: usize = 2_000;
const COMMAND_BATCH: usize = 32;

/// What to measure.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Rounds of each row; fewer, but at least [`ROUNDS_MIN`], where rounds are slow.
    pub rounds: usize,
    /// Only rows whose name and scheme contain one of these; all if empty.
    pub only: Vec<String>,
    /// Another implementation's benchmark.
    pub peer_command: Option<String>,
    /// How often that runs.
    pub peer_runs: usize,
    /// The processor; the last one if none is named.
    pub core: Option<usize>,
}

/// Measures. `progress` is told what comes next.
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, String> {
    // Before anything needs a kernel, which has no way to say that the level is wrong.
    let level = cpu::level().map_err(|error| error.to_string())?;
    let rows = chosen(&options.only)?;
    pin(Some(host::processor(options.core)?))?;
    let mut probe = Probe::new();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        progress(&title(&row));
        let outcome = contest::run(Contest::new(&row)?, options.rounds, &mut probe);
        lines.push(Line { row, outcome, limit: limits::limit(&row, level) });
    }
    let against_command = match &options.peer_command {
        Some(command) => against(command, options, level, &mut probe, progress)?,
        None => Vec::new(),
    };
    let mut report = Report { host: Host::new(level, &mut probe), lines, against_command };
    second_chance(&mut report, options.rounds, &mut probe, progress)?;
    Ok(report)
}

/// Rows that were disturbed all the time are measured once more; the better outcome stands.
fn second_chance(
    report: &mut Report,
    rounds: usize,
    probe: &mut Probe,
    progress: &mut dyn FnMut(&str),
) -> Result<(), String> {
    for index in 0..report.lines.len() {
        if !report.is_disturbed(&report.lines[index].outcome) {
            continue;
        }
        let line = &mut report.lines[index];
        progress(&format!("again: {}", title(&line.row)));
        let outcome = contest::run(Contest::new(&line.row)?, rounds, probe);
        if (!outcome.disturbed, outcome.width_min) > (!line.outcome.disturbed, line.outcome.width_min) {
            line.outcome = outcome;
        }
    }
    Ok(())
}

/// The rows that are asked for.
fn chosen(only: &[String]) -> Result<Vec<Row>, String> {
    let all = measures::table_rows();
    if only.is_empty() {
        return Ok(all);
    }
    let matches = |row: &Row, text: &str| title(row).to_lowercase().contains(&text.to_lowercase());
    if let Some(unknown) = only.iter().find(|text| !all.iter().any(|row| matches(row, text))) {
        let mut names: Vec<_> = all.iter().map(|row| row.measure.name()).collect();
        names.dedup();
        return Err(format!("--only {unknown:?} matches no row; rows begin with: {}", names.join(", ")));
    }
    Ok(all.into_iter().filter(|row| only.iter().any(|text| matches(row, text))).collect())
}

/// The row in words: `unwrap X25519 NIKE 2000 batch 32`.
fn title(row: &Row) -> String {
    let size = if row.size > 0 { format!(" {}", row.size) } else { String::new() };
    let scheme = row.measure.scheme();
    let blank = if scheme.is_empty() { "" } else { " " };
    format!("{}{blank}{scheme}{size} batch {}", row.measure.name(), row.batch)
}

/// Runs the command and our unwraps in turns.
fn against(
    command: &str,
    options: &Options,
    level: Level,
    probe: &mut Probe,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<CommandLine>, String> {
    let mut turns = Vec::new();
    for turn in 1..=options.peer_runs {
        progress(&format!("the command of --peer, run {turn} of {}", options.peer_runs));
        let theirs = command::run(command)?;
        let mut ours = Vec::new();
        for case in CASES.iter().filter(|case| theirs.ns_of(case).is_some()) {
            let row = Row { measure: Measure::Unwrap(case), size: COMMAND_PAYLOAD_BYTES, batch: COMMAND_BATCH };
            progress(&title(&row));
            let unwraps = Unwraps::new(case.prepare(row.size)?, row.batch)?;
            let contest = Contest { ours: Box::new(unwraps), peers: Vec::new(), floor: None };
            ours.push((case, contest::run(contest, options.rounds, probe)));
        }
        turns.push(Turn { theirs, ours });
    }
    Ok(CASES.iter().filter_map(|case| command_line(case, &turns, level)).collect())
}

/// One run of the command, and ours after it.
struct Turn {
    theirs: command::Run,
    ours: Vec<(&'static Case, Outcome)>,
}

/// The medians over all turns that have the case.
fn command_line(case: &'static Case, turns: &[Turn], level: Level) -> Option<CommandLine> {
    let pairs: Vec<(&command::Run, f64, &Outcome)> = turns
        .iter()
        .filter_map(|turn| {
            let (_, ours) = turn.ours.iter().find(|(other, _)| *other == case)?;
            Some((&turn.theirs, turn.theirs.ns_of(case)?, ours))
        })
        .collect();
    let mut ratios: Vec<f64> = pairs.iter().map(|(_, theirs, ours)| theirs / ours.ours_ns.median).collect();
    let mut theirs: Vec<f64> = pairs.iter().map(|(_, theirs, _)| *theirs).collect();
    let mut outcomes: Vec<&Outcome> = pairs.iter().map(|(_, _, ours)| *ours).collect();
    outcomes.sort_by(|a, b| a.ours_ns.median.total_cmp(&b.ours_ns.median));
    Some(CommandLine {
        row: Row { measure: Measure::Unwrap(case), size: COMMAND_PAYLOAD_BYTES, batch: COMMAND_BATCH },
        outcome: (*outcomes.get(outcomes.len() / 2)?).clone(),
        other_ns: median(&mut theirs),
        other_cpu_share: pairs.iter().filter_map(|(run, _, _)| run.cpu_share).min_by(f64::total_cmp),
        ratio: median(&mut ratios),
        limit: limits::against_command(case.label, level),
    })
}
