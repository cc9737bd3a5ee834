use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};

/// Every number of messages, by every level and by both twins.
#[test]
fn digests_are_those_of_one_after_the_other() {
    let mut kernels = vec![None, Some(emulated::<4>()), Some(emulated::<8>())];
    kernels.extend(Level::ALL.into_iter().filter_map(Kernels::of).map(|kernels| kernels.sha3_256));
    let mut messages = [[0; 134]; 20];
    SeededRandom::new(&[2; 32]).fill(messages.as_flattened_mut());
    let expected = messages.map(|message| sha3_256(&[&message]));
    for kernel in kernels {
        for count in 0..=messages.len() {
            let mut digests = [[0; DIGEST_BYTES]; 20];
            sha3_256_batch(kernel, &messages[..count], &mut digests[..count]);
            assert_eq!(digests[..count], expected[..count], "{count} messages");
            assert_eq!(digests[count..], [[0; DIGEST_BYTES]; 20][count..]);
        }
    }
}

/// A message that leaves one byte for all of its padding.
#[test]
fn the_longest_message() {
    let mut digests = [[0; DIGEST_BYTES]; 3];
    sha3_256_batch(Some(emulated::<4>()), &[[7; RATE_BYTES - 1]; 3], &mut digests);
    assert_eq!(digests, [sha3_256(&[&[7; RATE_BYTES - 1]]); 3]);
}
