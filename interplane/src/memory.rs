//! Memory that two processes share: memfds, their seals, and mappings of them.
//!
//! Shared memory is only ever touched as atomics, so that what the other process does is never undefined behaviour
//! here. Immutable content is read as plain bytes, but only after the kernel has confirmed that nobody can change it.

mod map;
#[cfg(test)]
mod tests;
pub(crate) use map::LockedPages;
pub use map::{SealedMemory, SharedMemory};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// Bytes of a huge page on x86-64: mappings of at least that size begin at a multiple of it.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// What is wrong with a piece of shared memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The operating system refused.
    #[error("{what}: {errno}")]
    Os {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        errno: Errno,
    },
    /// The memfd lacks a seal without which it must not be mapped.
    #[error("{0} lacks the seals that make it safe to map")]
    NotSealed(&'static str),
    /// The size is zero, too large or not the one that the content needs.
    #[error("{what} has {bytes} bytes, which is not possible")]
    Size {
        /// Whose size.
        what: &'static str,
        /// The size found.
        bytes: u64,
    },
    /// The header is not the one of this content or of this version.
    #[error("{0} has a foreign header")]
    Foreign(&'static str),
    /// The content does not decode.
    #[error("{0} does not decode")]
    Content(&'static str),
}

impl MemoryError {
    fn os(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Os { what, errno }
    }
}

/// Seals without which a mapping could be cut short under its reader, who would die of SIGBUS.
const FIXED_SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);
/// Seals of content that never changes again.
const IMMUTABLE: SealFlags = FIXED_SIZE.union(SealFlags::WRITE);

fn memfd(name: &'static str) -> Result<OwnedFd, MemoryError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag.
    rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create(name, flags))
        .map_err(MemoryError::os("memfd_create"))
}

fn size(fd: impl AsFd) -> Result<u64, MemoryError> {
    let stat = rustix::fs::fstat(fd).map_err(MemoryError::os("fstat"))?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Fails unless all of `seals` are set. Descriptors that are no memfd have none.
fn require_seals(fd: impl AsFd, what: &'static str, seals: SealFlags) -> Result<(), MemoryError> {
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(found) if found.contains(seals) => Ok(()),
        _ => Err(MemoryError::NotSealed(what)),
    }
}

/// A memfd that holds `content` for ever.
pub fn seal(name: &'static str, content: &[u8]) -> Result<OwnedFd, MemoryError> {
    let fd = memfd(name)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&fd, rest).map_err(MemoryError::os("write to memfd"))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::fcntl_add_seals(&fd, IMMUTABLE | SealFlags::SEAL).map_err(MemoryError::os("seal memfd"))?;
    Ok(fd)
}
