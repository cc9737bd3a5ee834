//! Mix keys over a clean stop, as files that the reference reads too (server.md 4.5), each beside its replay set: both or
//! neither. What is read is gone from the folder at once, so that no crash brings a key back.

#[cfg(test)]
mod tests;

use super::{PrivateMixKeys, Scheme};
use interplane::replay::kept as replays;
use pki::Epoch;
use rustix::process::geteuid;
use secret_memory::within;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"KMK1";
const HEADER_BYTES: usize = 5;
/// McEliece's are the longest.
const FILE_BYTES_MAX: u64 = 1 << 16;
/// Epochs around the current one whose keys a node holds (server.md 4.1).
const EPOCHS_BEFORE: u64 = 1;
const EPOCHS_AFTER: u64 = 3;

/// Why a start cannot go on with what a stop has left. The file is still there.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// Cut short.
    #[error("{} is truncated; remove it to begin with a new key", .0.display())]
    Truncated(PathBuf),
    /// Something else.
    #[error("{} has an invalid header; remove it to begin with a new key", .0.display())]
    Header(PathBuf),
    /// Another geometry.
    #[error("{} was written for a different scheme; remove it, or mend [SphinxGeometry]", .0.display())]
    OtherScheme(PathBuf),
    /// No key.
    #[error("{} holds no key of [SphinxGeometry]'s scheme; remove it to begin with a new key", .0.display())]
    Key(PathBuf),
    /// It would be there again at the next start.
    #[error("failed to consume persisted key file {}: {error}", .path.display())]
    Consume {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The folder or a file in it.
    #[error("cannot {what} {}: {error} (Server.PersistMixKeysOnShutdownDir)", .path.display())]
    Os {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// Somebody else could put keys there that they know.
    #[error(
        "{} is not this user's alone; remove it, or set Server.PersistMixKeysOnShutdownDir to a folder of mode 0700", .0.display()
    )]
    Shared(PathBuf),
}

fn os(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> KeptError {
    move |error| KeptError::Os { what, path: path.into(), error }
}

/// Where keys are kept that have no folder of their own: memory, which a reboot clears.
pub fn default_folder(node_id: &[u8; 32]) -> PathBuf {
    let id: String = node_id.iter().map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from("/dev/shm").join(format!("katzenpost-mixkeys-{id}"))
}

/// What a stop has left.
#[derive(Default)]
pub struct Kept {
    /// The keys.
    pub mix_keys: PrivateMixKeys,
    /// Their replay sets; none for a key that the reference has written.
    pub replay_sets: BTreeMap<Epoch, OwnedFd>,
    /// What an operator should know.
    pub findings: Vec<String>,
}

/// Writes keys, each with its replay set. Nobody may use them any more. Gives how many; what cannot be written is left out
/// as a whole, with the first reason.
pub fn keep(
    folder: &Path,
    scheme: Scheme,
    keys: &PrivateMixKeys,
    sets: &BTreeMap<Epoch, OwnedFd>,
) -> (usize, Result<(), KeptError>) {
    if let Err(error) = make_own(folder) {
        return (0, Err(error));
    }
    let (mut count, mut outcome) = (0, Ok(()));
    for (epoch, private) in keys {
        // Without its set a key would accept again what it has accepted.
        let Some(set) = sets.get(&Epoch(*epoch)) else { continue };
        match keep_one(folder, scheme, *epoch, private, set) {
            Ok(()) => count += 1,
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    let synced = File::open(folder).and_then(|folder| folder.sync_all()).map_err(os("sync", folder));
    (count, outcome.and(synced))
}

fn keep_one(folder: &Path, scheme: Scheme, epoch: u64, private: &[u8], set: &OwnedFd) -> Result<(), KeptError> {
    let (key_file, set_file) = (key_file(folder, epoch), set_file(folder, epoch));
    let public = public_key(scheme, private).ok_or_else(|| KeptError::Key(key_file.clone()))?;
    let replays = put(&set_file, |to| {
        to.write_all(&pki::hash(&public))?;
        replays::write(set, to)
    });
    let key = replays.and_then(|()| {
        put(&key_file, |to| {
            to.write_all(MAGIC)?;
            to.write_all(&[kind(scheme)])?;
            to.write_all(private)
        })
    });
    key.inspect_err(|_| {
        for file in [&key_file, &set_file] {
            let _never_there = fs::remove_file(file);
        }
    })
}

/// A whole file or none.
fn put(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), KeptError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}-{}", std::process::id()));
    let write = || {
        let _left_by_a_crash = fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        // What is buffered of a key is wiped with the rest of the arena.
        let mut to = within(|| BufWriter::new(file));
        content(&mut to)?;
        to.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _never_there = fs::remove_file(&temporary);
        os("write", path)(error)
    })
}

/// Takes what a stop has left for the epochs around `now`; of other epochs nothing stays.
pub fn take(folder: &Path, scheme: Scheme, now: Epoch) -> Result<Kept, KeptError> {
    let mut kept = Kept::default();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(kept),
        entries => entries.map_err(os("list", folder))?,
    };
    if let Err(error) = check_own(folder) {
        kept.findings.push(format!("{error}; nothing in it is used"));
        return Ok(kept);
    }
    let mut epochs = Vec::new();
    for entry in entries {
        let name = entry.map_err(os("list", folder))?.file_name();
        let Some((prefix, epoch)) = name.to_str().and_then(parse) else { continue };
        let wanted = now.0.saturating_sub(EPOCHS_BEFORE)..=now.0.saturating_add(EPOCHS_AFTER);
        if wanted.contains(&epoch) {
            epochs.extend((prefix == KEY_PREFIX).then_some(epoch));
        } else {
            let path = folder.join(&name);
            fs::remove_file(&path).map_err(os("remove", &path))?;
            kept.findings.push(format!("removed {}, whose epoch is over", path.display()));
        }
    }
    epochs.sort_unstable();
    for epoch in epochs {
        take_one(folder, scheme, epoch, &mut kept)?;
    }
    Ok(kept)
}

fn take_one(folder: &Path, scheme: Scheme, epoch: u64, kept: &mut Kept) -> Result<(), KeptError> {
    let (key_file, set_file) = (key_file(folder, epoch), set_file(folder, epoch));
    let private = read_key(&key_file, scheme)?;
    let public = public_key(scheme, &private).ok_or_else(|| KeptError::Key(key_file.clone()))?;
    let set = read_set(&set_file, epoch, &pki::hash(&public));
    // The key first: a set that is left behind does no harm.
    fs::remove_file(&key_file).map_err(|error| KeptError::Consume { path: key_file.clone(), error })?;
    let _next_time = fs::remove_file(&set_file);
    match set {
        Ok(Some(set)) => {
            kept.replay_sets.insert(Epoch(epoch), set);
        }
        Ok(None) => kept.findings.push(format!(
            "{} came without the packets that were seen with it, as the reference writes it: each of them could be sent once \
             more until epoch {} is over",
            key_file.display(),
            epoch + 1
        )),
        Err(error) => {
            // Nobody can say what was seen.
            kept.findings.push(format!("cannot read {}: {error}; epoch {epoch} gets a new key", set_file.display()));
            return Ok(());
        }
    }
    kept.mix_keys.push((epoch, private));
    Ok(())
}

fn read_key(path: &Path, scheme: Scheme) -> Result<Zeroizing<Vec<u8>>, KeptError> {
    let failed = || os("read", path);
    let mut file = File::open(path).map_err(failed())?;
    let bytes = file.metadata().map_err(failed())?.len().min(FILE_BYTES_MAX) as usize;
    let mut content = within(|| Zeroizing::new(vec![0; bytes]));
    file.read_exact(&mut content).map_err(failed())?;
    let Some((header, private)) = content.split_at_checked(HEADER_BYTES) else {
        return Err(KeptError::Truncated(path.into()));
    };
    if !header.starts_with(MAGIC) {
        return Err(KeptError::Header(path.into()));
    }
    if header.last() != Some(&kind(scheme)) {
        return Err(KeptError::OtherScheme(path.into()));
    }
    Ok(within(|| Zeroizing::new(private.to_vec())))
}

/// The replay set of the key with that public key; none if there is none, or another key's.
fn read_set(path: &Path, epoch: u64, public: &[u8; 32]) -> std::io::Result<Option<OwnedFd>> {
    let mut from = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => BufReader::new(file?),
    };
    let mut of = [0; 32];
    from.read_exact(&mut of)?;
    if of != *public {
        return Ok(None);
    }
    let (set, fd) = replays::read(&mut from)?;
    if set.epoch() != epoch {
        return Err(std::io::Error::new(ErrorKind::InvalidData, format!("it is of epoch {}", set.epoch())));
    }
    Ok(Some(fd))
}

const KEY_PREFIX: &str = "mixkey-";
const SET_PREFIX: &str = "replays-";
const SUFFIX: &str = ".bin";

fn key_file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("{KEY_PREFIX}{epoch}{SUFFIX}"))
}

fn set_file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("{SET_PREFIX}{epoch}{SUFFIX}"))
}

/// Which of the two files this is, and of which epoch.
fn parse(name: &str) -> Option<(&'static str, u64)> {
    [KEY_PREFIX, SET_PREFIX].into_iter().find_map(|prefix| {
        let digits = name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?;
        let epoch = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        Some((prefix, epoch))
    })
}

fn kind(scheme: Scheme) -> u8 {
    match scheme {
        Scheme::Nike(_) => 0,
        Scheme::Kem(_) => 1,
    }
}

fn public_key(scheme: Scheme, private: &[u8]) -> Option<Vec<u8>> {
    within(|| scheme.public_key(private).ok())
}

fn make_own(folder: &Path) -> Result<(), KeptError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(os("make", folder))?;
    check_own(folder)
}

/// Whether nobody else can put anything there.
fn check_own(folder: &Path) -> Result<(), KeptError> {
    let metadata = folder.symlink_metadata().map_err(os("look at", folder))?;
    let is_own = metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if is_own { Ok(()) } else { Err(KeptError::Shared(folder.into())) }
}
