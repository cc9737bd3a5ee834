//! Between the command and a member: ends with the command, or lives on alone, and becomes the member's program.

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Arguments of the hidden subcommand.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The command's process, with which this one is to end
    #[arg(long, value_name = "PID")]
    parent: Option<i32>,
    /// The program; none is this one
    #[arg(long)]
    program: Option<PathBuf>,
    /// Its arguments
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Becomes the program; returns only if it cannot.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if let Some(parent) = arguments.parent {
        // Its usual end, so that a control plane takes its data plane along.
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| format!("cannot watch the command: {error}"))?;
        if getppid().map(|pid| pid.as_raw_pid()) != Some(parent) {
            return Err("the command has ended already".into());
        }
    }
    let mut command = match &arguments.program {
        Some(program) => Command::new(program),
        None => {
            let mut command = Command::new("/proc/self/exe");
            command.arg0("katzensprung");
            command
        }
    };
    let error = command.args(&arguments.arguments).exec();
    Err(format!("cannot start {}: {error}", command.get_program().display()))
}

/// The arguments with which this program is started for a member, its name first.
pub fn arguments(
    parent: Option<u32>,
    program: Option<PathBuf>,
    rest: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["katzensprung".into(), "testnet".into(), "child".into()];
    if let Some(parent) = parent {
        words.extend(["--parent".into(), parent.to_string().into()]);
    }
    if let Some(program) = program {
        words.extend(["--program".into(), program.into()]);
    }
    words.push("--".into());
    words.extend(rest);
    words
}
