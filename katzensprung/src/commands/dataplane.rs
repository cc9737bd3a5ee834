//! `dataplane`: the process that forwards packets.

use crate::host;
use crate::profiling::{self, Process};
use dataplane::process::{self, Signals};
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
    host::name_process(host::DATA_PLANE_NAME);
    host::raise_descriptor_limit();
    // Before any other thread is there: all of them must leave signals to the one that reads them.
    let signals = Signals::take_over().map_err(|error| format!("cannot take over signals: {error}"))?;
    profiling::start(Process::DataPlane)?;
    super::with_secrets(|| process::run(&arguments.socket, signals).map_err(|error| error.to_string()))
}
