//! Whether times tell secrets: a statistical test in the manner of dudect (Reparaz, Balasch, Verbauwhede 2017).
//!
//! Each target runs on inputs of two classes, for example one fixed key and random keys, interleaved at random. Welch's
//! t-test compares the times of the classes, also after cutting off the slowest samples at fixed percentiles. |t| stays
//! small when the time does not depend on the class, and grows with the square root of the number of samples when it
//! does. Leaky functions run beside the others and must be caught.
//!
//! ```text
//! cargo run --release -p crypto-simd --example constant_time [-- --samples N --seconds S --only NAME]
//! ```
//!
//! All levels of the host are measured, each in a process of its own, or the one that `KATZENSPRUNG_SIMD` names. A
//! target ends after N samples (10^6) or S seconds (300). The exit code is 1 when any |t| reaches 10 or a leaky function
//! was not caught. Best on an idle machine: noise hides leaks, it does not make them up.

mod canaries;
mod clock;
mod statistics;
mod targets;

use crypto_simd::cpu::{LEVEL_VARIABLE, Level, level};
use crypto_simd::random::{Random, SeededRandom};
use statistics::Test;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use targets::{Class, Target};

/// Set in the processes that measure one level.
const CHILD_VARIABLE: &str = "KATZENSPRUNG_CONSTANT_TIME_CHILD";
/// What no |t| may reach.
const T_MAX: f64 = 10.0;

/// The command line.
struct Options {
    samples: usize,
    time_max: Duration,
    only: String,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let succeeded = if std::env::var_os(CHILD_VARIABLE).is_some() { measure_level(&options) } else { every_level() };
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { samples: 1_000_000, time_max: Duration::from_secs(300), only: String::new() };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} needs a number, not {value:?}"));
        match name.as_str() {
            "--samples" => options.samples = number()? as usize,
            "--seconds" => options.time_max = Duration::from_secs(number()?),
            "--only" => options.only = value,
            _ => return Err(format!("{name} is unknown; known are --samples, --seconds and --only")),
        }
    }
    Ok(options)
}

/// Starts this program again for each level of the host, because the level is chosen once per process.
fn every_level() -> bool {
    let forced = std::env::var_os(LEVEL_VARIABLE).map(|_| level());
    if let Some(Err(error)) = &forced {
        eprintln!("{error}");
        return false;
    }
    let mut succeeded = true;
    for level in Level::ALL {
        if forced.as_ref().is_some_and(|forced| *forced != Ok(level)) {
            continue;
        }
        if !level.is_here() {
            println!("level {level}: NOT MEASURED ON THIS HOST");
            continue;
        }
        let program = std::env::current_exe().expect("the program knows its own path");
        let mut command = Command::new(program);
        command.args(std::env::args().skip(1)).env(LEVEL_VARIABLE, level.name()).env(CHILD_VARIABLE, "1");
        succeeded &= command.status().is_ok_and(|status| status.success());
    }
    succeeded
}

/// Measures all targets at the level of this process.
fn measure_level(options: &Options) -> bool {
    let level = level().expect("the parent chose a level of this host").name();
    let mut succeeded = true;
    for (name, target) in targets::all().into_iter().filter(|(name, _)| name.contains(&options.only)) {
        let test = measure(target(), options.samples, options.time_max);
        let verdict = judge(&test);
        let (t, crop) = test.worst();
        let (samples, median) = (test.samples(), test.median());
        println!(
            "level {level:9} {name:28} |t| {t:8.2} (of all below {crop:5.1} %), {samples:8} samples, median {median:9} ticks: {verdict}"
        );
        succeeded &= verdict == "ok";
    }
    for (name, target) in canaries::all() {
        let test = measure(target(), options.samples.min(100_000), options.time_max);
        let caught = judge(&test) == "LEAKS";
        let verdict = if caught { "leaks, as it must" } else { "NOT CAUGHT" };
        let (t, samples) = (test.worst().0, test.samples());
        println!("level {level:9} {name:28} |t| {t:8.2}, {samples:8} samples: {verdict}");
        succeeded &= caught;
    }
    succeeded
}

fn judge(test: &Test) -> &'static str {
    match test.worst().0 {
        t if t < T_MAX => "ok",
        _ if test.samples() < 1_000 => "TOO FEW SAMPLES",
        _ => "LEAKS",
    }
}

/// Runs a target until it has its samples or its time is over.
fn measure(mut target: Box<dyn Target>, samples: usize, time_max: Duration) -> Test {
    // Not a secret; the same inputs in every run, the same for every level.
    let mut random = SeededRandom::new(&[0x6b; 32]);
    let mut test = Test::new();
    let begin = Instant::now();
    while test.samples() < samples && (!test.samples().is_multiple_of(256) || begin.elapsed() < time_max) {
        let mut coin = [0];
        random.fill(&mut coin);
        let class = Class::new(coin[0] & 1);
        target.prepare(class, &mut random);
        let ticks = clock::ticks(|| target.run());
        test.record(class.is_second(), ticks);
    }
    test
}
