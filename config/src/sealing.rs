//! Files that can be read on one machine alone, by a key that the service manager gives to the unit.
//!
//! systemd has that key sealed for the machine (its TPM 2 where there is one, else a key of the host) and opens it before
//! the process starts (`LoadCredentialEncrypted=`). So the node needs neither the rights nor the device to do so, and what
//! it seals may have any length. A sealed file is: magic, salt, then chunks under ChaCha20-Poly1305 with a key of the
//! file's own; each chunk's nonce has its number and whether it is the last one, so that nothing can be cut off, swapped or
//! put under another name.

#[cfg(test)]
mod tests;

use crypto_simd::random::Random;
use crypto_simd::symmetric::{ChaChaPoly, blake2b_256_keyed};
use rustix::fs::OFlags;
use secret_memory::within;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// The credential's name.
pub const CREDENTIAL: &str = "katzensprung-seal";
/// Bytes of the shortest credential, of which each should be random.
pub const KEY_BYTES_MIN: usize = 32;
/// Bytes of the longest credential.
pub const KEY_BYTES_MAX: usize = 4096;

/// Where systemd says that a unit's credentials are.
const FOLDER_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const MAGIC: &[u8; 8] = b"kzseal01";
const SALT_BYTES: usize = 32;
const CHUNK_BYTES: usize = 1 << 16;

/// Why there is no key to seal with.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// None was given.
    #[error(
        "this process was given no credential '{CREDENTIAL}': have the unit load it \
         (LoadCredentialEncrypted={CREDENTIAL}:FILE, see docs/operating/security.md)"
    )]
    Missing,
    /// It cannot be read.
    #[error("cannot read the credential {}: {error}", .path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// It is too short to be secret, or no key at all.
    #[error(
        "the credential {from} has {bytes} bytes: make it of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random ones \
         (head -c 32 /dev/urandom | systemd-creds encrypt --name={CREDENTIAL} - FILE)"
    )]
    Length {
        /// Where it comes from.
        from: String,
        /// Bytes that it has, as far as they were read.
        bytes: usize,
    },
}

/// The key with which files are sealed.
pub struct SealKey(Box<Zeroizing<[u8; 32]>>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealKey").finish_non_exhaustive()
    }
}

impl SealKey {
    /// The key that the service manager has given to this process, if it has.
    pub fn of_unit() -> Result<Option<Self>, SealError> {
        std::env::var_os(FOLDER_VARIABLE).map_or(Ok(None), |folder| Self::in_folder(Path::new(&folder)))
    }

    fn in_folder(folder: &Path) -> Result<Option<Self>, SealError> {
        let path = folder.join(CREDENTIAL);
        // A pipe would never end.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| SealError::Read { path: path.clone(), error })?,
        };
        // The whole capacity at once: growing would leave copies behind.
        let mut content = within(|| Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 2)));
        let read = file.take(KEY_BYTES_MAX as u64 + 1).read_to_end(&mut content);
        read.map_err(|error| SealError::Read { path: path.clone(), error })?;
        Self::new(&content, &path.display().to_string()).map(Some)
    }

    /// The key in a credential's content, which comes from `from`.
    pub fn new(content: &[u8], from: &str) -> Result<Self, SealError> {
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&content.len()) {
            return Err(SealError::Length { from: from.into(), bytes: content.len() });
        }
        Ok(Self(derived(b"katzensprung seal", &[content])))
    }

    fn of_file(&self, salt: &[u8; SALT_BYTES], what: &str) -> Box<Zeroizing<[u8; 32]>> {
        derived(&**self.0, &[salt, what.as_bytes()])
    }
}

fn derived(key: &[u8], parts: &[&[u8]]) -> Box<Zeroizing<[u8; 32]>> {
    let mut bytes = blake2b_256_keyed(key, parts);
    let kept = within(|| Box::new(Zeroizing::new(bytes)));
    bytes.zeroize();
    kept
}

fn nonce(chunk: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (number, rest) = nonce.split_at_mut(8);
    number.copy_from_slice(&chunk.to_le_bytes());
    rest.fill(u8::from(is_last));
    nonce
}

/// Seals what is written to it.
pub struct Sealer<W> {
    to: W,
    key: Box<Zeroizing<[u8; 32]>>,
    chunk: Zeroizing<Vec<u8>>,
    chunks: u64,
}

impl<W: Write> Sealer<W> {
    /// Begins a file; `what` it is has to be said again when it is opened.
    pub fn new(mut to: W, key: &SealKey, what: &str, random: &mut dyn Random) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt);
        to.write_all(MAGIC)?;
        to.write_all(&salt)?;
        let chunk = within(|| Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)));
        Ok(Self { to, key: key.of_file(&salt, what), chunk, chunks: 0 })
    }

    /// Writes what is left. Without it nobody can open the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.to)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let mut tag = [0; ChaChaPoly::TAG_BYTES];
        ChaChaPoly::seal_in_place(&self.key, &nonce(self.chunks, is_last), &[], &mut self.chunk, &mut tag);
        self.to.write_all(&self.chunk)?;
        self.to.write_all(&tag)?;
        self.chunk.clear();
        self.chunks += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what was sealed: nothing that was not sealed with the key. What was sealed with another, is damaged or cut short is
/// [`ErrorKind::InvalidData`].
pub struct Opener<R> {
    from: BufReader<R>,
    key: Box<Zeroizing<[u8; 32]>>,
    chunk: Zeroizing<Vec<u8>>,
    /// So much of the chunk is read.
    read: usize,
    chunks: u64,
    is_last: bool,
}

impl<R: Read> Opener<R> {
    /// Begins to read a file that is `what`.
    pub fn new(from: R, key: &SealKey, what: &str) -> io::Result<Self> {
        let mut from = BufReader::new(from);
        let (mut magic, mut salt) = ([0; MAGIC.len()], [0; SALT_BYTES]);
        from.read_exact(&mut magic).and_then(|()| from.read_exact(&mut salt)).map_err(cut_short)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        let chunk = within(|| Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + ChaChaPoly::TAG_BYTES)));
        Ok(Self { from, key: key.of_file(&salt, what), chunk, read: 0, chunks: 0, is_last: false })
    }

    /// Makes sure that nothing is left.
    pub fn finish(mut self) -> io::Result<()> {
        match self.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged()),
        }
    }

    fn open_next(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.read = 0;
        let most = (CHUNK_BYTES + ChaChaPoly::TAG_BYTES) as u64;
        (&mut self.from).take(most).read_to_end(&mut self.chunk)?;
        let is_last = self.from.fill_buf()?.is_empty();
        let opened = self.open_chunk(is_last);
        if opened.is_err() {
            self.chunk.clear();
        }
        self.is_last = is_last || opened.is_err();
        self.chunks += 1;
        opened
    }

    fn open_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let tag: [u8; ChaChaPoly::TAG_BYTES] = *self.chunk.last_chunk().ok_or_else(damaged)?;
        let text = self.chunk.len() - ChaChaPoly::TAG_BYTES;
        self.chunk.truncate(text);
        let nonce = nonce(self.chunks, is_last);
        ChaChaPoly::open_in_place(&self.key, &nonce, &[], &mut self.chunk, &tag).map_err(|_| damaged())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() && !self.is_last {
            self.open_next()?;
        }
        let rest = &self.chunk[self.read..];
        let taken = rest.len().min(bytes.len());
        bytes[..taken].copy_from_slice(&rest[..taken]);
        self.read += taken;
        Ok(taken)
    }
}

fn damaged() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "it was sealed with another key, or is damaged")
}

fn cut_short(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::UnexpectedEof { damaged() } else { error }
}
