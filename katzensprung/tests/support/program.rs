//! Runs of the program to their end.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a run may take that does not serve.
const LIMIT: Duration = Duration::from_secs(30);

/// The program without the caller's settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katzensprung"));
    for variable in ["KATZENPOST_CONFIG", "KATZENPOST_EPOCH_DURATION", "KATZENSPRUNG_SIMD"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the program with `arguments`.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Outcome {
    finish(program().args(arguments))
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end. Its output goes to files: a pipe would stay open as long as any process that it started.
#[track_caller]
pub fn finish(command: &mut Command) -> Outcome {
    finish_within(command, LIMIT)
}

/// The same for what takes longer.
#[track_caller]
pub fn finish_within(command: &mut Command, limit: Duration) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let create = |path| File::create(path).expect("a file");
    command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
    let mut child = command.spawn().expect("the program starts");
    let read = |path| String::from_utf8_lossy(&std::fs::read(path).expect("the output")).into_owned();
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return Outcome { status, stdout: read(&stdout), stderr: read(&stderr) };
        }
        if started.elapsed() > limit {
            stop(&mut child);
            panic!("{command:?} runs for more than {limit:?}: {}{}", read(&stdout), read(&stderr));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends a program that serves although it should not, and the data plane that it has started.
fn stop(child: &mut Child) {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        let _ended_by_itself = kill_process(pid, Signal::TERM);
    }
    for _ in 0..100 {
        if child.try_wait().expect("a child").is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().and_then(|()| child.wait()).expect("a child");
}

impl Outcome {
    /// Exit status 0; gives standard output.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        self.stdout
    }

    /// Exit status 1, nothing on standard output, and one line on standard error that holds all of `parts`.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) {
        let Self { status, stdout, stderr } = self;
        assert_eq!(status.code(), Some(1), "{parts:?}: {status}\n{stdout}\n{stderr}");
        assert_eq!(stdout, "");
        for word in ["panicked", "RUST_BACKTRACE", "src/"] {
            assert!(!stderr.contains(word), "{stderr}");
        }
        let telling = |line: &&str| parts.iter().all(|part| line.contains(part));
        assert_eq!(stderr.lines().filter(telling).count(), 1, "one line with {parts:?}:\n{stderr}");
    }
}
