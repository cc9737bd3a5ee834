//! What a cipher reads and where it writes as many bytes: the same place, or another one, for which nothing is copied.
//! Both ways run the same code.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::copy_nonoverlapping;
use std::slice::from_raw_parts;

#[cfg(target_arch = "x86_64")]
const CACHE_LINE_BYTES: usize = 64;

/// Bytes to read and as many to write.
pub(crate) struct Text<'a> {
    from: *const u8,
    to: *mut u8,
    len: usize,
    bytes: PhantomData<&'a mut [u8]>,
}

impl<'a> Text<'a> {
    /// Bytes that are replaced.
    pub(crate) fn in_place(bytes: &'a mut [u8]) -> Self {
        let to = bytes.as_mut_ptr();
        Self { from: to, to, len: bytes.len(), bytes: PhantomData }
    }

    /// Bytes that are read, and those that are replaced by what becomes of them.
    ///
    /// # Panics
    /// When there are more of one than of the other.
    pub(crate) fn between(from: &'a [u8], to: &'a mut [u8]) -> Self {
        assert_eq!(from.len(), to.len(), "room for what is read");
        Self { from: from.as_ptr(), to: to.as_mut_ptr(), len: to.len(), bytes: PhantomData }
    }

    /// Bytes that are read, and room for what becomes of them, which holds nothing yet: it is written before it is read.
    ///
    /// # Panics
    /// When there are more of one than of the other.
    pub(crate) fn onto(from: &'a [u8], to: &'a mut [MaybeUninit<u8>]) -> Self {
        assert_eq!(from.len(), to.len(), "room for what is read");
        Self { from: from.as_ptr(), to: to.as_mut_ptr().cast(), len: to.len(), bytes: PhantomData }
    }

    /// Bytes of each.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is read, or was if both are the same place.
    #[inline(always)]
    pub(super) fn source(&self) -> &[u8] {
        // SAFETY: `len` bytes that live as long as the text, which nothing writes while it is borrowed.
        unsafe { from_raw_parts(self.from, self.len) }
    }

    /// What was written to a range of it.
    ///
    /// # Safety
    /// All of the range has been written, or was there before.
    #[inline(always)]
    pub(super) unsafe fn written(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.len, "a range of the text");
        // SAFETY: within bytes that live as long as the text, which nothing writes while it is borrowed; that they hold
        // something is the caller's promise.
        unsafe { from_raw_parts(self.to.add(range.start), range.len()) }
    }

    /// The same for a while.
    #[inline(always)]
    pub(super) fn part(&mut self, at: usize, bytes: usize) -> Text<'_> {
        assert!(at <= self.len && bytes <= self.len - at, "a part of the text");
        // SAFETY: both are within their bytes.
        let (from, to) = unsafe { (self.from.add(at), self.to.add(at)) };
        Text { from, to, len: bytes, bytes: PhantomData }
    }

    /// The first bytes, and the others.
    #[inline(always)]
    pub(super) fn split_at(mut self, at: usize) -> (Self, Self) {
        (self.take(at), self)
    }

    /// The first bytes, which do not belong to this text any more.
    #[inline(always)]
    pub(super) fn take(&mut self, bytes: usize) -> Self {
        assert!(bytes <= self.len, "a place in the text");
        let taken = Self { from: self.from, to: self.to, len: bytes, bytes: PhantomData };
        // SAFETY: both are within their bytes, or one behind the last one.
        (self.from, self.to) = unsafe { (self.from.add(bytes), self.to.add(bytes)) };
        self.len -= bytes;
        taken
    }

    /// Has all of it fetched into the cache while something else is computed.
    #[inline(always)]
    pub(super) fn fetch(&self) {
        #[cfg(target_arch = "x86_64")]
        for at in (0..self.len).step_by(CACHE_LINE_BYTES) {
            use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
            // SAFETY: both are within their bytes; a prefetch reads and writes nothing that a program sees.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(self.from.add(at).cast());
                _mm_prefetch::<_MM_HINT_ET0>(self.to.add(at).cast());
            }
        }
    }

    /// Where it is read and written, for calls that know its length.
    pub(crate) fn ends(&mut self) -> (*const u8, *mut u8) {
        (self.from, self.to)
    }

    /// Where the first bytes are read and written, without any alignment.
    ///
    /// # Panics
    /// When there are fewer.
    #[inline(always)]
    pub(super) fn first<const N: usize>(&mut self) -> (*const [u8; N], *mut [u8; N]) {
        assert!(self.len >= N, "so many bytes");
        (self.from.cast(), self.to.cast())
    }

    /// Reads all, XORs the first bytes of `key` in, and writes them.
    ///
    /// # Panics
    /// When the key has fewer bytes.
    #[inline(always)]
    pub(super) fn xor(mut self, key: &[u8]) {
        const CHUNK_BYTES: usize = 64;
        let key = &key[..self.len];
        let (chunks, rest) = key.as_chunks::<CHUNK_BYTES>();
        for (index, key) in chunks.iter().enumerate() {
            // Read as a whole, so that it does not matter to the compiler whether both are the same place.
            let (from, to) = self.part(index * CHUNK_BYTES, CHUNK_BYTES).first::<CHUNK_BYTES>();
            // SAFETY: a chunk is there at both.
            unsafe {
                let mut chunk = *from;
                chunk.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
                *to = chunk;
            }
        }
        if !rest.is_empty() {
            // As a whole, too. A loop over bytes would look like a table's look-ups to the audit of emitted code.
            let mut text = self.part(chunks.len() * CHUNK_BYTES, rest.len());
            let (mut last, mut last_key) = ([0; CHUNK_BYTES], [0; CHUNK_BYTES]);
            last[..rest.len()].copy_from_slice(text.source());
            last_key[..rest.len()].copy_from_slice(rest);
            last.iter_mut().zip(&last_key).for_each(|(byte, key)| *byte ^= key);
            let (_, to) = text.ends();
            // SAFETY: so many bytes are there, apart from the variable.
            unsafe { copy_nonoverlapping(last.as_ptr(), to, rest.len()) };
            (last, last_key) = ([0; CHUNK_BYTES], [0; CHUNK_BYTES]);
            zeroize::optimization_barrier(&last);
            zeroize::optimization_barrier(&last_key);
        }
    }
}
