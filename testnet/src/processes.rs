//! Processes of a network: started, looked at, stopped. A process is known by its number and by when it began, so that
//! whoever got the number after it is never taken for it.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at processes that are to end.
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of a process's output that are shown when it ends by itself.
const TAIL_LINES: usize = 12;

/// What to start.
#[derive(Clone, Debug)]
pub struct Task {
    /// For messages.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, the name by which it is called first.
    pub arguments: Vec<OsString>,
    /// Its environment besides that of this process.
    pub variables: Vec<(String, String)>,
    /// Where its output goes, at the end of what is there.
    pub output: PathBuf,
}

/// A process that was started, by this one or by another.
#[derive(Debug)]
pub struct Process {
    /// For messages.
    pub name: String,
    /// Its number.
    pub pid: i32,
    /// When it began, in the kernel's ticks since the host started.
    began: u64,
    child: Option<Child>,
}

impl Task {
    /// Starts it in a process group of its own: an interrupt from the terminal is for the command that looks after it.
    pub fn start(&self) -> Result<Process, String> {
        let describe =
            |error: std::io::Error| format!("cannot start {}: {}: {error}", self.name, self.program.display());
        let output = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.output).map_err(describe)?;
        let error_output = output.try_clone().map_err(describe)?;
        let mut command = Command::new(&self.program);
        let mut arguments = self.arguments.iter();
        if let Some(called) = arguments.next() {
            command.arg0(called);
        }
        command.args(arguments).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(output).stderr(error_output).process_group(0);
        let child = command.spawn().map_err(describe)?;
        let pid = child.id() as i32;
        // It is a child and so cannot vanish before it is asked for its end.
        let began = began(pid).unwrap_or_default();
        Ok(Process { name: self.name.clone(), pid, began, child: Some(child) })
    }
}

impl Process {
    /// One that another command has started, if it runs.
    pub fn running(name: &str, pid: i32) -> Option<Self> {
        Some(Self { name: name.into(), pid, began: began(pid)?, child: None })
    }

    /// How it ended, if it has.
    pub fn end(&mut self) -> Option<String> {
        match &mut self.child {
            Some(child) => match child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(status.to_string()),
                Err(error) => Some(error.to_string()),
            },
            None => (began(self.pid) != Some(self.began)).then(|| "it is gone".into()),
        }
    }

    /// Sends a signal, if it runs.
    pub fn signal(&mut self, signal: Signal) {
        if let (None, Some(pid)) = (self.end(), Pid::from_raw(self.pid)) {
            // It may have ended in between.
            let _gone = kill_process(pid, signal);
        }
    }
}

/// Asks all to end, and ends those that have not within `limit`; gives their names.
pub fn stop(processes: &mut [Process], limit: Duration) -> Vec<String> {
    processes.iter_mut().for_each(|process| process.signal(Signal::TERM));
    if wait(processes, limit) {
        return Vec::new();
    }
    let late: Vec<&mut Process> =
        processes.iter_mut().filter_map(|process| process.end().is_none().then_some(process)).collect();
    let names = late.iter().map(|process| process.name.clone()).collect();
    late.into_iter().for_each(|process| process.signal(Signal::KILL));
    wait(processes, limit);
    names
}

fn wait(processes: &mut [Process], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if processes.iter_mut().all(|process| process.end().is_some()) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// When the process of that number began, if it runs.
fn began(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The state is field 3, so that field n is at n - 3. A dead process whose threads are not all gone still has its
    // sockets.
    let (state, threads, began) = (fields.first()?, fields.get(17)?, fields.get(19)?);
    let is_there = !matches!(*state, "Z" | "X") || threads.parse::<u32>().is_ok_and(|threads| threads > 1);
    began.parse().ok().filter(|_| is_there)
}

/// The last lines of a file.
pub fn tail(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ")
}
