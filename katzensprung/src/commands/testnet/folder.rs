//! The network's folder: whose it is, what is in it, and how to be rid of it. What somebody else has put there stays.

use super::found;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testnet::generate::CLIENT_FOLDER;
use testnet::layout::{Layout, Member, Role, Transports};

/// It says that the folder is a test network's, and of whom the network is made.
const STATE_FILE: &str = "testnet.json";
/// It becomes that when it is whole.
const NEW_STATE_FILE: &str = "testnet.json.new";
/// A process that a killed command was about to start holds the lock for a moment.
const LOCK_LIMIT: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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
    /// The schemes of its addresses; none in the files of earlier versions, which knew TCP alone.
    #[serde(default)]
    transports: Vec<String>,
    /// Another implementation's program.
    program: Option<PathBuf>,
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
            transports: member.transports.schemes().iter().map(ToString::to_string).collect(),
            program: program_of(&member.name),
        });
        Self {
            epoch_nanoseconds: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            client_port: layout.client_port,
            ping,
            members: members.collect(),
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
            let has = |scheme: &str| member.transports.iter().any(|other| other == scheme);
            let transports = match (has("tcp"), has("quic")) {
                (_, false) => Transports::Tcp,
                (false, true) => Transports::Quic,
                (true, true) => Transports::Both,
            };
            Ok(Member { name, role, host, port: member.port, metrics_port: member.metrics_port, transports })
        });
        Ok(Layout { members: members.collect::<Result<_, _>>()?, client_port: self.client_port })
    }

    /// The program that plays this member, if it is not one of ours.
    pub fn program_of(&self, name: &str) -> Option<PathBuf> {
        self.members.iter().find(|member| member.name == name)?.program.clone()
    }

    /// From now on that program plays the member, or ours.
    pub fn set_program(&mut self, name: &str, program: Option<PathBuf>) {
        if let Some(member) = self.members.iter_mut().find(|member| member.name == name) {
            member.program = program;
        }
    }

    /// All programs of another implementation.
    pub fn programs(&self) -> Vec<PathBuf> {
        self.members.iter().filter_map(|member| member.program.clone()).collect()
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
    /// Held by whoever makes or removes what is in it.
    _lock: Option<File>,
}

impl Folder {
    /// A fresh one under the folder for temporary files.
    pub fn temporary() -> Result<Self, String> {
        let base = temporary_files()?;
        for number in 0..10_000_u32 {
            let path = base.join(format!("katzensprung-testnet-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self::locked(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(format!("cannot make {}: {error}; --dir names another place", path.display()));
                }
            }
        }
        Err(format!("cannot make a folder in {}; --dir names another place", base.display()))
    }

    /// This one, which must not be there, be empty, or hold a test network that has ended: that goes. No other command
    /// makes or removes a network there until this is dropped.
    pub fn take(path: &Path) -> Result<Self, String> {
        let path = absolute(path)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => own(&path)?,
            Err(error) => {
                return Err(format!("cannot make {}: {error}; check that the folder above it exists", path.display()));
            }
        }
        if path.metadata().is_ok_and(|metadata| metadata.mode() & 0o002 != 0) {
            return Err(format!(
                "everybody may write to {0}; `chmod 700 {1}` closes it",
                path.display(),
                quoted(&path)
            ));
        }
        let folder = Self::locked(path)?;
        let path = &folder.path;
        let entries = fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A full disk may have left the beginning of the file.
        let is_empty = entries.flatten().all(|entry| entry.file_name() == NEW_STATE_FILE);
        if is_empty {
            return Ok(folder);
        }
        if !path.join(STATE_FILE).is_file() {
            return Err(format!(
                "{} holds something that is no test network; nothing is overwritten: give another folder",
                path.display()
            ));
        }
        let state = folder.state()?;
        folder.refuse_running(&state)?;
        folder.empty(&state)?;
        Ok(folder)
    }

    /// An error if any process of the network runs.
    pub fn refuse_running(&self, state: &State) -> Result<(), String> {
        let Some(found) = found::processes_of(&self.path, &state.programs()).into_iter().next() else { return Ok(()) };
        Err(format!(
            "a test network runs in {} ({} is process {}); `testnet stop --dir {}` ends it",
            self.path.display(),
            found.process.name,
            found.process.pid,
            quoted(&self.path)
        ))
    }

    fn locked(path: PathBuf) -> Result<Self, String> {
        let describe = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
        let deadline = Instant::now() + LOCK_LIMIT;
        loop {
            let file = File::open(&path).map_err(describe)?;
            match file.try_lock() {
                Ok(()) => {
                    // Whoever held it may have removed the folder.
                    let (mine, there) = (file.metadata().map_err(describe)?, path.metadata().map_err(describe)?);
                    if (mine.dev(), mine.ino()) == (there.dev(), there.ino()) {
                        return Ok(Self { path, _lock: Some(file) });
                    }
                }
                Err(TryLockError::Error(error)) => return Err(describe(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(format!(
                        "another `testnet` command is at work in {}; wait for its end or interrupt it",
                        path.display()
                    ));
                }
            }
            std::thread::sleep(LOCK_PAUSE);
        }
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
        Ok(Self { path, _lock: None })
    }

    /// The same, and no other command makes or removes a network there meanwhile.
    pub fn open_alone(path: &Path) -> Result<Self, String> {
        Self::locked(Self::open(path)?.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the network.
    pub fn state(&self) -> Result<State, String> {
        let path = self.path.join(STATE_FILE);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let damaged = |error: String| {
            let dir = quoted(&self.path);
            format!(
                "{} is damaged: {error}; members may still run: `testnet stop --dir {dir}` ends them, then remove the folder",
                path.display()
            )
        };
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
        let (path, new) = (self.path.join(STATE_FILE), self.path.join(NEW_STATE_FILE));
        let describe = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let text = serde_json::to_string_pretty(state).map_err(|error| error.to_string())?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        let written = file.and_then(|mut file: File| file.write_all(text.as_bytes()));
        written.and_then(|()| fs::rename(&new, &path)).map_err(|error| {
            let _it_may_not_be_there = fs::remove_file(&new);
            describe(error)
        })
    }

    /// The paths that belong to the network: a folder for each member, the client's, and what this module writes.
    pub fn contents(&self, state: &State) -> Vec<PathBuf> {
        let names = state.members.iter().map(|member| member.name.as_str());
        let paths =
            names.chain([CLIENT_FOLDER, "ping.log", NEW_STATE_FILE, STATE_FILE]).map(|name| self.path.join(name));
        paths.filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// Removes what belongs to the network, and the folder if nothing else is in it.
    pub fn clean(&self, state: &State) -> Result<(), String> {
        self.empty(state)?;
        // It may hold what somebody else has put there.
        let _not_empty = fs::remove_dir(&self.path);
        Ok(())
    }

    fn empty(&self, state: &State) -> Result<(), String> {
        for path in self.contents(state) {
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
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

/// The folder for temporary files; members work in folders of their own, so that a relative path would lead elsewhere.
pub fn temporary_files() -> Result<PathBuf, String> {
    let path = std::env::temp_dir();
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!("TMPDIR is '{}', which is no absolute path; set it to one or unset it, or give --dir", path.display()))
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("--dir {}: {error}", path.display()))
}
