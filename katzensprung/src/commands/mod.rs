//! One file per subcommand: arguments and wiring only. Each gives one message for standard error when it fails.

pub mod bench;
pub mod configuration;
pub mod ctl;
pub mod dataplane;
pub mod dirauth;
pub mod doctor;
pub mod fetch;
pub mod genconfig;
pub mod generate;
pub mod geometry;
pub mod keygen;
pub mod keys;
pub mod ping;
pub mod plugin;
pub mod server;
pub mod sql;
pub mod strict;
pub mod testnet;
pub mod tuning;

use config::Finding;
use std::fmt::Arguments;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Version and the level of the vector kernels that this process would use.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let version = env!("CARGO_PKG_VERSION");
        match crypto_simd::cpu::level() {
            Ok(level) => format!("{version} ({level})"),
            Err(error) => format!("{version} ({error})"),
        }
    })
}

/// The configuration file: the one that was given, that of the environment, or the one in the current folder.
pub fn config_file(given: Option<&Path>) -> Result<PathBuf, String> {
    const VARIABLE: &str = "KATZENPOST_CONFIG";
    match (given, std::env::var_os(VARIABLE)) {
        (Some(path), _) => Ok(path.into()),
        (None, Some(path)) if path.is_empty() => {
            Err(format!("{VARIABLE} is set and empty; set it to the path of the configuration file, or unset it"))
        }
        (None, Some(path)) => Ok(path.into()),
        (None, None) => Ok("katzenpost.toml".into()),
    }
}

/// All findings, one line each.
pub fn findings_text(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Writes what was asked for to standard output, which may be a full disk or a pipe that nobody reads any more.
fn print(text: Arguments<'_>) -> Result<(), String> {
    let mut output = std::io::stdout();
    let written = output.write_fmt(text).and_then(|()| output.flush());
    written.map_err(|error| format!("cannot write to standard output: {error}"))
}

/// Writes a line to standard error. `eprintln!` would panic where nobody takes it, and so end a node.
pub fn complain(text: Arguments<'_>) {
    let _nobody_takes_it = writeln!(std::io::stderr(), "{text}");
}

/// What tokio opens for itself, and something to spare.
const RUNTIME_DESCRIPTORS: usize = 10;

/// A runtime on this thread. Where its driver of signals has no descriptors left it panics, so they are asked for before.
pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let spare: Result<Vec<_>, _> = (0..RUNTIME_DESCRIPTORS).map(|_| std::fs::File::open("/dev/null")).collect();
    let enough = spare.map_err(|error| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        format!(
            "cannot open what this needs: {error}; this process may have {limit} open files: raise the limit (ulimit -n) to 64 \
             at least"
        )
    })?;
    drop(enough);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))
}

/// Runs a process that holds private keys: nobody may look into it, and they lie on locked pages and stacks.
fn with_secrets(work: impl FnOnce() -> Result<(), String> + Send) -> Result<(), String> {
    secret_memory::harden().map_err(|error| format!("cannot protect private keys in memory: {error}"))?;
    secret_memory::with_protected_stack("node", work).unwrap_or_else(|error| {
        Err(format!(
            "cannot start a thread: {error}; raise the limit of tasks (LimitNPROC= or TasksMax= of the unit, ulimit -u, \
             the container's limit of processes)"
        ))
    })
}
