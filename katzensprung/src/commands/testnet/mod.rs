//! `testnet`: a whole network of real processes on this host.
//!
//! | module | what it holds |
//! |---|---|
//! | `options` | what the network is to be like |
//! | `peers` | which members another implementation's programs play |
//! | `folder` | the network's folder, and what is written down in it |
//! | `network` | the processes |
//! | `child` | how a process ends with the command, whatever ends that |
//! | `scrape` | what members say over HTTP |
//! | `watch` | waiting for the document and for every node |
//! | `ping` | pings |
//! | `report` | what a run says at its end, and what it checks of itself |
//! | `sim` | one in this process, under a clock of its own, from a seed |
//! | `standing` | the subcommands for a network that stays up |

mod child;
mod folder;
mod network;
mod options;
mod peers;
mod ping;
mod report;
mod scrape;
mod sim;
mod standing;
mod watch;

#[cfg(test)]
mod tests;

pub use scrape::Metrics;

use folder::Folder;
use network::Network;
use options::NetworkOptions;
use report::{Readings, Report};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `testnet`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    once: Once,
}

#[derive(clap::Subcommand)]
enum What {
    /// Starts a network that stays up
    Start(Box<standing::Start>),
    /// Stops it; its files stay
    Stop(standing::At),
    /// Shows its processes and nodes
    Status(standing::At),
    /// Waits until every node works by a document of the current epoch
    Wait(standing::At),
    /// Says what changes, until it is interrupted
    Watch(standing::At),
    /// Pings through it
    Ping(standing::Ping),
    /// Shows what the authorities vote, and whether their documents are the same
    Votes(standing::At),
    /// Removes the files of one that has been stopped
    Clean(standing::Clean),
    /// Runs one in this process, under a clock of its own, while things go wrong: all from a seed
    Sim(sim::Sim),
    /// Becomes a member's program
    #[command(hide = true)]
    Child(child::Arguments),
}

/// Options of a network that lives for one run.
#[derive(clap::Args)]
struct Once {
    /// Pings through the network
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pings: u64,
    #[command(flatten)]
    network: NetworkOptions,
    /// Folder of all files [default: a new one for temporary files, which is removed at the end]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Keep the files
    #[arg(long)]
    keep: bool,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Takes lines about how far a command is.
type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Does what was asked for.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let done = |()| ExitCode::SUCCESS;
    match &arguments.what {
        None => in_runtime(once(&arguments.once)),
        Some(What::Start(start)) => in_runtime(standing::start(start)).map(done),
        Some(What::Stop(at)) => standing::stop(at).map(done),
        Some(What::Status(at)) => in_runtime(standing::status(at)),
        Some(What::Wait(at)) => in_runtime(standing::wait(at)).map(done),
        Some(What::Watch(at)) => in_runtime(standing::watch(at)).map(done),
        Some(What::Ping(ping)) => in_runtime(standing::ping(ping)),
        Some(What::Votes(at)) => in_runtime(standing::votes(at)).map(done),
        Some(What::Clean(clean)) => standing::clean(clean).map(done),
        Some(What::Sim(sim)) => sim::run(sim),
        Some(What::Child(child)) => child::run(child).map(done),
    }
}

/// On this very thread, because members end with the thread that started them.
fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(work)
}

/// A network from its files to its end.
async fn once(once: &Once) -> Result<ExitCode, String> {
    let begun = tokio::time::Instant::now();
    let mut say = |line: &str| super::complain(format_args!("[{:5.1} s] {line}", begun.elapsed().as_secs_f64()));
    once.network.check()?;
    let folder = match &once.dir {
        Some(path) => Folder::take(path)?,
        None => Folder::temporary()?,
    };
    let path = folder.path().to_path_buf();
    announce(&once.network, &path, &mut say);
    let kept = |error: String| format!("{error}\n\n  all files are in {}", path.display());
    let mut network = Network::start(&once.network, folder, false).map_err(kept)?;
    let outcome = tokio::select! {
        outcome = work(&mut network, once.pings, &mut say) => outcome.map(Some),
        outcome = interrupted() => outcome.map(|()| None),
    };
    say("stopping");
    let late = network.stop();
    if !late.is_empty() {
        say(&format!("had to be killed: {}", late.join(", ")));
    }
    let report = outcome.map_err(kept)?;
    let is_good = report.as_ref().is_some_and(Report::is_good);
    if once.keep || report.is_some() && !is_good {
        say(&format!("all files are in {}", path.display()));
    } else {
        network.folder.clean(&network.state)?;
    }
    print_report(&report.ok_or("interrupted; the network has been stopped")?, once.json)
}

fn announce(options: &NetworkOptions, path: &std::path::Path, say: Say<'_>) {
    let (shape, (period, reason)) = (options.shape(), options.epoch());
    if let Some(reason) = reason {
        say(reason);
    }
    say(&format!(
        "starting {} authorities, {} gateways, {} layers of {} mixes, {} service nodes in {}; epochs of {} s, so that pings begin in \
         about {:.0} s",
        shape.authorities,
        shape.gateways,
        shape.layers,
        shape.mixes / shape.layers,
        shape.services,
        path.display(),
        period.as_secs(),
        (period + network::allowance(&shape, period)).as_secs_f64(),
    ));
}

/// Waits for the network, pings, and reads what came of it.
async fn work(network: &mut Network, pings: u64, say: Say<'_>) -> Result<Report, String> {
    let view = watch::wait(network, say).await?;
    let seconds = network.started.elapsed().as_secs_f64();
    ping_and_read(network, Some(seconds), view, pings, say).await
}

/// The pings, with what every node says before and after them.
async fn ping_and_read(
    network: &mut Network,
    seconds_to_consensus: Option<f64>,
    before: watch::View,
    count: u64,
    say: Say<'_>,
) -> Result<Report, String> {
    let pings = ping::run(network, count, say).await?;
    network.check()?;
    let after = watch::Watcher::new(network)?.look(network).await;
    let readings = Readings { before: before.metrics, after: after.metrics };
    Ok(Report::new(network, seconds_to_consensus, &pings, &readings))
}

fn print_report(report: &Report, as_json: bool) -> Result<ExitCode, String> {
    if as_json {
        let text = serde_json::to_string(report).map_err(|error| error.to_string())?;
        super::print(format_args!("{text}\n"))?;
    } else {
        super::print(format_args!("{report}"))?;
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for what asks a command to end.
async fn interrupted() -> Result<(), String> {
    let hear = |kind| signal(kind).map_err(|error| format!("cannot hear signals: {error}"));
    let (mut interrupt, mut terminate, mut hang_up) =
        (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?, hear(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
