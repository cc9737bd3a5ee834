//! Files onto the disk. Nothing that is there is overwritten; an identity key that is reused stays as it is.

use super::TextFile;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the files are until all are in their places.
const UNFINISHED: &str = ".unfinished";
/// What becomes of that then, until it is gone.
const FINISHED: &str = ".finished";

/// A file or a folder that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {}: {error}{}", .path.display(), self.remedy())]
pub struct WriteError {
    /// What was to be made.
    pub path: PathBuf,
    /// Why not.
    pub error: io::Error,
}

impl WriteError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        |error| Self { path, error }
    }

    fn remedy(&self) -> &'static str {
        match self.error.kind() {
            ErrorKind::AlreadyExists => {
                "; nothing is overwritten: give another folder, or move away what is in this one"
            }
            ErrorKind::NotFound => "; check that the folder above it exists",
            ErrorKind::WouldBlock => "; another command writes there: wait for its end",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room, or give another folder",
            _ => "",
        }
    }
}

/// Writes the files below `folder`, which must be there, for its owner's eyes only.
pub fn write<'a>(folder: &Path, files: impl IntoIterator<Item = &'a TextFile>) -> Result<(), WriteError> {
    let mut made = BTreeSet::new();
    for file in files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder).to_path_buf();
        let result = if made.insert(parent.clone()) && parent != folder { make_folder(&parent) } else { Ok(()) };
        result.map_err(WriteError::of(&parent))?;
        write_new(&path, &file.text).map_err(WriteError::of(&path))?;
    }
    Ok(())
}

/// Writes all of the files below `folder`, or none: they are written into a folder beside their places first, and linked
/// from there. What a run that was ended has left goes before all else. What stands in one of the places is an error
/// before anything is written.
pub fn write_all_or_none(folder: &Path, files: &[TextFile]) -> Result<(), WriteError> {
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(WriteError::of(folder))?;
    let outcome = alone(folder).and_then(|_lock| {
        undo(folder)?;
        write_staged(folder, files).inspect_err(|_| {
            // The error tells more than that this has failed too; the next run tries again.
            let _left = undo(folder);
        })
    });
    if outcome.is_err() && is_new {
        // Only if nothing is in it.
        let _kept = fs::remove_dir(folder);
    }
    outcome
}

/// As long as this lives nobody else writes there.
fn alone(folder: &Path) -> Result<File, WriteError> {
    let lock = File::open(folder).map_err(WriteError::of(folder))?;
    lock.try_lock().map_err(|error| WriteError::of(folder)(error.into()))?;
    Ok(lock)
}

fn write_staged(folder: &Path, files: &[TextFile]) -> Result<(), WriteError> {
    let is_there = |file: &TextFile| fs::read(folder.join(&file.path)).is_ok_and(|text| text == file.text.as_bytes());
    let new: Vec<&TextFile> = files.iter().filter(|file| !is_there(file)).collect();
    if let Some(path) = new.iter().map(|file| folder.join(&file.path)).find(|path| path.symlink_metadata().is_ok()) {
        return Err(WriteError { path, error: ErrorKind::AlreadyExists.into() });
    }
    let unfinished = folder.join(UNFINISHED);
    make_folder(&unfinished).map_err(WriteError::of(&unfinished))?;
    write(&unfinished, new.iter().copied())?;
    for file in &new {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        make_folder(parent).map_err(WriteError::of(parent))?;
        fs::hard_link(unfinished.join(&file.path), &path).map_err(WriteError::of(&path))?;
    }
    // From here on nothing is undone any more.
    let finished = folder.join(FINISHED);
    fs::rename(&unfinished, &finished).map_err(WriteError::of(&finished))?;
    remove_all(&finished)
}

/// Removes what a run has left, with all that it has linked already.
fn undo(folder: &Path) -> Result<(), WriteError> {
    remove_all(&folder.join(FINISHED))?;
    let unfinished = folder.join(UNFINISHED);
    unlink_twins(&unfinished, folder).map_err(WriteError::of(&unfinished))?;
    remove_all(&unfinished)
}

/// Removes from `folder` the very files that are in `unfinished` too, and folders that are empty then.
fn unlink_twins(unfinished: &Path, folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(unfinished) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (mine, place) = (entry.path(), folder.join(entry.file_name()));
        let Ok(there) = place.symlink_metadata() else { continue };
        let metadata = mine.symlink_metadata()?;
        if metadata.is_dir() && there.is_dir() {
            unlink_twins(&mine, &place)?;
            let _not_empty = fs::remove_dir(&place);
        } else if (metadata.dev(), metadata.ino()) == (there.dev(), there.ino()) {
            fs::remove_file(&place)?;
        }
    }
    Ok(())
}

fn remove_all(folder: &Path) -> Result<(), WriteError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(WriteError::of(folder)(error)),
        _ => Ok(()),
    }
}

/// Nodes refuse a DataDir that others can look into.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
