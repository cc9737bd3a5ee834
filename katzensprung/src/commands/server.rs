//! `server`: the reference's flags, exit status and messages (server.md 1.1, 1.2).

use super::findings_text;
use config::{ServerConfig, Strictness};
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
    if !loaded.findings.is_empty() {
        eprintln!("{}", findings_text(&loaded.findings));
    }
    if arguments.validate_only {
        println!("configuration file '{path}' is valid");
        return Ok(());
    }
    let mut config = loaded.config;
    config.debug.generate_only |= arguments.generate_only;
    let run = || controlplane::node::run(config);
    super::with_secrets(|| run().map_err(|error| format!("failed to spawn server instance: {error}")))
}
