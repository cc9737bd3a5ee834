//! Pings through the network: by our client, or by another implementation's program.

use super::super::findings_text;
use super::super::ping::loss;
use super::Say;
use super::child;
use super::network::Network;
use super::options::variables;
use client::{Plan, Progress, Settings};
use config::{ClientConfig, Strictness};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use testnet::generate::CLIENT_FOLDER;
use testnet::processes::tail;
use tokio::process::Command;

/// Pings without an answer at a time: more than are under way at the usual rates.
const CONCURRENCY: usize = 64;
/// Between two looks at members.
const PAUSE: Duration = Duration::from_millis(500);
/// Where a foreign client's output goes.
const OUTPUT_FILE: &str = "ping.log";

/// What came of the pings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pings {
    /// How many were sent.
    pub sent: u64,
    /// How many of them were answered.
    pub received: u64,
    /// Round trips of those, with what their packets were told to wait; empty where the client does not say.
    pub trips: Vec<Trip>,
    /// How often answered pings passed each node; none where the client does not say which ways it chose.
    pub passed: Option<BTreeMap<String, u64>>,
    /// What must not be, and why pings were lost.
    pub problems: Vec<String>,
}

/// One round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// How long it took.
    pub took: Duration,
    /// The sum of the delays that nodes had to wait for.
    pub asked_for: Duration,
}

/// Sends `count` pings, none of them twice. Gives up, with what there is till then, when the network has ended.
pub async fn run(network: &mut Network, count: u64, say: Say<'_>) -> Result<Pings, String> {
    let mut pings = match network.state.ping.clone() {
        Some(program) => foreign(network, &program, count, say).await?,
        None => ours(network, count, say).await?,
    };
    if pings.sent != count {
        pings.problems.push(format!("{} pings were sent, {count} were asked for", pings.sent));
    }
    Ok(pings)
}

/// Waits until there is nothing more to ping through, and says why: one of this command's members has ended, or a network
/// that others look after has been stopped. A member of such a one may be away: what that costs is what pings tell.
async fn network_ends(network: &mut Network, say: &Mutex<Say<'_>>) -> String {
    let say = |line: &str| say.lock().unwrap_or_else(PoisonError::into_inner)(line);
    let mut away = BTreeSet::new();
    loop {
        if let Err(error) = network.check()
            && (network.is_ours() || network.running().is_empty())
        {
            return error;
        }
        let before = std::mem::replace(&mut away, network.away());
        for name in away.difference(&before) {
            say(&format!("{name} does not run; what needs it is lost until it is started again"));
        }
        for name in before.difference(&away) {
            say(&format!("{name} runs again"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Our own client, in this process.
async fn ours(network: &mut Network, count: u64, say: Say<'_>) -> Result<Pings, String> {
    let file = network.folder.path().join(CLIENT_FOLDER).join("client.toml");
    let loaded = ClientConfig::load(&file, Strictness::Lenient)
        .map_err(|findings| format!("{}:\n  {}", file.display(), findings_text(&findings)))?;
    let settings =
        Settings::of(&loaded.config, network.clock).map_err(|error| format!("{}: {error}", file.display()))?;
    let plan = Plan {
        count,
        concurrency: CONCURRENCY,
        service_for_each: true,
        start_limit: network.clock.period() * 2,
        ..Plan::default()
    };
    let say = Mutex::new(say);
    let (mut sent, mut seen) = (0, client::Report::default());
    let mut tell = |progress: Progress<'_>| {
        match progress {
            Progress::Sent { .. } => sent += 1,
            Progress::Done(ping) => seen.pings.push(ping.clone()),
            _ => {}
        }
        show(progress, count, *say.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let ended = tokio::select! {
        report = client::ping::run(settings, plan, &mut tell) => Ok(report.map_err(|error| error.to_string())?),
        error = network_ends(network, &say) => Err(error),
    };
    Ok(match ended {
        Ok(report) => Pings::of(&report),
        Err(error) => {
            let Pings { received, trips, passed, mut problems, .. } = Pings::of(&seen);
            problems.push(error);
            Pings { sent, received, trips, passed, problems }
        }
    })
}

fn show(progress: Progress<'_>, count: u64, say: Say<'_>) {
    match progress {
        Progress::Begins { expected, timeout, .. } => say(&format!(
            "{count} pings, at most {CONCURRENCY} at a time, at the rates of the document: about {:.0} s; each is waited for \
             {:.0} s at most",
            expected.as_secs_f64(),
            timeout.as_secs_f64(),
        )),
        Progress::Disconnected { reason } => say(&format!("the link to the gateway is gone: {reason}")),
        Progress::Done(ping) if ping.rtt().is_none() => say(&loss(ping, false)),
        _ => {}
    }
}

impl Pings {
    /// What the client's report says.
    pub fn of(report: &client::Report) -> Self {
        let mut passed: BTreeMap<String, u64> = BTreeMap::new();
        let mut trips = Vec::new();
        for ping in &report.pings {
            let Some(took) = ping.rtt() else { continue };
            trips.push(Trip { took, asked_for: ping.delay() });
            for stop in ping.forward.iter().chain(&ping.reply) {
                *passed.entry(stop.node.clone()).or_default() += 1;
            }
        }
        let mut problems: Vec<String> = report.lost().map(|ping| loss(ping, false)).collect();
        let numbers: BTreeSet<u64> = report.pings.iter().map(|ping| ping.number).collect();
        if numbers.len() != report.pings.len() {
            problems.push("a ping was sent twice".into());
        }
        let (sent, received) = (report.sent() as u64, report.received() as u64);
        Self { sent, received, trips, passed: Some(passed), problems }
    }
}

/// Another implementation's `ping`: all that it says is how many came back.
async fn foreign(network: &mut Network, program: &Path, count: u64, say: Say<'_>) -> Result<Pings, String> {
    say(&format!("{count} pings by {}, one after the other", program.display()));
    let say = Mutex::new(say);
    let file = network.folder.path().join(CLIENT_FOLDER).join("client.toml");
    let output_path = network.folder.path().join(OUTPUT_FILE);
    let describe = |error: std::io::Error| format!("cannot run {}: {error}", program.display());
    let output = std::fs::File::create(&output_path).map_err(describe)?;
    let error_output = output.try_clone().map_err(describe)?;
    let options =
        ["-c".into(), file.into_os_string(), "-s".into(), "echo".into(), "-n".into(), count.to_string().into()];
    let words = child::arguments(Some(std::process::id()), Some(program.into()), options);
    let mut command = Command::new("/proc/self/exe");
    command.arg0(&words[0]).args(&words[1..]).envs(variables(network.clock.period()));
    command.stdin(Stdio::null()).stdout(output).stderr(error_output).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(describe)?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(describe)?,
        error = network_ends(network, &say) => return Ok(Pings { problems: vec![error], ..Pings::default() }),
    };
    let text = std::fs::read(&output_path).map_err(describe)?;
    match success_rate(&String::from_utf8_lossy(&text)) {
        Some((received, sent)) => {
            let lost = (received < sent).then(|| format!("{} pings were not answered ({status})", sent - received));
            Ok(Pings { sent, received, problems: lost.into_iter().collect(), ..Pings::default() })
        }
        None => Err(format!("{}: {status}\n  {}", program.display(), tail(&output_path))),
    }
}

/// Answered and sent pings from "Success rate is 100 percent (5/5)" (client.md 17.1).
pub fn success_rate(text: &str) -> Option<(u64, u64)> {
    let (_, rest) = text.rsplit_once("Success rate is ")?;
    let (_, rest) = rest.split_once('(')?;
    let (received, rest) = rest.split_once('/')?;
    Some((received.parse().ok()?, rest.split_once(')')?.0.parse().ok()?))
}
