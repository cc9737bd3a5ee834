//! One ring of records in shared words: one writer, one reader, no locks. What is found there may be anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// Positions count words since the beginning of time; each stands on a pair of cache lines of its own, with room for a
/// few words of the same end.
const AT_HEAD: usize = 0;
const AT_TAIL: usize = 16;
const AT_RECORDS: usize = 32;

/// Words that each end has for itself.
pub const OWN_WORDS: usize = 4;

/// The words of one ring.
pub struct Ring<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Ring<'a> {
    /// Words of a ring whose records take up `capacity` words, a power of two.
    pub const fn words(capacity: usize) -> usize {
        AT_RECORDS + capacity
    }

    /// The ring in these words, as many as [`Ring::words`] says.
    pub fn of(words: &'a [AtomicU64]) -> Self {
        debug_assert!(words.len() > AT_RECORDS && (words.len() - AT_RECORDS).is_power_of_two());
        Self { words }
    }

    fn capacity(&self) -> u64 {
        (self.words.len() - AT_RECORDS) as u64
    }

    pub fn head(&self) -> &AtomicU64 {
        &self.words[AT_HEAD]
    }

    pub fn tail(&self) -> &AtomicU64 {
        &self.words[AT_TAIL]
    }

    /// A word of the writer's own, for it to use as it likes.
    pub fn of_writer(&self, at: usize) -> &AtomicU64 {
        &self.words[AT_HEAD + 1 + at % OWN_WORDS]
    }

    /// A word of the reader's own.
    pub fn of_reader(&self, at: usize) -> &AtomicU64 {
        &self.words[AT_TAIL + 1 + at % OWN_WORDS]
    }

    pub fn record(&self, position: u64) -> &AtomicU64 {
        &self.words[AT_RECORDS + (position % self.capacity()) as usize]
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.head().load(Ordering::Acquire) == self.tail().load(Ordering::Acquire)
    }

    /// Puts one record into the ring, in two parts, of which the first is a multiple of 8 bytes long; false if there is
    /// no room. For the only writer.
    pub fn put(&self, first: &[u8], rest: &[u8]) -> bool {
        let Ok(length) = u32::try_from(first.len() + rest.len()) else { return false };
        let head = self.head().load(Ordering::Relaxed);
        // The reader has finished with everything before the tail.
        let used = head.wrapping_sub(self.tail().load(Ordering::Acquire));
        let needed = words_of(length);
        if used > self.capacity() || self.capacity() - used < needed {
            return false;
        }
        self.record(head).store(mark(head, length), Ordering::Relaxed);
        let mut position = head;
        for chunk in first.chunks(8).chain(rest.chunks(8)) {
            position = position.wrapping_add(1);
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.record(position).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        // Publishes the record: a crash before this line leaves nothing to be seen.
        self.head().store(head.wrapping_add(needed), Ordering::Release);
        true
    }

    /// Lets `take` have the records that are there now, at most `most`. Gives how many times something made no sense and
    /// was skipped. For the only reader; `buffer` has room for the longest record.
    pub fn take(&self, most: usize, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> u64 {
        // The writer finished everything before the head.
        let head = self.head().load(Ordering::Acquire);
        let mut tail = self.tail().load(Ordering::Relaxed);
        let mut left = head.wrapping_sub(tail);
        for _ in 0..most {
            if left == 0 {
                break;
            }
            let Some(record) = self.read(tail, left, buffer) else {
                // Positions and content do not fit together: nothing in the ring can be found any more.
                self.tail().store(head, Ordering::Release);
                return 1;
            };
            take(record);
            let words = words_of(record.len() as u32);
            tail = tail.wrapping_add(words);
            left -= words;
            self.tail().store(tail, Ordering::Release);
        }
        0
    }

    /// The record at `position`, if it can be one.
    fn read<'b>(&self, position: u64, left: u64, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let first = self.record(position).load(Ordering::Relaxed);
        let length = first as u32;
        let record = buffer.get_mut(..usize::try_from(length).ok()?)?;
        if left > self.capacity() || words_of(length) > left || first != mark(position, length) {
            return None;
        }
        let mut at = position;
        for chunk in record.chunks_mut(8) {
            at = at.wrapping_add(1);
            let word = self.record(at).load(Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Some(record)
    }
}

/// Words of a record of so many bytes.
fn words_of(length: u32) -> u64 {
    1 + u64::from(length).div_ceil(8)
}

/// The first word of a record: its length, and a number that garbage hardly has at this position.
pub fn mark(position: u64, length: u32) -> u64 {
    let check = (position as u32).wrapping_mul(0x9e37_79b1) ^ length.rotate_left(16) ^ 0x6b7a_7270;
    u64::from(check) << 32 | u64::from(length)
}
