//! A service manager as far as a node sees one: it is told how the node goes, keeps descriptors by name, and gives them to
//! the next process (`sd_notify(3)`, `sd_listen_fds(3)`).

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// One manager of one service.
pub struct Manager {
    path: PathBuf,
    told: Arc<Mutex<Told>>,
}

/// What it was told so far.
#[derive(Default)]
struct Told {
    heard: Vec<String>,
    kept: Vec<(String, OwnedFd)>,
}

impl Manager {
    /// Listens at `path`.
    pub fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        let told = Arc::new(Mutex::new(Told::default()));
        let weak = Arc::downgrade(&told);
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        // A socket holds few messages: one that listens now and then only would keep the node waiting.
        std::thread::spawn(move || {
            while let Some(told) = weak.upgrade() {
                let message = hear(&socket);
                message.into_iter().for_each(|(text, fds)| told.lock().expect("no panic").take(&text, fds));
            }
        });
        Self { path: path.into(), told }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("no panic")
    }

    /// Whether that was said.
    pub fn has_heard(&self, text: &str) -> bool {
        self.told().heard.iter().any(|heard| heard == text)
    }

    /// Whether something of that name is kept.
    pub fn keeps(&self, name: &str) -> bool {
        self.told().kept.iter().any(|(kept, _)| kept == name)
    }

    /// Starts `program` with what is kept. Arguments may follow.
    pub fn command(&self, program: &OsStr, argument: &str) -> Command {
        let kept = &self.told().kept;
        let mut script = String::new();
        for (at, (_, fd)) in kept.iter().enumerate() {
            fcntl_setfd(fd, FdFlags::empty()).expect("a descriptor");
            script += &format!("exec {}<&{}; ", at + 100, fd.as_raw_fd());
        }
        for at in 0..kept.len() {
            script += &format!("exec {}<&{} {}<&-; ", at + 3, at + 100, at + 100);
        }
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        // The number of the process is known to itself only.
        script += "export LISTEN_PID=$$; exec \"$@\"";
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg("bash").arg(program).arg(argument);
        command.env("NOTIFY_SOCKET", &self.path).env("LISTEN_FDNAMES", names.join(":"));
        command.env("LISTEN_FDS", kept.len().to_string()).env_remove("KATZENPOST_CONFIG");
        command
    }
}

impl Told {
    fn take(&mut self, text: &str, fds: Vec<OwnedFd>) {
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or_default();
        if text.starts_with("FDSTOREREMOVE=1") {
            self.kept.retain(|(kept, _)| kept != name);
        } else if text.starts_with("FDSTORE=1") {
            self.kept.extend(fds.into_iter().map(|fd| (name.to_owned(), fd)));
        } else {
            self.heard.push(text.to_owned());
        }
    }
}

fn hear(socket: &UnixDatagram) -> Option<(String, Vec<OwnedFd>)> {
    let (mut text, mut space) = ([0; 4096], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let fds = fds.flatten().collect();
    Some((String::from_utf8_lossy(&text[..received.bytes]).into(), fds))
}
