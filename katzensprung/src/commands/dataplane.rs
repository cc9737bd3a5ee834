//! `dataplane`: the process that forwards packets.

use std::path::PathBuf;

/// Arguments of `dataplane`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the control plane finds this process
    #[arg(long)]
    socket: PathBuf,
}

/// Runs until the control plane says stop.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let run = || dataplane::process::run(&arguments.socket).map_err(|error| error.to_string());
    super::with_secrets(run)
}
