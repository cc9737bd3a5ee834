//! For tests of the whole program, which no release has: a packet at which a shard panics.

use std::sync::OnceLock;

/// The replay tag of the packet, in hexadecimal.
const VARIABLE: &str = "KATZENSPRUNG_TEST_POISON";

/// Panics if the packet is among those with these tags.
pub(super) fn panic_at<'a>(mut tags: impl Iterator<Item = &'a [u8; 32]>) {
    static POISON: OnceLock<Option<String>> = OnceLock::new();
    if let Some(poison) = POISON.get_or_init(|| std::env::var(VARIABLE).ok()) {
        let is_poison = |tag: &[u8; 32]| tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == *poison;
        assert!(!tags.any(is_poison), "a test wants the shard to panic at this packet");
    }
}
