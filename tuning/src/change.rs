//! Making changes and taking them back. What was there before is on the disk before anything is changed, so that every
//! change can be taken back whatever ends the process that made it.

mod state;
#[cfg(test)]
mod tests;

use crate::finding::Write;
use crate::host::{is_known, read_text};
use crate::values::are_same;
use state::{Change, State};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where the state is unless told otherwise, below the host's root folder.
pub const STATE_FILE: &str = "/var/lib/katzensprung/tuning.json";

/// Why nothing was done, or not all.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The file with the state is of no use.
    #[error("the state of earlier changes, {file}: {problem}")]
    State {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Settings that cannot be changed here; nothing was done.
    #[error(
        "nothing was changed, because some settings cannot be:\n  {}\nrun it as root on the host itself, or choose other \
         stages with --stage",
        .0.join("\n  ")
    )]
    ReadOnly(Vec<String>),
    /// Some was done.
    #[error("{done} of {all} changes are made; not made:\n  {}\nwhat is made is taken back by `tuning undo`", .problems.join("\n  "))]
    Partly {
        /// Changes that are made.
        done: usize,
        /// All that were asked for.
        all: usize,
        /// One for each that is not.
        problems: Vec<String>,
    },
    /// Some was not taken back.
    #[error("{} settings could not be put back:\n  {}\nthey are kept in the state; run it again", .0.len(), .0.join("\n  "))]
    NotUndone(Vec<String>),
}

/// Makes the changes on the host at `root`, and tells each.
pub fn apply(root: &Path, writes: &[Write], state_file: &Path, tell: &mut dyn FnMut(&str)) -> Result<(), ChangeError> {
    let mut state = State::load(root, state_file)?.unwrap_or_else(|| State::new(root));
    let closed: Vec<_> = writes.iter().filter_map(|write| cannot_be_written(root, &write.path).err()).collect();
    if !closed.is_empty() {
        return Err(ChangeError::ReadOnly(closed));
    }
    let (mut done, mut problems) = (0, Vec::new());
    for write in writes {
        match change(root, write, &mut state, state_file) {
            Ok(line) => {
                done += 1;
                line.iter().for_each(|line| tell(line));
            }
            Err(Failure::Setting(problem)) => problems.push(problem),
            Err(Failure::State(error)) if done == 0 && problems.is_empty() => return Err(error),
            // Without a state nothing more may be changed.
            Err(Failure::State(error)) => {
                problems.push(format!("{} and all after it: {error}", write.path));
                break;
            }
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ChangeError::Partly { done, all: writes.len(), problems }),
    }
}

enum Failure {
    Setting(String),
    State(ChangeError),
}

/// Makes one change, after its state is on the disk; gives nothing to tell if it is made already.
fn change(root: &Path, write: &Write, state: &mut State, file: &Path) -> Result<Option<String>, Failure> {
    let Write { path, value } = write;
    let before = read(root, path).map_err(Failure::Setting)?;
    if are_same(path, &before, value) {
        return Ok(None);
    }
    let earlier = state.clone();
    state.remember(path, &before, value);
    state.save(file).map_err(Failure::State)?;
    let done = put(root, path, value).and_then(|()| {
        let after = read(root, path)?;
        let is_done = are_same(path, &after, value);
        if is_done { Ok(()) } else { Err(format!("{path}: was written {value}, and is {after}")) }
    });
    match done {
        Ok(()) => Ok(Some(format!("{path}: {before} -> {value}"))),
        Err(problem) => {
            if read(root, path).is_ok_and(|now| are_same(path, &now, &before)) {
                *state = earlier;
                state.save_or_remove(file).map_err(Failure::State)?;
            }
            Err(Failure::Setting(problem))
        }
    }
}

/// Puts back what was before the first [`apply`], and removes the state; tells each setting.
pub fn undo(root: &Path, state_file: &Path, tell: &mut dyn FnMut(&str)) -> Result<(), ChangeError> {
    let Some(mut state) = State::load(root, state_file)? else {
        let file = state_file.display();
        tell(&format!("nothing to take back: {file} holds nothing of this start of the host"));
        return Ok(());
    };
    let mut problems = Vec::new();
    // Backwards: what was changed last may depend on what was changed before.
    let changes = std::mem::take(&mut state.changes);
    for change in changes.into_iter().rev() {
        match put_back(root, &change) {
            Ok(line) => tell(&line),
            Err(problem) => {
                problems.push(problem);
                state.changes.insert(0, change);
            }
        }
    }
    state.save_or_remove(state_file)?;
    if problems.is_empty() { Ok(()) } else { Err(ChangeError::NotUndone(problems)) }
}

fn put_back(root: &Path, Change { path, before, written }: &Change) -> Result<String, String> {
    if !at(root, path).exists() {
        return Ok(format!("{path}: is not there any more"));
    }
    let now = read(root, path)?;
    if are_same(path, &now, before) {
        return Ok(format!("{path}: is {before} as before"));
    }
    put(root, path, before)?;
    let after = read(root, path)?;
    if !are_same(path, &after, before) {
        return Err(format!("{path}: was written {before}, and is {after}"));
    }
    let by_others = !are_same(path, &now, written);
    let note = if by_others { format!(" (others had changed it since, from {written})") } else { String::new() };
    Ok(format!("{path}: {now} -> {before}{note}"))
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn read(root: &Path, path: &str) -> Result<String, String> {
    let text = read_text(&at(root, path)).map_err(|problem| format!("{path}: {problem}"))?;
    Ok(text.trim().into())
}

fn cannot_be_written(root: &Path, path: &str) -> Result<(), String> {
    if !is_known(path) {
        return Err(format!("{path}: is no setting of a host"));
    }
    let opened = OpenOptions::new().write(true).open(at(root, path));
    opened.map(drop).map_err(|error| format!("{path}: {error}"))
}

/// As a shell's `echo value > path`.
fn put(root: &Path, path: &str, value: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).truncate(true).open(at(root, path));
    let written = file.and_then(|mut file| file.write_all(format!("{value}\n").as_bytes()));
    written.map_err(|error| format!("{path}: cannot be set to '{value}': {error}"))
}
