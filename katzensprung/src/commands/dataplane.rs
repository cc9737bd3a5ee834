//! `dataplane`: the process that forwards packets.

use std::path::PathBuf;

/// Arguments of `dataplane`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the control plane finds this process
    #[arg(long)]
    socket: PathBuf,
    /// Stop the one that listens there and has no control plane
    #[arg(long)]
    stop: bool,
}

/// Runs until the control plane says stop.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.stop {
        return controlplane::node::stop_orphan(&arguments.socket).map_err(|error| error.to_string());
    }
    dataplane::process::run(&arguments.socket).map_err(|error| error.to_string())
}
