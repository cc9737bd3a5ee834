//! Files onto the disk. Nothing that is there is overwritten; an identity key that is reused stays as it is.

use super::TextFile;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
    fn remedy(&self) -> &'static str {
        match self.error.kind() {
            io::ErrorKind::AlreadyExists => "; nothing is overwritten: give another folder",
            io::ErrorKind::NotFound => "; check that the folder above it exists",
            _ => "",
        }
    }
}

/// Writes the files below `folder`, which must be there, for its owner's eyes only.
pub fn write(folder: &Path, files: &[TextFile]) -> Result<(), WriteError> {
    let mut made = BTreeSet::new();
    for file in files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder).to_path_buf();
        let result = if made.insert(parent.clone()) && parent != folder { make_folder(&parent) } else { Ok(()) };
        result.map_err(|error| WriteError { path: parent, error })?;
        write_new(&path, &file.text).map_err(|error| WriteError { path, error })?;
    }
    Ok(())
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
