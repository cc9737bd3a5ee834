//! The network's folder: whose it is, what is in it, and how to be rid of it. What somebody else has put there stays.

use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testnet::generate::CLIENT_FOLDER;
use testnet::layout::{Layout, Member, Role};
use testnet::processes::Process;

/// It says that the folder is a test network's, and of whom the network is made.
const STATE_FILE: &str = "testnet.json";

/// What later commands need to know of a network.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct State {
    /// Length of an epoch.
    pub epoch_nanoseconds: u64,
    /// Where the client daemon would listen.
    client_port: u16,
    /// Another implementation's `ping`, where that is the client.
    pub ping: Option<PathBuf>,
    /// Everybody.
    members: Vec<SavedMember>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct SavedMember {
    name: String,
    /// authority, gateway, service, mix.
    role: String,
    /// Of a mix, counted from 1.
    layer: Option<usize>,
    host: String,
    port: u16,
    metrics_port: u16,
    /// Another implementation's program.
    program: Option<PathBuf>,
    pid: Option<i32>,
    began: Option<u64>,
}

/// The name of a role in reports.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Authority => "authority",
        Role::Gateway => "gateway",
        Role::ServiceNode => "service",
        Role::Mix(_) => "mix",
    }
}

impl State {
    /// Of a network that is about to start.
    pub fn new(
        layout: &Layout,
        period: Duration,
        ping: Option<PathBuf>,
        program_of: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        let members = layout.members.iter().map(|member| SavedMember {
            name: member.name.clone(),
            role: role_name(member.role).into(),
            layer: match member.role {
                Role::Mix(layer) => Some(layer + 1),
                _ => None,
            },
            host: member.host.clone(),
            port: member.port,
            metrics_port: member.metrics_port,
            program: program_of(&member.name),
            pid: None,
            began: None,
        });
        Self {
            epoch_nanoseconds: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            client_port: layout.client_port,
            ping,
            members: members.collect(),
        }
    }

    /// Notes what runs.
    pub fn runs(&mut self, processes: &[Process]) {
        for member in &mut self.members {
            let process = processes.iter().find(|process| process.name == member.name);
            (member.pid, member.began) = process.map(|process| (process.pid, process.began)).unzip();
        }
    }

    /// Names and addresses.
    pub fn layout(&self) -> Result<Layout, String> {
        let members = self.members.iter().map(|member| {
            let role = match (member.role.as_str(), member.layer) {
                ("authority", _) => Role::Authority,
                ("gateway", _) => Role::Gateway,
                ("service", _) => Role::ServiceNode,
                ("mix", Some(layer)) => Role::Mix(layer.saturating_sub(1)),
                (other, _) => return Err(format!("{}: unknown role '{other}'", member.name)),
            };
            let (name, host) = (member.name.clone(), member.host.clone());
            Ok(Member { name, role, host, port: member.port, metrics_port: member.metrics_port })
        });
        Ok(Layout { members: members.collect::<Result<_, _>>()?, client_port: self.client_port })
    }

    /// The program that plays this member, if it is not one of ours.
    pub fn program_of(&self, name: &str) -> Option<PathBuf> {
        self.members.iter().find(|member| member.name == name)?.program.clone()
    }

    /// The processes that have been started, whether they still run or not.
    pub fn processes(&self) -> Vec<Process> {
        let started = self
            .members
            .iter()
            .filter_map(|member| Some(Process::of_another(&member.name, member.pid?, member.began?)));
        started.collect()
    }

    /// The length of an epoch.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.epoch_nanoseconds)
    }
}

/// A folder of a network.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A fresh one under the folder for temporary files.
    pub fn temporary() -> Result<Self, String> {
        let base = std::env::temp_dir();
        for number in 0..10_000_u32 {
            let path = base.join(format!("katzensprung-testnet-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(format!("cannot make {}: {error}; --dir names another place", path.display()));
                }
            }
        }
        Err(format!("cannot make a folder in {}; --dir names another place", base.display()))
    }

    /// This one, which must not be there, be empty, or hold a test network that has ended: that goes.
    pub fn take(path: &Path) -> Result<Self, String> {
        let path = absolute(path)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(Self { path }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(format!("cannot make {}: {error}; check that the folder above it exists", path.display()));
            }
        }
        own(&path)?;
        let is_empty = fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?.next().is_none();
        if is_empty {
            return Ok(Self { path });
        }
        let old = Self::open(&path).map_err(|_| {
            format!(
                "{} holds something that is no test network; nothing is overwritten: give another folder",
                path.display()
            )
        })?;
        let state = old.state()?;
        let mut processes = state.processes();
        if let Some(process) = processes.iter_mut().find_map(|process| process.end().is_none().then_some(process)) {
            let remedy = format!("`testnet stop --dir {}` ends it", path.display());
            return Err(format!(
                "a test network runs in {} ({} is process {}); {remedy}",
                path.display(),
                process.name,
                process.pid
            ));
        }
        old.clean(&state)?;
        fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// One with a network in it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let path = absolute(path)?;
        if !path.join(STATE_FILE).is_file() {
            return Err(format!(
                "{} holds no test network (no {STATE_FILE}); `testnet start` makes one",
                path.display()
            ));
        }
        own(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the network.
    pub fn state(&self) -> Result<State, String> {
        let path = self.path.join(STATE_FILE);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let damaged = |error: String| format!("{} is damaged: {error}; remove the folder", path.display());
        let state: State = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        // Names become paths of what is removed.
        let is_plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match state.members.iter().find(|member| !is_plain(&member.name)) {
            Some(member) => Err(damaged(format!("a member called {:?}", member.name))),
            None => Ok(state),
        }
    }

    /// Writes it down.
    pub fn save(&self, state: &State) -> Result<(), String> {
        let (path, new) = (self.path.join(STATE_FILE), self.path.join(format!("{STATE_FILE}.new")));
        let describe = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let text = serde_json::to_string_pretty(state).map_err(|error| error.to_string())?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        file.and_then(|mut file: File| file.write_all(text.as_bytes())).map_err(describe)?;
        fs::rename(&new, &path).map_err(describe)
    }

    /// The paths that belong to the network: a folder for each member, the client's, and what this module writes.
    pub fn contents(&self, state: &State) -> Vec<PathBuf> {
        let names = state.members.iter().map(|member| member.name.as_str());
        let paths = names.chain([CLIENT_FOLDER, "ping.log", STATE_FILE]).map(|name| self.path.join(name));
        paths.filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// Removes what belongs to the network, and the folder if nothing else is in it.
    pub fn clean(&self, state: &State) -> Result<(), String> {
        for path in self.contents(state) {
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
        // It may hold what somebody else has put there.
        let _not_empty = fs::remove_dir(&self.path);
        Ok(())
    }
}

/// Whose folder it is matters, because in one for everybody somebody else may have made it.
fn own(path: &Path) -> Result<(), String> {
    let metadata = path.symlink_metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_dir() {
        return Err(format!("{} is no folder; give another one with --dir", path.display()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{} belongs to another user; give another folder with --dir", path.display()));
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("--dir {}: {error}", path.display()))
}
