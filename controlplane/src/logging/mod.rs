//! The reference's log lines (server.md 1.10): `HH:MM:SS.mmm LEVL module: message` in local time, one writer, a file
//! or standard output. `tracing` has no NOTICE, the level at which operators run, and no file that can be reopened;
//! that is why this is a page of our own.

use std::fmt::{Arguments, Display};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[cfg(test)]
mod tests;

/// How important a line is; lines below the configured level are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed that an operator must look at.
    Error,
    /// Something unusual that the node copes with.
    Warning,
    /// Start, stop and the turns of an epoch: the level that production runs at.
    Notice,
    /// Connections coming and going.
    Info,
    /// Everything else; never tags, SURB ids or client addresses.
    Debug,
}

impl Level {
    /// The level of a configuration file's `Logging.Level`, in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "ERROR" => Some(Self::Error),
            "WARNING" => Some(Self::Warning),
            "NOTICE" => Some(Self::Notice),
            "INFO" => Some(Self::Info),
            "DEBUG" => Some(Self::Debug),
            _ => None,
        }
    }

    fn letters(self) -> &'static str {
        match self {
            Self::Error => "ERRO",
            Self::Warning => "WARN",
            Self::Notice => "NOTI",
            Self::Info => "INFO",
            Self::Debug => "DEBU",
        }
    }
}

enum Sink {
    Silent,
    Stdout,
    File { path: PathBuf, file: File },
}

/// The one writer of log lines; cheap to clone.
#[derive(Clone)]
pub struct Log {
    level: Level,
    sink: Arc<Mutex<Sink>>,
}

impl Log {
    /// Appends to a file, made with mode 0600.
    pub fn to_file(level: Level, path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self::new(level, Sink::File { path: path.to_owned(), file }))
    }

    /// Writes to standard output.
    pub fn to_stdout(level: Level) -> Self {
        Self::new(level, Sink::Stdout)
    }

    /// Writes nothing.
    pub fn silent() -> Self {
        Self::new(Level::Error, Sink::Silent)
    }

    fn new(level: Level, sink: Sink) -> Self {
        Self { level, sink: Arc::new(Mutex::new(sink)) }
    }

    /// Opens the file again after the operator has moved it (SIGHUP). On failure the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let mut sink = self.sink.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Sink::File { path, file } = &mut *sink {
            *file = open(path)?;
        }
        Ok(())
    }

    /// Writes one line if `level` is enabled. A full disk loses the line, never the node.
    pub fn write(&self, level: Level, module: &str, message: Arguments<'_>) {
        if level > self.level {
            return;
        }
        let line = Line { level, module, message };
        let mut sink = self.sink.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _lost = match &mut *sink {
            Sink::Silent => Ok(()),
            Sink::Stdout => writeln!(io::stdout(), "{line}"),
            Sink::File { file, .. } => file.write_all(format!("{line}\n").as_bytes()),
        };
    }

    /// A line at ERROR.
    pub fn error(&self, module: &str, message: impl Display) {
        self.write(Level::Error, module, format_args!("{message}"));
    }

    /// A line at WARNING.
    pub fn warning(&self, module: &str, message: impl Display) {
        self.write(Level::Warning, module, format_args!("{message}"));
    }

    /// A line at NOTICE.
    pub fn notice(&self, module: &str, message: impl Display) {
        self.write(Level::Notice, module, format_args!("{message}"));
    }

    /// A line at INFO.
    pub fn info(&self, module: &str, message: impl Display) {
        self.write(Level::Info, module, format_args!("{message}"));
    }

    /// A line at DEBUG.
    pub fn debug(&self, module: &str, message: impl Display) {
        self.write(Level::Debug, module, format_args!("{message}"));
    }
}

struct Line<'a> {
    level: Level,
    module: &'a str,
    message: Arguments<'a>,
}

impl Display for Line<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = chrono::Local::now().format("%H:%M:%S%.3f");
        write!(formatter, "{time} {} {}: {}", self.level.letters(), self.module, self.message)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
