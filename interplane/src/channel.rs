//! The control channel: a named SOCK_SEQPACKET socket that carries whole messages and descriptors, between processes
//! that the kernel vouches for.

#[cfg(test)]
mod tests;

use crate::message::Descriptor;
use crate::socket_path::SocketPath;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode};
use rustix::io::{Errno, IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

/// The socket's name in `DataDir`.
pub const SOCKET_NAME: &str = "dataplane.sock";
/// Most bytes of a message; less than the kernel's default send buffer.
pub const MESSAGE_BYTES_MAX: usize = 128 << 10;
/// Most descriptors beside a message: what the kernel takes.
pub const DESCRIPTORS_MAX: usize = 253;

/// Why the channel did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No data plane listens at the path.
    #[error("no data plane listens there")]
    NobodyListens,
    /// Another data plane listens at the path.
    #[error("a data plane listens there already")]
    AlreadyListening,
    /// The other process ended or closed the channel.
    #[error("the other process closed the control channel")]
    Closed,
    /// The process at the other end belongs to somebody else.
    #[error("the process at the other end belongs to user {uid}")]
    Stranger {
        /// That user.
        uid: u32,
    },
    /// The message has more bytes than a message may have.
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// The message has more descriptors than a message may have, or others than it says.
    #[error("the descriptors beside the message are not those that it lists")]
    Descriptors,
    /// The message does not decode.
    #[error("the message does not decode")]
    Garbage,
    /// The operating system refused.
    #[error("{what}: {errno}")]
    Os {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        errno: Errno,
    },
}

fn os(what: &'static str) -> impl FnOnce(Errno) -> ChannelError {
    move |errno| match errno {
        Errno::PIPE | Errno::CONNRESET => ChannelError::Closed,
        errno => ChannelError::Os { what, errno },
    }
}

/// Users whose processes may be at the other end, besides root and the own user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// The user of the other plane, if the planes run as different users.
    pub uid: Option<u32>,
}

impl Trusted {
    fn check(self, socket: impl AsFd) -> Result<(), ChannelError> {
        let uid = rustix::net::sockopt::socket_peercred(socket).map_err(os("SO_PEERCRED"))?.uid;
        let known = uid.is_root() || uid == rustix::process::geteuid() || self.uid == Some(uid.as_raw());
        if known { Ok(()) } else { Err(ChannelError::Stranger { uid: uid.as_raw() }) }
    }
}

/// The listening end, held by the data plane.
#[derive(Debug)]
pub struct ChannelListener {
    socket: OwnedFd,
    trusted: Trusted,
}

impl ChannelListener {
    /// Listens at `path`, in place of a data plane that ended.
    pub fn bind(path: &Path, trusted: Trusted) -> Result<Self, ChannelError> {
        let short = short(path)?;
        let address = address(&short)?;
        match connect(&address) {
            Ok(_) => return Err(ChannelError::AlreadyListening),
            Err(ChannelError::NobodyListens) => {
                // A socket's file outlives its process. Other files refuse connections too, and stay.
                let is_socket = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
                if rustix::fs::lstat(path).is_ok_and(is_socket) {
                    let _ = rustix::fs::unlink(path);
                }
            }
            Err(_) => {}
        }
        let socket = socket()?;
        rustix::net::bind(&socket, &address).map_err(os("bind the control socket"))?;
        // Users other than the trusted ones get in by mode 666, and out again at once by their credentials.
        let mode = if trusted.uid.is_some() { 0o666 } else { 0o600 };
        rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(os("chmod the control socket"))?;
        rustix::net::listen(&socket, 4).map_err(os("listen at the control socket"))?;
        Ok(Self { socket, trusted })
    }

    /// Waits for a control plane. Strangers are an error, and are disconnected.
    pub fn accept(&self) -> Result<Channel, ChannelError> {
        let accepted = retry_on_intr(|| rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC));
        let socket = accepted.map_err(os("accept"))?;
        self.trusted.check(&socket)?;
        Ok(Channel { socket })
    }
}

impl AsFd for ChannelListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A connected end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Received<M> {
    /// The message.
    pub message: M,
    /// The descriptors, in the order in which they were sent.
    pub attachments: Vec<(Descriptor, OwnedFd)>,
}

impl<M> Received<M> {
    /// Takes the first descriptor that `is` accepts.
    pub fn take(&mut self, is: impl Fn(&Descriptor) -> bool) -> Option<(Descriptor, OwnedFd)> {
        let at = self.attachments.iter().position(|(descriptor, _)| is(descriptor))?;
        Some(self.attachments.remove(at))
    }
}

impl Channel {
    /// Connects to the data plane that listens at `path`.
    pub fn connect(path: &Path, trusted: Trusted) -> Result<Self, ChannelError> {
        let socket = connect(&address(&short(path)?)?)?;
        trusted.check(&socket)?;
        Ok(Self { socket })
    }

    /// Two ends, for tests and for planes that share a process.
    pub fn pair() -> Result<(Self, Self), ChannelError> {
        let (one, two) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(os("socketpair"))?;
        Ok((Self { socket: one }, Self { socket: two }))
    }

    /// Sends a message, and copies of descriptors beside it. Waits while the other end is behind.
    pub fn send<M: Serialize>(
        &self,
        message: &M,
        attachments: &[(Descriptor, BorrowedFd<'_>)],
    ) -> Result<(), ChannelError> {
        self.send_with(message, attachments, SendFlags::NOSIGNAL)
    }

    /// The same without waiting: false if the other end is behind.
    pub fn try_send<M: Serialize>(
        &self,
        message: &M,
        attachments: &[(Descriptor, BorrowedFd<'_>)],
    ) -> Result<bool, ChannelError> {
        match self.send_with(message, attachments, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(()) => Ok(true),
            Err(ChannelError::Os { errno: Errno::AGAIN, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn send_with<M: Serialize>(
        &self,
        message: &M,
        attachments: &[(Descriptor, BorrowedFd<'_>)],
        flags: SendFlags,
    ) -> Result<(), ChannelError> {
        if attachments.len() > DESCRIPTORS_MAX {
            return Err(ChannelError::Descriptors);
        }
        let descriptors: Vec<_> = attachments.iter().map(|(descriptor, _)| descriptor).collect();
        let bytes = postcard::to_stdvec(&(descriptors, message)).map_err(|_| ChannelError::Garbage)?;
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ChannelError::TooLong);
        }
        let fds: Vec<_> = attachments.iter().map(|(_, fd)| *fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(ChannelError::Descriptors);
        }
        retry_on_intr(|| rustix::net::sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, flags))
            .map_err(os("send a control message"))?;
        Ok(())
    }

    /// Waits for a message. After an error other than of the operating system the channel should be closed.
    pub fn recv<M: DeserializeOwned>(&self) -> Result<Received<M>, ChannelError> {
        self.recv_with(RecvFlags::CMSG_CLOEXEC)
    }

    /// The same without waiting: `None` if there is no message.
    pub fn try_recv<M: DeserializeOwned>(&self) -> Result<Option<Received<M>>, ChannelError> {
        match self.recv_with(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT) {
            Ok(received) => Ok(Some(received)),
            Err(ChannelError::Os { errno: Errno::AGAIN, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for a message no longer than `limit`: `None` if none has come by then.
    pub fn recv_within<M: DeserializeOwned>(&self, limit: Duration) -> Result<Option<Received<M>>, ChannelError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(received) = self.try_recv()? {
                return Ok(Some(received));
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(None);
            }
            let rest = Timespec::try_from(rest).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
            match poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&rest)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(os("wait for a control message")(errno)),
            }
        }
    }

    fn recv_with<M: DeserializeOwned>(&self, flags: RecvFlags) -> Result<Received<M>, ChannelError> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || {
            retry_on_intr(|| {
                rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
            })
        };
        let received = match receive() {
            // The other end has gone with messages unread; the kernel says so once, before what that end has said.
            Err(Errno::CONNRESET) => receive(),
            received => received,
        };
        let received = received.map_err(os("receive a control message"))?;
        // Collected at once, so that every early return closes them.
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.bytes == 0 && fds.is_empty() {
            return Err(ChannelError::Closed);
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(ChannelError::TooLong);
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(ChannelError::Descriptors);
        }
        decode(bytes.get(..received.bytes).unwrap_or_default(), fds)
    }

    /// Whether the other end is closed.
    pub fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(self, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        retry_on_intr(|| poll(&mut fds, Some(&now))).is_err() || !fds[0].revents().is_empty()
    }

    /// The user of the process at the other end, for the log.
    pub fn peer_uid(&self) -> Option<u32> {
        rustix::net::sockopt::socket_peercred(&self.socket).ok().map(|credentials| credentials.uid.as_raw())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn decode<M: DeserializeOwned>(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<Received<M>, ChannelError> {
    let decoded: Result<((Vec<Descriptor>, M), _), _> = postcard::take_from_bytes(bytes);
    match decoded {
        Ok(((descriptors, message), [])) if descriptors.len() == fds.len() => {
            Ok(Received { message, attachments: descriptors.into_iter().zip(fds).collect() })
        }
        Ok((_, [])) => Err(ChannelError::Descriptors),
        _ => Err(ChannelError::Garbage),
    }
}

fn short(path: &Path) -> Result<SocketPath, ChannelError> {
    let what = "the control socket's path";
    SocketPath::of(path).map_err(|error| os(what)(Errno::from_io_error(&error).unwrap_or(Errno::NAMETOOLONG)))
}

fn address(path: &SocketPath) -> Result<SocketAddrUnix, ChannelError> {
    SocketAddrUnix::new(path.as_path()).map_err(os("the control socket's path"))
}

fn socket() -> Result<OwnedFd, ChannelError> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(os("socket"))
}

fn connect(address: &SocketAddrUnix) -> Result<OwnedFd, ChannelError> {
    let socket = socket()?;
    match retry_on_intr(|| rustix::net::connect(&socket, address)) {
        Ok(()) => Ok(socket),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Err(ChannelError::NobodyListens),
        Err(errno) => Err(os("connect to the control socket")(errno)),
    }
}
