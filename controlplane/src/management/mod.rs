//! The management socket (server.md 9): SMTP-like lines over a unix stream socket whose access control is the file
//! system. [`answer`] is the protocol without I/O; [`serve`] puts it on the socket.

use crate::logging::Log;
use crate::users::is_about_users;
use interplane::SocketPath;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

#[cfg(test)]
mod tests;

const MODULE: &str = "mgmt";

/// The longest line that is taken; the reference has no limit.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Connections that are served at once; the oldest goes when another one comes.
const CONNECTIONS_MAX: usize = 64;

/// The answer to HELP, one line as every answer.
const HELP: &str = "214 HELP: this line. STATUS, PEERS, KEYS, LOOPS: the node's \
                    state, its links to other nodes, its mix keys, and where its own loops are lost, each as one line of JSON. \
                    RELOAD: reads the configuration again. SHUTDOWN: stops the node as \
                    SIGTERM does. DRAIN: the same, after no consensus lists the node any more. START_KAETZCHEN and STOP_KAETZCHEN, with a capability: start and stop a service of a \
                    service node. SEND_RATE and SEND_BURST, with a number: how many packets a client of a gateway may send \
                    in a minute until the next epoch, and save up. ADD_USER, UPDATE_USER, REMOVE_USER, SET_USER_IDENTITY, REMOVE_USER_IDENTITY, \
                    USER_IDENTITY and USER_LINK, with a name, and a key in hexadecimal digits or base64: the clients \
                    of a gateway with a user database. QUIT: ends this connection.";

/// Commands of service nodes (server.md 9.3).
const START_SERVICE: &str = "START_KAETZCHEN";
const STOP_SERVICE: &str = "STOP_KAETZCHEN";

/// Commands of gateways (server.md 9.4).
const SEND_RATE: &str = "SEND_RATE";
const SEND_BURST: &str = "SEND_BURST";

/// What was asked for is done.
pub const DONE: &str = "250 Requested action ok, completed";
/// What was asked for cannot be done.
pub const FAILED: &str = "554 Transaction failed";
/// Clients are not limited at all.
pub const SHUT_OFF: &str = "554 Transaction failed: Debug.DisableRateLimit is true";
/// The answer to one more change while many are under way.
pub const CROWDED: &str = "554 Transaction failed: others are under way";
/// A command that nobody knows, or not here.
const UNKNOWN: &str = "500 Syntax error, command unrecognised";
/// A command has other arguments than it takes.
pub const MALFORMED: &str = "501 Syntax error in parameters or arguments";

/// What the node does for a management connection.
pub trait Node: Send + Sync + 'static {
    /// Begins a graceful shutdown in the background.
    fn shut_down(&self);
    /// Leaves the consensus, and shuts down when no document lists the node any more.
    fn drain(&self);
    /// The state of the node as one line of JSON.
    fn status(&self) -> String;
    /// Something else about it; gives the answer.
    fn look(&self, at: Look) -> Line;
    /// Reads its configuration again; gives the answer.
    fn reload(&self) -> Line;
    /// Whether there are clients to limit.
    fn has_clients(&self) -> bool;
    /// Limits them otherwise; gives the answer.
    fn limit(&self, limit: Limit) -> Line;
    /// Whether there are services to start and to stop.
    fn has_services(&self) -> bool;
    /// Starts the service of a capability; gives whether it runs now and did not before.
    fn start_service(&self, capability: String) -> Done;
    /// Stops it; gives whether it was running.
    fn stop_service(&self, capability: String) -> Done;
    /// Whether there are users to add and to remove.
    fn has_users(&self) -> bool;
    /// Carries out an order about users, of a command in capital letters with its arguments; gives the answer.
    fn order_users(&self, command: String, arguments: String) -> Line;
}

/// What can be looked at besides the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Links to and from other nodes.
    Peers,
    /// Mix keys.
    Keys,
    /// The node's own loops.
    Loops,
}

/// How a gateway's clients are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Packets of each in a minute; 0 is no limit.
    PerMinute(u32),
    /// Packets that each may save up.
    Burst(u32),
}

impl Limit {
    /// The order that a command in capital letters gives with its argument.
    fn parse(command: &str, argument: &str) -> Option<Self> {
        // Digits alone: a sign is none.
        let number = Some(argument).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        match command {
            SEND_RATE => Some(Self::PerMinute(number)),
            _ => Some(Self::Burst(number)).filter(|_| number > 0),
        }
    }
}

/// What takes its time.
pub type Done = Pin<Box<dyn Future<Output = bool> + Send>>;

/// An answer that takes its time.
pub type Line = Pin<Box<dyn Future<Output = String> + Send>>;

/// One reply, and whether the connection ends with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The line without its CR LF.
    pub line: String,
    /// Whether the connection is closed after the line.
    pub closes: bool,
}

impl Reply {
    fn keeps(line: impl Into<String>) -> Self {
        Self { line: line.into(), closes: false }
    }
}

/// The greeting of a connection.
pub fn greeting(identifier: &str) -> String {
    format!("220 {identifier} Katzenpost Management Interface Service ready")
}

/// Answers one line; the command word is matched without regard to case, retired commands are unknown ones.
pub async fn answer(node: &dyn Node, line: &str) -> Reply {
    let line = line.trim_ascii();
    let (command, arguments) = line.split_once(' ').unwrap_or((line, ""));
    match (command.to_ascii_uppercase().as_str(), arguments) {
        ("QUIT", _) => Reply { line: DONE.into(), closes: true },
        ("SHUTDOWN", "") => {
            node.shut_down();
            Reply::keeps(DONE)
        }
        ("DRAIN", "") => {
            node.drain();
            Reply::keeps(DONE)
        }
        ("STATUS", "") => Reply::keeps(format!("250 {}", node.status())),
        ("PEERS", "") => Reply::keeps(node.look(Look::Peers).await),
        ("KEYS", "") => Reply::keeps(node.look(Look::Keys).await),
        ("LOOPS", "") => Reply::keeps(node.look(Look::Loops).await),
        ("RELOAD", "") => Reply::keeps(node.reload().await),
        ("HELP", "") => Reply::keeps(HELP),
        (START_SERVICE | STOP_SERVICE, capability)
            if node.has_services() && !capability.is_empty() && !capability.contains(' ') =>
        {
            let is_start = command.eq_ignore_ascii_case(START_SERVICE);
            let of_node = if is_start { Node::start_service } else { Node::stop_service };
            match of_node(node, capability.into()).await {
                true => Reply::keeps(format!("250 {capability}")),
                false => Reply::keeps(FAILED),
            }
        }
        (START_SERVICE | STOP_SERVICE, _) if !node.has_services() => Reply::keeps(UNKNOWN),
        (command @ (SEND_RATE | SEND_BURST), number) if node.has_clients() => match Limit::parse(command, number) {
            Some(limit) => Reply::keeps(node.limit(limit).await),
            None => Reply::keeps(MALFORMED),
        },
        (command, arguments) if node.has_users() && is_about_users(command) => {
            Reply::keeps(node.order_users(command.into(), arguments.into()).await)
        }
        ("SHUTDOWN" | "DRAIN" | "STATUS" | "PEERS" | "KEYS" | "LOOPS" | "RELOAD" | "HELP", _)
        | (START_SERVICE | STOP_SERVICE, _) => Reply::keeps(MALFORMED),
        _ => Reply::keeps(UNKNOWN),
    }
}

/// The listening socket; its file is removed when it is dropped, unless another one has taken its name.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Socket {
    /// Binds `path`, after removing the socket that an earlier run left there.
    pub fn bind(path: &Path, log: &Log) -> std::io::Result<Self> {
        if remove_stale(path, log)? {
            let reason = "another program serves there; stop it, or give another path";
            return Err(std::io::Error::other(reason));
        }
        if path.symlink_metadata().is_ok() {
            let reason = "there is something that is not a socket; move it away or give another path";
            return Err(std::io::Error::other(reason));
        }
        let listener = UnixListener::bind(SocketPath::of(path)?.as_path())?;
        Ok(Self { listener, path: path.to_owned(), file: file_at(path) })
    }
}

/// Removes the socket that an earlier run left, which happens even where management is off (server.md 1.7). The
/// reference removes any file; one that is no socket is somebody's, and stays, and so does one at which somebody
/// listens: gives whether one does. No warning: the reference leaves one at every stop.
pub fn remove_stale(path: &Path, log: &Log) -> std::io::Result<bool> {
    if !path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket()) {
        return Ok(false);
    }
    if is_served(path)? {
        return Ok(true);
    }
    log.notice(MODULE, format_args!("removing the socket that an earlier run left at {}", path.display()));
    std::fs::remove_file(path)?;
    Ok(false)
}

/// Whether a process listens there: the kernel refuses only where none does. It has other answers to one that is not let
/// in, that finds no room, or a socket of another type.
fn is_served(path: &Path) -> std::io::Result<bool> {
    let short = SocketPath::of(path)?;
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM.nonblocking().cloexec(), None)?;
    let answer = socket.connect(&socket2::SockAddr::unix(short.as_path())?);
    Ok(!answer.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused))
}

/// What tells the file there from any other.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.file.is_some() && file_at(&self.path) == self.file {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

/// Accepts connections until the future is dropped.
pub async fn serve(socket: Socket, identifier: String, node: Arc<dyn Node>, log: Log) -> Infallible {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let (identifier, node) = (identifier.clone(), node.clone());
                open.retain(|connection| !connection.is_finished());
                if open.len() >= CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let conversation = async move {
                    // A connection that breaks is the operator's affair; nothing depends on it.
                    let _ended = converse(stream, &identifier, node.as_ref()).await;
                };
                open.push_back(tokio::spawn(conversation).abort_handle());
            }
            Err(error) => {
                log.warning(MODULE, format_args!("cannot accept a management connection: {error}"));
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

async fn converse(mut stream: UnixStream, identifier: &str, node: &dyn Node) -> std::io::Result<()> {
    stream.write_all(format!("{}\r\n", greeting(identifier)).as_bytes()).await?;
    let mut received = Vec::new();
    loop {
        while let Some(end) = received.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            let reply = answer(node, &String::from_utf8_lossy(&line)).await;
            stream.write_all(format!("{}\r\n", reply.line).as_bytes()).await?;
            if reply.closes {
                return Ok(());
            }
        }
        if received.len() > LINE_BYTES_MAX {
            return stream.write_all(format!("{UNKNOWN}\r\n").as_bytes()).await;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            count => received.extend_from_slice(&chunk[..count]),
        }
    }
}
