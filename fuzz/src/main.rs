//! `fuzz`: long runs without libFuzzer, single inputs, and the files that libFuzzer starts from.
#![forbid(unsafe_code)]

use fuzz::storm::{self, Storm};
use fuzz::{TARGETS, Target};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
fuzz list                          the names of all targets
fuzz long TARGET|all SECONDS SEED  new inputs for so long, each target in turn
fuzz input TARGET SEED NUMBER      one input of a run
fuzz file TARGET FILE              the bytes of a file
fuzz corpus FOLDER                 the seeds of all targets as files, FOLDER/TARGET/NUMBER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), String> {
    match *arguments {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["long", "all", seconds, seed] => TARGETS.iter().try_for_each(|target| long(target, seconds, seed)),
        ["long", name, seconds, seed] => long(target(name)?, seconds, seed),
        ["input", name, seed, index] => {
            let target = target(name)?;
            show(target, &Storm::new(target, number(seed)?).input(number(index)?))
        }
        ["file", name, path] => show(target(name)?, &std::fs::read(path).map_err(|error| format!("{path}: {error}"))?),
        ["corpus", folder] => corpus(Path::new(folder)),
        _ => Err(USAGE.into()),
    }
}

fn target(name: &str) -> Result<&'static Target, String> {
    fuzz::find(name).ok_or_else(|| format!("no target {name:?}; `fuzz list` names them"))
}

/// A number in decimal, or in hexadecimal after `0x`.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{text:?} is no number: {error}"))
}

fn long(target: &Target, seconds: &str, seed: &str) -> Result<(), String> {
    let (begin, lasts) = (Instant::now(), Duration::from_secs(number(seconds)?));
    let passed = storm::run(target, number(seed)?, |_| begin.elapsed() < lasts, |feed| feed());
    let passed = passed.map_err(|failure| failure.to_string())?;
    println!("{}: {} inputs, {} accepted", target.name, passed.inputs, passed.accepted);
    Ok(())
}

fn show(target: &Target, input: &[u8]) -> Result<(), String> {
    let verdict = storm::feed(target, input)?;
    println!("{}: {} bytes, {verdict:?}", target.name, input.len());
    Ok(())
}

fn corpus(folder: &Path) -> Result<(), String> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        let write = |(number, seed): (usize, &Vec<u8>)| std::fs::write(folder.join(number.to_string()), seed);
        std::fs::create_dir_all(&folder)
            .and_then(|()| (target.seeds)().iter().enumerate().try_for_each(write))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(())
}
