//! `dirauth`: a directory authority with the reference's flags, exit status and messages (pki.md 13.3).

use super::{findings_text, strict};
use crate::host;
use crate::profiling::{self, Process};
use config::authority::{AuthorityConfig, Loaded, Purpose};
use config::{Finding, Strictness};
use controlplane::dirauth;
use std::path::PathBuf;

/// Name of the configuration file where none is given.
const FILE_DEFAULT: &str = "katzenpost-authority.toml";

/// Arguments of `dirauth`. Of an option that is given twice the last one counts, as in the reference.
#[derive(clap::Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Path of the configuration file
    #[arg(short = 'f', long = "config", default_value = FILE_DEFAULT)]
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

/// Runs the authority until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let file = &arguments.config;
    let path = file.display();
    let purpose = if arguments.generate_only { Purpose::GenerateOnly } else { Purpose::Run };
    let failed = |findings: &[Finding]| format!("failed to load config file '{path}':\n  {}", findings_text(findings));
    let loaded = match arguments.validate_only {
        true => strict::authority(file, purpose),
        false => AuthorityConfig::load(file, Strictness::Lenient, purpose),
    };
    let Loaded { config, findings } = loaded.map_err(|findings| failed(&findings))?;
    if !findings.is_empty() {
        super::complain(format_args!("{}", findings_text(&findings)));
    }
    if arguments.validate_only {
        return super::print(format_args!("configuration file '{path}' is valid\n"));
    }
    host::raise_descriptor_limit();
    if !arguments.generate_only {
        profiling::start(Process::Authority)?;
    }
    super::with_secrets(|| {
        dirauth::run(config).map_err(|error| match error.came_later() {
            true => error.to_string(),
            false => format!("failed to spawn authority instance: {error}"),
        })
    })
}
