//! The checksum of the internet: the sum of all 16-bit words in ones' complement (RFC 1071).

/// A sum under way. It is the same in either order of bytes, so words are added as the processor has them.
#[derive(Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// With more bytes. Only the last piece may have an odd number of them.
    pub fn with(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        // Four bytes at a time into eight: 2^32 of them before anything is lost, and a datagram has 2^14.
        let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_ne_bytes(last));
        Self(self.0 + fold(sum))
    }

    /// What makes the sum complete.
    pub fn checksum(self) -> [u8; 2] {
        (!folded(self.0)).to_ne_bytes()
    }

    /// Whether the checksum is among what was added, and right.
    pub fn is_complete(self) -> bool {
        folded(self.0) == u16::MAX
    }
}

fn fold(sum: u64) -> u64 {
    (sum >> 32) + (sum & 0xffff_ffff)
}

fn folded(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
