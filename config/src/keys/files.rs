//! Single files: read, write anew, give the final name without replacing anything.

use super::KeyError;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of the largest key file: the text of a McEliece public key is 1.8 MB.
const FILE_BYTES_MAX: u64 = 4 << 20;

fn failed(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io { path: path.into(), done, source }
}

/// Whether there is anything under that name, a dangling link included.
pub fn exists(path: &Path) -> Result<bool, KeyError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

/// Where systemd puts what a unit loads as credentials, for as long as the unit runs.
const CREDENTIALS: &str = "/run/credentials";

/// Whether it is a link to a credential of a unit: sealed on the disk, and open to the unit alone.
pub fn is_credential(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.starts_with(CREDENTIALS))
}

/// The bytes of a regular file. A device or pipe under that name could hold the start up for ever.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = opened.map_err(failed(path, "opened"))?;
    let metadata = file.metadata().map_err(failed(path, "read"))?;
    if !metadata.is_file() {
        return Err(KeyError::NotFile(path.into()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(KeyError::TooLong(path.into()));
    }
    // The final capacity at once: growing would leave copies of the key behind.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    file.take(FILE_BYTES_MAX).read_to_end(&mut content).map_err(failed(path, "read"))?;
    Ok(content)
}

/// Whom a file belongs to and who may use it.
pub struct Access {
    /// The owner, if that is neither this user nor root.
    pub stranger: Option<u32>,
    /// The mode, if others than the owner may read or write.
    pub open_mode: Option<u32>,
}

/// Who may use a file.
pub fn access(path: &Path) -> Result<Access, KeyError> {
    // Its list of those who may read it looks like an open mode.
    if is_credential(path) {
        return Ok(Access { stranger: None, open_mode: None });
    }
    let metadata = fs::metadata(path).map_err(failed(path, "read"))?;
    let (owner, mode) = (metadata.uid(), metadata.permissions().mode() & 0o7777);
    Ok(Access {
        stranger: Some(owner).filter(|&owner| owner != 0 && owner != rustix::process::geteuid().as_raw()),
        open_mode: Some(mode).filter(|mode| mode & 0o077 != 0),
    })
}

/// Writes a file that must not exist, with mode 0600, and brings it to the disk.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed(path, "created"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(path, "written"))
}

/// Removes a leftover.
pub fn remove_if_there(path: &Path) -> Result<(), KeyError> {
    // A read-only file system refuses before it has looked.
    if !exists(path)? {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, "removed")(error)),
        _ => Ok(()),
    }
}

/// Gives a file its final name. A file that already has it is never replaced.
pub fn rename_new(from: &Path, to: &Path) -> Result<(), KeyError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // File systems without this flag: a link has the same effect, it fails when the name is taken.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from)).map_err(failed(to, "created"))
        }
        Err(error) => Err(failed(to, "created")(error.into())),
    }
}
