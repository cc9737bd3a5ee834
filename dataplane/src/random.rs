//! A shard's random numbers: from one seed, fast, and without a way back to earlier ones.

use crypto_simd::random::{Random, SeededRandom};

const BLOCK_BYTES: usize = 1024;

/// Random bytes by fast key erasure: each refill of the buffer replaces the key that made it.
pub struct ShardRandom {
    key: [u8; 32],
    block: [u8; BLOCK_BYTES],
    used: usize,
}

impl ShardRandom {
    /// From a secret seed, which decides everything.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: seed, block: [0; BLOCK_BYTES], used: BLOCK_BYTES }
    }

    /// A number below `bound`, all equally likely. Zero if `bound` is zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Lemire's multiplication method; the rejection keeps it exact.
        let threshold = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u64::from(self.u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// All orders equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u32 + 1) as usize);
        }
    }

    fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn refill(&mut self) {
        let mut stream = SeededRandom::new(&self.key);
        stream.fill(&mut self.key);
        stream.fill(&mut self.block);
        self.used = 0;
    }
}

impl Random for ShardRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            if self.used == BLOCK_BYTES {
                self.refill();
            }
            let count = (bytes.len() - filled).min(BLOCK_BYTES - self.used);
            let taken = &mut self.block[self.used..self.used + count];
            bytes[filled..filled + count].copy_from_slice(taken);
            taken.fill(0);
            self.used += count;
            filled += count;
        }
    }
}
