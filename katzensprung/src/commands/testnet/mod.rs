//! `testnet`: a whole network of real processes on this host.
//!
//! | module | what it holds |
//! |---|---|
//! | `options` | what the network is to be like |
//! | `peers` | which members another implementation's programs play |
//! | `folder` | the network's folder, and what is written down in it |
//! | `network` | the processes |
//! | `found` | which processes of the host are a network's, and their end |
//! | `child` | how a process ends with the command, whatever ends that |
//! | `scrape` | what members say over HTTP |
//! | `watch` | waiting for the document and for every node |
//! | `ping` | pings |
//! | `report` | what a run says at its end, and what it checks of itself |
//! | `sim` | one in this process, under a clock of its own, from a seed |
//! | `soak` | pings for hours, and a line a minute about what was lost |
//! | `standing` | the subcommands for a network that stays up |

mod child;
mod folder;
mod found;
mod network;
mod options;
mod peers;
mod ping;
mod report;
mod scrape;
mod sim;
mod soak;
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
use std::task::Poll;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    /// Stops members and starts other programs in their places: another implementation's, or ours
    Swap(standing::Swap),
    /// Pings through it for hours, and says every minute what was lost and what its processes hold
    Soak(soak::Soak),
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
        None => told(arguments.once.json, in_runtime(once(&arguments.once))),
        Some(What::Start(start)) => in_runtime(standing::start(start)).map(done),
        Some(What::Stop(at)) => standing::stop(at).map(done),
        Some(What::Status(at)) => in_runtime(standing::status(at)),
        Some(What::Wait(at)) => in_runtime(standing::wait(at)).map(done),
        Some(What::Watch(at)) => in_runtime(standing::watch(at)).map(done),
        Some(What::Ping(ping)) => told(ping.json, in_runtime(standing::ping(ping))),
        Some(What::Votes(at)) => in_runtime(standing::votes(at)),
        Some(What::Swap(swap)) => in_runtime(standing::swap(swap)).map(done),
        Some(What::Soak(soak)) => in_runtime(soak::soak(soak)),
        Some(What::Clean(clean)) => standing::clean(clean).map(done),
        Some(What::Sim(sim)) => sim::run(sim),
        Some(What::Child(child)) => child::run(child).map(done),
    }
}

/// A program that reads the last line of standard output finds an object there, whatever happened.
fn told(as_json: bool, outcome: Result<ExitCode, String>) -> Result<ExitCode, String> {
    if let (true, Err(error)) = (as_json, &outcome) {
        let text = serde_json::json!({ "problems": [error] });
        let _it_is_on_standard_error_too = super::print(format_args!("{text}\n"));
    }
    outcome
}

/// On this very thread, because members end with the thread that started them.
fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    super::runtime()?.block_on(work)
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
    let mut interrupts = Interrupts::new()?;
    let mut network = Network::prepare(&once.network, folder).map_err(kept)?;
    let outcome = tokio::select! {
        outcome = work(&mut network, once.pings, &mut say) => outcome.map(Some),
        () = interrupts.next() => Ok(None),
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

/// Starts the network, waits for it, pings, and reads what came of it.
async fn work(network: &mut Network, pings: u64, say: Say<'_>) -> Result<Report, String> {
    network.launch(false).await?;
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
    let mut pings = ping::run(network, count, say).await?;
    if let Err(problem) = network.check()
        && !pings.problems.contains(&problem)
    {
        pings.problems.push(problem);
    }
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

/// What asks a command to end. From when this is made, signals wait until they are asked for.
struct Interrupts(Vec<Signal>);

impl Interrupts {
    fn new() -> Result<Self, String> {
        let hear = |kind| signal(kind).map_err(|error| format!("cannot hear signals: {error}"));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        // Under `nohup` it stays ignored.
        let hang_up = (!is_ignored(SignalKind::hangup())).then(SignalKind::hangup);
        kinds.into_iter().chain(hang_up).map(hear).collect::<Result<_, _>>().map(Self)
    }

    /// Waits for one.
    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let is_there = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_there { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Whether whoever started this process wants the signal to be ignored; no is what a host without `/proc` says.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (kind.as_raw_value() - 1)) != 0)
}
