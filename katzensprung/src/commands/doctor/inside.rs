//! A node seen from its own host. Nothing is changed.

use super::super::{findings_text, strict};
use super::network::Network;
use crate::host;
use config::keys::{self, IDENTITY_PUBLIC_FILE};
use config::{Finding, ServerConfig, Severity, Strictness};
use controlplane::node::{self, Look, Verdict};
use dataplane::io::choice::Choice;
use dataplane::io::driver::Clock;
use pki::EpochClock;
use pki::document::Consensus;
use rustix::fs::{CWD, Mode, OFlags, openat, statvfs};
use std::fs::{File, TryLockError};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tuning::host::Host;
use tuning::profile::Profile;
use tuning::stages::{Context, STAGES};

/// Free bytes of the disk without which a node cannot write its log and keys, and with which there is no need to look.
const DISK_BYTES_MIN: u64 = 16 << 20;
const DISK_BYTES_GOOD: u64 = 1 << 30;

/// Looks at everything.
pub async fn look(file: &Path, clock: &EpochClock, offline: bool) -> Vec<Look> {
    host::raise_descriptor_limit();
    let (mut looks, config) = configuration(file);
    // With findings too: one mistake must not hide all else.
    let Some(config) = config else {
        looks.push(tuned());
        return looks;
    };
    let is_running = is_running(&config.data_dir);
    looks.extend(key_files(&config.data_dir));
    looks.extend(disk(&config.data_dir));
    looks.extend(node::look(&config, clock, is_running));
    looks.push(input_and_output(&config));
    looks.extend(bypass(&config));
    looks.push(tuned());
    if offline {
        return looks;
    }
    match Network::of_node(&config) {
        Err(error) => looks.push(Look::new("authority", Verdict::Bad, error)),
        Ok(network) => {
            let said = network.ask(clock).await;
            looks.extend(said.looks);
            looks.extend(said.consensus.map(|consensus| listed(&config, &consensus, is_running)));
        }
    }
    looks
}

/// The strict check of the file, and what it says if it can be read at all.
fn configuration(file: &Path) -> (Vec<Look>, Option<ServerConfig>) {
    const WHAT: &str = "configuration";
    let look = |finding: &Finding| {
        let verdict = if finding.severity == Severity::Error { Verdict::Bad } else { Verdict::Unusual };
        let text = findings_text(std::slice::from_ref(finding));
        Look::new(WHAT, verdict, text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned()))
    };
    match strict::server(file) {
        Ok(loaded) if loaded.findings.is_empty() => {
            (vec![Look::new(WHAT, Verdict::Well, file.display().to_string())], Some(loaded.config))
        }
        Ok(loaded) => (loaded.findings.iter().map(look).collect(), Some(loaded.config)),
        Err(findings) => {
            let loaded = ServerConfig::load(file, Strictness::Lenient).ok();
            (findings.iter().map(look).collect(), loaded.map(|loaded| loaded.config))
        }
    }
}

/// Whether a node has this folder: it holds a lock on it.
fn is_running(data_dir: &Path) -> bool {
    File::open(data_dir).is_ok_and(|folder| matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Who may read the private keys. Whether the pairs match is the configuration check's.
fn key_files(data_dir: &Path) -> Vec<Look> {
    const WHAT: &str = "keys";
    let mut looks = Vec::new();
    for name in ["identity.private.pem", "link.private.pem"] {
        let path = data_dir.join(name);
        if keys::is_credential(&path) {
            let seen = format!("{} is a credential of the unit", path.display());
            looks.push(Look::new(WHAT, Verdict::Well, seen));
            continue;
        }
        let Ok(metadata) = path.metadata() else {
            let seen = format!("{} is not there: a start, or `server -g`, makes it", path.display());
            looks.push(Look::new(WHAT, Verdict::Unusual, seen));
            continue;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        looks.push(match mode & 0o077 {
            0 => Look::new(WHAT, Verdict::Well, format!("{} has mode {mode:04o}", path.display())),
            _ => {
                let path = path.display();
                let seen = format!("{path} has mode {mode:04o}, so that others may read it: run chmod 0600 {path}");
                Look::new(WHAT, Verdict::Bad, seen)
            }
        });
    }
    looks
}

/// Room on the disk of DataDir, and whether anything can be written there.
fn disk(data_dir: &Path) -> Vec<Look> {
    const WHAT: &str = "disk";
    let shown = data_dir.display();
    // A start makes the folder, not those above it.
    let folder = if data_dir.exists() { Some(data_dir) } else { data_dir.parent() };
    let Some(folder) = folder.filter(|folder| folder.exists()) else {
        let seen = format!("{shown}: the folder above it does not exist: make it (Server.DataDir)");
        return vec![Look::new(WHAT, Verdict::Bad, seen)];
    };
    let mut looks = Vec::new();
    if let Ok(disk) = statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let seen = format!("{} MB are free for {shown}", free >> 20);
        looks.push(match free {
            ..DISK_BYTES_MIN => Look::new(WHAT, Verdict::Bad, format!("{seen}: free some space")),
            DISK_BYTES_MIN..DISK_BYTES_GOOD => {
                Look::new(WHAT, Verdict::Unusual, format!("{seen}, which a log can fill"))
            }
            _ => Look::new(WHAT, Verdict::Well, seen),
        });
    }
    // A file without a name: nothing is left, whatever happens.
    let written = openat(CWD, folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
        .and_then(|file| rustix::io::write(&file, b"1"));
    looks.push(match written {
        Ok(_) => Look::new(WHAT, Verdict::Well, format!("{} can be written in", folder.display())),
        // Some file systems know no such files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => Look::new(
            WHAT,
            Verdict::Unusual,
            format!("{}: whether it can be written in was not tried", folder.display()),
        ),
        Err(error) => {
            let seen = format!("{} cannot be written in: {error}: check owner, mode and mount", folder.display());
            Look::new(WHAT, Verdict::Bad, seen)
        }
    });
    looks
}

/// Which way packets would go in and out.
fn input_and_output(config: &ServerConfig) -> Look {
    const WHAT: &str = "io";
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    match Choice::make(node::backend(config), config.shards(processors).get(), Clock::start()) {
        Ok((choice, None)) => Look::new(WHAT, Verdict::Well, format!("{} works", choice.name())),
        Ok((choice, Some(refusal))) => {
            Look::new(WHAT, Verdict::Unusual, format!("{} works, which is slower: {refusal}", choice.name()))
        }
        Err(error) => Look::new(WHAT, Verdict::Bad, error.to_string()),
    }
}

/// Whether datagrams could go past the kernel, where they are to.
fn bypass(config: &ServerConfig) -> Option<Look> {
    const WHAT: &str = "datagrams";
    let interface = config.own.dataplane.interface.as_deref()?;
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Some(match dataplane::process::lanes::check(interface, config.shards(processors).get()) {
        Ok(()) => Look::new(WHAT, Verdict::Well, format!("nothing is in the way of AF_XDP at {interface}")),
        Err(refusal) => {
            Look::new(WHAT, Verdict::Unusual, format!("the kernel's sockets will carry them, not AF_XDP: {refusal}"))
        }
    })
}

/// How this host is set; `tuning check` says more.
fn tuned() -> Look {
    const WHAT: &str = "host";
    let host = Host::read(Path::new("/"));
    let profile = match Profile::detect(&host) {
        Ok(profile) => profile,
        Err(error) => return Look::new(WHAT, Verdict::Unusual, error.to_string()),
    };
    let context = Context::new(&host, &profile, None);
    let found: Vec<_> = STAGES.iter().filter(|stage| !stage.check(&context).findings.is_empty()).collect();
    if found.is_empty() {
        return Look::new(WHAT, Verdict::Well, "set as the profile of its processor wants it");
    }
    let names: Vec<_> = found.iter().map(|stage| stage.name).collect();
    Look::new(
        WHAT,
        Verdict::Unusual,
        format!("could be set better: {}; `tuning check` says how and why", names.join(", ")),
    )
}

/// Whether the document lists the node, and if not, why that may be.
fn listed(config: &ServerConfig, consensus: &Consensus, is_running: bool) -> Look {
    const WHAT: &str = "consensus";
    let epoch = consensus.epoch().0;
    let file = config.data_dir.join(IDENTITY_PUBLIC_FILE);
    let key = match keys::read_public_key(&file, config.pki_signature_scheme) {
        Ok(key) => key,
        Err(error) => return Look::new(WHAT, Verdict::Unusual, format!("not looked for: {error}")),
    };
    if let Some((layer, node)) = consensus.node(&pki::hash(&key)) {
        let place = super::outside::place(layer);
        return Look::new(WHAT, Verdict::Well, format!("'{}' is in the document of epoch {epoch}, {place}", node.name));
    }
    let name = &config.identifier;
    if let Some((_, other)) = consensus.document().nodes().find(|(_, node)| node.name == *name) {
        let seen = format!(
            "'{name}' in the document of epoch {epoch} has another identity key ({}): DataDir, or the name, is another \
             node's",
            super::super::fetch::hex(&other.id())
        );
        return Look::new(WHAT, Verdict::Bad, seen);
    }
    let register = format!("do the authorities' operators have '{name}' and {}?", file.display());
    match is_running {
        true => {
            let seen = format!(
                "the node runs and is not in the document of epoch {epoch}. It uploads at the beginning of an epoch for the \
                 next one; if it has run for longer, its log says what authorities answer: {register}"
            );
            Look::new(WHAT, Verdict::Bad, seen)
        }
        false => {
            let seen = format!("the node does not run, and is not in the document of epoch {epoch}: {register}");
            Look::new(WHAT, Verdict::Unusual, seen)
        }
    }
}
