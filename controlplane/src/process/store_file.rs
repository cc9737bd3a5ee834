//! What a file is that stands where a store of redb is to be: nothing is written into what is none.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read};

/// How a file of redb begins.
pub const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// How one of bbolt begins after its first page's head of 16 bytes.
pub const BBOLT_MAGIC: &[u8] = &0xED0C_DAED_u32.to_le_bytes();
/// Where that stands.
pub const BBOLT_MAGIC_AT: usize = 16;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Empty, or a store whose making was cut off, which is all zeros: it is empty now.
    New,
    /// A store, or one that another process makes.
    Redb,
    /// A store of the reference.
    Bbolt,
    /// Anything else.
    Foreign,
}

/// The largest file that is looked through for something else than zeros: many times what a store begins with.
const NEW_BYTES_MAX: u64 = 64 << 20;

/// Looks at a file, which can be written.
pub fn look(file: &File) -> io::Result<Kind> {
    let mut head = Vec::new();
    file.take((BBOLT_MAGIC_AT + BBOLT_MAGIC.len()) as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Kind::New);
    }
    Ok(if head.iter().all(|byte| *byte == 0) && is_zeros(file)? {
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.unlock()?;
                Kind::New
            }
            Err(TryLockError::WouldBlock) => Kind::Redb,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    } else if head.starts_with(REDB_MAGIC) {
        Kind::Redb
    } else if head.get(BBOLT_MAGIC_AT..) == Some(BBOLT_MAGIC) {
        Kind::Bbolt
    } else {
        Kind::Foreign
    })
}

/// Whether nothing else is in what is left of a file.
fn is_zeros(mut file: &File) -> io::Result<bool> {
    if file.metadata()?.len() > NEW_BYTES_MAX {
        return Ok(false);
    }
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(true),
            Ok(count) if part.iter().take(count).any(|byte| *byte != 0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
