//! SipHash-2-4 with 128 bits of output over a whole number of words. Tags are hashes of bytes that senders choose;
//! without a key they could choose tags that all begin at one bucket.

/// The hash of `words`, as two words.
#[inline]
pub(super) fn siphash_128<const N: usize>(key: [u64; 2], words: [u64; N]) -> [u64; 2] {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let length = (N as u64 * 8) << 56;
    for word in words.into_iter().chain([length]) {
        state[3] ^= word;
        rounds::<2>(&mut state);
        state[0] ^= word;
    }
    state[2] ^= 0xee;
    rounds::<4>(&mut state);
    let first = state.into_iter().fold(0, std::ops::BitXor::bitxor);
    state[1] ^= 0xdd;
    rounds::<4>(&mut state);
    [first, state.into_iter().fold(0, std::ops::BitXor::bitxor)]
}

#[inline]
fn rounds<const COUNT: usize>([a, b, c, d]: &mut [u64; 4]) {
    for _ in 0..COUNT {
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}
