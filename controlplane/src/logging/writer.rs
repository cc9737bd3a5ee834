//! The thread that writes log lines, and the queue in front of it.

use super::{Level, line};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait while the disk is slow.
const LINES_MAX: usize = 4096;

/// Pause between two attempts to hand something to a full queue.
const PAUSE: Duration = Duration::from_millis(2);

const MODULE: &str = "log";

/// Where lines end up.
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file that can be opened again.
    File {
        /// Its name.
        path: PathBuf,
        /// What it meant when it was opened last.
        file: File,
    },
}

impl Sink {
    /// The end of a file, made with mode 0600.
    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: open(path)? })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().write_all(text).and_then(|()| io::stdout().flush()),
            Self::File { file, .. } => file.write_all(text),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A named pipe that nobody reads is an error at once, not a start that hangs; lines then wait for the reader.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(nonblocking).open(path)?;
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
    Ok(file)
}

enum Order {
    Line(String),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
    /// Only makes the writer look at what else it is told.
    Look,
}

/// What the writer is told beside the queue.
#[derive(Default)]
pub struct Told {
    /// Lines that found the queue full.
    lost: AtomicU64,
    reopen: AtomicBool,
}

/// The writing end of the queue.
#[derive(Clone)]
pub struct Queue {
    orders: SyncSender<Order>,
    told: Arc<Told>,
}

impl Queue {
    /// Starts the thread.
    pub fn start(sink: Sink) -> io::Result<Self> {
        let (orders, ordered) = sync_channel(LINES_MAX);
        let told = Arc::new(Told::default());
        let writer = Writer::new(sink, told.clone());
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&ordered))?;
        Ok(Self { orders, told })
    }

    /// Queues a line, or counts it as lost.
    pub fn push(&self, line: String) {
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.told.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the file opened again.
    pub fn reopen(&self) {
        self.told.reopen.store(true, Ordering::Release);
        // A full queue makes the writer look soon enough.
        let _full = self.orders.try_send(Order::Look);
    }

    /// Waits until everything queued so far is written; false when that takes longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let (done, is_done) = sync_channel(1);
        while self.orders.try_send(Order::Flush(done.clone())).is_err() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        is_done.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// The one that writes.
pub struct Writer {
    sink: Sink,
    told: Arc<Told>,
    /// Lines that could not be written since the last one that could.
    failed: u64,
    failure: Option<io::Error>,
    /// Whether the file may end in half a line.
    is_torn: bool,
    /// Whether standard error has been told that the file takes nothing; once for each file, it may be full as well.
    has_complained: bool,
}

impl Writer {
    /// For lines that go to `sink`.
    pub fn new(sink: Sink, told: Arc<Told>) -> Self {
        Self { sink, told, failed: 0, failure: None, is_torn: false, has_complained: false }
    }

    /// Writes to another place from now on.
    #[cfg(test)]
    pub fn turn_to(&mut self, sink: Sink) {
        self.sink = sink;
    }

    fn run(mut self, ordered: &Receiver<Order>) {
        while let Ok(order) = ordered.recv() {
            if self.told.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match order {
                Order::Line(line) => self.write(&line),
                Order::Look => {}
                Order::Flush(done) => {
                    // Whoever asked may have given up.
                    let _unheard = done.try_send(());
                }
            }
        }
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => {
                (self.is_torn, self.has_complained) = (false, false);
                self.write(&line(Level::Notice, MODULE, format_args!("log reopened")));
            }
            Err(error) => {
                let message = format_args!("cannot reopen the log: {error}; the old file stays in use");
                self.write(&line(Level::Error, MODULE, message));
            }
        }
    }

    /// Writes a line, and before it what is to be said of lines that are missing.
    pub fn write(&mut self, text: &str) {
        self.confess();
        if let Err(error) = self.put(text) {
            self.complain(&error);
            self.failed += 1;
            self.failure = Some(error);
        }
    }

    /// A log that takes nothing cannot say so itself.
    fn complain(&mut self, error: &io::Error) {
        if let Sink::File { path, .. } = &self.sink
            && !std::mem::replace(&mut self.has_complained, true)
        {
            let path = path.display();
            let text =
                format_args!("cannot write the log file {path}: {error}; lines are lost until it can be written");
            let text = line(Level::Error, MODULE, text);
            let _nobody_takes_it = io::stderr().write_all(text.as_bytes());
        }
    }

    /// Says how many lines are missing, once something can be written again.
    fn confess(&mut self) {
        let lost = self.told.lost.swap(0, Ordering::Relaxed);
        if lost + self.failed == 0 {
            return;
        }
        let reason = match &self.failure {
            Some(error) => format!("they could not be written: {error}"),
            None => "they came faster than they could be written".into(),
        };
        let message = format_args!("{} lines are missing here: {reason}", lost + self.failed);
        match self.put(&line(Level::Warning, MODULE, message)) {
            Ok(()) => (self.failed, self.failure) = (0, None),
            Err(error) => {
                self.failed += lost;
                self.failure = Some(error);
            }
        }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        if self.is_torn {
            self.sink.write(b"\n")?;
        }
        // Half a line may be written before a disk is full; the next one must not hang on to it.
        self.is_torn = true;
        self.sink.write(text.as_bytes())?;
        self.is_torn = false;
        Ok(())
    }
}
