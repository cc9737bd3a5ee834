//! Another implementation's benchmark, run as a command in turns with ours.

use crate::cases::{CASES, Case};
use std::process::{Command, Stdio};

/// One line of a Go benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct GoLine {
    /// The last part of its name, without the number of processors.
    pub name: String,
    /// Nanoseconds per operation.
    pub ns: f64,
}

/// Runs a command in a shell; its benchmark lines.
pub fn run(command: &str) -> Result<Vec<GoLine>, String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run sh for --peer: {error}"))?;
    if !output.status.success() {
        return Err(format!("the command of --peer ended with {}", output.status));
    }
    let lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_line).collect();
    if lines.iter().all(|line| line.case().is_none()) {
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        return Err(format!(
            "the command of --peer printed no Go benchmark line of a scheme that is measured here (like \
             \"BenchmarkUnwrap/X25519_NIKE 1000 233500 ns/op\"); names found: [{}]",
            names.join(", ")
        ));
    }
    Ok(lines)
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
