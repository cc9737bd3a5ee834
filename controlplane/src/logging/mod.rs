//! The reference's log lines (server.md 1.10): `HH:MM:SS.mmm LEVL module: message` in local time, to a file or
//! standard output. `tracing` has no NOTICE, the level at which operators run, and no file that can be reopened;
//! that is why these are pages of our own.
//!
//! Nobody who writes a line ever waits: lines go into a bounded queue, and a thread of its own writes them
//! (`writer`). A disk that hangs or is full costs lines, which are counted and told of later, never the node.

mod throttle;
mod writer;

#[cfg(test)]
mod tests;

pub use throttle::{Quota, Throttle};

use crate::process::remedy::{remedy, remedy_at_path};
use config::server::{LogDestination, LogLevel, Logging};
use std::fmt::{self, Arguments, Display, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use writer::{Queue, Sink};

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

    /// The level that a configuration has.
    pub fn of(configured: LogLevel) -> Self {
        match configured {
            LogLevel::Error => Self::Error,
            LogLevel::Warning => Self::Warning,
            LogLevel::Notice => Self::Notice,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
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

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file.
    #[error("cannot open the log file {file}: {error} (Logging.File){}", remedy_at_path(.error))]
    File {
        /// Its name.
        file: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The thread that writes.
    #[error("{error}{}", remedy(.0), error = .0)]
    Os(#[from] io::Error),
}

/// Bytes of a message. What peers send is quoted in some, and must not fill a disk.
const LINE_BYTES_MAX: usize = 4096;

/// How long the last lines may take to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// However a process ends, what it logged gets its time to be written.
pub struct Flushed(pub Log);

impl Drop for Flushed {
    fn drop(&mut self) {
        // A disk that hangs must not keep a process from its end.
        let _written = self.0.flush(FLUSH_LIMIT);
    }
}

/// Where all of the node's lines go; cheap to clone.
#[derive(Clone)]
pub struct Log {
    /// As a number, the same for all copies: it may change.
    level: Arc<AtomicU8>,
    /// None writes nothing.
    queue: Option<Queue>,
}

impl Log {
    /// As a configuration file says.
    pub fn open(logging: &Logging) -> Result<Self, OpenError> {
        let level = Level::of(logging.level);
        match &logging.destination {
            LogDestination::Silent => Ok(Self::silent()),
            LogDestination::Stdout => Ok(Self::to_stdout(level)?),
            LogDestination::File(file) => {
                Self::to_file(level, file).map_err(|error| OpenError::File { file: file.clone(), error })
            }
        }
    }

    /// Appends to a file, made with mode 0600.
    pub fn to_file(level: Level, path: &Path) -> io::Result<Self> {
        Self::new(level, Sink::file(path)?)
    }

    /// Writes to standard output.
    pub fn to_stdout(level: Level) -> io::Result<Self> {
        Self::new(level, Sink::Stdout)
    }

    /// Writes nothing.
    pub fn silent() -> Self {
        Self { level: Self::shared(Level::Error), queue: None }
    }

    fn new(level: Level, sink: Sink) -> io::Result<Self> {
        Ok(Self { level: Self::shared(level), queue: Some(Queue::start(sink)?) })
    }

    fn shared(level: Level) -> Arc<AtomicU8> {
        Arc::new(AtomicU8::new(level as u8))
    }

    /// Writes lines of another level from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Has the file opened again after the operator has moved it (SIGHUP). The log itself says how that went; on
    /// failure the old file stays in use.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.reopen();
        }
    }

    /// Waits until what was logged so far is written, or for that long; says whether it is.
    pub fn flush(&self, limit: Duration) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.flush(limit))
    }

    /// Queues one line if `level` is enabled.
    pub fn write(&self, level: Level, module: &str, message: Arguments<'_>) {
        if level as u8 > self.level.load(Ordering::Relaxed) {
            return;
        }
        if let Some(queue) = &self.queue {
            queue.push(line(level, module, message));
        }
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

/// Text of which no more than so many bytes are shown.
pub struct Cut<T>(pub T, pub usize);

impl<T: Display> Display for Cut<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = Room { formatter, bytes: self.1, is_full: false };
        match write!(room, "{}", self.0) {
            Err(_) if room.is_full => room.formatter.write_str("… (cut)"),
            outcome => outcome,
        }
    }
}

/// Room for so many bytes. Writing ends where it is full, so that the rest of a long text is not even made.
struct Room<'a, 'f> {
    formatter: &'a mut fmt::Formatter<'f>,
    bytes: usize,
    is_full: bool,
}

impl fmt::Write for Room<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(self.bytes);
        self.formatter.write_str(&text[..fits])?;
        self.bytes -= fits;
        self.is_full = fits < text.len();
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

/// A line with its end. Control characters, which can come from another process or a peer, would forge lines.
fn line(level: Level, module: &str, message: Arguments<'_>) -> String {
    let time = chrono::Local::now().format("%H:%M:%S%.3f");
    let message = Cut(message, LINE_BYTES_MAX).to_string();
    let mut line = format!("{time} {} {module}: ", level.letters());
    for character in message.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}
