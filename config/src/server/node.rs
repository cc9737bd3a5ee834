//! `[Server]` without its addresses, `[Logging]` and `[Management]` (server.md 2.4, 2.7, 2.9).

use crate::finding::{Findings, Place};
use crate::names::{NAME_BYTES_MAX, normalise_identifier};
use crate::reader::At;
use crate::server::raw;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What happens to advertised mix keys at a clean stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// They are forgotten; packets for this node are lost until clients have a newer document.
    Immediate,
    /// The node stays until no document lists it.
    WithdrawFirst,
    /// They are written to a folder and consumed at the next start; none is the folder that the identity names.
    PersistMixKeys(Option<PathBuf>),
}

/// The least severe lines that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only errors.
    Error,
    /// And warnings.
    Warning,
    /// And what an operator should know.
    #[default]
    Notice,
    /// And the course of events.
    Info,
    /// And single packets: linkable data.
    Debug,
}

/// Where log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// Nowhere.
    Silent,
    /// Standard output.
    #[default]
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Log of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The least severe lines that are logged.
    pub level: LogLevel,
    /// Where they go.
    pub destination: LogDestination,
}

/// The management socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// Whether it is served.
    pub enabled: bool,
    /// Where it is; a stale one is removed at start even when it is not served.
    pub path: PathBuf,
}

/// A text that must be there, or none after a finding.
pub fn required(value: Option<At<String>>, key: &str, problem: &str, findings: &mut Findings) -> Option<At<String>> {
    match value {
        Some(at) if !at.value.is_empty() => Some(at),
        other => {
            let place = other.map_or_else(|| Place::absent(key), |at| at.place);
            let name = key.rsplit('.').next().unwrap_or(key);
            findings.error("required", &place, problem, format!("set {name}"));
            None
        }
    }
}

pub fn identifier(raw: &raw::Server, findings: &mut Findings) -> Option<String> {
    let problem = "config: Server: Identifier is not set";
    let written = required(raw.identifier.clone(), "Server.Identifier", problem, findings)?;
    let Some(identifier) = normalise_identifier(&written.value) else {
        findings.error(
            "identifier",
            &written.place,
            format!("config: Failed to normalize Identifier: '{}' cannot be a host name", written.value),
            "use letters, digits and single hyphens inside",
        );
        return None;
    };
    if identifier.is_empty() || identifier.len() > NAME_BYTES_MAX {
        let problem = format!("is {} bytes long, descriptors take 1 to {NAME_BYTES_MAX}", identifier.len());
        findings.error("identifier", &written.place, problem, "choose a shorter name and have the authorities pin it");
        return None;
    }
    if identifier != written.value {
        findings.warning(
            "identifier-mapped",
            &written.place,
            format!("'{}' is used as '{identifier}'", written.value),
            format!("write '{identifier}'"),
        );
    }
    Some(identifier)
}

pub fn data_dir(raw: &raw::Server, findings: &mut Findings) -> Option<PathBuf> {
    // An absent folder has the text of a relative one in the reference: the empty path is not absolute.
    let (written, place) = match &raw.data_dir {
        Some(at) => (at.value.as_str(), at.place.clone()),
        None => ("", Place::absent("Server.DataDir")),
    };
    absolute(written, &place, "config: Server: DataDir", findings)
}

pub fn shutdown(raw: &raw::Server, findings: &mut Findings) -> Shutdown {
    let flag = |value: &Option<At<bool>>| value.as_ref().is_some_and(|at| at.value);
    let withdraw = flag(&raw.wait_for_consensus_exit_on_shutdown);
    let persist = flag(&raw.persist_mix_keys_on_shutdown);
    let folder = raw.persist_mix_keys_on_shutdown_dir.as_ref().filter(|at| !at.value.is_empty());
    if let (true, true, Some(at)) = (withdraw, persist, &raw.persist_mix_keys_on_shutdown) {
        findings.error(
            "exclusive",
            &at.place,
            "config: Server: WaitForConsensusExitOnShutdown and PersistMixKeysOnShutdown are mutually exclusive",
            "set one of the two to false",
        );
    }
    let persist_known = !findings.is_unreadable("Server.PersistMixKeysOnShutdown");
    if let (false, true, Some(at)) = (persist, persist_known, folder) {
        findings.error(
            "persist-dir-unused",
            &at.place,
            "config: Server: PersistMixKeysOnShutdownDir is set but PersistMixKeysOnShutdown is not enabled",
            "set PersistMixKeysOnShutdown = true, or remove the folder",
        );
    }
    let folder =
        folder.and_then(|at| absolute(&at.value, &at.place, "config: Server: PersistMixKeysOnShutdownDir", findings));
    match (withdraw, persist) {
        (true, _) => Shutdown::WithdrawFirst,
        (false, true) => Shutdown::PersistMixKeys(folder),
        (false, false) => Shutdown::Immediate,
    }
}

/// `config_files` are read by the node, and so are none to be written to.
pub fn logging(raw: Option<raw::Logging>, data_dir: &Path, config_files: &[&Path], findings: &mut Findings) -> Logging {
    let raw = raw.unwrap_or_default();
    let level = raw.level.and_then(|at| {
        let level = match at.value.to_ascii_uppercase().as_str() {
            "" | "NOTICE" => LogLevel::Notice,
            "ERROR" => LogLevel::Error,
            "WARNING" => LogLevel::Warning,
            "INFO" => LogLevel::Info,
            "DEBUG" => LogLevel::Debug,
            _ => {
                let problem = format!("config: Logging: Level '{}' is invalid", at.value);
                findings.error("log-level", &at.place, problem, "use ERROR, WARNING, NOTICE, INFO or DEBUG");
                return None;
            }
        };
        if level == LogLevel::Debug {
            findings.warning(
                "log-level-debug",
                &at.place,
                "Unsafe Debug logging is enabled: it links packets",
                "use NOTICE in production",
            );
        }
        Some(level)
    });
    let destination = match (raw.disable, raw.file) {
        (Some(At { value: true, .. }), _) => LogDestination::Silent,
        (_, Some(file)) if !file.value.is_empty() => {
            let path = data_dir.join(&file.value);
            check_file(&file, &path, data_dir, findings);
            if config_files.iter().any(|other| is_same_file(other, &path)) {
                findings.error("own-file", &file.place, "is a configuration file", "give another name");
            } else if holds_key(&path) && !is_own_file(&path, data_dir) {
                findings.error("own-file", &file.place, "is a file that holds a key", "give another name");
            }
            LogDestination::File(path)
        }
        _ => LogDestination::Stdout,
    };
    Logging { level: level.unwrap_or_default(), destination }
}

pub fn management(
    raw: Option<raw::Management>,
    data_dir: &Path,
    logging: &Logging,
    findings: &mut Findings,
) -> Management {
    let raw = raw.unwrap_or_default();
    let enabled = raw.enable.is_some_and(|at| at.value);
    let written = raw.path.filter(|at| !at.value.is_empty());
    let path = written.as_ref().map_or_else(|| data_dir.join(MANAGEMENT_SOCKET), |at| PathBuf::from(&at.value));
    if let Some(at) = &written {
        if path.is_relative() {
            let problem = format!("'{}' is relative to the working directory", at.value);
            findings.warning("management-path", &at.place, problem, "write an absolute path");
        }
        let name_bytes = path.file_name().map_or(0, |name| name.len());
        if enabled && name_bytes > SOCKET_NAME_BYTES_MAX {
            let problem = format!("has a name of {name_bytes} bytes, sockets take {SOCKET_NAME_BYTES_MAX}");
            findings.error("management-path", &at.place, problem, "choose a shorter name");
        }
        if enabled {
            check_file(at, &path, data_dir, findings);
        }
    }
    if let (true, LogDestination::File(log)) = (enabled, &logging.destination)
        && normal(log) == normal(&path)
    {
        let place = written.map_or_else(|| Place::absent("Management.Path"), |at| at.place);
        findings.error("own-file", &place, "is also Logging.File", "give one of the two another name");
    }
    Management { enabled, path }
}

/// Name of the management socket in DataDir where no path is written.
pub const MANAGEMENT_SOCKET: &str = "management_sock";

/// What else the node has in DataDir, each under its temporary name too. What writes there must not write into these.
const FILES: [&str; 11] = [
    "identity.private.pem",
    "identity.private.pem.new",
    "identity.public.pem",
    "identity.public.pem.new",
    "link.private.pem",
    "link.private.pem.new",
    "link.public.pem",
    "link.public.pem.new",
    "katzensprung.lock",
    "selfcheck.toml",
    "dataplane.sock",
];

/// A path that is to become a file or socket of its own.
fn check_file(at: &At<String>, path: &Path, data_dir: &Path, findings: &mut Findings) {
    let written = at.value.as_str();
    let path = normal(path);
    if written.contains('\0') {
        findings.error("path", &at.place, "has a NUL character, which no path has", "remove it");
    } else if written.ends_with('/')
        || written.ends_with("/.")
        || path.file_name().is_none()
        || path == normal(data_dir)
    {
        let problem = format!("'{written}' names a folder");
        findings.error("path", &at.place, problem, "add the name of the file");
    } else if is_own_file(&path, data_dir) {
        let name = path.file_name().unwrap_or_default().display();
        let problem = format!("'{written}' is the node's own {name}");
        findings.error("own-file", &at.place, problem, "give another name");
    }
}

fn is_own_file(path: &Path, data_dir: &Path) -> bool {
    let path = normal(path);
    path.parent() == Some(normal(data_dir).as_path()) && FILES.iter().any(|name| path.ends_with(name))
}

/// Whether both names lead to one file, by whatever ways; folders on the way may not be there yet.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let written = |path: &Path| std::path::absolute(path).map_or_else(|_| normal(path), |path| normal(&path));
    if written(one) == written(other) {
        return true;
    }
    let file = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    file(one).is_some_and(|one| file(other) == Some(one))
}

/// Whether a file is there that begins as keys do; another node's or an authority's.
fn holds_key(path: &Path) -> bool {
    const BEGINNING: &[u8] = b"-----BEGIN";
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut bytes = [0; BEGINNING.len()];
    is_file && File::open(path).is_ok_and(|mut file| file.read_exact(&mut bytes).is_ok()) && bytes == BEGINNING
}

/// The path without detours; what links make of it is not looked at.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Bytes of the longest name of a socket: a path of 107 bytes without what leads to any open folder
/// (`/proc/self/fd/<number>/`).
const SOCKET_NAME_BYTES_MAX: usize = 80;

/// An absolute path, or none after a finding that begins with `what`.
pub fn absolute(written: &str, place: &Place, what: &str, findings: &mut Findings) -> Option<PathBuf> {
    let path = Path::new(written);
    if written.contains('\0') {
        findings.error("path", place, format!("{what} has a NUL character, which no path has"), "remove it");
        return None;
    }
    if path.is_absolute() {
        return Some(path.to_path_buf());
    }
    let problem = format!("{what} '{written}' is not an absolute path");
    findings.error("not-absolute", place, problem, "write a path that starts with /");
    None
}
