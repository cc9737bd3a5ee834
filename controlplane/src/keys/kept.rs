//! Mix keys over a clean stop, as files that the reference reads too (server.md 4.5), each beside its replay set: both or
//! neither. What a start goes on with is removed from the folder, so that no crash brings a key back.

//!
//! Sealed for the machine, a key and its set are one file, of which the reference takes no notice. Of an epoch there are never
//! both: should somebody have written a key since, that one counts.

mod sealed;
#[cfg(test)]
mod tests;

use super::{PrivateMixKeys, Scheme};
use config::sealing::{CREDENTIAL, SealError, SealKey};
use interplane::replay::kept as replays;
use pki::Epoch;
use rustix::fs::Access;
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
/// The hash of a public key and which file holds the private one.
const MARK_BYTES: usize = 32 + 3 * 8;
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
    /// It is sealed, and there is nothing to open it with.
    #[error("{} is sealed, and {error}; or remove the file to begin with a new key", .path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why there is no key.
        error: SealError,
    },
    /// It was sealed with something else.
    #[error(
        "{} was sealed with another credential '{CREDENTIAL}' than this one, or on another machine, or is damaged; give the \
         unit the credential with which it was sealed, or remove the file to begin with a new key", .0.display()
    )]
    Unsealable(PathBuf),
    /// What is to be unsealed is there already.
    #[error("{} is there already, beside {}; remove the one that is not wanted", .clear.display(), .sealed.display())]
    Both {
        /// The key as the reference writes it.
        clear: PathBuf,
        /// The sealed one.
        sealed: PathBuf,
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

/// What a stop has left. It stays in the folder until it is consumed.
#[derive(Default)]
pub struct Kept {
    /// The keys.
    pub mix_keys: PrivateMixKeys,
    /// Their replay sets; none for a key that the reference has written.
    pub replay_sets: BTreeMap<Epoch, OwnedFd>,
    /// What an operator should know.
    pub findings: Vec<String>,
    folder: PathBuf,
    /// Each key's before that of its set: a set without its key does no harm.
    files: Vec<PathBuf>,
}

impl Kept {
    /// Removes from the folder what was found there, for good.
    pub fn consume(&self) -> Result<(), KeptError> {
        for path in &self.files {
            fs::remove_file(path).map_err(|error| KeptError::Consume { path: path.clone(), error })?;
        }
        if self.files.is_empty() { Ok(()) } else { sync(&self.folder) }
    }
}

fn sync(folder: &Path) -> Result<(), KeptError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(os("sync", folder))
}

/// Writes keys, each with its replay set, sealed where there is something to seal with. Nobody may use them any more. Gives
/// how many; what cannot be written is left out as a whole, with the first reason.
pub fn keep(
    folder: &Path,
    scheme: Scheme,
    keys: &PrivateMixKeys,
    sets: &BTreeMap<Epoch, OwnedFd>,
    seal: Option<&SealKey>,
) -> (usize, Result<(), KeptError>) {
    if let Err(error) = make_own(folder).and_then(|()| clear(folder)) {
        return (0, Err(error));
    }
    let (mut count, mut outcome) = (0, Ok(()));
    for (epoch, private) in keys {
        // Without its set a key would accept again what it has accepted.
        let Some(set) = sets.get(&Epoch(*epoch)) else { continue };
        let kept = match seal {
            Some(seal) => keep_sealed(folder, scheme, *epoch, (private, set), seal),
            None => keep_one(folder, scheme, *epoch, private, set),
        };
        match kept {
            Ok(()) => count += 1,
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    (count, outcome.and(sync(folder)))
}

fn keep_one(folder: &Path, scheme: Scheme, epoch: u64, private: &[u8], set: &OwnedFd) -> Result<(), KeptError> {
    let (key_file, set_file) = (key_file(folder, epoch), set_file(folder, epoch));
    let public = public_key(scheme, private).ok_or_else(|| KeptError::Key(key_file.clone()))?;
    let (key_draft, set_draft) = (draft_of(&key_file), draft_of(&set_file));
    let write = || {
        draft(&key_draft, |to| {
            to.write_all(MAGIC)?;
            to.write_all(&[kind(scheme)])?;
            to.write_all(private)
        })?;
        draft(&set_draft, |to| {
            to.write_all(&mark_of(&key_draft, &public)?)?;
            replays::write(set, to)
        })?;
        // The set first: a key must never be there alone. What is sealed goes when all is there.
        fs::rename(&set_draft, &set_file)?;
        fs::rename(&key_draft, &key_file)?;
        remove_sealed(folder, epoch)
    };
    write().map_err(|error| {
        for file in [&key_draft, &set_draft, &key_file, &set_file] {
            let _never_there = fs::remove_file(file);
        }
        os("write", &key_file)(error)
    })
}

fn keep_sealed(
    folder: &Path,
    scheme: Scheme,
    epoch: u64,
    (private, set): (&[u8], &OwnedFd),
    seal: &SealKey,
) -> Result<(), KeptError> {
    let file = sealed_file(folder, epoch);
    public_key(scheme, private).ok_or_else(|| KeptError::Key(file.clone()))?;
    let new = draft_of(&file);
    let write = || {
        draft(&new, |to| sealed::write(to, scheme, epoch, (private, set), seal))?;
        // Of this epoch's keys there is no other one that is at work.
        remove_if_there(&key_file(folder, epoch))?;
        remove_if_there(&set_file(folder, epoch))?;
        fs::rename(&new, &file)
    };
    write().map_err(|error| {
        let _never_there = fs::remove_file(&new);
        os("write", &file)(error)
    })
}

/// Removes what is sealed of an epoch whose clear key is there: on the disk first, or a power cut could leave neither.
fn remove_sealed(folder: &Path, epoch: u64) -> std::io::Result<()> {
    let sealed = sealed_file(folder, epoch);
    if sealed.symlink_metadata().is_err() {
        return Ok(());
    }
    File::open(folder)?.sync_all()?;
    remove_if_there(&sealed)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes what is sealed as the reference reads it. Gives the epochs; at a failure those before it are unsealed, and the others
/// as they were. One that was interrupted is gone on with.
pub fn unseal(folder: &Path, scheme: Scheme, seal: &SealKey) -> Result<Vec<u64>, KeptError> {
    match check_own(folder) {
        Err(KeptError::Os { error, .. }) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        checked => checked?,
    }
    clear(folder)?;
    let mut epochs: Vec<_> = list(folder)?.into_iter().filter(|(kind, ..)| *kind == SEALED_PREFIX).collect();
    epochs.sort_unstable();
    for (_, epoch, sealed) in &epochs {
        let (private, set) = sealed::read(sealed, scheme, *epoch, Some(seal))?;
        let clear = key_file(folder, *epoch);
        if clear.symlink_metadata().is_err() {
            keep_one(folder, scheme, *epoch, &private, &set)?;
        } else if is_unsealed(folder, scheme, *epoch, &private) {
            remove_sealed(folder, *epoch).map_err(os("remove", sealed))?;
        } else {
            return Err(KeptError::Both { clear, sealed: sealed.clone() });
        }
    }
    sync(folder)?;
    Ok(epochs.into_iter().map(|(_, epoch, _)| epoch).collect())
}

/// Whether the clear files of an epoch are those of that key as [`keep_one`] left them: nobody has used or written it since.
fn is_unsealed(folder: &Path, scheme: Scheme, epoch: u64, private: &[u8]) -> bool {
    let file = key_file(folder, epoch);
    let mark = || mark_of(&file, &public_key(scheme, private)?).ok();
    let is_the_key = read_key(&file, scheme).is_ok_and(|clear| **clear == *private);
    is_the_key && mark().is_some_and(|mark| matches!(read_set(&set_file(folder, epoch), epoch, &mark), Ok(Some(_))))
}

/// What a set says of its key: the file as it was written, so that one that somebody has written since is another.
fn mark_of(key_file: &Path, public: &[u8]) -> std::io::Result<[u8; MARK_BYTES]> {
    let metadata = fs::symlink_metadata(key_file)?;
    let mut mark = [0; MARK_BYTES];
    let (hash, file) = mark.split_at_mut(32);
    hash.copy_from_slice(&pki::hash(public));
    let numbers = [metadata.ino(), metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()];
    for (to, number) in file.chunks_mut(8).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    Ok(mark)
}

/// Under which name a file is written.
fn draft_of(path: &Path) -> PathBuf {
    path.with_file_name(format!("{DRAFT_PREFIX}{}", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn draft(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // What is buffered of a key is wiped with the rest of the arena.
    let mut to = within(|| BufWriter::new(file));
    content(&mut to)?;
    to.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}

/// Removes what a stop left that was killed.
fn clear(folder: &Path) -> Result<(), KeptError> {
    for entry in fs::read_dir(folder).map_err(os("list", folder))? {
        let entry = entry.map_err(os("list", folder))?;
        let name = entry.file_name();
        let drafted = name.to_str().and_then(|name| name.strip_prefix(DRAFT_PREFIX)).and_then(parse);
        if drafted.is_some() {
            fs::remove_file(entry.path()).map_err(os("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// The files of keys in a folder: which they are, of which epoch, and where.
fn list(folder: &Path) -> Result<Vec<(&'static str, u64, PathBuf)>, KeptError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(os("list", folder))? {
        let entry = entry.map_err(os("list", folder))?;
        if let Some((kind, epoch)) = entry.file_name().to_str().and_then(parse) {
            files.push((kind, epoch, entry.path()));
        }
    }
    Ok(files)
}

/// Looks what a stop has left for the epochs around `now`; of other epochs nothing stays. What is sealed is opened with `seal`;
/// it may stay closed where the key of its epoch is `held` already, with all that it has seen.
pub fn look(
    folder: &Path,
    scheme: Scheme,
    now: Epoch,
    seal: Option<&SealKey>,
    held: &[u64],
) -> Result<Kept, KeptError> {
    let mut kept = Kept { folder: folder.into(), ..Kept::default() };
    match check_own(folder) {
        Ok(()) => clear(folder)?,
        Err(KeptError::Os { error, .. }) if error.kind() == ErrorKind::NotFound => return Ok(kept),
        Err(error) => {
            kept.findings.push(format!("{error}; nothing in it is used"));
            return Ok(kept);
        }
    }
    let mut epochs = Vec::new();
    for (kind, epoch, path) in list(folder)? {
        let wanted = now.0.saturating_sub(EPOCHS_BEFORE)..=now.0.saturating_add(EPOCHS_AFTER);
        if wanted.contains(&epoch) {
            epochs.extend((kind != SET_PREFIX).then_some(epoch));
        } else if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            fs::remove_file(&path).map_err(os("remove", &path))?;
            kept.findings.push(format!("removed {}, which is not of this time's epochs", path.display()));
        }
    }
    epochs.sort_unstable();
    epochs.dedup();
    let mut bare = Vec::new();
    for epoch in epochs {
        match look_at_one(epoch, scheme, seal, &mut kept) {
            Ok(Found::Bare) => bare.push(epoch),
            Ok(Found::Whole | Found::Nothing) => {}
            Err(KeptError::Unsealable(_) | KeptError::Sealed { .. }) if held.contains(&epoch) => {
                let closed = sealed_file(folder, epoch);
                kept.findings.push(format!(
                    "removed {}, which cannot be opened: the service manager has kept the key of epoch {epoch} too",
                    closed.display()
                ));
                kept.files.push(closed);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(last) = bare.last() {
        kept.findings.push(format!(
            "{} of the mix keys in {} came without the packets that were seen with them, as the reference writes them: each of \
             those could be sent once more until epoch {} is over",
            bare.len(),
            folder.display(),
            last + 1
        ));
    }
    // Where nothing can be removed a start has to fail while nothing is lost.
    let may_remove = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK);
    if !kept.files.is_empty() {
        may_remove.map_err(|errno| KeptError::Consume { path: folder.into(), error: errno.into() })?;
    }
    Ok(kept)
}

/// What is there of one epoch.
#[derive(PartialEq, Eq)]
enum Found {
    /// A key and what was seen with it.
    Whole,
    /// A key alone.
    Bare,
    /// No key that may be used.
    Nothing,
}

fn look_at_one(epoch: u64, scheme: Scheme, seal: Option<&SealKey>, kept: &mut Kept) -> Result<Found, KeptError> {
    let (key_file, set_file) = (key_file(&kept.folder, epoch), set_file(&kept.folder, epoch));
    let sealed_file = sealed_file(&kept.folder, epoch);
    let is_sealed = sealed_file.symlink_metadata().is_ok();
    if is_sealed && key_file.symlink_metadata().is_err() {
        let (private, set) = sealed::read(&sealed_file, scheme, epoch, seal)?;
        public_key(scheme, &private).ok_or_else(|| KeptError::Key(sealed_file.clone()))?;
        kept.files.push(sealed_file);
        // One whose key somebody has taken away.
        kept.files.extend(set_file.symlink_metadata().is_ok().then_some(set_file));
        kept.replay_sets.insert(Epoch(epoch), set);
        kept.mix_keys.push((epoch, private));
        return Ok(Found::Whole);
    }
    let private = read_key(&key_file, scheme)?;
    let public = public_key(scheme, &private).ok_or_else(|| KeptError::Key(key_file.clone()))?;
    let mark = mark_of(&key_file, &public).map_err(os("look at", &key_file))?;
    let set = read_set(&set_file, epoch, &mark);
    if is_sealed {
        let (clear, sealed) = (key_file.display(), sealed_file.display());
        kept.findings.push(format!("{clear} was written beside {sealed}, and counts: the sealed key is removed"));
        // Before the other one, or it would count if that is all that can be removed.
        kept.files.push(sealed_file);
    }
    kept.files.push(key_file.clone());
    kept.files.extend(set_file.symlink_metadata().is_ok().then(|| set_file.clone()));
    let found = match set {
        Ok(Some(set)) => {
            kept.replay_sets.insert(Epoch(epoch), set);
            Found::Whole
        }
        Ok(None) => Found::Bare,
        Err(error) => {
            // Nobody can say what was seen.
            kept.findings.push(format!("cannot read {}: {error}; epoch {epoch} gets a new key", set_file.display()));
            return Ok(Found::Nothing);
        }
    };
    kept.mix_keys.push((epoch, private));
    Ok(found)
}

/// Opens a file and nothing else: a pipe would never end.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no file"))
    }
}

fn read_key(path: &Path, scheme: Scheme) -> Result<Zeroizing<Vec<u8>>, KeptError> {
    let failed = || os("read", path);
    let mut file = open(path).map_err(failed())?;
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

/// The replay set of the key with that mark; none if there is none, or another key's.
fn read_set(path: &Path, epoch: u64, mark: &[u8; MARK_BYTES]) -> std::io::Result<Option<OwnedFd>> {
    let mut from = match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => BufReader::new(file?),
    };
    let mut of = [0; MARK_BYTES];
    from.read_exact(&mut of)?;
    if of != *mark {
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
const SEALED_PREFIX: &str = "sealed-";
const SUFFIX: &str = ".bin";
const DRAFT_PREFIX: &str = ".";

fn key_file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("{KEY_PREFIX}{epoch}{SUFFIX}"))
}

fn set_file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("{SET_PREFIX}{epoch}{SUFFIX}"))
}

fn sealed_file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("{SEALED_PREFIX}{epoch}{SUFFIX}"))
}

/// Which of the three files this is, and of which epoch.
fn parse(name: &str) -> Option<(&'static str, u64)> {
    [KEY_PREFIX, SET_PREFIX, SEALED_PREFIX].into_iter().find_map(|prefix| {
        let digits = name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?;
        let epoch: u64 = digits.parse().ok()?;
        // Written in one way only, or one epoch would have two files.
        (epoch.to_string() == digits).then_some((prefix, epoch))
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
