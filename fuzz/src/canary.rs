//! A parser with a mistake that only changed inputs reach.

use crate::{Target, Verdict};

const WORD: &[u8] = b"canary";

/// Panics as soon as a mutation hits one byte of its seed, and is in no list that must pass.
pub const CANARY: Target = Target { name: "canary", run, seeds: || vec![WORD.to_vec()] };

fn run(data: &[u8]) -> Verdict {
    // The mistake: whoever compares lengths only, believes the bytes.
    if data.len() == WORD.len() {
        assert_eq!(data, WORD, "the canary sings");
    }
    Verdict::of(data == WORD)
}
