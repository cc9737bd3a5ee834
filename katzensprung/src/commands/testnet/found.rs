//! Which processes are a network's. They are looked up when it matters, by what they are: a number that was written down
//! says nothing once its process was killed, replaced by hand, or started by a command that died before it wrote.

use config::keys::LOCK_FILE_NAME;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testnet::processes::{self, Process};

/// How long members may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// A data plane's socket.
const SOCKET: &str = "dataplane.sock";
/// What members' programs are called, as their control plane or as an authority.
const PROGRAMS: [&str; 2] = ["server", "dirauth"];

/// What a process does for its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one that was started: a control plane, an authority, another implementation's node.
    First,
    /// The data plane that a control plane has started.
    DataPlane,
}

/// A process of a network.
#[derive(Debug)]
pub struct Found {
    /// What it does.
    pub part: Part,
    /// Whose it is, and its number.
    pub process: Process,
}

/// All processes of the network in `folder`, of which these `programs` of another implementation may be.
pub fn processes_of(folder: &Path, programs: &[PathBuf]) -> Vec<Found> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Found> = numbers.filter_map(|pid| by_arguments(pid, &folder, programs)).collect();
    // One started by hand in its own folder names nothing of it; but it holds the lock.
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let holder = by_lock(&entry.path(), &locks);
        found.extend(holder.filter(|holder| !found.iter().any(|other| other.process.pid == holder.process.pid)));
    }
    found
}

/// Ends them all, the data planes after those that started them; gives the names of those that had to be killed.
pub fn stop(folder: &Path, programs: &[PathBuf]) -> Vec<String> {
    end(folder, processes_of(folder, programs))
}

/// The same with those of one member.
pub fn stop_member(folder: &Path, programs: &[PathBuf], name: &str) -> Vec<String> {
    let mut found = processes_of(folder, programs);
    found.retain(|found| found.process.name == name);
    end(folder, found)
}

fn end(folder: &Path, found: Vec<Found>) -> Vec<String> {
    let (first, planes): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.part == Part::First);
    let process = |found: Found| found.process;
    let mut late = processes::stop(&mut first.into_iter().map(process).collect::<Vec<_>>(), STOP_LIMIT);
    let mut planes: Vec<Process> = planes.into_iter().map(process).collect();
    for plane in &mut planes {
        // A data plane outlives a control plane that was killed.
        if plane.end().is_none() {
            let _it_is_killed_if_it_does_not = controlplane::node::stop_orphan(&folder.join(&plane.name).join(SOCKET));
        }
    }
    planes.retain_mut(|plane| plane.end().is_none());
    late.extend(processes::stop(&mut planes, STOP_LIMIT));
    late
}

/// A program of a network, told a file or a socket in a member's folder.
fn by_arguments(pid: i32, folder: &Path, programs: &[PathBuf]) -> Option<Found> {
    let words = arguments(pid)?;
    let part = part(&words, programs)?;
    let member_of = |word: &OsString| {
        let path = Path::new(word);
        let parent = path.is_absolute().then(|| path.parent()).flatten()?;
        let parent = parent.canonicalize().unwrap_or_else(|_| parent.into());
        (parent.parent() == Some(folder)).then(|| parent.file_name()?.to_str().map(str::to_owned)).flatten()
    };
    let member = words.iter().skip(1).find_map(member_of)?;
    is_ours(pid).then_some(())?;
    Some(Found { part, process: Process::running(&member, pid)? })
}

/// What a process is by its arguments, if it may be a member at all: an editor is told the same files.
fn part(words: &[OsString], programs: &[PathBuf]) -> Option<Part> {
    let word = |number: usize| words.get(number).and_then(|word| word.to_str()).unwrap_or_default();
    let called = Path::new(word(0)).file_name().and_then(OsStr::to_str).unwrap_or_default();
    // A script's interpreter comes before the script.
    let is_foreign = words.iter().take(2).any(|word| programs.iter().any(|program| program == Path::new(word)));
    match (called, word(1), word(2)) {
        ("katzensprung", "dataplane", _) => Some(Part::DataPlane),
        ("katzensprung", "testnet", "child") => Some(Part::First),
        ("katzensprung", name, _) | (name, ..) if is_foreign || PROGRAMS.contains(&name) => Some(Part::First),
        _ => None,
    }
}

/// The process that holds the lock of a member's folder, as it has written into it and as the kernel says.
fn by_lock(folder: &Path, locks: &str) -> Option<Found> {
    let path = folder.join(LOCK_FILE_NAME);
    let inode = path.metadata().ok()?.ino();
    let pid = fs::read_to_string(&path).ok()?.trim().parse::<i32>().ok()?;
    let is_it = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let held = fields.get(5).and_then(|file| file.rsplit(':').next()?.parse::<u64>().ok());
        fields.get(4).and_then(|number| number.parse::<i32>().ok()) == Some(pid) && held == Some(inode)
    };
    locks.lines().find(|line| is_it(line))?;
    let process = Process::running(folder.file_name()?.to_str()?, pid)?;
    Some(Found { part: Part::First, process })
}

fn arguments(pid: i32) -> Option<Vec<OsString>> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|text| !text.is_empty())?;
    Some(text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// Whether it runs as this user: what others call their processes is theirs to choose.
fn is_ours(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let user =
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse::<u32>().ok());
    user == Some(rustix::process::geteuid().as_raw())
}
