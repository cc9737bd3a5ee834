//! What a file is that stands where a store of redb is to be: nothing is written into what is none.

use std::fs::File;
use std::io::{self, Read};

/// How a file of redb begins.
pub const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// How one of bbolt begins after its first page's head of 16 bytes.
pub const BBOLT_MAGIC: &[u8] = &0xED0C_DAED_u32.to_le_bytes();
/// Where that stands.
pub const BBOLT_MAGIC_AT: usize = 16;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Empty, or a store whose making was cut off, which begins with zeros: it is empty now.
    New,
    /// A store.
    Redb,
    /// A store of the reference.
    Bbolt,
    /// Anything else.
    Foreign,
}

/// Looks at the beginning of a file, which can be written.
pub fn look(file: &File) -> io::Result<Kind> {
    let mut head = Vec::new();
    file.take((BBOLT_MAGIC_AT + BBOLT_MAGIC.len()) as u64).read_to_end(&mut head)?;
    Ok(if head.iter().all(|byte| *byte == 0) {
        file.set_len(0)?;
        Kind::New
    } else if head.starts_with(REDB_MAGIC) {
        Kind::Redb
    } else if head.get(BBOLT_MAGIC_AT..) == Some(BBOLT_MAGIC) {
        Kind::Bbolt
    } else {
        Kind::Foreign
    })
}
