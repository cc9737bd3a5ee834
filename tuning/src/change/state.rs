//! The file that says what was before.

use super::ChangeError;
use crate::host::{is_known, read_text};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const VERSION: u32 = 1;

/// Changes that can be taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// Which start of the host it was: settings do not outlive it, and interrupts get other numbers.
    boot: String,
    /// In the order in which they were made.
    pub changes: Vec<Change>,
}

/// A setting that was changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its file, as a path of the host.
    pub path: String,
    /// What it was before the first change.
    pub before: String,
    /// What was written last.
    pub written: String,
}

fn boot(root: &Path) -> String {
    read_text(&super::at(root, "/proc/sys/kernel/random/boot_id")).unwrap_or_default().trim().into()
}

impl State {
    /// Nothing is changed.
    pub fn new(root: &Path) -> Self {
        Self { version: VERSION, boot: boot(root), changes: Vec::new() }
    }

    /// The state in the file; none if there is none, or it is of an earlier start of the host.
    pub fn load(root: &Path, file: &Path) -> Result<Option<Self>, ChangeError> {
        let failed = |problem: String| ChangeError::State { file: file.into(), problem };
        let metadata = match fs::symlink_metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| failed(format!("cannot be read: {error}")))?,
        };
        // Whoever can write it could have root write for him.
        let own = fs::metadata("/proc/self").map(|metadata| metadata.uid()).ok();
        if !metadata.is_file() || metadata.mode() & 0o022 != 0 || own != Some(metadata.uid()) {
            return Err(failed("is not a file that only you can write; look who made it, and move it away".into()));
        }
        let text = read_text(file).map_err(failed)?;
        let state: Self = serde_json::from_str(&text).map_err(|error| {
            failed(format!(
                "is not what `tuning apply` writes ({error}); nothing was changed. Move it away if it is of no use"
            ))
        })?;
        if let Some(change) = state.changes.iter().find(|change| !is_known(&change.path)) {
            return Err(failed(format!("names {}, which `tuning` never changes; nothing was changed", change.path)));
        }
        if state.version != VERSION {
            return Err(failed(format!(
                "is of version {}, not {VERSION}; use the program that wrote it",
                state.version
            )));
        }
        Ok((state.boot == boot(root)).then_some(state))
    }

    /// Notes what is about to be written; what was before the first change stays.
    pub fn remember(&mut self, path: &str, before: &str, written: &str) {
        match self.changes.iter_mut().find(|change| change.path == path) {
            Some(change) => change.written = written.into(),
            None => self.changes.push(Change { path: path.into(), before: before.into(), written: written.into() }),
        }
    }

    /// Writes it so that it is whole on the disk, or as it was.
    pub fn save(&self, file: &Path) -> Result<(), ChangeError> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other);
        let saved = text.and_then(|text| replace(file, text.as_bytes()));
        saved.map_err(|error| {
            let problem = format!("cannot be written: {error}; make room, or choose another place with --state");
            ChangeError::State { file: file.into(), problem }
        })
    }

    /// The same; without changes there is no file.
    pub fn save_or_remove(&self, file: &Path) -> Result<(), ChangeError> {
        if !self.changes.is_empty() {
            return self.save(file);
        }
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let problem = format!("cannot be removed: {error}; remove it, all is as before");
                Err(ChangeError::State { file: file.into(), problem })
            }
            _ => Ok(()),
        }
    }
}

fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = file.with_extension("new");
    // Left behind by a run that was ended.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = opened.write_all(bytes).and_then(|()| opened.sync_all()).and_then(|()| fs::rename(&new, file));
    written.inspect_err(|_| {
        // The first error is the one to tell.
        let _gone = fs::remove_file(&new);
    })?;
    File::open(folder)?.sync_all()
}
