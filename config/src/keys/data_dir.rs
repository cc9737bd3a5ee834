//! DataDir: its mode, and the lock that keeps a second node out.

use super::KeyError;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the lock file in DataDir. It stays there; only the lock on it counts.
pub const LOCK_FILE_NAME: &str = "katzensprung.lock";

const MODE: u32 = 0o700;
const MODE_BITS: u32 = 0o7777;

/// DataDir, checked and locked until this is dropped or the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    directory: File,
    _lock: File,
}

impl DataDir {
    /// Makes the folder when it is missing (not the ones above it), checks that it is a real directory of mode 0700,
    /// and locks it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let io = |done| move |source| KeyError::Io { path: path.into(), done, source };
        match path.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() => return Err(KeyError::NotDirectory(path.into())),
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & MODE_BITS;
                if mode != MODE {
                    return Err(KeyError::Permissions { path: path.into(), mode });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(MODE).create(path).map_err(io("created"))?;
                // A setgid parent hands its bit down; the next start would refuse it.
                fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(io("given mode 0700"))?;
            }
            Err(error) => return Err(io("read")(error)),
        }
        let directory = File::open(path).map_err(io("opened"))?;
        let lock = lock(path)?;
        Ok(Self { path: path.into(), directory, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings names in the folder to the disk.
    pub(super) fn sync(&self) -> Result<(), KeyError> {
        self.directory.sync_all().map_err(|source| KeyError::Io {
            path: self.path.clone(),
            done: "written to disk",
            source,
        })
    }
}

fn lock(dir: &Path) -> Result<File, KeyError> {
    let path = dir.join(LOCK_FILE_NAME);
    let io = |done| {
        let path = path.clone();
        move |source| KeyError::Io { path, done, source }
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(io("opened"))?;
    match file.try_lock() {
        Ok(()) => {
            // Only for the message of a second node: a full disk is no reason not to run.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = (&mut file).take(32).read_to_string(&mut text);
            let holder = match text.trim().parse::<u32>() {
                Ok(process) => format!(" (process {process})"),
                Err(_) => String::new(),
            };
            Err(KeyError::Locked { path: dir.into(), holder })
        }
        Err(TryLockError::Error(source)) => Err(io("locked")(source)),
    }
}
