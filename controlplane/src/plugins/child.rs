//! The process of a plugin: its start, the line in which it says where it listens, its end.

use super::output;
use crate::logging::Log;
use config::server::PluginService;
use interplane::SocketPath;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child as Process, Command};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long a plugin may take to say where it listens; the reference waits for ever.
const LINE_LIMIT: Duration = Duration::from_secs(60);
/// How long its socket may take to be there (server.md 6.4).
const CONNECT_LIMIT: Duration = Duration::from_secs(40);
/// Pauses between two tries: they double from the first to the last.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a plugin may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Why a plugin does not run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The program cannot be started.
    #[error(
        "cannot start {command}: {error}; check ServiceNode.CBORPluginKaetzchen.Command and the file's permissions"
    )]
    Start {
        /// The program.
        command: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It ended before its socket was up.
    #[error("{command} ended before its socket was up ({status}); run it by hand, and look at its own log")]
    EndedEarly {
        /// The program.
        command: PathBuf,
        /// How.
        status: String,
    },
    /// It says nothing.
    #[error("{command} has not written the path of its socket to its standard output within {LINE_LIMIT:?}")]
    Silent {
        /// The program.
        command: PathBuf,
    },
    /// Its first line is no path.
    #[error("{command} has written a first line that is not the path of a socket: {line:?}")]
    Line {
        /// The program.
        command: PathBuf,
        /// What it wrote.
        line: String,
    },
    /// Its socket cannot be reached.
    #[error("cannot connect to {socket}, where {command} says that it listens: {error}")]
    Connect {
        /// The program.
        command: PathBuf,
        /// The socket.
        socket: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is asked for parameters, and does not behave.
    #[error(
        "{command} was asked for its parameters: {reason}; does it speak what ServiceNode.CBORPluginKaetzchen.Protocol says?"
    )]
    Parameters {
        /// The program.
        command: PathBuf,
        /// What it did.
        reason: String,
    },
    /// It was told to stop.
    #[error("it was told to stop")]
    Stopped,
    /// Nobody looks after it any more.
    #[error("the node stops")]
    Ended,
}

/// Where a plugin listens.
pub struct Reached {
    /// The path of its socket.
    pub socket: PathBuf,
    /// The first connection.
    pub stream: UnixStream,
}

/// A running plugin.
pub struct Child {
    process: Process,
    /// Its number, which those have that it has started; the process itself may be gone before them.
    group: Option<Pid>,
    command: PathBuf,
    listeners: Vec<AbortHandle>,
}

impl Child {
    /// Starts the program and connects to its socket.
    pub async fn start(
        plugin: &PluginService,
        launcher: Option<&Path>,
        log: &Log,
    ) -> Result<(Self, Reached), ChildError> {
        let command = plugin.command.clone();
        let failed = |error| ChildError::Start { command: command.clone(), error };
        check_program(&command).map_err(failed)?;
        let mut start = match launcher {
            Some(launcher) => {
                let mut start = Command::new(launcher);
                start.arg0("katzensprung").args(["plugin", "--parent", &std::process::id().to_string(), "--"]);
                start.arg(&command);
                start
            }
            None => Command::new(&command),
        };
        for (key, value) in &plugin.arguments {
            start.arg(format!("-{key}")).arg(value);
        }
        // A group of its own: an interrupt from the terminal is for the node, which ends its plugins last.
        start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut process = start.spawn().map_err(failed)?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let group = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut child = Self { process, group, command, listeners: Vec::new() };
        if let Some(stderr) = stderr {
            let (log, module) = (log.clone(), child.command.display().to_string());
            child.listen(output::log_lines(BufReader::new(stderr), log, module));
        }
        match child.reach(stdout).await {
            Ok(reached) => Ok((child, reached)),
            Err(error) => {
                child.end().await;
                Err(error)
            }
        }
    }

    /// Waits for the process to say where it listens, and connects.
    async fn reach(&mut self, stdout: Option<impl AsyncRead + Unpin + Send + 'static>) -> Result<Reached, ChildError> {
        let Some(stdout) = stdout else { return Err(ChildError::Silent { command: self.command.clone() }) };
        let mut stdout = BufReader::new(stdout);
        let first = match timeout(LINE_LIMIT, first_line(&mut stdout)).await {
            Ok(line) if line.is_empty() => return Err(self.ended_early().await),
            Ok(line) => line,
            Err(_) => return Err(ChildError::Silent { command: self.command.clone() }),
        };
        let line = String::from_utf8_lossy(&first);
        let (line, is_whole) = (line.trim_end_matches(['\r', '\n']).to_owned(), line.ends_with('\n'));
        // What a child writes later must not stop it: the pipe is read, and forgotten.
        self.listen(output::forget(stdout));
        if line.is_empty() || line.contains('\0') || !is_whole {
            return Err(ChildError::Line { command: self.command.clone(), line });
        }
        let began = Instant::now();
        let mut pause = CONNECT_PAUSE;
        loop {
            let error = match connect(Path::new(&line)).await {
                Ok(stream) => return Ok(Reached { socket: line.into(), stream }),
                Err(error) => error,
            };
            if began.elapsed() >= CONNECT_LIMIT {
                return Err(ChildError::Connect { command: self.command.clone(), socket: line, error });
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = self.process.wait() => return Err(self.ended_early().await),
            }
            pause = (pause * 2).min(CONNECT_PAUSE_MAX);
        }
    }

    async fn ended_early(&mut self) -> ChildError {
        // A closed standard output is no end yet; but nobody will say where the socket is.
        let status = match timeout(Duration::from_secs(1), self.process.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it has closed its standard output".into(),
        };
        ChildError::EndedEarly { command: self.command.clone(), status }
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends the process and all of its group, which what it has started belongs to: asks, and kills what that does not help with. Gives how it ended.
    pub async fn end(mut self) -> String {
        let group = self.group;
        let signal = |signal| {
            if let Some(group) = group {
                // All may have ended by themselves.
                let _has_ended = kill_process_group(group, signal);
            }
        };
        signal(Signal::TERM);
        let ended = self.end_of_leader().await;
        signal(Signal::KILL);
        ended
    }

    async fn end_of_leader(&mut self) -> String {
        match timeout(END_LIMIT, self.process.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                let _has_ended = self.process.kill().await;
                format!("killed: it did not end within {END_LIMIT:?}")
            }
        }
    }

    fn listen(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.listeners.push(tokio::spawn(work).abort_handle());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
    }
}

/// Whether a path is that of a program; a bare name is looked for when it is started.
fn check_program(command: &Path) -> std::io::Result<()> {
    if command.components().count() < 2 {
        return Ok(());
    }
    let metadata = std::fs::metadata(command)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Ok(());
    }
    Err(std::io::Error::new(ErrorKind::PermissionDenied, "it is no program"))
}

async fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let short = SocketPath::of(path)?;
    UnixStream::connect(short.as_path()).await
}

/// The first line with its end, if it has one; nothing if there is no line.
async fn first_line(from: &mut (impl AsyncBufReadExt + Unpin)) -> Vec<u8> {
    let mut line = Vec::new();
    let _broken = from.take(output::LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
    line
}
