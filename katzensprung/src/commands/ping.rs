//! `ping`: sends packets to a service that returns them, with the reference's flags, output and exit status (client.md
//! 17.1, 17.4), over a link of its own.

mod graph;

use super::findings_text;
use client::ping::PingError;
use client::{Outcome, Ping, Plan, Progress, Report, Settings};
use config::{ClientConfig, Strictness};
use nix::sys::signal::Signal;
use pki::EpochClock;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use wire::link::CLOCK_SKEW_SECONDS_MAX;

/// Nothing could be sent: the reference's status of a crash, which is what it does then.
const NO_START: u8 = 2;

/// Arguments of `ping`. Of an option that is given twice the last one counts, as in the reference.
#[derive(clap::Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Configuration file of a client (client.toml)
    #[arg(short, long)]
    config: PathBuf,
    /// Service that returns what it gets
    #[arg(short, long, default_value = "echo")]
    service: String,
    /// Number of pings
    #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    count: u64,
    /// Pings that may be without an answer at a time
    #[arg(short = 'C', long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// Print both payloads where an answer is another one than was sent
    #[arg(long)]
    print_diff: bool,
    /// Draw all pings over time into a new SVG file: how much longer than asked for each took, and which were lost
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// Use a running client daemon (not in this version)
    #[arg(long)]
    thin: bool,
    /// What is told on standard error: DEBUG and INFO tell of links and documents, ERROR of nothing
    #[arg(long, default_value = "NOTICE", ignore_case = true,
        value_parser = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"])]
    log_level: String,
    /// Seconds to wait for a gateway and a document
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
    /// Print the version, and exit
    #[arg(short = 'v', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Sends the pings and prints what came of them.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    if arguments.thin {
        return Err(
            "--thin needs a client daemon, which is not in this version; leave it out: ping connects by itself".into(),
        );
    }
    let settings = settings(&arguments.config)?;
    // Where it cannot be made, nothing is sent.
    let cannot_write =
        |error| format!("--graph: cannot make {:?}: {error}", arguments.graph.as_deref().unwrap_or("".as_ref()));
    let graph = arguments.graph.as_ref().map(File::create_new).transpose().map_err(cannot_write)?;
    let mut status = Ok(ExitCode::FAILURE);
    super::with_secrets(|| {
        let runtime = super::runtime()?;
        status = runtime.block_on(ping(arguments, settings, graph));
        Ok(())
    })?;
    status
}

fn settings(file: &std::path::Path) -> Result<Settings, String> {
    let loaded = ClientConfig::load(file, Strictness::Lenient).map_err(|findings| {
        format!("failed to load config file '{}':\n  {}", file.display(), findings_text(&findings))
    })?;
    if !loaded.findings.is_empty() {
        super::complain(format_args!("{}", findings_text(&loaded.findings)));
    }
    let clock = EpochClock::from_variable(std::env::var(pki::epoch::PERIOD_VARIABLE).ok().as_deref())
        .map_err(|error| error.to_string())?;
    Settings::of(&loaded.config, clock).map_err(|error| format!("{}: {error}", file.display()))
}

async fn ping(arguments: &Arguments, settings: Settings, graph: Option<File>) -> Result<ExitCode, String> {
    let clock = settings.clock;
    let plan = Plan {
        service: arguments.service.clone(),
        count: arguments.count,
        concurrency: arguments.concurrency.into(),
        start_limit: Duration::from_secs(arguments.wait),
        ..Plan::default()
    };
    super::print(format_args!("Control-C to abort...\n"))?;
    let mut seen = Report::default();
    let ended = {
        let mut tell = |progress: Progress<'_>| tell(progress, arguments, &mut seen);
        let mut run = std::pin::pin!(client::ping::run(settings, plan, &mut tell));
        tokio::select! {
            report = &mut run => Some(report),
            stopped = stop() => {
                stopped?;
                None
            }
        }
    };
    let drawn = match &ended {
        Some(Ok(report)) => Some(report),
        Some(Err(_)) => None,
        None => Some(&seen),
    };
    if let (Some(mut file), Some(report)) = (graph, drawn) {
        file.write_all(graph::svg(report).as_bytes()).map_err(|error| format!("--graph: {error}"))?;
    }
    match ended {
        Some(Ok(report)) => {
            super::print(format_args!("{}", summary(&report, arguments)))?;
            let (sent, failed) = (report.pings.len(), report.lost().count());
            if failed == 0 {
                return Ok(ExitCode::SUCCESS);
            }
            Err(format!("ping success rate below 100%: {failed}/{sent} pings failed"))
        }
        Some(Err(error)) => {
            super::complain(format_args!("ERROR\n\n  {}", with_hint(&error, &clock)));
            Ok(ExitCode::from(NO_START))
        }
        None => {
            super::print(format_args!("{}", summary(&seen, arguments)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Waits for the order to stop.
async fn stop() -> Result<(), String> {
    let hear = |of: Signal| signal(SignalKind::from_raw(of as i32)).map_err(|error| error.to_string());
    let (mut interrupt, mut terminate) = (hear(Signal::SIGINT)?, hear(Signal::SIGTERM)?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn tell(progress: Progress<'_>, arguments: &Arguments, seen: &mut Report) {
    let level = arguments.log_level.to_ascii_uppercase();
    let tells_all = matches!(level.as_str(), "DEBUG" | "INFO");
    let tells_trouble = tells_all || matches!(level.as_str(), "NOTICE" | "WARNING");
    match progress {
        Progress::Connected { gateway, clock_skew } => {
            if tells_all {
                super::complain(format_args!("connected to {gateway}"));
            }
            if let Some(seconds) =
                clock_skew.filter(|seconds| tells_trouble && seconds.unsigned_abs() > CLOCK_SKEW_SECONDS_MAX)
            {
                let direction = if seconds > 0 { "ahead of" } else { "behind" };
                let seconds = seconds.abs();
                super::complain(format_args!(
                    "warning: this host's clock is {seconds} s {direction} that of {gateway}"
                ));
            }
        }
        Progress::Disconnected { reason } if tells_trouble => super::complain(format_args!("disconnected: {reason}")),
        Progress::Document { epoch } if tells_all => super::complain(format_args!("document of epoch {epoch}")),
        Progress::Begins { endpoint, node, timeout, expected } => {
            // What cannot be printed here is told at the end.
            let _told_later = super::print(format_args!(
                "Sending {} Sphinx packets to {endpoint}@{node} (per-packet timeout {:.3}s), about {} s\n",
                arguments.count,
                timeout.as_secs_f64(),
                expected.as_secs().max(1),
            ));
        }
        Progress::Done(ping) => {
            let _told_later = super::print(format_args!("{}", if ping.rtt().is_some() { "!" } else { "~" }));
            seen.pings.push(ping.clone());
        }
        Progress::Disconnected { .. } | Progress::Document { .. } | Progress::Sent { .. } => {}
    }
}

fn summary(report: &Report, arguments: &Arguments) -> String {
    let (answered, all) = (report.received(), report.pings.len());
    let percent = if all == 0 { 0.0 } else { 100.0 * answered as f64 / all as f64 };
    let mut text = String::from("\n");
    for ping in report.lost() {
        // Writing to a string cannot fail.
        let _always_ok = writeln!(text, "error: {}", loss(ping, arguments.print_diff));
    }
    let _always_ok = writeln!(text, "Success rate is {percent:.0} percent ({answered}/{all})");
    let figures = [0.0, 0.5, 0.99, 1.0].map(|part| report.rtt(part).map_or(0, |rtt| rtt.as_millis()));
    if let ([shortest, median, p99, longest], Some(delay), true) = (figures, report.delay(0.5), answered > 0) {
        let delay = delay.as_millis();
        let _always_ok = writeln!(
            text,
            "RTT min/median/p99/max {shortest}/{median}/{p99}/{longest} ms; median of the delays asked for {delay} ms"
        );
    }
    text
}

/// All that is known of a ping without the right answer.
pub fn loss(ping: &Ping, print_diff: bool) -> String {
    let seconds = |time: Duration| time.as_secs_f64();
    let what = match &ping.outcome {
        Outcome::Answered { rtt } => format!("answered after {:.3} s", seconds(*rtt)),
        Outcome::WrongAnswer { rtt, sent, got } => {
            let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
            let difference =
                if print_diff { format!("\n  sent {}\n  got  {}", hex(sent), hex(got)) } else { String::new() };
            format!("another answer after {:.3} s{difference}", seconds(*rtt))
        }
        Outcome::Unopened { after } => format!("an answer after {:.3} s that cannot be opened", seconds(*after)),
        Outcome::TimedOut { after } => format!("no answer within {:.3} s", seconds(*after)),
        Outcome::LinkLost { after, reason } => {
            format!("the link was lost after {:.3} s, and with it the answer: {reason}", seconds(*after))
        }
        Outcome::NotSent { reason } => reason.clone(),
    };
    let names = |stops: &[client::ping::Stop]| stops.iter().map(|stop| stop.node.clone()).collect::<Vec<_>>().join(" ");
    match ping.sent_unix {
        Some(at) => format!(
            "ping {} sent at {:.3} by the document of epoch {}, {} ms of delays, there {}, back {}: {what}",
            ping.number,
            seconds(at),
            ping.epoch.unwrap_or_default(),
            ping.delay().as_millis(),
            names(&ping.forward),
            names(&ping.reply),
        ),
        None => format!("ping {}: {what}", ping.number),
    }
}

/// Test networks have shorter epochs, and another length gives other numbers: the usual reason for no document.
fn with_hint(error: &PingError, clock: &EpochClock) -> String {
    let variable = pki::epoch::PERIOD_VARIABLE;
    match error {
        PingError::NoStart { last, .. } if last.contains("document") => format!(
            "{error}\n  the epoch was counted in epochs of {} s: if the network's are of another length, set {variable}, \
             for example {variable}=2m",
            clock.period().as_secs()
        ),
        _ => error.to_string(),
    }
}
