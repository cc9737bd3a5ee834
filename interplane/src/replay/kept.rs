//! A replay set as bytes, for a node that stops and goes on with the same mix key: what was seen stays seen.
//!
//! Header (magic, epoch, buckets, key, early packets, tags), then each bucket that is not empty: how many empty ones lie
//! before it (LEB128), how many slots are taken, their fingerprints. Slots of a bucket fill from the first. All numbers
//! are little-endian.

#[cfg(test)]
mod tests;

use super::{AT_EARLY, BUCKET_SLOTS, HEADER_WORDS, LINE, ReplaySet};
use crate::memory::MemoryError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{SeekFrom, fstat, seek};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::sync::atomic::Ordering;

const MAGIC: &[u8; 8] = b"kzrkept1";
const BUCKET_BYTES: u64 = (BUCKET_SLOTS * 8) as u64;
const HEADER_BYTES: u64 = (HEADER_WORDS * 8) as u64;

/// Writes the set behind `fd`, which nobody may change meanwhile. Pages that were never touched stay so.
pub fn write(fd: impl AsFd, to: &mut impl Write) -> Result<()> {
    let fd = fd.as_fd();
    let set = ReplaySet::attach(fd).map_err(Error::other)?;
    let bytes = fstat(fd)?.st_size.cast_unsigned();
    let early = set.memory.words()[AT_EARLY].load(Ordering::Relaxed);
    to.write_all(MAGIC)?;
    // The counts may have missed tags in a crash: what is there is what counts.
    let mut tags = 0;
    for bucket in Buckets::of(fd, bytes, set.buckets) {
        tags += taken(&set, bucket?) as u64;
    }
    for number in [set.epoch, set.buckets, set.key[0], set.key[1], early, tags] {
        to.write_all(&number.to_le_bytes())?;
    }
    let mut next = 0;
    for bucket in Buckets::of(fd, bytes, set.buckets) {
        let bucket = bucket?;
        let count = taken(&set, bucket);
        if count > 0 {
            write_number(bucket - next, to)?;
            to.write_all(&[count as u8])?;
            for slot in &set.bucket(bucket)[..count] {
                to.write_all(&slot.load(Ordering::Relaxed).to_le_bytes())?;
            }
            next = bucket + 1;
        }
    }
    Ok(())
}

/// A set of its own that holds what was written.
pub fn read(from: &mut impl Read) -> Result<(ReplaySet, OwnedFd)> {
    let bad = |what: &str| Error::new(ErrorKind::InvalidData, format!("not a replay set: {what}"));
    if &read_bytes::<8>(from)? != MAGIC {
        return Err(bad("it has a foreign header"));
    }
    let mut number = || read_bytes::<8>(from).map(u64::from_le_bytes);
    let (epoch, buckets, key, early, tags) = (number()?, number()?, [number()?, number()?], number()?, number()?);
    let mut key_bytes = [0; 16];
    let (low, high) = key_bytes.split_at_mut(8);
    low.copy_from_slice(&key[0].to_le_bytes());
    high.copy_from_slice(&key[1].to_le_bytes());
    let (set, fd) =
        ReplaySet::create(epoch, buckets, key_bytes).map_err(|error: MemoryError| bad(&error.to_string()))?;
    let (mut next, mut left) = (0_u64, tags);
    while left > 0 {
        let bucket = next.checked_add(read_number(from)?).filter(|bucket| *bucket < buckets);
        let bucket = bucket.ok_or_else(|| bad("a bucket is outside of it"))?;
        let [count] = read_bytes::<1>(from)?;
        if !(1..=BUCKET_SLOTS as u8).contains(&count) || u64::from(count) > left {
            return Err(bad("a bucket holds more than it can"));
        }
        for slot in &set.bucket(bucket)[..usize::from(count)] {
            slot.store(u64::from_le_bytes(read_bytes(from)?), Ordering::Relaxed);
        }
        left -= u64::from(count);
        next = bucket + 1;
    }
    // Where a tag is counted is nobody's matter.
    set.memory.words()[LINE].store(tags, Ordering::Relaxed);
    set.memory.words()[AT_EARLY].store(early, Ordering::Relaxed);
    Ok((set, fd))
}

fn taken(set: &ReplaySet, bucket: u64) -> usize {
    set.bucket(bucket).iter().take_while(|slot| slot.load(Ordering::Relaxed) != 0).count()
}

/// The buckets that lie on pages with something on them.
struct Buckets<'a> {
    fd: rustix::fd::BorrowedFd<'a>,
    bytes: u64,
    buckets: u64,
    next: u64,
    /// The first one beyond these pages.
    end: u64,
}

impl<'a> Buckets<'a> {
    fn of(fd: rustix::fd::BorrowedFd<'a>, bytes: u64, buckets: u64) -> Self {
        Self { fd, bytes, buckets, next: 0, end: 0 }
    }

    /// Finds the next such pages; false at the end.
    fn find(&mut self) -> Result<bool> {
        let at = HEADER_BYTES + self.next * BUCKET_BYTES;
        if at >= self.bytes {
            return Ok(false);
        }
        let data = match seek(self.fd, SeekFrom::Data(at)) {
            Err(rustix::io::Errno::NXIO) => return Ok(false),
            found => found?,
        };
        let hole = seek(self.fd, SeekFrom::Hole(data))?;
        // Pages begin and end where buckets do.
        self.next = (data.max(HEADER_BYTES) - HEADER_BYTES) / BUCKET_BYTES;
        self.end = ((hole.max(HEADER_BYTES) - HEADER_BYTES).div_ceil(BUCKET_BYTES)).min(self.buckets);
        Ok(self.next < self.end)
    }
}

impl Iterator for Buckets<'_> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Result<u64>> {
        if self.next >= self.end {
            match self.find() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // Asked again, it must not begin anew.
                    self.bytes = 0;
                    return Some(Err(error));
                }
            }
        }
        self.next += 1;
        Some(Ok(self.next - 1))
    }
}

fn write_number(mut number: u64, to: &mut impl Write) -> Result<()> {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return to.write_all(&[low]);
        }
        to.write_all(&[low | 0x80])?;
    }
}

fn read_number(from: &mut impl Read) -> Result<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let [byte] = read_bytes::<1>(from)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Error::new(ErrorKind::InvalidData, "not a replay set: a number does not end"))
}

fn read_bytes<const COUNT: usize>(from: &mut impl Read) -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
