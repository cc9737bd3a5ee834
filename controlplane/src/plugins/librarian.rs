//! The keyserver of a node, with its keys from a file that is read again when it changes. The data plane hands requests over
//! as it does to plugins: looking up must not hold up packets.

use super::Settings;
use super::line::Line;
use super::talk;
use super::tally::Outcome;
use crate::logging::Log;
use interplane::requests::Answers;
use service::keyserver::{self, KeyList};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const MODULE: &str = "keyserver";

/// How old what is known of the file may be.
const LOOK: Duration = Duration::from_secs(2);
/// Bytes of the largest file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What tells one state of a file from another.
type State = (u64, u64, i64, i64);

/// Who answers.
pub struct Librarian {
    pub settings: Settings,
    pub line: Arc<Line>,
    pub answers: Arc<Mutex<Answers>>,
    pub path: PathBuf,
    pub log: Log,
}

/// What is known of the file.
#[derive(Default)]
struct Known {
    keys: KeyList,
    /// None before the first look, and while it cannot be read.
    state: Option<State>,
    looked_at: Option<Instant>,
    is_told: bool,
}

impl Librarian {
    /// Answers until it is dropped.
    pub async fn run(self) {
        let mut known = Known::default();
        // What is wrong with the file is to be known before somebody asks.
        self.look(&mut known).await;
        while let Some(waiting) = self.line.next().await {
            self.look(&mut known).await;
            let tally = &self.line.tally;
            if talk::is_too_old(&waiting, &self.settings) {
                tally.count(Outcome::DwellExceeded);
                continue;
            }
            tally.count(Outcome::Sent);
            if !waiting.wants_reply {
                tally.count(Outcome::NoReply);
                continue;
            }
            let answer = keyserver::answer(&waiting.payload, &known.keys);
            if answer.len() > self.settings.payload_bytes {
                tally.count(Outcome::AnswerTooLong);
                continue;
            }
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let is_taken = answers.give(waiting.id, &answer);
            tally.count(if is_taken { Outcome::Answered } else { Outcome::AnswersFull });
        }
    }

    /// Reads the file if it has changed since the last look. What cannot be read leaves what was known.
    async fn look(&self, known: &mut Known) {
        if known.looked_at.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        known.looked_at = Some(Instant::now());
        let (path, before) = (self.path.clone(), known.state);
        let read = tokio::task::spawn_blocking(move || read(&path, before)).await;
        let shown = self.path.display();
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(None) => {}
            Ok(Some((keys, state))) => {
                self.log.notice(MODULE, format_args!("knows {} identity keys of {shown}", keys.count()));
                (known.keys, known.state, known.is_told) = (keys, Some(state), false);
            }
            // Once until it can be read again.
            Err(_) if known.is_told => {}
            Err(error) => {
                let count = known.keys.count();
                self.log.error(
                    MODULE,
                    format_args!(
                        "cannot use {shown} (ServiceNode.Kaetzchen.Config.IdentityKeys): {error}; {count} keys are known \
                         until it can be"
                    ),
                );
                known.is_told = true;
            }
        }
    }
}

/// The keys, if the file is another one than before.
fn read(path: &Path, before: Option<State>) -> Result<Option<(KeyList, State)>, String> {
    // Opening a pipe would wait for somebody to write.
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    let state = (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    if before == Some(state) {
        return Ok(None);
    }
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(format!("it is no file of at most {} MiB", FILE_BYTES_MAX >> 20));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    KeyList::parse(&text).map(|keys| Some((keys, state))).map_err(|error| error.to_string())
}
