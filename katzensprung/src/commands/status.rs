//! `status`: what a running node says of itself over its management socket (server.md 9), and where its loops are lost.

use super::{ctl, fetch};
use config::ServerConfig;
use controlplane::directory::epoch_time;
use pki::EpochClock;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `status`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The node's configuration file [env: KATZENPOST_CONFIG] [default: katzenpost.toml]
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
    /// Show how many of the node's own loops came back over each segment, instead of one line of JSON with everything
    #[arg(long)]
    loops: bool,
}

/// The loops over two consecutive nodes in an epoch.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Segment {
    epoch: u64,
    /// The beginning of a node's id.
    from: String,
    to: String,
    sent: u64,
    completed: u64,
}

#[derive(Deserialize)]
struct Status {
    loops: Vec<Segment>,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let (file, config) = ctl::configuration(arguments.config.as_deref())?;
    let socket = ctl::socket_of(&file, &config)?;
    let json = ctl::ask_status(&socket)?;
    if !arguments.loops {
        return super::print(format_args!("{json}\n"));
    }
    let status: Status = serde_json::from_str(&json)
        .map_err(|error| format!("{}: the node's answer has no loops: {error}", socket.display()))?;
    if !config.debug.send_decoy_traffic {
        return Err(format!("{}: Debug.SendDecoyTraffic is false, so that the node sends no loops", file.display()));
    }
    super::print(format_args!("{}", table(&status.loops, &names(&config))))
}

/// Names by the beginnings of ids, if an authority can be asked. Without, ids have to do.
fn names(config: &ServerConfig) -> BTreeMap<String, String> {
    let period = std::env::var(pki::epoch::PERIOD_VARIABLE).ok();
    let Ok(clock) = EpochClock::from_variable(period.as_deref()) else { return BTreeMap::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return BTreeMap::new();
    };
    let fetched = runtime.block_on(fetch::fetch(config, &clock, epoch_time(&clock).epoch));
    let Ok(consensus) = fetched else { return BTreeMap::new() };
    let named = consensus.document().nodes().map(|(_, node)| (fetch::hex(&node.id()[..8]), node.name.clone()));
    named.collect()
}

fn table(segments: &[Segment], names: &BTreeMap<String, String>) -> String {
    let mut text = format!("{:<9} {:<20} {:<20} {:>7} {:>7} {:>7}\n", "epoch", "from", "to", "sent", "back", "lost");
    let name = |id: &String| names.get(id).unwrap_or(id).clone();
    let mut sorted: Vec<&Segment> = segments.iter().collect();
    sorted.sort_by_key(|segment| (segment.epoch, name(&segment.from), name(&segment.to)));
    for segment in sorted {
        let Segment { epoch, from, to, sent, completed } = segment;
        let lost = if *sent == 0 { 0.0 } else { 100.0 * sent.saturating_sub(*completed) as f64 / *sent as f64 };
        // Writing to a string cannot fail.
        let _written =
            writeln!(text, "{epoch:<9} {:<20} {:<20} {sent:>7} {completed:>7} {lost:>5.1} %", name(from), name(to),);
    }
    text + "In the current epoch some are still under way.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_and_sorted() {
        let json = r#"{"loops":[{"epoch":8,"from":"bb","to":"cc","sent":4,"completed":3},{"epoch":7,"from":"aa","to":"bb","sent":0,"completed":0}]}"#;
        let status: Status = serde_json::from_str(json).unwrap();
        let names = BTreeMap::from([("bb".to_owned(), "mix1".to_owned())]);
        let text = table(&status.loops, &names);
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["7", "aa", "mix1", "0", "0", "0.0", "%"]);
        assert_eq!(rows[1], ["8", "mix1", "cc", "4", "3", "25.0", "%"]);
    }
}
