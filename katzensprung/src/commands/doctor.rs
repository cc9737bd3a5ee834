//! `doctor`: what is to be mended about a node, seen from its own host, or from elsewhere.

mod inside;
mod network;
mod outside;

use config::{ClientConfig, ServerConfig, Strictness};
use controlplane::node::{Look, Verdict};
use pki::EpochClock;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The node's configuration file [env: KATZENPOST_CONFIG] [default: katzenpost.toml]. With --from-outside that of any
    /// node or client of its network; without it only the connection is tried
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
    /// Look at the node at this address (host:port or tcp://host:port) as others see it
    #[arg(long, value_name = "ADDRESS")]
    from_outside: Option<String>,
    /// Ask no authority: neither clock nor consensus are looked at
    #[arg(long, conflicts_with = "from_outside")]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Looks, and says what was seen.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let period = std::env::var(pki::epoch::PERIOD_VARIABLE).ok();
    let clock = EpochClock::from_variable(period.as_deref()).map_err(|error| error.to_string())?;
    let runtime = super::runtime()?;
    let looks = match &arguments.from_outside {
        Some(address) => {
            let network = arguments.config.as_deref().map(network_of).transpose()?;
            runtime.block_on(outside::look(address, network.as_ref(), &clock))?
        }
        None => {
            let file = super::config_file(arguments.config.as_deref())?;
            runtime.block_on(inside::look(&file, &clock, arguments.offline))
        }
    };
    let text = if arguments.json { json(&looks) } else { table(&looks) };
    super::print(format_args!("{text}\n"))?;
    Ok(if count(&looks, Verdict::Bad) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The network of a node's or a client's file.
fn network_of(file: &std::path::Path) -> Result<network::Network, String> {
    let refused = |findings: Vec<_>| format!("failed to load config file:\n  {}", super::findings_text(&findings));
    // What cannot be read is told by whoever reads it in earnest.
    let text = config::server::read_text(file).unwrap_or_default();
    match config::program::Program::of_text(&text) {
        Some(config::program::Program::ClientDaemon) => {
            let loaded = ClientConfig::load(file, Strictness::Lenient).map_err(refused)?;
            network::Network::of_client(&loaded.config)
        }
        _ => {
            let loaded = ServerConfig::load(file, Strictness::Lenient).map_err(refused)?;
            network::Network::of_node(&loaded.config)
        }
    }
}

fn count(looks: &[Look], verdict: Verdict) -> usize {
    looks.iter().filter(|look| look.verdict == verdict).count()
}

fn table(looks: &[Look]) -> String {
    let mut text = String::new();
    for Look { what, verdict, seen } in looks {
        let said = match verdict {
            Verdict::Well => "ok  ",
            Verdict::Unusual => "WARN",
            Verdict::Bad => "FAIL",
        };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{said}  {what:<14} {}", seen.replace('\n', "\n                      "));
    }
    let (all, warned) = (looks.len(), count(looks, Verdict::Unusual));
    match count(looks, Verdict::Bad) {
        0 => text + &format!("nothing of {all} must be mended, {warned} could be better"),
        bad => text + &format!("{bad} of {all} must be mended, {warned} could be better"),
    }
}

fn json(looks: &[Look]) -> String {
    let all = looks.iter().map(|Look { what, verdict, seen }| {
        let verdict = match verdict {
            Verdict::Well => "ok",
            Verdict::Unusual => "warning",
            Verdict::Bad => "fail",
        };
        serde_json::json!({ "what": what, "verdict": verdict, "seen": seen })
    });
    let all: Vec<_> = all.collect();
    serde_json::json!({ "looks": all, "must_be_mended": count(looks, Verdict::Bad) }).to_string()
}
