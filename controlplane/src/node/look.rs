//! What a start would find of the host, without starting and without changing anything.

use super::memory::Host;
use super::serve::metrics_address;
use super::setup;
use crate::process::listen::{self, Families, ListenError};
use crate::process::remedy::{self, remedy_at_address};
use config::ServerConfig;
use interplane::message::Listener;
use pki::EpochClock;
use rustix::process::{Resource, getrlimit};
use std::io::ErrorKind;
use std::net::TcpListener;

/// Open files with which a node of any size is at ease.
const DESCRIPTORS_GOOD: u64 = 65_536;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Well,
    /// The node runs with it; it should be otherwise.
    Unusual,
    /// The node does not start, or does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, and what to do if something is to be done.
    pub seen: String,
}

impl Look {
    /// One thing.
    pub fn new(what: &'static str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self { what, verdict, seen: seen.into() }
    }
}

/// Looks at limits, memory and addresses for a node of this configuration; where one of this DataDir runs, it is no fault
/// that its addresses are taken.
pub fn look(config: &ServerConfig, clock: &EpochClock, is_running: bool) -> Vec<Look> {
    let shards = setup::shards(config);
    let mut looks = vec![open_files(), locked_memory(shards), memory(config, clock)];
    looks.extend(addresses(config, shards, is_running));
    looks.extend(metrics(config, is_running));
    looks
}

fn open_files() -> Look {
    // A start raises its limit to this one.
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let advice = "raise the limit (LimitNOFILE= of the unit, ulimit -Hn) to 65536";
    let (verdict, seen) = match most {
        ..setup::DESCRIPTORS_MIN => (Verdict::Bad, format!("{most}, which is too few for a node: {advice}")),
        setup::DESCRIPTORS_MIN..DESCRIPTORS_GOOD => {
            (Verdict::Unusual, format!("{most}, which is few for many connections: {advice}"))
        }
        DESCRIPTORS_GOOD..u64::MAX => (Verdict::Well, most.to_string()),
        u64::MAX => (Verdict::Well, "without limit".into()),
    };
    Look::new("open files", verdict, seen)
}

fn locked_memory(shards: usize) -> Look {
    let (most, needed) = (getrlimit(Resource::Memlock).current, remedy::locked_bytes_of_node(shards) as u64);
    // The capability IPC_LOCK makes the limit none; who has it is root, or a unit that says so.
    let is_free = rustix::process::geteuid().is_root();
    match most {
        Some(most) if most < needed && !is_free => {
            Look::new("locked memory", Verdict::Unusual, remedy::unlocked("private keys", shards))
        }
        Some(most) => {
            Look::new("locked memory", Verdict::Well, format!("{} kB, {} are needed", most >> 10, needed >> 10))
        }
        None => Look::new("locked memory", Verdict::Well, "without limit"),
    }
}

fn memory(config: &ServerConfig, clock: &EpochClock) -> Look {
    let host = Host::look();
    match setup::wanted(config, clock).sizes(&host) {
        Err(error) => Look::new("memory", Verdict::Bad, error.to_string()),
        Ok(sizes) => {
            let (seen, is_short) = sizes.report(&host);
            let verdict = if is_short { Verdict::Unusual } else { Verdict::Well };
            Look::new("memory", verdict, seen.trim_start_matches("Memory: "))
        }
    }
}

fn addresses(config: &ServerConfig, shards: usize, is_running: bool) -> Vec<Look> {
    const WHAT: &str = "address";
    let resolved = listen::resolve(&config.network.listen, Families::of_host())
        .and_then(|listeners| listen::for_shards(&listeners, shards).map(|_| listeners));
    let listeners = match resolved {
        Ok(listeners) => listeners,
        Err(error) => return vec![Look::new(WHAT, Verdict::Bad, error.to_string())],
    };
    let look = |address: Listener| match listen::bind_all(&[address], Vec::new()) {
        Ok(_) if is_running => {
            let seen =
                format!("{address}: nobody listens there, although a node of this DataDir runs: look at its log");
            Look::new(WHAT, Verdict::Bad, seen)
        }
        Ok(sockets) => match sockets.iter().find_map(|(_, fd)| listen::small_buffer(fd)) {
            Some(bytes) => Look::new(WHAT, Verdict::Unusual, format!("{address} {}", remedy::small_buffer(bytes))),
            None => Look::new(WHAT, Verdict::Well, format!("{address} can be listened on")),
        },
        Err(ListenError::Bind { error, .. }) if is_running && error.kind() == ErrorKind::AddrInUse => {
            Look::new(WHAT, Verdict::Well, format!("{address} is in use, and a node of this DataDir runs"))
        }
        Err(error) => Look::new(WHAT, Verdict::Bad, error.to_string()),
    };
    listeners.into_iter().map(look).collect()
}

fn metrics(config: &ServerConfig, is_running: bool) -> Option<Look> {
    const WHAT: &str = "metrics";
    let address = metrics_address(config.network.metrics.as_ref()?);
    Some(match TcpListener::bind(&address) {
        Ok(_) => Look::new(WHAT, Verdict::Well, format!("{address} can be listened on")),
        Err(error) if is_running && error.kind() == ErrorKind::AddrInUse => {
            Look::new(WHAT, Verdict::Well, format!("{address} is in use, and a node of this DataDir runs"))
        }
        Err(error) => {
            let remedy = remedy_at_address(&error);
            Look::new(WHAT, Verdict::Bad, format!("{address}: {error} (Server.MetricsAddress){remedy}"))
        }
    })
}
