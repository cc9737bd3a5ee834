//! `[Server]` without its addresses, and `[Management]` (server.md 2.4, 2.9).

use super::logging::{LogDestination, Logging};
use super::own_files::{check_file, normal};
use crate::finding::{Findings, Place};
use crate::names::{NAME_BYTES_MAX, normalise_identifier};
use crate::reader::At;
use crate::server::raw;
use std::path::{Path, PathBuf};

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
