//! `cargo run --release -p bench -- table`: the figures of `bench/RESULTS.md`.
//!
//! Exit status: 0 when every row shows what it must, 1 when one does not, 2 for errors.
#![forbid(unsafe_code)]

use bench::table::{self, Options, section};
use clap::{Parser, Subcommand};
use crypto_simd::cpu;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures this project's cryptography beside the best libraries.
#[derive(Parser)]
#[command(name = "bench", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ours, the best libraries and the floor in turns on one core, with the limits of the project
    ///
    /// KATZENSPRUNG_SIMD (portable, avx2, avx2+vaes, avx512) forces the level of our kernels.
    Table(Table),
}

#[derive(clap::Args)]
struct Table {
    /// Print one JSON object per row instead of Markdown
    #[arg(long)]
    json: bool,
    /// Another implementation's benchmark, for sh: prints Go benchmark lines, runs in turns with our unwraps
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    /// How often the command of --peer runs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    peer_runs: u8,
    /// 25 rounds per row: less than a minute
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Rounds per row; slow rows get fewer, at least 25
    #[arg(long, value_name = "N", default_value_t = 151, value_parser = clap::value_parser!(u16).range(25..=10_000))]
    rounds: u16,
    /// Only rows like "unwrap xwing", "x25519 batch 32"; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// The processor to measure on [default: the last one]
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Exit with 0 although a row misses its limit
    #[arg(long)]
    no_limits: bool,
    /// Replace the section of this level in a Markdown file
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Command::Table(arguments) = Arguments::parse().command;
    match measure(&arguments) {
        Ok(missed) if missed && !arguments.no_limits => ExitCode::from(1),
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; whether a row misses its limit.
fn measure(arguments: &Table) -> Result<bool, String> {
    let level = cpu::level().map_err(|error| error.to_string())?;
    if let Some(file) = &arguments.write {
        // Minutes later would be a bad time to find out.
        std::fs::metadata(file).map_err(|error| format!("--write {}: {error}", file.display()))?;
    }
    let options = Options {
        rounds: if arguments.quick { table::ROUNDS_MIN } else { arguments.rounds.into() },
        only: arguments.only.clone(),
        peer_command: arguments.peer.clone(),
        peer_runs: arguments.peer_runs.into(),
        core: arguments.core,
    };
    let report = table::run(&options, &mut progress)?;
    progress("");
    if let Some(file) = &arguments.write {
        section::write(file, level.name(), &report.to_markdown())?;
    }
    let text = if arguments.json { report.to_json()? } else { report.to_markdown() };
    // A reader that has gone is no error.
    let _written = std::io::stdout().write_all(text.as_bytes());
    Ok(report.is_missed())
}

/// Overwrites one line of a terminal.
fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}
