//! DataDir: its mode, and the lock that keeps a second node out.

use super::KeyError;
use crate::finding::{Finding, Severity};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the lock file in DataDir. It stays there; only the lock on it counts.
pub const LOCK_FILE_NAME: &str = "katzensprung.lock";

/// Where systemd says that a service may put its sockets (`RuntimeDirectory=`).
const RUNTIME_VARIABLE: &str = "RUNTIME_DIRECTORY";

/// Where sockets may go when DataDir takes none; the first that is writable.
const RUNTIME_FOLDERS: [&str; 3] = ["/run", "/dev/shm", "/tmp"];

const MODE: u32 = 0o700;
const MODE_BITS: u32 = 0o7777;

/// DataDir, checked and locked until this is dropped or the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    directory: File,
    owner: u32,
    sockets: PathBuf,
    findings: Vec<Finding>,
    _lock: Option<File>,
}

impl DataDir {
    /// Makes the folder when it is missing (not the ones above it), checks that it is a real directory of mode 0700,
    /// and locks it. One on a read-only file system will do when the keys are there: sockets go elsewhere.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let io = |done| move |source| KeyError::Io { path: path.into(), done, source };
        match path.symlink_metadata() {
            Ok(metadata) => check(path, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(MODE).create(path).map_err(io("created"))?;
                // A setgid parent hands its bit down; the next start would refuse it.
                fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(io("given mode 0700"))?;
            }
            Err(error) => return Err(io("read")(error)),
        }
        let (mut sockets, mut findings) = (path.to_path_buf(), Vec::new());
        match Self::check_owner(path) {
            // Root can do without, and containers do; what it makes there is root's alone.
            Err(KeyError::Owner { owner, user: 0, .. }) => {
                let problem = format!("belongs to user {owner}, and this runs as root: what it makes there is root's");
                findings.push(warning(path, "data-dir-owner", problem, format!("run it as user {owner}")));
            }
            checked => checked?,
        }
        let directory = File::open(path).map_err(io("opened"))?;
        let metadata = directory.metadata().map_err(io("read"))?;
        // The folder as well as the file in it: on a read-only file system there is only the folder to lock.
        if let Err(TryLockError::WouldBlock) = directory.try_lock() {
            return Err(KeyError::Locked { path: path.into(), holder: holder(path) });
        }
        let lock = match lock(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                sockets = runtime_folder(&metadata)?;
                let problem = format!("is read-only: sockets are in {}, nothing else is written", sockets.display());
                let remedy = "mount it writable if that is not meant".into();
                findings.push(warning(path, "data-dir-read-only", problem, remedy));
                None
            }
            lock => Some(lock?),
        };
        Ok(Self { path: path.into(), directory, owner: metadata.uid(), sockets, findings, _lock: lock })
    }

    /// What a start would refuse of the folder that is there, without touching it. What cannot be seen is no finding.
    pub fn look(path: &Path) -> Result<(), KeyError> {
        path.symlink_metadata().map_or(Ok(()), |metadata| check(path, &metadata))
    }

    /// Refuses a folder of another user, even to root: the keys that root makes there are of no use to its owner.
    pub fn check_owner(path: &Path) -> Result<(), KeyError> {
        let user = rustix::process::geteuid().as_raw();
        match path.symlink_metadata() {
            Ok(metadata) if metadata.uid() != user => {
                Err(KeyError::Owner { path: path.into(), owner: metadata.uid(), user })
            }
            _ => Ok(()),
        }
    }

    /// Keeps nodes away from a folder for as long as what is given lives, whoever owns it; makes and changes nothing there.
    pub fn keep_out(path: &Path) -> Result<Option<File>, KeyError> {
        let directory = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|source| KeyError::Io { path: path.into(), done: "opened", source })?,
        };
        match directory.try_lock() {
            Ok(()) => Ok(Some(directory)),
            Err(TryLockError::WouldBlock) => Err(KeyError::Locked { path: path.into(), holder: holder(path) }),
            Err(TryLockError::Error(source)) => Err(KeyError::Io { path: path.into(), done: "locked", source }),
        }
    }

    /// The user to whom it belongs.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the node's own sockets go: the folder itself, or another one while it is read-only.
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// Whether files can be written there.
    pub fn is_read_only(&self) -> bool {
        self._lock.is_none()
    }

    /// Warnings about the folder.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
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

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyError> {
    if !metadata.is_dir() {
        return Err(KeyError::NotDirectory(path.into()));
    }
    match metadata.permissions().mode() & MODE_BITS {
        MODE => Ok(()),
        mode => Err(KeyError::Permissions { path: path.into(), mode, is_own: is_own(path) }),
    }
}

/// Whether a folder is empty or has been a node's: nobody wants to read that another one, `/etc` say, be closed.
fn is_own(path: &Path) -> bool {
    let Ok(entries) = fs::read_dir(path) else { return false };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_key = |name: &&std::ffi::OsString| {
        let pairs = [super::IDENTITY, super::LINK];
        pairs.iter().any(|pair| **name == *format!("{pair}.private.pem") || **name == *format!("{pair}.public.pem"))
    };
    // A fresh file system has one folder.
    names.iter().all(|name| name == "lost+found") || names.iter().any(|name| is_key(&name))
}

fn warning(path: &Path, code: &'static str, problem: String, remedy: String) -> Finding {
    let severity = Severity::Warning;
    Finding { severity, code, file: path.into(), line: None, key: String::new(), problem, remedy }
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
        Err(TryLockError::WouldBlock) => Err(KeyError::Locked { path: dir.into(), holder: holder(dir) }),
        Err(TryLockError::Error(source)) => Err(io("locked")(source)),
    }
}

/// " (process 123)" as the node that holds the lock wrote it, or nothing.
fn holder(dir: &Path) -> String {
    let mut text = String::new();
    let read = File::open(dir.join(LOCK_FILE_NAME)).and_then(|file| file.take(32).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!(" (process {process})"),
        _ => String::new(),
    }
}

/// A folder for this user's node alone that the next control plane of the same DataDir finds again.
fn runtime_folder(data_dir: &fs::Metadata) -> Result<PathBuf, KeyError> {
    let given = std::env::var(RUNTIME_VARIABLE).ok();
    // systemd gives several folders with colons in between.
    let given = given.iter().filter_map(|list| list.split(':').next()).filter(|folder| !folder.is_empty());
    let name = format!("katzensprung-{:x}-{:x}", data_dir.dev(), data_dir.ino());
    let mut failure = None;
    for root in given.chain(RUNTIME_FOLDERS) {
        let path = Path::new(root).join(&name);
        match private_folder(&path) {
            Ok(()) => return Ok(path),
            Err(source) => failure = Some(KeyError::Io { path, done: "made for sockets", source }),
        }
    }
    Err(failure.unwrap_or(KeyError::NotDirectory(name.into())))
}

/// A folder in a place where others may write too must be ours and closed to them.
fn private_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = path.symlink_metadata()?;
    let is_ours = metadata.is_dir()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.permissions().mode() & 0o077 == 0;
    if is_ours { Ok(()) } else { Err(io::Error::other("it is there and belongs to others")) }
}
