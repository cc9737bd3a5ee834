//! Key files in DataDir under the reference's names and in its format (server.md 1.5, 1.6), and the folder's lock.
//!
//! Nothing is ever overwritten. A pair is made so that a crash or a full disk at any instant leaves either no pair, or
//! a pair that the next start completes.

mod data_dir;
mod files;
#[cfg(test)]
mod tests;

pub use data_dir::{DataDir, LOCK_FILE_NAME};
pub use files::is_credential;

use crate::finding::{Finding, Severity};
use crate::schemes::{KemScheme, SignatureScheme};
use crypto_simd::pem::{self, PemError};
use crypto_simd::random::Random;
use crypto_simd::schemes::SchemeError;
use secret_memory::within;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key pair of DataDir.
pub struct KeyPair {
    /// The private key in its binary form.
    pub private: Zeroizing<Vec<u8>>,
    /// The public key in its binary form.
    pub public: Vec<u8>,
    /// Whether this call made the pair.
    pub created: bool,
    /// Warnings about the files.
    pub findings: Vec<Finding>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("created", &self.created).finish_non_exhaustive()
    }
}

/// Why DataDir or its keys cannot be used. Each text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// An operation of the operating system failed.
    #[error("{path}: cannot be {done}: {source}{}", io_remedy(.path, .source))]
    Io {
        /// What it was done to.
        path: PathBuf,
        /// What failed, as a participle.
        done: &'static str,
        /// Why.
        source: io::Error,
    },
    /// DataDir is something else.
    #[error("dir '{0}' is not a directory; give DataDir the path of a real directory, not of a file or link")]
    NotDirectory(PathBuf),
    /// DataDir is open to others.
    #[error("dir '{path}' has invalid permissions '{mode:04o}'{}", mode_remedy(.path, *.mode, *.is_own))]
    Permissions {
        /// The folder.
        path: PathBuf,
        /// Its mode with the special bits.
        mode: u32,
        /// Whether nothing is there but what a node has, so that nobody else would miss the old mode.
        is_own: bool,
    },
    /// DataDir is somebody else's.
    #[error(
        "dir '{path}' belongs to user {owner}, and this runs as user {user}; run it as user {owner} \
         (sudo -u '#{owner}' …, or User= of the unit), or give DataDir a folder of user {user}"
    )]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// Another node runs on this DataDir.
    #[error("dir '{path}' is in use by another node{holder}; stop it, or give this node a DataDir of its own")]
    Locked {
        /// The folder.
        path: PathBuf,
        /// " (process 123)", or empty.
        holder: String,
    },
    /// The private half of a pair is missing, which nothing can make again.
    #[error(
        "{public} and {private} must either both exist or not exist; restore {private} from a backup{}",
        if *.is_identity {
            " (the authorities know this node by it: without it the node must be registered anew)"
        } else {
            ", or remove the public file to have a new link key made"
        }
    )]
    PrivateMissing {
        /// The file that is there.
        public: PathBuf,
        /// The file that is not.
        private: PathBuf,
        /// Whether it is the key by which the authorities know the node.
        is_identity: bool,
    },
    /// Not a file: a folder, a pipe, a device.
    #[error("{0}: is not a regular file; put the key file there")]
    NotFile(PathBuf),
    /// A file that is longer than any key.
    #[error("{0}: is too long for a key file; restore it from a backup")]
    TooLong(PathBuf),
    /// A file that holds something else.
    #[error(
        "{path}: {source}; restore it from a backup, or correct the scheme in the configuration file if the key \
         belongs to another{}",
        if *.is_public { " (without it the file is made again from the private key)" } else { "" }
    )]
    Pem {
        /// The file.
        path: PathBuf,
        /// Whether it is the half that can be made again.
        is_public: bool,
        /// What is wrong with it.
        source: PemError,
    },
    /// A key that its scheme refuses.
    #[error("{path}: not a {scheme} key: {source}; restore it from a backup")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// The scheme.
        scheme: &'static str,
        /// What is wrong with it.
        source: SchemeError,
    },
    /// Two halves of different pairs.
    #[error("{public} is not the public key of {private}; restore the matching file from a backup")]
    Mismatch {
        /// The private key's file.
        private: PathBuf,
        /// The public key's file.
        public: PathBuf,
    },
}

fn io_remedy(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space and start again",
        io::ErrorKind::PermissionDenied => return permission_remedy(path),
        io::ErrorKind::NotFound if files::is_credential(path) => {
            "; it is a link to a credential, which is there while a unit runs that loads it: start the unit, and see that it \
             has LoadCredentialEncrypted= for it (docs/operating/security.md)"
        }
        io::ErrorKind::NotFound => "; check that the folder above exists",
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable",
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
            "; check the path"
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => "; check the disk",
        _ => "",
    };
    remedy.into()
}

/// The file or, if it is not there, the folder above is somebody else's, or closed to its own owner.
fn permission_remedy(path: &Path) -> String {
    let user = rustix::process::geteuid().as_raw();
    let seen = [Some(path), path.parent()].into_iter().flatten();
    let Some((at, metadata)) = seen.filter_map(|at| Some((at, at.symlink_metadata().ok()?))).next() else {
        return "; check owner and permissions of the folders above".into();
    };
    match metadata.uid() {
        owner if owner == user => format!("; check the permissions of {}", at.display()),
        owner => format!("; {} belongs to user {owner}, and this runs as user {user}", at.display()),
    }
}

/// A mode is changed only where it is this node's to change.
fn mode_remedy(path: &Path, mode: u32, is_own: bool) -> String {
    if !is_own {
        return " and is not a folder of this node's own; give DataDir one of its own".into();
    }
    // GNU chmod keeps setuid and setgid bits of folders unless there are five digits.
    let digits = if mode & 0o6000 == 0 { "0700" } else { "00700" };
    format!("; run chmod {digits} {}", path.display())
}

const IDENTITY: &str = "identity";
const LINK: &str = "link";
const PUBLIC_MISSING: &str = "public-key-missing";

/// Reads the identity pair `identity.{private,public}.pem`, or makes it when neither file exists. A public
/// key that is missing is made again from its private one.
pub fn identity(dir: &DataDir, scheme: SignatureScheme, random: &mut dyn Random) -> Result<KeyPair, KeyError> {
    within(|| read_or_create(dir, &PairFiles::new(dir.path(), IDENTITY), &scheme, random))
}

/// Reads the link pair `link.{private,public}.pem`, or makes it when neither file exists. A public
/// key that is missing is made again from its private one.
pub fn link(dir: &DataDir, scheme: KemScheme, random: &mut dyn Random) -> Result<KeyPair, KeyError> {
    within(|| read_or_create(dir, &PairFiles::new(dir.path(), LINK), &scheme, random))
}

/// What a start would refuse of the key files that are in a folder, without touching anything.
pub fn look(dir: &Path, identity: SignatureScheme, link: KemScheme) -> Result<(), KeyError> {
    within(|| {
        look_at(&PairFiles::new(dir, IDENTITY), &identity)?;
        look_at(&PairFiles::new(dir, LINK), &link)
    })
}

fn look_at(files: &PairFiles, scheme: &dyn PairScheme) -> Result<(), KeyError> {
    // Nobody but the unit sees it.
    if files::is_credential(&files.private) && !files.private.exists() {
        return Ok(());
    }
    match (files::exists(&files.private)?, files::exists(&files.public)?) {
        (false, false) => Ok(()),
        (false, true) => Err(files.private_is_missing()),
        (true, false) => read_private(files, scheme).map(drop),
        (true, true) => read_pair(files, scheme).map(drop),
    }
}

/// Name of the file with the public half of an identity.
pub const IDENTITY_PUBLIC_FILE: &str = "identity.public.pem";

/// The public key in a file that somebody else has given, or what is wrong with it.
pub fn read_public_key(path: &Path, scheme: SignatureScheme) -> Result<Vec<u8>, String> {
    let name = scheme.info().name;
    let wrong = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let bytes = files::read(path).map_err(|error| match error {
        KeyError::Io { source, .. } => format!("cannot read {}: {source}", path.display()),
        KeyError::NotFile(_) => wrong(&"is not a regular file"),
        _ => wrong(&"is too long for a key file"),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(&PemError::NoBlock))?;
    let key = pem::decode(text, &pem::public_key_type(name)).map_err(|error| wrong(&error))?;
    scheme.check_public_key(&key).map_err(|error| wrong(&format_args!("not a {name} public key: {error}")))?;
    Ok(key)
}

/// What making and reading a pair needs to know of its scheme.
trait PairScheme {
    fn name(&self) -> &'static str;
    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>>;
    fn public_of(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError>;
}

impl PairScheme for SignatureScheme {
    fn name(&self) -> &'static str {
        self.info().name
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        self.0.generate(random)
    }

    fn public_of(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        Ok(self.load(private)?.public_key().to_vec())
    }
}

impl PairScheme for KemScheme {
    fn name(&self) -> &'static str {
        self.info().name
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        self.0.generate(random)
    }

    fn public_of(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        Ok(self.load(private)?.public_key().to_vec())
    }
}

/// The files of a pair, final and while being made.
struct PairFiles {
    is_identity: bool,
    private: PathBuf,
    public: PathBuf,
    private_new: PathBuf,
    public_new: PathBuf,
}

impl PairFiles {
    fn new(dir: &Path, name: &str) -> Self {
        Self {
            is_identity: name == IDENTITY,
            private: dir.join(format!("{name}.private.pem")),
            public: dir.join(format!("{name}.public.pem")),
            private_new: dir.join(format!("{name}.private.pem.new")),
            public_new: dir.join(format!("{name}.public.pem.new")),
        }
    }

    fn private_is_missing(&self) -> KeyError {
        KeyError::PrivateMissing {
            public: self.public.clone(),
            private: self.private.clone(),
            is_identity: self.is_identity,
        }
    }
}

fn read_or_create(
    dir: &DataDir,
    files: &PairFiles,
    scheme: &dyn PairScheme,
    random: &mut dyn Random,
) -> Result<KeyPair, KeyError> {
    match (files::exists(&files.private)?, files::exists(&files.public)?) {
        (true, true) => read(dir, files, scheme),
        (false, false) => create(dir, files, scheme, random, files::write_new),
        (true, false) => complete(dir, files, scheme),
        (false, true) => Err(files.private_is_missing()),
    }
}

/// Both halves, which belong together.
fn read_pair(files: &PairFiles, scheme: &dyn PairScheme) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), KeyError> {
    let (private, expected) = read_private(files, scheme)?;
    let public = read_pem(&files.public, &pem::public_key_type(scheme.name()), true)?;
    if *public != expected {
        return Err(KeyError::Mismatch { private: files.private.clone(), public: files.public.clone() });
    }
    Ok((private, expected))
}

fn read(dir: &DataDir, files: &PairFiles, scheme: &dyn PairScheme) -> Result<KeyPair, KeyError> {
    let (private, expected) = read_pair(files, scheme)?;
    // What a start that made the pair may have left when it crashed after the last rename.
    if !dir.is_read_only() {
        files::remove_if_there(&files.private_new)?;
        files::remove_if_there(&files.public_new)?;
    }
    Ok(KeyPair { private, public: expected, created: false, findings: access_findings(dir, &files.private)? })
}

fn access_findings(dir: &DataDir, private: &Path) -> Result<Vec<Finding>, KeyError> {
    let access = files::access(private)?;
    // One of the folder's owner is no mistake beside the one that the folder has told already.
    let owner = access.stranger.filter(|user| *user != dir.owner()).map(|user| {
        let remedy = format!("run chown {} {}", dir.owner(), private.display());
        warning("key-owner", private, format!("belongs to user {user}, who may read and replace the key"), remedy)
    });
    let mode = access.open_mode.map(|mode| {
        let may = if mode & 0o022 == 0 { "read" } else { "read or replace" };
        let remedy = format!("run chmod 0600 {}", private.display());
        warning("key-permissions", private, format!("has mode {mode:04o}: others may {may} the key"), remedy)
    });
    Ok(owner.into_iter().chain(mode).collect())
}

fn warning(code: &'static str, file: &Path, problem: String, remedy: String) -> Finding {
    Finding { severity: Severity::Warning, code, file: file.into(), line: None, key: String::new(), problem, remedy }
}

/// The private key and the public key that belongs to it.
fn read_private(files: &PairFiles, scheme: &dyn PairScheme) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), KeyError> {
    let private = read_pem(&files.private, &pem::private_key_type(scheme.name()), false)?;
    let public = scheme.public_of(&private).map_err(|source| KeyError::BadKey {
        path: files.private.clone(),
        scheme: scheme.name(),
        source,
    })?;
    Ok((private, public))
}

fn read_pem(path: &Path, block_type: &str, is_public: bool) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = files::read(path)?;
    let bad = |source| KeyError::Pem { path: path.into(), is_public, source };
    // Key files are ASCII; anything else has no PEM block either.
    let text = std::str::from_utf8(&bytes).map_err(|_| bad(PemError::NoBlock))?;
    pem::decode(text, block_type).map(Zeroizing::new).map_err(bad)
}

/// The text of a key file.
fn encode(path: &Path, block_type: &str, key: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let bad = |source| KeyError::Pem { path: path.into(), is_public: false, source };
    pem::encode(block_type, key).map(Zeroizing::new).map_err(bad)
}

/// How a new file is written; tests put failures here.
type WriteNew = fn(&Path, &[u8]) -> Result<(), KeyError>;

/// Makes a pair: both halves are on the disk under their temporary names before the first gets its final name.
fn create(
    dir: &DataDir,
    files: &PairFiles,
    scheme: &dyn PairScheme,
    random: &mut dyn Random,
    write_new: WriteNew,
) -> Result<KeyPair, KeyError> {
    files::remove_if_there(&files.private_new)?;
    files::remove_if_there(&files.public_new)?;
    let private = scheme.generate(random);
    let public = scheme.public_of(&private).map_err(|source| KeyError::BadKey {
        path: files.private.clone(),
        scheme: scheme.name(),
        source,
    })?;
    let private_text = encode(&files.private, &pem::private_key_type(scheme.name()), &private)?;
    let public_text = encode(&files.public, &pem::public_key_type(scheme.name()), &public)?;
    let written = write_new(&files.private_new, private_text.as_bytes())
        .and_then(|()| write_new(&files.public_new, public_text.as_bytes()))
        .and_then(|()| dir.sync())
        .and_then(|()| files::rename_new(&files.private_new, &files.private));
    if let Err(error) = written {
        // Best effort: the first error is the one to tell.
        let _ = files::remove_if_there(&files.private_new);
        let _ = files::remove_if_there(&files.public_new);
        return Err(error);
    }
    files::rename_new(&files.public_new, &files.public)?;
    dir.sync()?;
    Ok(KeyPair { private, public, created: true, findings: Vec::new() })
}

/// Makes the public half again from the private one: it was lost, or the making of the pair was cut off between its two
/// renames and it still has its temporary name.
fn complete(dir: &DataDir, files: &PairFiles, scheme: &dyn PairScheme) -> Result<KeyPair, KeyError> {
    let (private, public) = read_private(files, scheme)?;
    let mut findings = access_findings(dir, &files.private)?;
    let public_type = pem::public_key_type(scheme.name());
    let half_done = files::exists(&files.public_new)?
        && read_pem(&files.public_new, &public_type, true).is_ok_and(|there| *there == public);
    if !half_done {
        let done =
            if dir.is_read_only() { "is missing and follows from" } else { "was missing and is made again from" };
        let problem = format!("{done} {}", files.private.display());
        findings.push(warning(PUBLIC_MISSING, &files.public, problem, String::new()));
    }
    if dir.is_read_only() {
        return Ok(KeyPair { private, public, created: false, findings });
    }
    let text = encode(&files.public, &public_type, &public)?;
    if let Err(error) = write_public(dir, files, (!half_done).then_some(&text)) {
        // Nothing is lost: the next start has another try.
        let _ = files::remove_if_there(&files.public_new);
        let problem =
            format!("is missing, follows from {}, and cannot be made again: {error}", files.private.display());
        findings.retain(|finding| finding.code != PUBLIC_MISSING);
        findings.push(warning(PUBLIC_MISSING, &files.public, problem, String::new()));
    }
    Ok(KeyPair { private, public, created: false, findings })
}

/// Writes the public half, unless it is there under its temporary name, and gives it its final name.
fn write_public(dir: &DataDir, files: &PairFiles, text: Option<&Zeroizing<String>>) -> Result<(), KeyError> {
    if let Some(text) = text {
        files::remove_if_there(&files.public_new)?;
        files::write_new(&files.public_new, text.as_bytes())?;
    }
    files::rename_new(&files.public_new, &files.public)?;
    dir.sync()
}
