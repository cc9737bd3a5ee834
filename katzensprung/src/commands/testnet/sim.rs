//! `testnet sim`: the same network in one process under a clock of its own, from a seed, while things go wrong.

#[cfg(test)]
mod tests;

use super::super::{complain, print};
use simnet::{Failure, Plan, Report, Shape};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// Arguments of `testnet sim`.
#[derive(clap::Args)]
pub struct Sim {
    /// Run from this seed, and say what happens
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run from each of the seeds 0 to N - 1, on all processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: Option<u64>,
    /// Epochs of each run
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(Plan::EPOCHS_MIN..=100_000))]
    epochs: u64,
    /// Let nothing go wrong
    #[arg(long)]
    calm: bool,
}

/// Runs it; the exit status is not 0 if something happened that must not.
pub fn run(sim: &Sim) -> Result<ExitCode, String> {
    // A panic in a machine is a failure of its run, told like all others, in one line.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let failed = match (sim.seed, sim.seeds) {
        (Some(seed), _) => u64::from(!tell(sim, seed, run_one(sim, seed, true))?),
        (None, Some(seeds)) => run_all(sim, seeds)?,
        (None, None) => {
            return Err("which run? give testnet sim --seed N for one, --seeds N for all from 0 to N - 1".into());
        }
    };
    let (runs, seconds) = (sim.seeds.unwrap_or(1), begun.elapsed().as_secs_f64());
    print(format_args!("{runs} x {} epochs in {seconds:.1} s, {failed} failed\n", sim.epochs))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_one(sim: &Sim, seed: u64, says_all: bool) -> Result<Report, Failure> {
    let plan = Plan { seed, epochs: sim.epochs, shape: Shape::from_seed(seed), has_faults: !sim.calm };
    simnet::run(&plan, &mut |step, what| {
        if says_all {
            complain(format_args!("[step {step}] {what}"));
        }
    })
}

/// All seeds; gives how many failed.
fn run_all(sim: &Sim, seeds: u64) -> Result<u64, String> {
    let next = AtomicU64::new(0);
    let (results, outcomes) = mpsc::channel();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, results) = (&next, results.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody takes it where the output is closed.
                    if seed >= seeds || results.send((seed, run_one(sim, seed, false))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut failed = 0;
        for (seed, outcome) in outcomes {
            failed += u64::from(!tell(sim, seed, outcome)?);
        }
        Ok(failed)
    })
}

/// One line about a run; gives whether all held.
fn tell(sim: &Sim, seed: u64, outcome: Result<Report, Failure>) -> Result<bool, String> {
    match outcome {
        Ok(report) => print(format_args!("{}\n", line(seed, &report))).map(|()| true),
        Err(failure) => print(format_args!("{}\n", replay(sim, &failure))).map(|()| false),
    }
}

/// One line about a run in which all held.
fn line(seed: u64, report: &Report) -> String {
    let sum = |of: fn(&simnet::user::Tally) -> u64| report.pings.iter().map(of).sum::<u64>();
    format!(
        "seed {seed}: {} steps, {} documents, {} pings sent, {} answered, {} packets accepted, {} dropped, digest {}",
        report.steps,
        report.consensus.len(),
        sum(|tally| tally.sent),
        sum(|tally| tally.answered),
        report.accepted.values().sum::<u64>(),
        report.drops.values().sum::<u64>(),
        report.digest,
    )
}

/// One line from which a failure can be had again.
fn replay(sim: &Sim, failure: &Failure) -> String {
    let calm = if sim.calm { " --calm" } else { "" };
    format!(
        "FAILED seed {} at step {}: {}; again: cargo run --release -- testnet sim --seed {} --epochs {}{calm}",
        failure.seed,
        failure.step,
        failure.what.replace('\n', " "),
        failure.seed,
        sim.epochs
    )
}
