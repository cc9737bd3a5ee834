//! The service manager that has started this process, if one has: told how it goes, and asked to keep descriptors, so that
//! the next process finds them (`sd_notify(3)`, `sd_pid_notify_with_fds(3)`).

#[cfg(test)]
mod tests;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::fstat;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

const VARIABLE: &str = "NOTIFY_SOCKET";
/// A manager that takes nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which file is behind a descriptor.
type File = (u64, u64);

/// The way to the manager.
pub struct Manager {
    socket: UnixDatagram,
    /// What it keeps, by name; 0 where only the name is known.
    kept: BTreeMap<String, File>,
}

impl Manager {
    /// The one that the environment names. `inherited` are the names of what it keeps.
    pub fn of_environment<'a>(inherited: impl Iterator<Item = &'a str>) -> Option<Self> {
        let address = std::env::var_os(VARIABLE)?;
        Self::at(&address, inherited).ok()
    }

    fn at<'a>(address: &OsString, inherited: impl Iterator<Item = &'a str>) -> std::io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, kept: inherited.map(|name| (name.to_owned(), File::default())).collect() })
    }

    /// The start is over.
    pub fn ready(&self) {
        let _unheard = self.tell("READY=1", None);
    }

    /// The stop has begun.
    pub fn stopping(&self) {
        let _unheard = self.tell("STOPPING=1", None);
    }

    /// Has the manager keep these and nothing else, until it stops the service for good.
    pub fn keep(&mut self, descriptors: &[(String, BorrowedFd<'_>)]) {
        let is_wanted =
            |name: &str, file: File| descriptors.iter().any(|(other, fd)| *other == *name && file_of(*fd) == file);
        let old = self.kept.iter().filter(|(name, file)| !is_wanted(name, **file)).map(|(name, _)| name.clone());
        for name in old.collect::<Vec<_>>() {
            if self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None).is_err() {
                return;
            }
            self.kept.remove(&name);
        }
        for (name, fd) in descriptors {
            if !self.kept.contains_key(name) {
                if self.tell(&format!("FDSTORE=1\nFDNAME={name}"), Some(*fd)).is_err() {
                    return;
                }
                self.kept.insert(name.clone(), file_of(*fd));
            }
        }
    }

    /// A manager that is gone, or takes nothing, keeps nothing: the node works as without one.
    fn tell(&self, text: &str, fd: Option<BorrowedFd<'_>>) -> rustix::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = fd.into_iter().collect();
        if !fds.is_empty() {
            // There is room for one.
            let _fits = control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        sendmsg(&self.socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL).map(drop)
    }
}

fn file_of(fd: impl AsFd) -> File {
    fstat(fd).map_or(File::default(), |stat| (stat.st_dev, stat.st_ino))
}
