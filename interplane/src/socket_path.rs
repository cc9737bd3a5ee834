//! Paths of Unix sockets. The system's calls take 107 bytes of them; folders of containers and volumes are longer than
//! that.

use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes of the longest path that the calls take.
const BYTES_MAX: usize = 107;

/// A path that the calls take for as long as this is held.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _folder: Option<OwnedFd>,
}

impl SocketPath {
    /// The path itself, or the way to it through its open folder.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().len() <= BYTES_MAX {
            return Ok(Self { path: path.into(), _folder: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        if short.as_os_str().as_bytes().len() > BYTES_MAX {
            return Err(io::Error::other("the name of the socket itself is too long"));
        }
        Ok(Self { path: short, _folder: Some(folder) })
    }

    /// The path for the call.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}
