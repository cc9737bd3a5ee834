//! `testnet soak`: pings for hours, and a line a minute: what was lost and where, and what processes hold.

use super::super::print;
use super::found::{self, Found, Part};
use super::network::Network;
use super::report::Report;
use super::standing::At;
use super::watch::Watcher;
use super::{Interrupts, ping_and_read};
use pki::epoch::parse_go_duration;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testnet::generate::LOG_FILE;
use tokio::time::{Instant, sleep_until};

/// Between two lines.
const ROUND: Duration = Duration::from_secs(60);
/// Pings a second at most, whatever documents allow: a soak is long, not hard.
const RATE_MAX: f64 = 10.0;
/// Warnings of one member that are told of in a line.
const WARNINGS_SHOWN: usize = 3;

/// Arguments of `testnet soak`.
#[derive(clap::Args)]
pub struct Soak {
    /// For how long, for example 2h
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = time)]
    time: Duration,
    /// File to whose end all lines go as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_go_duration(text).map_err(|error| error.to_string())
}

/// Pings until the time is over; fails if one was lost, or could not be sent.
pub async fn soak(soak: &Soak) -> Result<ExitCode, String> {
    let mut network = soak.at.open()?;
    network.refuse_stopped()?;
    let mut interrupts = Interrupts::new()?;
    let mut account = Account::new(&network, soak)?;
    let end = Instant::now() + soak.time;
    let rounds = async {
        while Instant::now() < end {
            let next = (Instant::now() + ROUND).min(end);
            account.round(&mut network, next).await?;
            sleep_until(next).await;
        }
        Ok(())
    };
    let outcome: Result<(), String> = tokio::select! {
        outcome = rounds => outcome,
        () = interrupts.next() => Ok(()),
    };
    outcome.and_then(|()| account.close())
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    mebibytes: u64,
    descriptors: usize,
}

impl Held {
    /// By the process with that number; none if it is gone or another user's.
    pub fn by(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self { mebibytes: kibibytes.div_ceil(1024), descriptors })
    }

    fn most(self, other: Self) -> Self {
        Self { mebibytes: self.mebibytes.max(other.mebibytes), descriptors: self.descriptors.max(other.descriptors) }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} MiB, {} descriptors", self.mebibytes, self.descriptors)
    }
}

/// What has come together since the start.
struct Account {
    begun: Instant,
    sent: u64,
    answered: u64,
    rounds: u64,
    /// Those in which nothing could be sent at all.
    silent: u64,
    /// By node and reason.
    drops: BTreeMap<(String, String), u64>,
    /// What each process held at first and at most.
    held: BTreeMap<String, (Held, Held)>,
    /// How far each log was read.
    logs: BTreeMap<PathBuf, u64>,
    file: Option<(PathBuf, File)>,
}

impl Account {
    fn new(network: &Network, soak: &Soak) -> Result<Self, String> {
        let open = |path: &PathBuf| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map(|file| (path.clone(), file)).map_err(|error| format!("--report {}: {error}", path.display()))
        };
        let file = soak.report.as_ref().map(open).transpose()?;
        let paths = network.layout.members.iter().map(|member| network.folder.path().join(&member.name).join(LOG_FILE));
        let logs = paths.map(|path| (path.clone(), path.metadata().map_or(0, |metadata| metadata.len())));
        Ok(Self {
            begun: Instant::now(),
            sent: 0,
            answered: 0,
            rounds: 0,
            silent: 0,
            drops: BTreeMap::new(),
            held: BTreeMap::new(),
            logs: logs.collect(),
            file,
        })
    }

    /// Pings for about so long, then says what came of it.
    async fn round(&mut self, network: &mut Network, until: Instant) -> Result<(), String> {
        self.rounds += 1;
        let before = Watcher::new(network)?.look(network).await;
        let Some(consensus) = &before.consensus else {
            self.silent += 1;
            return self.say(&format!("there is no document of epoch {}", before.now.epoch));
        };
        let seconds = (until - Instant::now()).as_secs_f64();
        let count = (consensus.document().lambda_p * 1000.0).min(RATE_MAX) * seconds;
        let report = ping_and_read(network, None, before, count.max(1.0) as u64, &mut |_| {}).await;
        match report {
            Ok(report) => self.tell(network, &report),
            Err(error) => {
                self.silent += 1;
                self.say(&error)
            }
        }
    }

    fn tell(&mut self, network: &Network, report: &Report) -> Result<(), String> {
        self.sent += report.pings_sent;
        self.answered += report.pings_received;
        let (sent, answered) = (report.pings_sent, report.pings_received);
        let mut line = format!("{answered} of {sent} pings answered, {} of {} in all", self.answered, self.sent);
        for hop in &report.hops {
            for (reason, count) in &hop.drops_by_reason {
                let _written = write!(line, "; {} dropped {count} ({reason})", hop.name);
                *self.drops.entry((hop.name.clone(), reason.clone())).or_default() += count;
            }
        }
        self.say(&line)?;
        report.problems.iter().try_for_each(|problem| self.say(&format!("  PROBLEM {problem}")))?;
        for line in self.new_warnings() {
            self.say(&format!("  {line}"))?;
        }
        self.weigh(&found::processes_of(network.folder.path(), &network.state.programs()));
        Ok(())
    }

    fn weigh(&mut self, processes: &[Found]) {
        for Found { part, process } in processes {
            let part = if *part == Part::DataPlane { " (data plane)" } else { "" };
            if let Some(now) = Held::by(process.pid) {
                let entry = self.held.entry(format!("{}{part}", process.name)).or_insert((now, now));
                entry.1 = entry.1.most(now);
            }
        }
    }

    /// The first warnings and errors that each member has written since the last call, and how many more there are.
    fn new_warnings(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, at) in &mut self.logs {
            let name = path.parent().and_then(|folder| folder.file_name()).unwrap_or_default().display();
            let text = new_text(path, at);
            let (shown, rest): (Vec<_>, Vec<_>) =
                text.lines().filter(|line| is_warning(line)).enumerate().partition(|(n, _)| *n < WARNINGS_SHOWN);
            lines.extend(shown.into_iter().map(|(_, line)| format!("{name}: {line}")));
            if !rest.is_empty() {
                lines.push(format!("{name}: {} more warnings", rest.len()));
            }
        }
        lines
    }

    fn close(mut self) -> Result<ExitCode, String> {
        let silent = match self.silent {
            0 => String::new(),
            silent => format!("; in {silent} of {} rounds nothing could be sent", self.rounds),
        };
        self.say(&format!("{} of {} pings answered{silent}", self.answered, self.sent))?;
        let drops: Vec<String> =
            self.drops.iter().map(|((node, reason), count)| format!("  {node} dropped {count} ({reason})")).collect();
        let held: Vec<String> = self
            .held
            .iter()
            .map(|(name, (first, most))| format!("  {name}: {first} at first; {most} at most"))
            .collect();
        drops.iter().chain(&held).try_for_each(|line| self.say(line))?;
        Ok(if self.answered == self.sent && self.sent > 0 && self.silent == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn say(&mut self, line: &str) -> Result<(), String> {
        let line = format!("[{:6.0} s] {line}\n", self.begun.elapsed().as_secs_f64());
        if let Some((path, file)) = &mut self.file {
            file.write_all(line.as_bytes()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        print(format_args!("{line}"))
    }
}

/// What was written to a file since `at`; from its beginning if it is another one now.
fn new_text(path: &PathBuf, at: &mut u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        if file.metadata()?.len() < *at {
            *at = 0;
        }
        file.seek(SeekFrom::Start(*at))?;
        file.read_to_end(&mut bytes)
    });
    *at += read.unwrap_or(0) as u64;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a line of a log of either implementation is one of its warnings or errors.
pub fn is_warning(line: &str) -> bool {
    line.split_whitespace().take(3).any(|word| matches!(word, "WARN" | "ERRO" | "CRIT"))
}
