//! `plugin`: what stands between a service node and the program of a plugin for a moment, so that the program does not
//! outlive the node.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Arguments of `plugin`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The process that starts it
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    words: Vec<OsString>,
}

/// Becomes the program, which gets SIGTERM when the process that has started it ends in whatever way. Returns only if it
/// cannot.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let [program, words @ ..] = &arguments.words[..] else { return Err("no program is named".into()) };
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| format!("cannot be told of its end: {error}"))?;
    // It may have ended before it was asked for.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(arguments.parent) {
        return Err("the node that started this has ended".into());
    }
    let error = Command::new(program).args(words).exec();
    Err(format!("cannot start {}: {error}", program.display()))
}
