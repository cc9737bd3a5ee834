//! Private keys on their way between the planes: locked, kept out of core dumps, wiped.

#[cfg(test)]
mod tests;

use crate::memory::{LockedPages, MemoryError, SharedMemory};
use pki::Epoch;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Most bytes of all secrets together.
const BYTES_MAX: usize = 1 << 20;
/// Most bytes of one key; McEliece's are the longest.
const KEY_BYTES_MAX: usize = 1 << 16;
const NAME: &str = "secrets";
const LENGTH_BYTES: usize = 8;

/// One private key, alone on its locked pages.
#[derive(Debug)]
pub struct SecretBytes {
    pages: LockedPages,
    length: usize,
}

impl SecretBytes {
    /// A copy of `bytes`; wiping the original is the caller's business.
    pub fn new(bytes: &[u8]) -> Result<Self, MemoryError> {
        if bytes.len() > KEY_BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: bytes.len() as u64 });
        }
        let mut pages = LockedPages::new(bytes.len())?;
        for (to, from) in pages.content_mut().iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self { pages, length: bytes.len() })
    }

    /// The key.
    pub fn expose(&self) -> &[u8] {
        self.pages.content().get(..self.length).unwrap_or_default()
    }

    /// Whether the kernel keeps it out of swap. Worth a warning if not; containers often allow few locked pages.
    pub fn is_locked(&self) -> bool {
        self.pages.is_locked()
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = SecretBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a private key")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<SecretBytes, E> {
                SecretBytes::new(bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_bytes(Bytes).map_err(D::Error::custom)
    }
}

/// What the data plane needs to know and nobody else may.
#[derive(Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// The private link key, in the wire KEM's encoding.
    pub link_private_key: SecretBytes,
    /// The private mix keys by epoch, in the encoding of the geometry's scheme.
    pub mix_keys: Vec<(Epoch, SecretBytes)>,
}

impl Secrets {
    /// Puts them into a memfd of their own.
    pub fn to_file(&self) -> Result<SecretFile, MemoryError> {
        let undecodable = |_| MemoryError::Content(NAME);
        let keys = self.mix_keys.iter().map(|(_, key)| key.length).sum::<usize>() + self.link_private_key.length;
        // Lengths and epochs take at most ten bytes each.
        let room = LENGTH_BYTES + keys + 32 + 32 * self.mix_keys.len();
        if room > BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: room as u64 });
        }
        let mut pages = LockedPages::new(room)?;
        let (length, content) = pages.content_mut().split_at_mut(LENGTH_BYTES);
        let used = postcard::to_slice(self, content).map_err(undecodable)?.len();
        length.copy_from_slice(&(used as u64).to_le_bytes());
        let (memory, fd) = SharedMemory::create(NAME, LENGTH_BYTES + used)?;
        let file = SecretFile { locked: memory.lock() && pages.is_locked(), memory, fd, wipe: true };
        file.memory.store(pages.content());
        Ok(file)
    }

    /// Reads them from a memfd that the other plane made.
    pub fn open(fd: impl AsFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(fd, NAME)?;
        if memory.bytes() > BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: memory.bytes() as u64 });
        }
        let mut pages = LockedPages::new(memory.bytes())?;
        memory.load(pages.content_mut());
        let decoded = pages.content().split_first_chunk::<LENGTH_BYTES>().and_then(|(length, rest)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            postcard::from_bytes(rest.get(..length)?).ok()
        });
        decoded.ok_or(MemoryError::Content(NAME))
    }

    /// Whether the kernel keeps all of them out of swap.
    pub fn is_locked(&self) -> bool {
        self.link_private_key.is_locked() && self.mix_keys.iter().all(|(_, key)| key.is_locked())
    }
}

/// A memfd with secrets. Dropping one that was made here wipes the content for every holder of the descriptor: right once
/// other secrets have taken its place. One that was handed back belongs to a living data plane, and one that a service manager
/// keeps ([`SecretFile::kept_elsewhere`]) to the next start: these are wiped only after [`SecretFile::wipe_when_dropped`].
#[derive(Debug)]
pub struct SecretFile {
    memory: SharedMemory,
    fd: OwnedFd,
    locked: bool,
    wipe: bool,
}

impl SecretFile {
    /// Takes over a memfd that was handed back.
    pub fn adopt(fd: OwnedFd) -> Result<Self, MemoryError> {
        let memory = SharedMemory::attach(&fd, NAME)?;
        Ok(Self { locked: memory.lock(), memory, fd, wipe: false })
    }

    /// Somebody else needs the content when this is gone.
    #[must_use]
    pub fn kept_elsewhere(mut self) -> Self {
        self.wipe = false;
        self
    }

    /// Nobody needs the content any more once this is gone.
    #[must_use]
    pub fn wipe_when_dropped(mut self) -> Self {
        self.wipe = true;
        self
    }

    /// Whether the kernel keeps it out of swap. Worth a warning if not.
    pub fn is_locked(&self) -> bool {
        self.locked
    }
}

impl AsFd for SecretFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if self.wipe {
            self.memory.wipe();
        }
    }
}
