//! Another implementation's benchmark, run as a command in turns with ours.

use crate::cases::{CASES, Case};
use crate::statistics::median;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Below this the kernel's count of CPU time, 10 ms, is too coarse.
const TIME_MIN: Duration = Duration::from_millis(500);
/// A command that gets less of a processor has been disturbed.
const CPU_SHARE_MIN: f64 = 0.95;

/// One line of a Go benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct GoLine {
    /// The last part of its name, without the number of processors.
    pub name: String,
    /// Nanoseconds per operation.
    pub ns: f64,
}

/// One run of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its benchmark lines.
    pub lines: Vec<GoLine>,
    /// CPU time over time; below 1, others were on its processor. Unknown of a short command.
    pub cpu_share: Option<f64>,
}

/// Runs a command in a shell.
pub fn run(command: &str) -> Result<Run, String> {
    let (started, cpu_before) = (Instant::now(), children_cpu_time());
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run sh for --peer: {error}"))?;
    if !output.status.success() {
        return Err(format!("the command of --peer ended with {}", output.status));
    }
    let took = started.elapsed();
    let cpu_share = (took >= TIME_MIN).then(|| (children_cpu_time() - cpu_before) / took.as_secs_f64());
    let lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_line).collect();
    if lines.iter().all(|line| line.case().is_none()) {
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        return Err(format!(
            "the command of --peer printed no Go benchmark line of a scheme that is measured here (like \
             \"BenchmarkUnwrap/X25519_NIKE 1000 233500 ns/op\"); names found: [{}]",
            names.join(", ")
        ));
    }
    Ok(Run { lines, cpu_share })
}

impl Run {
    /// The median of the lines for a case, in nanoseconds. Go measures by the wall clock: of a run that had to share its
    /// processor only the share counts, so that nobody's compiler makes us look good.
    pub fn ns_of(&self, case: &Case) -> Option<f64> {
        let mut times: Vec<f64> =
            self.lines.iter().filter(|line| line.case() == Some(case)).map(|line| line.ns).collect();
        let scale = self.cpu_share.filter(|share| *share < CPU_SHARE_MIN).unwrap_or(1.0);
        (!times.is_empty()).then(|| median(&mut times) * scale)
    }
}

/// Seconds of CPU time of all children that have ended.
fn children_cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; cutime and cstime are the 14th and 15th fields behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// `BenchmarkName/Case-2   1000   233500 ns/op   ...`; none for other lines.
pub fn parse_line(line: &str) -> Option<GoLine> {
    let mut fields = line.split_whitespace();
    let full_name = fields.next()?.strip_prefix("Benchmark")?;
    fields.next()?.parse::<u64>().ok()?;
    let mut previous = fields.next()?;
    let ns = fields.find_map(|field| {
        let value = (field == "ns/op").then(|| previous.parse::<f64>().ok()).flatten();
        previous = field;
        value
    })?;
    let name = full_name.rsplit('/').next()?;
    let name = match name.rsplit_once('-') {
        Some((name, processors)) if processors.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    (ns.is_finite() && ns > 0.0).then(|| GoLine { name: name.into(), ns })
}

impl GoLine {
    /// The case of ours of that name; Go writes blanks as underscores.
    pub fn case(&self) -> Option<&'static Case> {
        let name = self.name.replace('_', " ");
        CASES.iter().find(|case| case.label.eq_ignore_ascii_case(&name))
    }
}
