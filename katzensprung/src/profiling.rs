//! Profiles for a Pyroscope server, by the reference's variables (server.md 10.4). They are in a build with the feature
//! `pyroscope` only: a profiler interrupts every thread, and what it sends goes to another machine.

#[cfg(feature = "pyroscope")]
mod upload;

const VARIABLES: [&str; 3] = ["PYROSCOPE_SERVER_ADDRESS", "PYROSCOPE_APP_NAME", "PYROSCOPE_SERVICE_TAG"];

/// Which process is profiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Of a node.
    ControlPlane,
    /// Of a node, started by the other one.
    DataPlane,
    /// An authority.
    Authority,
}

/// Begins to profile this process where the variables ask for it.
pub fn start(process: Process) -> Result<(), String> {
    let is_set = |variable: &&str| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    match VARIABLES.iter().find(|variable| is_set(variable)) {
        Some(variable) => begin(process, variable),
        None => Ok(()),
    }
}

#[cfg(feature = "pyroscope")]
fn begin(process: Process, _: &str) -> Result<(), String> {
    let value = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
    let value = |variable: &str| value(variable).ok_or_else(|| format!("{variable} is not set"));
    let [address, name, service] = VARIABLES;
    let process = match process {
        Process::ControlPlane => "control_plane",
        Process::DataPlane => "data_plane",
        Process::Authority => "authority",
    };
    upload::start(&value(address)?, &value(name)?, &[("service", &value(service)?), ("process", process)])
}

#[cfg(not(feature = "pyroscope"))]
fn begin(process: Process, variable: &str) -> Result<(), String> {
    // The other process has said so.
    if process != Process::DataPlane {
        crate::commands::complain(format_args!(
            "WARNING: {variable} is set, and this build has no profiler: nothing is sent; build it with \
             `cargo build --release -p katzensprung --features pyroscope`, or unset the variable"
        ));
    }
    Ok(())
}
