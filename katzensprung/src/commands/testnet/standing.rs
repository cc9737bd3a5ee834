//! The subcommands for a network that stays up.

use super::super::{complain, print};
use super::folder::{Folder, State, quoted, role_name, temporary_files};
use super::found;
use super::network::Network;
use super::options::NetworkOptions;
use super::peers;
use super::watch::{self, Watcher};
use super::{Interrupts, announce, ping_and_read, print_report};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testnet::layout::Role;

/// A process that cannot begin has ended by then.
const FIRST_LOOK: Duration = Duration::from_millis(1500);
/// Between two looks of `watch`.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `testnet start`.
#[derive(clap::Args)]
pub struct Start {
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    at: At,
}

/// Where the network is.
#[derive(clap::Args)]
pub struct At {
    /// Folder of the network [default: katzensprung-testnet-UID in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// Arguments of `testnet ping`.
#[derive(clap::Args)]
pub struct Ping {
    /// Pings through the network
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pings: u64,
    /// Print the report as one line of JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    at: At,
}

/// Arguments of `testnet swap`.
#[derive(clap::Args)]
pub struct Swap {
    /// Members, for example mix1 auth2
    #[arg(required = true, value_name = "NAME")]
    members: Vec<String>,
    /// Folder of another implementation's programs (`dirauth`, `server`); without it ours take the places
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

/// Arguments of `testnet clean`.
#[derive(clap::Args)]
pub struct Clean {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    at: At,
}

impl At {
    fn path(&self) -> Result<PathBuf, String> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        Ok(temporary_files()?.join(format!("katzensprung-testnet-{}", rustix::process::geteuid().as_raw())))
    }

    /// The network that is there.
    pub fn open(&self) -> Result<Network, String> {
        Network::open(&self.path()?)
    }
}

/// Starts a network and leaves it alone.
pub async fn start(start: &Start) -> Result<(), String> {
    start.network.check()?;
    let folder = Folder::take(&start.at.path()?)?;
    let path = folder.path().to_path_buf();
    announce(&start.network, &path, &mut |line| complain(format_args!("{line}")));
    let mut interrupts = Interrupts::new()?;
    let mut network = Network::prepare(&start.network, folder)?;
    let begin = async {
        network.launch(true).await?;
        tokio::time::sleep(FIRST_LOOK).await;
        network.check()
    };
    let outcome = tokio::select! {
        outcome = begin => outcome,
        () = interrupts.next() => Err("interrupted; the network has been stopped".into()),
    };
    if let Err(error) = outcome {
        network.stop();
        return Err(format!("{error}\n\n  all files are in {}", path.display()));
    }
    let dir = start.at.dir.as_ref().map_or(String::new(), |_| format!(" --dir {}", quoted(&path)));
    let told = print(format_args!("{} processes run; next: testnet wait{dir}\n", network.layout.members.len()));
    // It runs all the same.
    told.or_else(|error| {
        complain(format_args!("{error}; the network runs: `testnet stop{dir}` ends it"));
        Ok(())
    })
}

/// Stops it. It takes nothing but the folder: what was written down of the network may be damaged.
pub fn stop(at: &At) -> Result<(), String> {
    let folder = Folder::open_alone(&at.path()?)?;
    let programs = folder.state().as_ref().map(State::programs).unwrap_or_default();
    let late = found::stop(folder.path(), &programs);
    let killed = if late.is_empty() { String::new() } else { format!("; had to be killed: {}", late.join(", ")) };
    let dir = quoted(folder.path());
    print(format_args!("stopped{killed}; testnet clean --dir {dir} removes the files\n"))
}

/// Starts other programs in the places of members, one after the other. Nothing is stopped if one of them cannot be had.
pub async fn swap(swap: &Swap) -> Result<(), String> {
    let mut network = Network::open_alone(&swap.at.path()?)?;
    network.refuse_stopped()?;
    let find = |name: &String| {
        let member = network.layout.members.iter().find(|member| member.name == *name);
        let member = member.ok_or_else(|| format!("the network has no member '{name}'"))?;
        let program = swap.peers.as_ref().map(|folder| peers::program(folder, member.role)).transpose();
        Ok((member.clone(), program.map_err(|error| format!("--peers: {error}"))?))
    };
    let swaps = swap.members.iter().map(find).collect::<Result<Vec<_>, String>>()?;
    for (member, program) in swaps {
        let shown = program.as_ref().map_or("ours".into(), |program| program.display().to_string());
        let was_killed = network.swap(&member, program)?;
        let name = &member.name;
        print(format_args!("{name}: {shown}{}\n", if was_killed { "; the one before had to be killed" } else { "" }))?;
    }
    tokio::time::sleep(FIRST_LOOK).await;
    network.check()
}

/// Shows its processes and nodes; fails if one does not run.
pub async fn status(at: &At) -> Result<ExitCode, String> {
    let network = at.open()?;
    let running = network.running();
    let view = Watcher::new(&network)?.look(&network).await;
    let listed = view.consensus.as_ref().map(watch::listed).unwrap_or_default();
    let mut text = format!(
        "{:<14} {:<10} {:>8} {:<8} {:<7} {:<8} {}\n",
        "member", "role", "process", "runs", "ready", "listed", "address"
    );
    let phases = view.phases();
    let yes = |is: bool| if is { "yes" } else { "no" };
    let mut all_run = true;
    for member in &network.layout.members {
        let pid = running.get(&member.name);
        let (runs, pid) = (pid.is_some(), pid.map_or("-".into(), ToString::to_string));
        all_run &= runs;
        let (ready, is_listed) = match member.role {
            Role::Authority => ("-", "-"),
            _ => (yes(view.is_ready(&member.name)), yes(listed.contains(&member.name))),
        };
        let phase = phases.get(member.name.as_str()).copied().unwrap_or_default();
        let program =
            network.state.program_of(&member.name).map_or(String::new(), |path| format!("{} ", path.display()));
        let _written = writeln!(
            text,
            "{:<14} {:<10} {pid:>8} {:<8} {ready:<7} {is_listed:<8} {} {program}{phase}",
            member.name,
            role_name(member.role),
            yes(runs),
            member.urls().join(" "),
        );
    }
    let (epoch, till) = (view.now.epoch, view.now.till.as_secs_f64());
    let document = view.consensus.as_ref().map_or("no document".into(), |consensus| {
        format!("a document signed by {} authorities", consensus.signers().good.len())
    });
    print(format_args!("{text}\nepoch {epoch}, {till:.1} s left, {document}\n"))?;
    Ok(if all_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until all is ready.
pub async fn wait(at: &At) -> Result<(), String> {
    let mut network = at.open()?;
    let mut say = |line: &str| complain(format_args!("{line}"));
    watch::wait(&mut network, &mut say).await.map(|_| ())
}

/// Says what changes.
pub async fn watch(at: &At) -> Result<(), String> {
    let network = at.open()?;
    network.refuse_stopped()?;
    let mut interrupts = Interrupts::new()?;
    let mut watcher = Watcher::new(&network)?;
    let mut said = String::new();
    let look = async {
        loop {
            let view = watcher.look(&network).await;
            let mut line = watch::progress(&network, &view);
            let away = Vec::from_iter(network.away());
            if !away.is_empty() {
                line += &format!("; ended: {}", away.join(", "));
            }
            if line != said {
                print(format_args!("{line}\n"))?;
                said = line;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        outcome = look => outcome,
        () = interrupts.next() => Ok(()),
    }
}

/// Pings through it.
pub async fn ping(ping: &Ping) -> Result<ExitCode, String> {
    let mut network = ping.at.open()?;
    network.refuse_stopped()?;
    let mut interrupts = Interrupts::new()?;
    let before = Watcher::new(&network)?.look(&network).await;
    if before.consensus.is_none() {
        let dir = quoted(network.folder.path());
        return Err(format!("there is no document of this epoch; `testnet wait --dir {dir}` waits for one"));
    }
    let mut say = |line: &str| complain(format_args!("{line}"));
    let report = tokio::select! {
        report = ping_and_read(&mut network, None, before, ping.pings, &mut say) => report?,
        () = interrupts.next() => return Err("interrupted".into()),
    };
    print_report(&report, ping.json)
}

/// Shows each authority's votes and document; fails if one does not answer.
pub async fn votes(at: &At) -> Result<ExitCode, String> {
    let network = at.open()?;
    network.refuse_stopped()?;
    let mut watcher = Watcher::new(&network)?;
    let view = watcher.look(&network).await;
    let mut text = format!("epoch {}, {:.1} s left\n", view.now.epoch, view.now.till.as_secs_f64());
    let documents = watcher.documents_of_all(&network.clock, view.now.epoch).await?;
    let mut all_answer = true;
    for member in network.layout.of(|role| role == Role::Authority) {
        let name = &member.name;
        all_answer &= view.metrics.contains_key(name);
        let _written = match view.metrics.get(name) {
            None => writeln!(text, "{name}: does not answer"),
            Some(metrics) => {
                let count = |name: &str| metrics.sum(name).unwrap_or(0.0);
                let votes = metrics.by_label("katzenpost_dirauth_votes_received_total", "result");
                let votes: Vec<String> = votes.iter().map(|(result, count)| format!("{count} {result}")).collect();
                writeln!(
                    text,
                    "{name}: {}, voting on epoch {}; votes so far: {}; descriptors {}; consensus reached {} times",
                    view.phases().get(name.as_str()).unwrap_or(&"unknown state"),
                    count("katzenpost_dirauth_current_epoch"),
                    votes.join(", "),
                    count("katzenpost_dirauth_descriptors_accepted_total"),
                    count("katzenpost_dirauth_consensus_reached_total"),
                )
            }
        };
        let document = documents.get(name).map_or("is not asked", String::as_str);
        let _written = writeln!(text, "    document: {document}");
    }
    print(format_args!("{text}"))?;
    Ok(if all_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes its files.
pub fn clean(clean: &Clean) -> Result<(), String> {
    let folder = Folder::open_alone(&clean.at.path()?)?;
    let state = folder.state()?;
    folder.refuse_running(&state)?;
    if clean.dry_run {
        let paths: String = folder.contents(&state).iter().map(|path| format!("{}\n", path.display())).collect();
        return print(format_args!("would remove:\n{paths}"));
    }
    folder.clean(&state)?;
    print(format_args!("removed the files of the network in {}\n", folder.path().display()))
}
