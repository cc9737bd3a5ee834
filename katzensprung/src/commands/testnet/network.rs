//! A network's processes: started together, looked after, stopped together.

use super::child;
use super::folder::{Folder, State, quoted};
use super::found::{self, Part};
use super::options::{NetworkOptions, file_of, variables};
use pki::EpochClock;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testnet::generate::{self, Known, LOG_FILE};
use testnet::layout::{Layout, Member, Role, Shape};
use testnet::network::clock_starting_at;
use testnet::processes::{self, Process, Task};
use testnet::session::unix_now;

/// Where a member's output goes, beside its log.
const OUTPUT_FILE: &str = "output";
/// How long the processes of a network may take until the epoch begins for which nodes upload.
const START: Duration = Duration::from_secs(3);
const START_OF_EACH: Duration = Duration::from_millis(250);

/// A network at work.
pub struct Network {
    /// Where it is.
    pub folder: Folder,
    /// What later commands need to know.
    pub state: State,
    /// Names and addresses.
    pub layout: Layout,
    /// Epochs.
    pub clock: EpochClock,
    /// When it was started.
    pub started: Instant,
    /// What this command has started itself.
    children: Vec<Process>,
}

impl Network {
    /// Writes all files of one that is about to start.
    pub fn prepare(options: &NetworkOptions, folder: Folder) -> Result<Self, String> {
        let (layout, settings, peers) = (options.layout()?, options.settings()?, options.peers()?);
        let program_of = |name: &str| peers.as_ref().and_then(|peers| peers.program_of(&layout, name));
        let period = options.epoch().0;
        let clock = clock_starting_at(unix_now() + allowance(&options.shape(), period), period)?;
        let ping = peers.as_ref().and_then(super::peers::Peers::ping);
        let state = State::new(&layout, clock.period(), ping, program_of);
        // Before all else, so that whatever follows can be cleaned up.
        folder.save(&state)?;
        let files = generate::Network::new(&settings, &layout, folder.path(), &Known::new())?.files()?;
        generate::write(folder.path(), &files).map_err(|error| error.to_string())?;
        Ok(Self { folder, state, layout, clock, started: Instant::now(), children: Vec::new() })
    }

    /// Starts all processes. They end with this process unless they are to be `left_alone`. Whoever gives up waiting for
    /// this has a network to stop.
    pub async fn launch(&mut self, left_alone: bool) -> Result<(), String> {
        self.started = Instant::now();
        for member in &self.layout.members {
            let program = self.state.program_of(&member.name);
            let task = task(&self.folder, member, program, self.clock.period(), left_alone);
            self.children.push(task.start()?);
            // An interrupt is heard in between.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// One that another command has started.
    pub fn open(path: &Path) -> Result<Self, String> {
        Self::of(Folder::open(path)?)
    }

    /// The same, and no other command makes, changes or removes it meanwhile.
    pub fn open_alone(path: &Path) -> Result<Self, String> {
        Self::of(Folder::open_alone(path)?)
    }

    fn of(folder: Folder) -> Result<Self, String> {
        let state = folder.state()?;
        let layout = state.layout()?;
        let clock = EpochClock::with_period(state.period()).map_err(|error| error.to_string())?;
        Ok(Self { folder, state, layout, clock, started: Instant::now(), children: Vec::new() })
    }

    /// Stops a member and starts another program in its folder: that one, or ours. Gives whether it had to be killed.
    pub fn swap(&mut self, member: &Member, program: Option<PathBuf>) -> Result<bool, String> {
        let late = found::stop_member(self.folder.path(), &self.state.programs(), &member.name);
        self.state.set_program(&member.name, program.clone());
        self.folder.save(&self.state)?;
        task(&self.folder, member, program, self.clock.period(), true).start()?;
        Ok(!late.is_empty())
    }

    /// An error with its last words if a member has ended.
    pub fn check(&mut self) -> Result<(), String> {
        if self.children.is_empty() {
            return self.check_those_of_another();
        }
        let ended = self.children.iter_mut().find_map(|process| Some((process.name.clone(), process.end()?)));
        match ended {
            None => Ok(()),
            Some((name, how)) => Err(format!("{name} has ended: {how}\n  {}", self.last_words(&name))),
        }
    }

    /// Whoever works as a member is that member, also if somebody has started it again by hand.
    fn check_those_of_another(&self) -> Result<(), String> {
        let running = self.running();
        if running.is_empty() {
            return Err(self.stopped());
        }
        match self.layout.members.iter().find(|member| !running.contains_key(&member.name)) {
            None => Ok(()),
            Some(member) => Err(format!("{} does not run\n  {}", member.name, self.last_words(&member.name))),
        }
    }

    /// An error where nobody is left to ask.
    pub fn refuse_stopped(&self) -> Result<(), String> {
        if self.running().is_empty() { Err(self.stopped()) } else { Ok(()) }
    }

    fn stopped(&self) -> String {
        format!("the network is stopped; `testnet start --dir {}` starts one", quoted(self.folder.path()))
    }

    /// Whether this command has started it, and nobody else looks after its members.
    pub fn is_ours(&self) -> bool {
        !self.children.is_empty()
    }

    /// The members of one that others look after that do not run.
    pub fn away(&self) -> BTreeSet<String> {
        if self.is_ours() {
            return BTreeSet::new();
        }
        let running = self.running();
        let names = self.layout.members.iter().map(|member| member.name.clone());
        names.filter(|name| !running.contains_key(name)).collect()
    }

    /// The processes of the members that run.
    pub fn running(&self) -> BTreeMap<String, i32> {
        let found = found::processes_of(self.folder.path(), &self.state.programs()).into_iter();
        let first = found.filter(|found| found.part == Part::First);
        first.map(|found| (found.process.name, found.process.pid)).collect()
    }

    /// The last lines that a member has written.
    pub fn last_words(&self, name: &str) -> String {
        let folder = self.folder.path().join(name);
        let both = [folder.join(OUTPUT_FILE), folder.join(LOG_FILE)];
        let told = both.iter().map(|path| processes::tail(path)).filter(|text| !text.is_empty());
        told.collect::<Vec<_>>().join("\n  ")
    }

    /// Ends all processes; gives the names of those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        found::stop(self.folder.path(), &self.state.programs())
    }
}

/// How long before an epoch begins a network is started. Nodes upload at the beginning of an epoch only, for the next.
pub fn allowance(shape: &Shape, period: Duration) -> Duration {
    let members = shape.authorities + shape.mixes + shape.gateways + shape.services;
    (START + START_OF_EACH * members as u32).min(period / 2)
}

fn task(folder: &Folder, member: &Member, program: Option<PathBuf>, period: Duration, left_alone: bool) -> Task {
    let file = file_of(folder.path(), member);
    let mut arguments: Vec<OsString> = Vec::new();
    if program.is_none() {
        arguments.push(if member.role == Role::Authority { "dirauth" } else { "server" }.into());
    }
    arguments.extend(["-f".into(), file.into_os_string()]);
    let parent = (!left_alone).then(std::process::id);
    Task {
        name: member.name.clone(),
        program: "/proc/self/exe".into(),
        arguments: child::arguments(parent, program, arguments),
        variables: variables(period),
        output: folder.path().join(&member.name).join(OUTPUT_FILE),
    }
}
