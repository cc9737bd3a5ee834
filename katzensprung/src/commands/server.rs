//! `server`: the reference's flags, exit status and messages (server.md 1.1, 1.2).

use super::{findings_text, strict};
use crate::host;
use crate::profiling::{self, Process};
use config::{Finding, Loaded, ServerConfig, Severity, Strictness};
use controlplane::node;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Arguments of `server`. Of an option that is given twice the last one counts, as in the reference.
#[derive(clap::Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Path of the configuration file [env: KATZENPOST_CONFIG] [default: katzenpost.toml]
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
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
    let file = super::config_file(arguments.config.as_deref())?;
    let path = file.display();
    let failed = |findings: &[Finding]| format!("failed to load config file '{path}':\n  {}", findings_text(findings));
    let Loaded { config, findings } = load(&file, arguments.validate_only).map_err(|findings| failed(&findings))?;
    if !findings.is_empty() {
        super::complain(format_args!("{}", findings_text(&findings)));
    }
    if arguments.validate_only {
        return super::print(format_args!("configuration file '{path}' is valid\n"));
    }
    host::raise_descriptor_limit();
    if !arguments.generate_only {
        profiling::start(Process::ControlPlane)?;
    }
    let mut config = config;
    config.debug.generate_only |= arguments.generate_only;
    super::with_secrets(|| {
        node::run(config).map_err(|error| match error.came_later() {
            true => error.to_string(),
            false => format!("failed to spawn server instance: {error}"),
        })
    })
}

/// The configuration, with what is wrong with it. What is only missing in this version goes into the log of a start.
fn load(file: &Path, is_strict: bool) -> Result<Loaded, Vec<Finding>> {
    if is_strict {
        return strict::server(file);
    }
    let Loaded { config, mut findings } = ServerConfig::load(file, Strictness::Lenient)?;
    findings.extend(node::findings_of_limits(file, &config).filter(|limit| limit.severity == Severity::Error));
    if strict::is_refused(&findings) { Err(findings) } else { Ok(Loaded { config, findings }) }
}

/// The long options. With one dash, as Go's programs take them, they would be read as a row of short ones, and one with
/// a `v` in it would print the version and be a success.
const LONG: [&str; 5] = ["config", "generate-only", "validate-only", "version", "help"];

/// What to say about a long option of `server` or `dirauth` that is written with one dash, if one is.
pub fn with_one_dash(words: &[OsString]) -> Option<String> {
    if words.get(1)? != "server" && words.get(1)? != "dirauth" {
        return None;
    }
    let mut rest = words[2..].iter();
    while let Some(word) = rest.next() {
        if word == "-f" || word == "--config" {
            // Its value may have any form.
            rest.next();
            continue;
        }
        let text = word.to_string_lossy();
        let Some(name) = text.strip_prefix('-').filter(|name| !name.starts_with(['-', 'f']) && name.len() > 1) else {
            continue;
        };
        let common = |long: &str| long.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        // Short options in a row are none of these: -gf FILE.
        if let Some(meant) = LONG.iter().rev().max_by_key(|long| common(long)).filter(|long| common(long) > 0)
            && (common(meant) > 1 || name.contains('v'))
        {
            return Some(format!("unexpected argument '{text}'; did you mean --{meant}?"));
        }
    }
    None
}
