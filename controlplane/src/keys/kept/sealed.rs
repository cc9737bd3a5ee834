//! A mix key and its replay set in one sealed file: kind of key, its length (four bytes, little-endian), the key, the set.
//! Read here is only what was sealed for this epoch with this credential; all else is an error, and the file stays.

use super::{KeptError, Scheme, kind, open, os};
use config::sealing::{Opener, SealError, SealKey, Sealer};
use crypto_simd::random::OsRandom;
use interplane::replay::kept as replays;
use secret_memory::within;
use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use zeroize::Zeroizing;

/// Longer than any key.
const KEY_BYTES_MAX: u32 = 1 << 16;

fn what(epoch: u64) -> String {
    format!("mix key of epoch {epoch}")
}

/// Writes both.
pub fn write(
    to: impl Write,
    scheme: Scheme,
    epoch: u64,
    (private, set): (&[u8], &OwnedFd),
    seal: &SealKey,
) -> IoResult<()> {
    let bytes = u32::try_from(private.len()).map_err(Error::other)?;
    let mut to = Sealer::new(to, seal, &what(epoch), &mut OsRandom)?;
    to.write_all(&[kind(scheme)])?;
    to.write_all(&bytes.to_le_bytes())?;
    to.write_all(private)?;
    replays::write(set, &mut to)?;
    to.finish().map(drop)
}

/// Reads both.
pub fn read(
    path: &Path,
    scheme: Scheme,
    epoch: u64,
    seal: Option<&SealKey>,
) -> Result<(Zeroizing<Vec<u8>>, OwnedFd), KeptError> {
    let missing = || KeptError::Sealed { path: path.into(), error: SealError::Missing };
    let seal = seal.ok_or_else(missing)?;
    let failed = |error: Error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => KeptError::Unsealable(path.into()),
        _ => os("read", path)(error),
    };
    let file = open(path).map_err(os("read", path))?;
    let mut from = Opener::new(file, seal, &what(epoch)).map_err(failed)?;
    let mut head = [0; 5];
    from.read_exact(&mut head).map_err(failed)?;
    let [found, bytes @ ..] = head;
    if found != kind(scheme) {
        return Err(KeptError::OtherScheme(path.into()));
    }
    let bytes = u32::from_le_bytes(bytes).min(KEY_BYTES_MAX) as usize;
    let mut private = within(|| Zeroizing::new(vec![0; bytes]));
    from.read_exact(&mut private).map_err(failed)?;
    let (set, fd) = replays::read(&mut from).map_err(failed)?;
    from.finish().map_err(failed)?;
    if set.epoch() != epoch {
        return Err(KeptError::Unsealable(path.into()));
    }
    Ok((private, fd))
}
