//! What becomes of secrets for which the arena has no room. A process of its own: nothing empties it again.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use secret_memory::{SecretAllocator, is_secret, protection, within};
use std::os::unix::fs::FileExt;

#[global_allocator]
static ALLOCATOR: SecretAllocator = SecretAllocator;

const BYTES: usize = 1000;
/// The heap writes pointers into the beginning of what is free.
const USED_BY_THE_HEAP: usize = 64;

#[test]
fn what_finds_no_room_is_told_and_wiped_all_the_same() {
    let memory = std::fs::File::open("/proc/self/mem").expect("/proc is there");
    let mut found = [0_u8; BYTES];
    let filling: Vec<_> = (0..8).map(|_| within(|| vec![1_u8; 8 << 20])).collect();
    assert!(filling.iter().filter(|block| is_secret(block)).count() >= 6, "room for large ones");
    // Until the last small block is gone.
    let mut small = Vec::with_capacity(1 << 20);
    let secret = loop {
        let secret = within(|| vec![0x5c_u8; BYTES]);
        if !is_secret(&secret) {
            break secret;
        }
        small.push(secret);
        assert!(small.len() < 1 << 20, "the arena has no end");
    };
    let protection = protection();
    assert!(!protection.locked && protection.outside > 0, "{protection:?}");
    let address = secret.as_ptr() as u64;
    memory.read_exact_at(&mut found, address).expect("it is mapped");
    assert_eq!(found, [0x5c; BYTES]);
    drop(secret);
    memory.read_exact_at(&mut found, address).expect("the heap keeps small blocks");
    assert!(!found[USED_BY_THE_HEAP..].contains(&0x5c), "it is wiped");
    // So it is when it grows and is moved.
    let mut secret = within(|| vec![0x5d_u8; BYTES]);
    let address = secret.as_ptr() as u64;
    secret.reserve_exact(100 * BYTES);
    assert_ne!(secret.as_ptr() as u64, address);
    memory.read_exact_at(&mut found, address).expect("the heap keeps small blocks");
    assert!(!found[USED_BY_THE_HEAP..].contains(&0x5d), "what it has left is wiped");
}
