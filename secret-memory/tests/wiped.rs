//! What stands in blocks that nobody has. A process of its own: no other test takes them in between.
#![allow(missing_docs, reason = "a test binary has no public interface")]

mod memory;

use memory::read;
use secret_memory::{SecretAllocator, within};

#[global_allocator]
static ALLOCATOR: SecretAllocator = SecretAllocator;

#[test]
fn blocks_are_wiped_when_they_are_given_back_and_used_again() {
    let length = 100_001;
    let key = within(|| vec![0xa5_u8; length]);
    let address = key.as_ptr() as usize;
    assert!(read(address, length).iter().all(|byte| *byte == 0xa5), "the test sees the block");
    drop(key);
    // The arena's own pointer stands at its beginning.
    assert!(read(address, length)[8..].iter().all(|byte| *byte == 0), "what lies free is wiped");
    let fresh = within(|| Vec::<u8>::with_capacity(length));
    assert_eq!(fresh.as_ptr() as usize, address, "the block is used again");
    assert!(read(address, length).iter().all(|byte| *byte == 0), "what is handed out again is zero");
    drop(fresh);
    let zeroed = within(|| vec![0_u8; length]);
    assert_eq!(zeroed.as_ptr() as usize, address);
    assert!(zeroed.iter().all(|byte| *byte == 0));
}
