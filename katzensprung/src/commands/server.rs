//! `server`: the reference's flags, exit status and messages (server.md 1.1, 1.2).

use super::findings_text;
use crate::host;
use config::{Finding, ServerConfig, Severity, Strictness};
use controlplane::node;
use std::path::PathBuf;

/// Arguments of `server`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Path of the configuration file
    #[arg(short = 'f', long = "config", env = "KATZENPOST_CONFIG", default_value = "katzenpost.toml")]
    config: PathBuf,
    /// Make the keys that are missing, and exit
    #[arg(short = 'g', long)]
    generate_only: bool,
    /// Check the configuration strictly, and exit
    #[arg(long)]
    validate_only: bool,
    /// Print the version, and exit
    #[arg(short = 'v', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Runs the node until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let path = arguments.config.display();
    let strictness = if arguments.validate_only { Strictness::Strict } else { Strictness::Lenient };
    let loaded = ServerConfig::load(&arguments.config, strictness)
        .map_err(|findings| format!("failed to load config file '{path}':\n  {}", findings_text(&findings)))?;
    let mut findings = loaded.findings;
    let limits = node::limits_of_this_version(&loaded.config).into_iter();
    // What is only missing goes into the log of a start.
    let limits = limits.filter(|limit| limit.is_fatal || arguments.validate_only);
    findings.extend(limits.map(|limit| Finding {
        severity: if limit.is_fatal { Severity::Error } else { Severity::Warning },
        code: "not-in-this-version",
        file: arguments.config.clone(),
        line: config::line_of(&arguments.config, &limit.key),
        key: limit.key,
        problem: limit.problem,
        remedy: limit.remedy,
    }));
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(format!("failed to load config file '{path}':\n  {}", findings_text(&findings)));
    }
    if !findings.is_empty() {
        super::complain(format_args!("{}", findings_text(&findings)));
    }
    if arguments.validate_only {
        return super::print(format_args!("configuration file '{path}' is valid\n"));
    }
    host::raise_descriptor_limit();
    let mut config = loaded.config;
    config.debug.generate_only |= arguments.generate_only;
    super::with_secrets(|| {
        node::run(config).map_err(|error| match error.came_later() {
            true => error.to_string(),
            false => format!("failed to spawn server instance: {error}"),
        })
    })
}
